package deploy

import (
	"crypto/rand"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

func base(t *testing.T) manifests {
	t.Helper()
	text, err := render(t, "kustomize", kustomizeDir+"/base")
	require.NoError(t, err)
	return decode(t, text)
}

// overlay renders the example, with a secret as its comment says to make one.
func overlay(t *testing.T) (m manifests, secret string) {
	t.Helper()
	random := make([]byte, 32)
	_, err := rand.Read(random)
	require.NoError(t, err)
	secret = base64.StdEncoding.EncodeToString(random) + "\n"

	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(kustomizeDir)))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlays/example/cluster.secret"), []byte(secret), 0o600))
	text, err := render(t, "kustomize", filepath.Join(dir, "overlays/example"))
	require.NoError(t, err)
	return decode(t, text), secret
}

func TestTheKustomizeBaseHolds(t *testing.T) {
	m := base(t)
	m.check(t)
	require.Equal(t, "gokv", m.set.Namespace)
	require.Nil(t, m.secret, "a secret in the tree is none")
	wantExpect("2")(t, m)
}

func TestTheExampleOverlayHolds(t *testing.T) {
	m, secret := overlay(t)
	m.check(t)
	require.Equal(t, "store", m.set.Namespace)
	require.Equal(t, "Namespace", m.raw[0].GetKind(), "the others go into it")
	require.Equal(t, "restricted", m.namespace.Labels["pod-security.kubernetes.io/enforce"])
	require.Equal(t, secret, string(m.secret.Data["cluster.secret"]))
	require.Equal(t, int32(5), *m.set.Spec.Replicas)
	wantExpect("3")(t, m)
	require.Equal(t, "store", environment(t, m, "10.0.0.1", "gokv-0")["GOKV_CLUSTER"])
}

func TestTheExampleOverlayAsksForTheSecretsFile(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(kustomizeDir)))
	if err := os.Remove(filepath.Join(dir, "overlays/example/cluster.secret")); err != nil {
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
	_, err := render(t, "kustomize", filepath.Join(dir, "overlays/example"))
	require.ErrorContains(t, err, "cluster.secret")
}

func TestNoSecretLiesInTheTree(t *testing.T) {
	full := regexp.MustCompile(`[A-Za-z0-9+/]{43}=`) // 32 bytes
	require.NoError(t, filepath.WalkDir("kubernetes", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "cluster.secret" { // which git ignores
			return err
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NotRegexp(t, full, string(text), file)
		return nil
	}))
}

// Whoever goes from one to the other gets the same.
func TestKustomizeAndTheChartAgree(t *testing.T) {
	k, h := base(t), chart{}.render(t)
	for _, m := range []manifests{k, h} {
		m.normalize(t)
	}
	require.Equal(t, k.set.Spec, h.set.Spec)
	require.Equal(t, k.peers.Spec, h.peers.Spec)
	require.Equal(t, k.clients.Spec, h.clients.Spec)
	require.Equal(t, k.policy.Spec, h.policy.Spec)
	require.Equal(t, k.budget.Spec, h.budget.Spec)
	require.Equal(t, k.role.Rules, h.role.Rules)
	require.Equal(t, k.binding.RoleRef, h.binding.RoleRef)
	require.Equal(t, k.binding.Subjects, h.binding.Subjects)
	require.Equal(t, k.account.AutomountServiceAccountToken, h.account.AutomountServiceAccountToken)
	for _, names := range [][2]string{
		{k.set.Name, h.set.Name},
		{k.peers.Name, h.peers.Name},
		{k.clients.Name, h.clients.Name},
		{k.account.Name, h.account.Name},
		{k.role.Name, h.role.Name},
		{k.policy.Name, h.policy.Name},
	} {
		require.Equal(t, names[0], names[1])
	}
}

// normalize takes away in what way, but not in what, the two may differ: the order of
// variables, and that Kustomize asks the pod for its instance where the chart knows
// it.
func (m manifests) normalize(t *testing.T) {
	t.Helper()
	c := &m.set.Spec.Template.Spec.Containers[0]
	instance := m.labels()["app.kubernetes.io/instance"]
	c.Env = slices.DeleteFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "POD_INSTANCE" })
	for i := range c.Env {
		c.Env[i].Value = strings.ReplaceAll(c.Env[i].Value, "$(POD_INSTANCE)", instance)
	}
	slices.SortFunc(c.Env, func(a, b corev1.EnvVar) int { return strings.Compare(a.Name, b.Name) })
	if m.clients.Spec.Type == "" {
		m.clients.Spec.Type = corev1.ServiceTypeClusterIP // the API's default
	}
}
