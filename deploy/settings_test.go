package deploy

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// reference is a variable that Kubernetes replaces by what one before it is.
var reference = regexp.MustCompile(`\$\(([^)]*)\)`)

// environment is what the kubelet would make of the variables for a pod.
func environment(t *testing.T, m manifests, ip, pod string) map[string]string {
	t.Helper()
	env := map[string]string{}
	c := m.container(t)
	for _, e := range c.Env {
		require.NotContains(t, env, e.Name, "stands twice")
		value := reference.ReplaceAllStringFunc(e.Value, func(r string) string {
			name := reference.FindStringSubmatch(r)[1]
			require.Contains(t, env, name, "%s refers to %s, which does not stand before it: it would stay as it is", e.Name, name)
			return env[name]
		})
		if from := e.ValueFrom; from != nil {
			value = valueFrom(t, m, c, from, ip, pod)
		}
		env[e.Name] = value
	}
	return env
}

func valueFrom(t *testing.T, m manifests, c corev1.Container, from *corev1.EnvVarSource, ip, pod string) string {
	t.Helper()
	if r := from.ResourceFieldRef; r != nil {
		require.Equal(t, "limits.memory", r.Resource)
		require.False(t, c.Resources.Limits.Memory().IsZero())
		return c.Resources.Limits.Memory().AsDec().String()
	}
	require.NotNil(t, from.FieldRef)
	switch path := from.FieldRef.FieldPath; path {
	case "status.podIP":
		return ip
	case "metadata.name":
		return pod
	default:
		label, ok := strings.CutPrefix(path, "metadata.labels['")
		require.True(t, ok, path)
		label = strings.TrimSuffix(label, "']")
		require.Contains(t, m.labels(), label)
		return m.labels()[label]
	}
}

// renderings are those that are meant to be applied as they are.
func renderings(t *testing.T) map[string]manifests {
	t.Helper()
	example, _ := overlay(t)
	return map[string]manifests{
		"base":         base(t),
		"overlay":      example,
		"chart":        chart{}.render(t),
		"certificates": chart{values: "secret: {enabled: false}\ntls: {existing: certs}"}.render(t),
	}
}

func TestTheNodeKnowsEverySettingAndTakesItsValue(t *testing.T) {
	help, err := exec.CommandContext(t.Context(), nodeProgram(t), "--help").Output()
	require.NoError(t, err)
	known := map[string]bool{}
	for _, flag := range regexp.MustCompile(`(?m)^ +--([a-z0-9-]+)`).FindAllStringSubmatch(string(help), -1) {
		known["GOKV_"+strings.ToUpper(strings.ReplaceAll(flag[1], "-", "_"))] = true
	}
	for name, m := range renderings(t) {
		for _, ip := range []string{"10.1.2.3", "fd00::17"} {
			t.Run(name+" "+ip, func(t *testing.T) {
				cmd := exec.CommandContext(t.Context(), nodeProgram(t), "--version") // once the settings are in order
				cmd.Env = []string{"PATH=/nonexistent"}
				for name, value := range environment(t, m, ip, "gokv-0") {
					if strings.HasPrefix(name, "GOKV_") {
						require.True(t, known[name], "gokv-node has no setting %s", name)
					}
					cmd.Env = append(cmd.Env, name+"="+value)
				}
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "%s", out)
			})
		}
	}
}

func TestDiscoveryLooksForThePodsThatTheSetMakes(t *testing.T) {
	for name, m := range renderings(t) {
		t.Run(name, func(t *testing.T) {
			env := environment(t, m, "10.0.0.1", "gokv-0")
			selected := map[string]string{}
			for pair := range strings.SplitSeq(env["GOKV_KUBERNETES_POD_LABELS"], ",") {
				key, value, ok := strings.Cut(pair, "=")
				require.True(t, ok, pair)
				selected[key] = value
			}
			require.Equal(t, m.set.Spec.Selector.MatchLabels, selected)
			peers := m.port(t, env["GOKV_KUBERNETES_DISCOVERY_PORT_NAME"])
			require.Equal(t, corev1.ProtocolUDP, peers.Protocol)
			require.Equal(t, int32(7946), peers.ContainerPort)
			require.Equal(t, int32(7947), m.port(t, env["GOKV_KUBERNETES_PORT_NAME"]).ContainerPort)
		})
	}
}

func TestANodeBindsWhatItTellsItsPeers(t *testing.T) {
	for ip, want := range map[string]string{"10.1.2.3": "10.1.2.3", "fd00::17": "fd00::17"} {
		for name, m := range renderings(t) {
			t.Run(name+" "+ip, func(t *testing.T) {
				env := environment(t, m, ip, "gokv-0")
				require.Equal(t, "["+want+"]:7946", env["GOKV_PEER_ADDR"])
				require.NotContains(t, env, "GOKV_ADVERTISE_ADDR", "what is bound is advertised, in the form that discovery gives")
				require.Equal(t, "gokv-0", env["GOKV_NAME"])
			})
		}
	}
}
