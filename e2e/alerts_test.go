package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	rulesFile     = "../deploy/prometheus/gokv.rules.yml"
	ruleTestsFile = "../deploy/prometheus/gokv.rules.test.yml"
	operations    = "../docs/operations.md"
	runbook       = "https://github.com/tochemey/gokv/blob/main/docs/operations.md#"
)

// rule is an alert of the rules file.
type rule struct {
	Alert       string
	Expr        string
	For         string
	Labels      map[string]string
	Annotations map[string]string
}

func alertRules(t *testing.T) []rule {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []rule
		}
	}
	readYAML(t, rulesFile, &file)
	var rules []rule
	for _, g := range file.Groups {
		rules = append(rules, g.Rules...)
	}
	require.NotEmpty(t, rules)
	return rules
}

// readYAML refuses keys that the target does not know: a rule that is written in a
// way this test does not understand would go unchecked.
func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	dec := yaml.NewDecoder(strings.NewReader(readFile(t, file)))
	dec.KnownFields(true)
	require.NoError(t, dec.Decode(into), file)
}

func promtool(t *testing.T, args ...string) result {
	t.Helper()
	return runCommand(t, exec.CommandContext(deadline(t), need(t, "promtool"), args...))
}

func TestPromtoolAcceptsTheAlertRulesAndTheirUnitTestsPass(t *testing.T) {
	for _, args := range [][]string{
		{"check", "rules", rulesFile},
		{"test", "rules", ruleTestsFile},
		{"check", "config", "../deploy/prometheus/prometheus.yml"},
	} {
		r := promtool(t, args...)
		require.Zero(t, r.exit, "promtool %s: %s%s", strings.Join(args, " "), r.stdout, r.stderr)
	}
}

func TestEachAlertSaysHowBadItIsAndWhereItIsExplained(t *testing.T) {
	explained, alerts := alertHeadings(t), map[string]bool{}
	for _, r := range alertRules(t) {
		require.Regexp(t, `^Gokv[A-Z][A-Za-z]+$`, r.Alert)
		require.Contains(t, []string{"critical", "warning"}, r.Labels["severity"], r.Alert)
		require.Len(t, r.Labels, 1, r.Alert)
		require.ElementsMatch(t, []string{"summary", "description", "runbook_url"}, slices.Collect(maps.Keys(r.Annotations)), r.Alert)
		for key, text := range r.Annotations {
			require.NotEmpty(t, text, "%s of %s", key, r.Alert)
		}
		require.Equal(t, runbook+strings.ToLower(r.Alert), r.Annotations["runbook_url"])
		alerts[r.Alert] = true // some have two rules, one a severity
	}
	require.Equal(t, alerts, explained, "the alerts, and the headings of %s", operations)
}

// alertHeadings are the headings of the operations page that are an alert's name.
func alertHeadings(t *testing.T) map[string]bool {
	t.Helper()
	headings := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (Gokv\w+)$`).FindAllStringSubmatch(readFile(t, operations), -1) {
		require.False(t, headings[m[1]], "%s has two headings %s: a link reaches only one", operations, m[1])
		headings[m[1]] = true
	}
	return headings
}

// An alert that no unit test sees fire, or see quiet, may be always or never up.
func TestEachAlertHasAUnitTestInWhichItFiresAndOneInWhichItDoesNot(t *testing.T) {
	var file struct {
		RuleFiles          []string `yaml:"rule_files"`
		EvaluationInterval string   `yaml:"evaluation_interval"`
		Tests              []struct {
			Name, Interval string
			InputSeries    []struct{ Series, Values string } `yaml:"input_series"`
			AlertRuleTest  []struct {
				EvalTime  string `yaml:"eval_time"`
				Alertname string
				ExpAlerts []struct {
					ExpLabels      map[string]string `yaml:"exp_labels"`
					ExpAnnotations map[string]string `yaml:"exp_annotations"`
				} `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	readYAML(t, ruleTestsFile, &file)
	type key struct{ alert, severity string }
	fires, quiet := map[key]bool{}, map[string]bool{}
	series := map[string]bool{}
	for _, test := range file.Tests {
		for _, s := range test.InputSeries {
			name, _, _ := strings.Cut(s.Series, "{")
			series[name] = true
		}
		for _, c := range test.AlertRuleTest {
			for _, a := range c.ExpAlerts {
				fires[key{c.Alertname, a.ExpLabels["severity"]}] = true
			}
			if len(c.ExpAlerts) == 0 {
				quiet[c.Alertname] = true
			}
		}
	}
	for _, r := range alertRules(t) {
		require.True(t, fires[key{r.Alert, r.Labels["severity"]}], "no unit test in which %s, %s, fires", r.Alert, r.Labels["severity"])
		require.True(t, quiet[r.Alert], "no unit test in which %s does not fire", r.Alert)
		for _, m := range metricsOf(r.Expr) {
			require.True(t, series[m], "no unit test has a series of %s, which %s asks for", m, r.Alert)
		}
	}
}

var metricName = regexp.MustCompile(`\b(?:gokv_\w+|up|go_\w+|process_\w+)\b`)

