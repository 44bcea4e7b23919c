package deploy

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// matrix are values that render, with what is special about them.
var matrix = map[string]struct {
	chart
	want func(t *testing.T, m manifests)
}{
	"defaults": {want: func(t *testing.T, m manifests) {
		require.Equal(t, int32(3), *m.set.Spec.Replicas)
		require.NotNil(t, m.secret)
		require.NotNil(t, m.policy)
		require.NotNil(t, m.budget)
		require.Nil(t, m.monitor)
		require.Len(t, m.policy.Spec.Ingress, 3)
	}},
	"one replica": {chart: chart{values: "replicas: 1"}, want: wantExpect("0")},
	"two":         {chart: chart{values: "replicas: 2"}, want: wantExpect("0")},
	"three":       {chart: chart{values: "replicas: 3"}, want: wantExpect("2")},
	"four":        {chart: chart{values: "replicas: 4"}, want: wantExpect("3")},
	"five":        {chart: chart{values: "replicas: 5"}, want: wantExpect("3")},
	"expect none": {chart: chart{values: "bootstrapExpect: 0"}, want: wantExpect("0")},
	"expect all":  {chart: chart{values: "bootstrapExpect: 3"}, want: wantExpect("3")},
	"IPv6": {
		chart: chart{values: "ipFamilyPolicy: SingleStack\nipFamilies: [IPv6]"},
		want: func(t *testing.T, m manifests) {
			for _, s := range []*corev1.Service{m.peers, m.clients} {
				require.Equal(t, corev1.IPFamilyPolicySingleStack, *s.Spec.IPFamilyPolicy)
				require.Equal(t, []corev1.IPFamily{corev1.IPv6Protocol}, s.Spec.IPFamilies)
			}
		},
	},
	"existing secret": {
		chart: chart{values: "secret: {existing: mine, key: s}"},
		want: func(t *testing.T, m manifests) {
			require.Nil(t, m.secret)
			require.Equal(t, "mine", m.set.Spec.Template.Spec.Volumes[0].Secret.SecretName)
			require.Equal(t, "/etc/gokv/secret/s", environment(t, m, "10.0.0.1", "gokv-0")["GOKV_SECRET_FILE"])
		},
	},
	"certificates": {
		chart: chart{values: "secret: {enabled: false}\ntls: {existing: certs}"},
		want: func(t *testing.T, m manifests) {
			require.Nil(t, m.secret)
			env := environment(t, m, "10.0.0.1", "gokv-0")
			require.NotContains(t, env, "GOKV_SECRET_FILE")
			require.Equal(t, "/etc/gokv/tls/tls.key", env["GOKV_TLS_KEY"])
			require.Equal(t, "certs", m.set.Spec.Template.Spec.Volumes[0].Secret.SecretName)
		},
	},
	"certificates and secret": {
		chart: chart{values: "tls: {existing: certs}"},
		want: func(t *testing.T, m manifests) {
			require.Len(t, m.set.Spec.Template.Spec.Volumes, 2)
			require.Len(t, m.container(t).VolumeMounts, 2)
		},
	},
	"service monitor": {
		chart: chart{name: "store", values: "serviceMonitor: {enabled: true, labels: {release: prometheus}}"},
		want: func(t *testing.T, m manifests) {
			require.NotNil(t, m.monitor)
			require.Equal(t, "prometheus", m.monitor.GetLabels()["release"])
			spec := m.monitor.Object["spec"].(map[string]any)
			for key, value := range spec["selector"].(map[string]any)["matchLabels"].(map[string]any) {
				require.Equal(t, value, m.peers.Labels[key], "it selects no Service that has the port")
			}
			endpoint := spec["endpoints"].([]any)[0].(map[string]any)
			require.Equal(t, "http", endpoint["port"])
			require.Equal(t, "gokv-store", endpoint["relabelings"].([]any)[0].(map[string]any)["replacement"], "deploy/prometheus knows a cluster by such a job")
		},
	},
	"other ports": {
		chart: chart{values: "ports: {peers: 17946, clients: 17947, http: 17948}"},
		want: func(t *testing.T, m manifests) {
			env := environment(t, m, "10.0.0.1", "gokv-0")
			require.Equal(t, "[10.0.0.1]:17946", env["GOKV_PEER_ADDR"])
			require.Equal(t, ":17947", env["GOKV_CLIENT_ADDR"])
			require.Equal(t, ":17948", env["GOKV_HTTP_ADDR"])
		},
	},
	"names that YAML takes for numbers": {
		chart: chart{name: "123", values: "nameOverride: '7'\ncluster: '1e3'"},
		want: func(t *testing.T, m manifests) {
			require.Equal(t, "123", m.labels()["app.kubernetes.io/instance"])
			require.Equal(t, "1e3", environment(t, m, "10.0.0.1", "gokv-0")["GOKV_CLUSTER"])
		},
	},
	"a long name": {
		chart: chart{name: strings.Repeat("long-", 10)[:53-4] + "gokv"},
		want:  func(t *testing.T, m manifests) { require.Len(t, m.set.Name, 52) },
	},
	"all else": {
		chart: chart{values: `
settings: {sync-interval: 2s, insecure-is-not: true}
image: {repository: registry.example/kv, digest: "sha256:` + strings.Repeat("a", 64) + `"}
imagePullSecrets: [{name: pull}]
service: {type: LoadBalancer, annotations: {a: b}}
serviceAccount: {annotations: {a: b}}
networkPolicy: {clients: [], monitoring: []}
podLabels: {team: storage}
podAnnotations: {a: b}
nodeSelector: {disk: none}
tolerations: [{operator: Exists}]
affinity: {podAntiAffinity: {}}
spread: false
topologySpreadConstraints: []
priorityClassName: high
`},
		want: func(t *testing.T, m manifests) {
			require.Equal(t, "2s", environment(t, m, "10.0.0.1", "gokv-0")["GOKV_SYNC_INTERVAL"])
			require.Equal(t, "registry.example/kv@sha256:"+strings.Repeat("a", 64), m.container(t).Image)
			require.Len(t, m.policy.Spec.Ingress, 1)
			require.Equal(t, "storage", m.labels()["team"])
			require.Equal(t, corev1.ServiceTypeLoadBalancer, m.clients.Spec.Type)
			require.Empty(t, m.set.Spec.Template.Spec.TopologySpreadConstraints)
		},
	},
	"little": {
		chart: chart{values: "rbac: {create: false}\nserviceAccount: {create: false, name: other}\nnetworkPolicy: {enabled: false}\npodDisruptionBudget: {enabled: false}\nresources: {limits: null}"},
		want: func(t *testing.T, m manifests) {
			require.Nil(t, m.role)
			require.Nil(t, m.account)
			require.Nil(t, m.policy)
			require.Nil(t, m.budget)
			require.Equal(t, "other", m.set.Spec.Template.Spec.ServiceAccountName)
			require.NotContains(t, environment(t, m, "10.0.0.1", "gokv-0"), "GOMEMLIMIT")
		},
	},
}

