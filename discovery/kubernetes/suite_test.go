package kubernetes

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tochemey/gokv/discovery"
	"github.com/tochemey/gokv/discovery/discoverytest"
)

// made is a Harness's New for what a kubeconfig leads to.
func made(kubeconfig string) func(*testing.T, discovery.Self) discovery.Provider {
	return func(t *testing.T, _ discovery.Self) discovery.Provider {
		cfg := valid()
		cfg.Kubeconfig = kubeconfig
		p, err := New(cfg)
		require.NoError(t, err)
		return p
	}
}

// podAddrs gives addresses as pods of one StatefulSet have them.
func podAddrs(format string) func(int) []string {
	return func(n int) []string {
		addrs := make([]string, n)
		for i := range addrs {
			addrs[i] = fmt.Sprintf(format, i+1)
		}
		return addrs
	}
}

func TestTheProviderPassesTheSuite(t *testing.T) {
	unavailable := func(w http.ResponseWriter, _ *http.Request) {
		status(w, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "etcd is away")
	}
	t.Run("and the server stops", func(t *testing.T) {
		f := startFake(t)
		discoverytest.Run(t, discoverytest.Harness{
			New:     made(f.kubeconfig("ns")),
			Publish: func(_ *testing.T, addrs ...string) { f.publish(addrs...) },
			Break:   func(*testing.T) { f.stop() },
			Mend:    func(*testing.T) { f.restart() },
			Addrs:   podAddrs("10.0.0.%d:7946"),
		})
	})
	t.Run("with IPv6, and the server fails", func(t *testing.T) {
		f := startFake(t)
		discoverytest.Run(t, discoverytest.Harness{
			New:     made(f.kubeconfig("ns")),
			Publish: func(_ *testing.T, addrs ...string) { f.publish(addrs...) },
			Break:   func(*testing.T) { f.fail(unavailable) },
			Mend:    func(*testing.T) { f.fail(nil) },
			Addrs:   podAddrs("[fd00::%d]:7946"),
		})
	})
	t.Run("and the server hangs", func(t *testing.T) {
		f := startFake(t)
		discoverytest.Run(t, discoverytest.Harness{
			New:     made(f.kubeconfig("ns")),
			Publish: func(_ *testing.T, addrs ...string) { f.publish(addrs...) },
			Break:   func(*testing.T) { f.fail(hang) },
			Mend:    func(*testing.T) { f.fail(nil) },
		})
	})
}

// hang answers when nobody waits any more.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
