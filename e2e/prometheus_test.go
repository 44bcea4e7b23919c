package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// seriesOfAll are the metrics that each node shows, as a query names them: a
// histogram by its count.
var seriesOfAll = []string{
	"gokv_entries", "gokv_tombstones", "gokv_entry_bytes",
	"gokv_client_requests_total", "gokv_client_request_duration_seconds_count", "gokv_client_connections",
	"gokv_sync_rounds_total", "gokv_sync_bytes_total", "gokv_sync_entries_total", "gokv_sync_duration_seconds_count",
	"gokv_push_entries_total", "gokv_push_dropped_total", "gokv_entries_ignored_total", "gokv_replication_lag_seconds_count",
	"gokv_members", "gokv_probes_total",
	"gokv_versions_refused_total", "gokv_versions_parked", "gokv_clock_offset_seconds", "gokv_fenced", "gokv_version_conflicts_total", "gokv_scrub_mismatches_total",
	"gokv_handshakes_refused_total", "gokv_build_info",
	"go_goroutines", "process_resident_memory_bytes",
}

func TestPrometheusScrapesAClusterAndAnswersForEachMetric(t *testing.T) {
	t.Parallel() // it waits more than it works
	prometheus, promtool := need(t, "prometheus"), need(t, "promtool")
	a, b, c := startCluster(t)
	a.must(t, "put", "k", "v")
	b.must(t, "delete", "gone")
	wantOneRoot(t, a, b, c)

	for _, n := range []node{a, b, c} {
		lint := exec.CommandContext(deadline(t), promtool, "check", "metrics")
		lint.Stdin = strings.NewReader(n.metrics(t))
		r := runCommand(t, lint)
		require.Zero(t, r.exit, r.stdout+r.stderr)
		require.Empty(t, r.stdout+r.stderr, "promtool check metrics is to be clean")
	}

	server := startPrometheus(t, prometheus, a, b, c)
	for _, series := range seriesOfAll {
		eventually(t, func() error {
			targets, err := server.instances(t.Context(), series)
			if err != nil {
				return err
			}
			if len(targets) != 3 {
				return fmt.Errorf("%s: series of %d nodes, not of 3", series, len(targets))
			}
			return nil
		})
	}
	// The values are those of the cluster, not only there.
	for query, want := range map[string]string{
		`sum(gokv_entries)`:                                            "3",
		`sum(gokv_tombstones)`:                                         "0", // all have seen the delete
		`sum(gokv_members{state="alive"})`:                             "9",
		`sum(gokv_client_requests_total{op="put",code="ok"})`:          "1",
		`sum(gokv_push_entries_total{direction="received"})`:           "4",
		`sum(gokv_version_conflicts_total)`:                            "0",
		`count(count by (version, go_version) (gokv_build_info == 1))`: "1",
	} {
		eventually(t, func() error {
			got, err := server.scalar(t.Context(), query)
			if err == nil && got != want {
				err = fmt.Errorf("%s is %s, not %s", query, got, want)
			}
			return err
		})
	}
}

// promServer is a running Prometheus.
type promServer struct{ addr string }

// startPrometheus starts a Prometheus of its own, which an installed service is in
// no way part of: own files, own port.
func startPrometheus(t *testing.T, program string, nodes ...node) promServer {
	t.Helper()
	dir := t.TempDir()
	var targets []string
	for _, n := range nodes {
		targets = append(targets, fmt.Sprintf("%q", n.HTTP))
	}
	config := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: gokv
    static_configs:
      - targets: [%s]
`, strings.Join(targets, ", ")), 0o600))

	addr := freeTCP(t)
	cmd := exec.CommandContext(t.Context(), program,
		"--config.file", config,
		"--storage.tsdb.path", filepath.Join(dir, "data"),
		"--web.listen-address", addr,
		"--log.level", "warn")
	var log lockedBuffer
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus: %s", log.String())
		}
	})
	return promServer{addr}
}

// query asks the HTTP API and returns the instant vector.
func (p promServer) query(ctx context.Context, query string) ([]sample, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.addr+"/api/v1/query?query="+url.QueryEscape(query), http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Status, Error string
		Data          struct{ Result []sample }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("prometheus: %s: %w", body, err)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("prometheus: %s: %s", query, answer.Error)
	}
	return answer.Data.Result, nil
}

type sample struct {
	Metric map[string]string
	Value  [2]any // time, value as a string
}

// instances returns the targets that a query has series of.
func (p promServer) instances(ctx context.Context, query string) (map[string]bool, error) {
	samples, err := p.query(ctx, query)
	targets := make(map[string]bool)
	for _, s := range samples {
		targets[s.Metric["instance"]] = true
	}
	return targets, err
}

func (p promServer) scalar(ctx context.Context, query string) (string, error) {
	samples, err := p.query(ctx, query)
	if err != nil {
		return "", err
	}
	if len(samples) != 1 {
		return "", fmt.Errorf("%s: %d series, not one", query, len(samples))
	}
	return fmt.Sprint(samples[0].Value[1]), nil
}

func freeTCP(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}