func wantExpect(n string) func(*testing.T, manifests) {
	return func(t *testing.T, m manifests) {
		require.Equal(t, n, environment(t, m, "10.0.0.1", "gokv-0")["GOKV_BOOTSTRAP_EXPECT"])
	}
}

func TestTheChartHoldsWhateverTheValues(t *testing.T) {
	for name, c := range matrix {
		t.Run(name, func(t *testing.T) {
			_, err := render(t, c.args(t, "lint")...)
			require.NoError(t, err, "lint")
			m := c.chart.render(t)
			m.check(t)
			c.want(t, m)
			notes, err := render(t, c.args(t, "notes")...)
			require.NoError(t, err)
			require.Contains(t, notes, m.clients.Name+"."+m.set.Namespace+".svc:"+fmt.Sprint(m.clients.Spec.Ports[0].Port))
		})
	}
}

func TestTheChartMakesASecretOfFullLengthAndNeverTheSameOne(t *testing.T) {
	seen := map[string]bool{}
	for range 3 {
		text := string(chart{}.render(t).secret.Data["cluster.secret"])
		secret, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(text, "\n"))
		require.NoError(t, err)
		require.Len(t, secret, 32)
		require.False(t, seen[text])
		seen[text] = true
	}
}

func TestValuesThatCannotWorkAreRefusedByName(t *testing.T) {
	for values, want := range map[string]string{
		"replicas: 0":                                "'/replicas': minimum: got 0, want 1",
		"replicas: 17":                               "'/replicas': maximum: got 17, want 16",
		"replicas: three":                            "'/replicas': got string, want integer",
		"replica: 3":                                 "additional properties 'replica' not allowed",
		"image: {name: x}":                           "'/image': additional properties 'name' not allowed",
		"image: {pullPolicy: Sometimes}":             "'/image/pullPolicy'",
		"image: {digest: latest}":                    "'/image/digest'",
		"bootstrapExpect: all":                       "'/bootstrapExpect'",
		"bootstrapExpect: 4":                         "bootstrapExpect is 4 and replicas is 3: so many would never meet",
		"cluster: " + strings.Repeat("a", 65):        "'/cluster': maxLength: got 65, want 64",
		"settings: {peer-addr: ':1'}":                "propertyName 'peer-addr'",
		"settings: {SyncInterval: 1s}":               "propertyName 'SyncInterval'",
		"settings: {max-value-size: 1048576}":        "'/settings/max-value-size': got number, want",
		"ports: {http: 80}":                          "'/ports/http': minimum: got 80, want 1,024",
		"ports: {http: 7947}":                        "none of the others can be the same",
		"ipFamilies: [IPv4, IPv4]":                   "'/ipFamilies'",
		"ipFamilyPolicy: Dual":                       "'/ipFamilyPolicy'",
		"secret: {enabled: false}":                   "nodes need at least one of the two to prove themselves",
		"secret: {key: a/b}":                         "'/secret/key'",
		"networkPolicy: {clients: {podSelector: 1}}": "'/networkPolicy/clients': got object, want array",
		"terminationGracePeriodSeconds: 19":          "terminationGracePeriodSeconds is 19: at least 20",
		"serviceMonitor: {interval: soon}":           "'/serviceMonitor/interval'",
	} {
		t.Run(values, func(t *testing.T) {
			_, err := render(t, chart{values: values}.args(t, "template")...)
			require.ErrorContains(t, err, want)
		})
	}
}

func TestLintComplainsAboutAChartThatIsWrong(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gokv")
	require.NoError(t, os.CopyFS(dir, os.DirFS(chartDir)))
	file := filepath.Join(dir, "templates", "rbac.yaml")
	require.NoError(t, os.WriteFile(file, []byte("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: Not_A_Name\n"), 0o600))
	_, err := render(t, "lint", dir)
	require.ErrorContains(t, err, "Not_A_Name")
}
