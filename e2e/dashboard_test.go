package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/auth/authtest"
)

// dashboard is what the tests read of Grafana's model.
type dashboard struct {
	UID, Title    string
	SchemaVersion int
	Panels        []panel
	Templating    struct{ List []variable }
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               datasource
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []target
	FieldConfig              struct{ Defaults struct{ Unit string } }
}

type target struct {
	Datasource                datasource
	Expr, LegendFormat, RefID string
}

type variable struct {
	Name, Type, Definition, AllValue string
	Datasource                       datasource
	IncludeAll                       bool
}

type datasource struct{ Type, UID string }

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	require.NoError(t, json.Unmarshal([]byte(readFile(t, "../deploy/grafana/gokv.json")), &d))
	require.NotEmpty(t, d.Panels)
	return d
}

func TestTheDashboardIsWellFormed(t *testing.T) {
	d := readDashboard(t)
	require.Equal(t, "gokv", d.UID)
	require.Positive(t, d.SchemaVersion)
	chosen := datasource{"prometheus", "${datasource}"}

	var names []string
	for _, v := range d.Templating.List {
		names = append(names, v.Name)
		if v.Type == "query" {
			require.Equal(t, chosen, v.Datasource, v.Name)
		}
	}
	require.Equal(t, []string{"datasource", "job", "instance"}, names)

	ids, titles, queries := map[int]bool{}, map[string]bool{}, map[string]string{}
	taken := map[[2]int]string{} // cells of the grid
	for _, p := range d.Panels {
		require.NotEmpty(t, p.Title)
		require.Positive(t, p.ID, p.Title)
		require.False(t, ids[p.ID], "%s: another panel has the ID %d", p.Title, p.ID)
		require.False(t, titles[p.Title], "two panels are called %s", p.Title)
		ids[p.ID], titles[p.Title] = true, true

		require.True(t, p.GridPos.X >= 0 && p.GridPos.W > 0 && p.GridPos.X+p.GridPos.W <= 24 && p.GridPos.H > 0, "%s lies outside of the grid", p.Title)
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				require.Empty(t, taken[[2]int{x, y}], "%s lies over another panel", p.Title)
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			require.Empty(t, p.Targets, p.Title)
			continue
		}
		require.Equal(t, chosen, p.Datasource, p.Title)
		require.NotEmpty(t, p.Description, "%s does not say how to read it", p.Title)
		require.NotEmpty(t, p.FieldConfig.Defaults.Unit, "%s has no unit", p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		refs, legends := map[string]bool{}, map[string]bool{}
		for _, q := range p.Targets {
			require.Equal(t, chosen, q.Datasource, p.Title)
			require.NotEmpty(t, q.LegendFormat, p.Title)
			require.False(t, legends[q.LegendFormat], "%s: two queries with the legend %s", p.Title, q.LegendFormat)
			require.False(t, refs[q.RefID], "%s: two queries %s", p.Title, q.RefID)
			refs[q.RefID], legends[q.LegendFormat] = true, true
			require.Empty(t, queries[q.Expr], "%s asks for the same", p.Title)
			queries[q.Expr] = p.Title
			require.Contains(t, q.Expr, `job="$job", instance=~"$instance"`, "%s ignores the variables", p.Title)
		}
	}
}

// Every query that the dashboard makes is made of a Prometheus that scrapes three
// nodes which are at work, with mutual TLS, so that each has something to tell.
func TestPrometheusAnswersEveryQueryOfTheDashboardOverARunningCluster(t *testing.T) {
	t.Parallel() // it waits more than it works
	program := need(t, "prometheus")
	d := readDashboard(t)
	proof, a, b, c := startClusterWithCertificates(t)
	server := startPrometheus(t, program, a, b, c)

	busy := 0
	work := func() { // on another node each time, as rates need change
		busy++
		n := []node{a, b, c}[busy%3]
		n.must(t, append(proof, "put", "k", strconv.Itoa(busy))...)
		n.must(t, append(proof, "list")...)
		n.must(t, append(proof, "sync")...)
	}
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		metric, label := labelValues(t, v.Definition)
		eventually(t, func() error {
			samples, err := server.query(t.Context(), fmt.Sprintf("count by (%s) (%s)", label, chosen(metric)))
			if err != nil {
				return err
			}
			for _, s := range samples {
				if s.Metric[label] == "" {
					return fmt.Errorf("variable %s: series without the label %s", v.Name, label)
				}
			}
			if want := map[string]int{"job": 1, "instance": 3}[v.Name]; len(samples) != want {
				return fmt.Errorf("variable %s: %d values, not %d", v.Name, len(samples), want)
			}
			return nil
		})
	}
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			eventually(t, func() error {
				samples, err := server.query(t.Context(), chosen(q.Expr))
				if err == nil {
					err = tells(samples, q.LegendFormat)
				}
				if err != nil {
					work()
					return fmt.Errorf("%s: %s: %w", p.Title, chosen(q.Expr), err)
				}
				return nil
			})
		}
	}
}

// startClusterWithCertificates starts a, b and c, and waits until each is ready and
// knows the others. proof is what a client needs.
func startClusterWithCertificates(t *testing.T) (proof []string, a, b, c node) {
	t.Helper()
	ca := authtest.NewCA(t)
	proof = tlsFlags(ca, ca.Issue(t, authtest.Leaf{}))
	a = startNode(t, "a", proof...)
	b = startNode(t, "b", append(proof, "--join", a.Peer)...)
	c = startNode(t, "c", append(proof, "--join", a.Peer+","+b.Peer)...)
	for _, n := range []node{a, b, c} {
		require.NoError(t, n.WaitReady(deadline(t)))
		eventually(t, func() error {
			if alive := n.metric(t, `gokv_members{state="alive"}`); alive != 3 {
				return fmt.Errorf("%s knows %v live members", n.name, alive)
			}
			return nil
		})
	}
	return proof, a, b, c
}

// chosen puts values in the place of variables, as Grafana does.
func chosen(query string) string {
	return strings.NewReplacer(
		"$job", "gokv",
		"$instance", ".+", // All
		"$__rate_interval", "15s",
	).Replace(query)
}

// labelValues takes a variable's query apart: label_values(metric, label).
func labelValues(t *testing.T, definition string) (metric, label string) {
	t.Helper()
	m := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`).FindStringSubmatch(definition)
	require.NotNil(t, m, definition)
	return m[1], m[2]
}

// tells demands that a panel would show something: a series with a number, and
// series that its legend tells apart.
func tells(samples []sample, legend string) error {
	label := regexp.MustCompile(`\{\{(\w+)\}\}`)
	number, legends := false, map[string]bool{}
	for _, s := range samples {
		text := fmt.Sprint(s.Value[1])
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("value %s: %w", text, err)
		}
		number = number || !math.IsNaN(v) && !math.IsInf(v, 0)
		shown := label.ReplaceAllStringFunc(legend, func(l string) string { return s.Metric[strings.Trim(l, "{}")] })
		if strings.TrimSpace(shown) == "" || legends[shown] {
			return fmt.Errorf("two series, or one without a name, are shown as %q", shown)
		}
		legends[shown] = true
	}
	if !number {
		return errors.New("nothing to show")
	}
	return nil
}