// metricsOf returns the metrics that an expression names.
func metricsOf(expr string) []string {
	quoted := regexp.MustCompile(`"[^"]*"`)
	return metricName.FindAllString(quoted.ReplaceAllString(expr, `""`), -1)
}

// The rules are asked of a real cluster: nothing of theirs is up while it is well,
// each series that they name is there, and what a death is to raise is raised.
func TestAlertsAreQuietOverARunningClusterAndADeadNodeRaisesThem(t *testing.T) {
	t.Parallel() // it waits more than it works
	program := need(t, "prometheus")
	_, a, b, c := startClusterWithCertificates(t)
	server := startPrometheus(t, program, a, b, c)
	rules := alertRules(t)
	for _, r := range rules {
		for _, m := range metricsOf(r.Expr) {
			eventually(t, func() error {
				targets, err := server.instances(t.Context(), m)
				if err == nil && len(targets) != 3 {
					err = fmt.Errorf("%s: %s has series of %d nodes, not of 3", r.Alert, m, len(targets))
				}
				return err
			})
		}
	}
	raised := func() (names []string) {
		for _, r := range rules {
			samples, err := server.query(t.Context(), r.Expr)
			require.NoError(t, err, r.Alert)
			if len(samples) > 0 {
				names = append(names, r.Alert)
			}
		}
		return names
	}
	require.Empty(t, raised(), "conditions that hold while the cluster is well")

	// Who says goodbye alarms nobody but him who watches the process.
	exit, err := b.Terminate(deadline(t))
	require.NoError(t, err)
	require.Zero(t, exit, b.Log())
	eventually(t, func() error { return wantRaised(raised(), "GokvDown") })
	eventually(t, func() error {
		left, err := server.scalar(t.Context(), `min(gokv_members{state="left"})`)
		if err == nil && left != "1" {
			err = fmt.Errorf("%s members left", left)
		}
		return err
	})
	require.NotContains(t, raised(), "GokvMemberDead")

	c.Kill()
	eventually(t, func() error { return wantRaised(raised(), "GokvDown", "GokvMemberDead") })
}

func wantRaised(got []string, want ...string) error {
	for _, name := range want {
		if !slices.Contains(got, name) {
			return fmt.Errorf("the condition of %s does not hold, but those of %q do", name, got)
		}
	}
	return nil
}

// Debian builds its Prometheus without Kubernetes. What that would tell of pods is
// put there by hand, and promtool says which targets come of it.
func TestTheKubernetesConfigurationKeepsTheRightPortAndNamesItsTargets(t *testing.T) {
	const file = "../deploy/prometheus/prometheus-kubernetes.yml"
	var config map[string]any
	readYAML(t, file, &config)
	jobs, ok := config["scrape_configs"].([]any)
	require.True(t, ok && len(jobs) == 1)
	job, ok := jobs[0].(map[string]any)
	require.True(t, ok)
	require.Equal(t, []any{map[string]any{"role": "pod"}}, job["kubernetes_sd_configs"])
	delete(job, "kubernetes_sd_configs")

	pod := func(addr string, labels ...string) map[string]any {
		meta := map[string]string{
			"pod_label_app_kubernetes_io_name":     "gokv",
			"pod_label_app_kubernetes_io_instance": "prod",
			"pod_container_port_name":              "http",
			"pod_phase":                            "Running",
			"pod_name":                             "gokv-0",
			"namespace":                            "kv",
		}
		for i := 0; i < len(labels); i += 2 {
			meta[labels[i]] = labels[i+1]
		}
		found := map[string]string{}
		for k, v := range meta {
			found["__meta_kubernetes_"+k] = v
		}
		return map[string]any{"targets": []string{addr}, "labels": found}
	}
	job["static_configs"] = []any{
		pod("10.1.0.1:7948"),
		pod("10.1.0.2:7948", "namespace", "kv-2", "pod_name", "gokv-2", "pod_label_app_kubernetes_io_instance", ""),
		pod("10.1.0.1:7946", "pod_container_port_name", "peers"),
		pod("10.1.0.3:7948", "pod_phase", "Succeeded"),
		pod("10.1.0.4:7948", "pod_label_app_kubernetes_io_name", "etcd"),
	}
	var text bytes.Buffer
	require.NoError(t, yaml.NewEncoder(&text).Encode(config))
	dir := t.TempDir()
	written := writeFile(t, filepath.Join(dir, "prometheus.yml"), text.String())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "gokv.rules.yml"), []byte(readFile(t, rulesFile)), 0o600))
	r := promtool(t, "check", "config", written)
	require.Zero(t, r.exit, r.stdout+r.stderr)

	r = promtool(t, "check", "service-discovery", "--timeout=2s", written, "gokv")
	require.Zero(t, r.exit, r.stdout+r.stderr)
	var targets []struct{ Labels map[string]string }
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &targets), r.stdout)
	var got []string
	for _, target := range targets {
		if l := target.Labels; len(l) > 0 {
			got = append(got, strings.Join([]string{l["__address__"], l["job"], l["namespace"], l["instance"]}, " "))
		}
	}
	require.ElementsMatch(t, []string{"10.1.0.1:7948 gokv-kv-prod kv gokv-0", "10.1.0.2:7948 gokv-kv-2 kv-2 gokv-2"}, got)
}
