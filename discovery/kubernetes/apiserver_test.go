package kubernetes

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clients "k8s.io/client-go/kubernetes"

	"github.com/tochemey/gokv/discovery"
	"github.com/tochemey/gokv/discovery/discoverytest"
	"github.com/tochemey/gokv/internal/kubetest"
)

// realPods are the pods of a namespace of a real API server, and who they are.
type realPods struct {
	server    *kubetest.Server
	namespace string
	there     map[string]string // pods' names by address
	made      int
}

var namespaces atomic.Int32

func newRealPods(t *testing.T, s *kubetest.Server, verbs ...string) *realPods {
	t.Helper()
	r := &realPods{server: s, namespace: fmt.Sprint("ns-", namespaces.Add(1)), there: map[string]string{}}
	s.ServiceAccount(t, r.namespace, "gokv") // makes the namespace
	s.Allow(t, r.namespace, "gokv", verbs...)
	return r
}

// config is that of a provider that is the service account.
func (r *realPods) config(t *testing.T) Config {
	t.Helper()
	cfg := valid()
	cfg.Kubeconfig = r.server.Kubeconfig(t, r.server.ServiceAccount(t, r.namespace, "gokv"))
	cfg.Namespace = r.namespace
	return cfg
}

// run makes a pod at an address, and with further ones.
func (r *realPods) run(t *testing.T, addr string, more ...string) {
	t.Helper()
	pod := podAt(t, addr)
	r.made++
	ip := pod.Status.PodIP
	pod.Namespace, pod.Name, pod.Status = r.namespace, fmt.Sprint("pod-", r.made), corev1.PodStatus{}
	r.server.RunPod(t, pod, append([]string{ip}, more...)...)
	r.there[addr] = pod.Name
}

// publish makes exactly these pods be there.
func (r *realPods) publish(t *testing.T, addrs ...string) {
	t.Helper()
	want := map[string]bool{}
	for _, addr := range addrs {
		want[addr] = true
		if r.there[addr] == "" {
			r.run(t, addr)
		}
	}
	for addr, name := range r.there {
		if !want[addr] {
			r.server.RemovePod(t, r.namespace, name)
			delete(r.there, addr)
		}
	}
}

// eventually asks until the answer is as wanted and there is no error.
func (r *realPods) eventually(t *testing.T, p *Provider, want ...string) {
	t.Helper()
	var got []string
	var err error
	ok := func() bool {
		got, err = discover(t, p)
		return err == nil && fmt.Sprint(got) == fmt.Sprint(want)
	}
	require.Eventually(t, ok, patience, often, "want %v", want)
}

func TestWithARealAPIServerTheProviderPassesTheSuite(t *testing.T) {
	s := kubetest.Start(t)
	for _, c := range []struct {
		name         string
		addrs        string
		broken, mend func(t *testing.T)
	}{
		{
			"and it is killed", "10.0.0.%d:7946",
			func(t *testing.T) { s.Stop(t) }, func(t *testing.T) { s.Restart(t) },
		},
		{
			"with IPv6, and it hangs", "[fd00::%d]:7946",
			func(t *testing.T) { s.Freeze(t) }, func(t *testing.T) { s.Thaw(t) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRealPods(t, s, "list", "watch")
			cfg := r.config(t)
			discoverytest.Run(t, discoverytest.Harness{
				New: func(t *testing.T, _ discovery.Self) discovery.Provider {
					p, err := New(cfg)
					require.NoError(t, err)
					return p
				},
				Publish: r.publish,
				Break:   c.broken,
				Mend:    c.mend,
				Addrs:   podAddrs(c.addrs),
				Settle:  time.Minute,
				Ignore:  connections(),
			})
		})
	}
}

// connections are those of the administrator, who keeps them.
func connections() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*ClientConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*http2ClientConn).readLoop"),
	}
}

func TestARealAPIServerNamesTheRightThatIsMissing(t *testing.T) {
	s := kubetest.Start(t)
	r := newRealPods(t, s)
	r.run(t, "10.0.0.2:7946")
	p, err := New(r.config(t))
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, p.Initialize(t.Context()))
	user := "system:serviceaccount:" + r.namespace + ":gokv"

	got, err := discover(t, p)
	require.ErrorContains(t, err, fmt.Sprintf("list pods in namespace %s: pods is forbidden: User %q cannot list resource %q", r.namespace, user, "pods"))
	require.Empty(t, got)

	s.Allow(t, r.namespace, "gokv", "list")
	require.Eventually(t, func() bool { got, err = discover(t, p); return len(got) > 0 && err != nil }, patience, often)
	require.ErrorContains(t, err, fmt.Sprintf("watch pods in namespace %s: ", r.namespace))
	require.ErrorContains(t, err, fmt.Sprintf("User %q cannot watch resource %q", user, "pods"))

	s.Allow(t, r.namespace, "gokv", "list", "watch")
	require.Eventually(t, func() bool { _, err := discover(t, p); return err == nil }, time.Minute, often)
	r.run(t, "10.0.0.3:7946")
	wantSignal(t, p)

	// Another namespace is none of its business.
	cfg := r.config(t)
	cfg.Namespace = "default"
	q, err := New(cfg)
	require.NoError(t, err)
	defer q.Close()
	require.NoError(t, q.Initialize(t.Context()))
	_, err = discover(t, q)
	require.ErrorContains(t, err, `cannot list resource "pods" in API group "" in the namespace "default"`)
}

func TestARealAPIServerRefusesAWrongToken(t *testing.T) {
	s := kubetest.Start(t)
	r := newRealPods(t, s, "list", "watch")
	identity := s.ServiceAccount(t, r.namespace, "gokv")
	identity.BearerToken = strings.ToUpper(identity.BearerToken)
	cfg := valid()
	cfg.Namespace, cfg.Kubeconfig = r.namespace, s.Kubeconfig(t, identity)
	p, err := New(cfg)
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, p.Initialize(t.Context()))
	_, err = discover(t, p)
	require.ErrorContains(t, err, "Unauthorized")
}

func TestARealPodIsFoundFromItsAddressToItsEnd(t *testing.T) {
	s := kubetest.Start(t)
	r := newRealPods(t, s, "list", "watch")
	p, err := New(r.config(t))
	require.NoError(t, err)
	defer p.Close()
	p.Announce(discovery.Self{Addr: "[fd00::1]:7946"})
	require.NoError(t, p.Initialize(t.Context()))
	r.eventually(t, p)

	pending := podAt(t, "10.0.0.9:7946")
	pending.Namespace, pending.Name, pending.Status = r.namespace, "pending", corev1.PodStatus{}
	admin, err := clients.NewForConfig(s.Admin)
	require.NoError(t, err)
	pods := admin.CoreV1().Pods(r.namespace)
	_, err = pods.Create(t.Context(), pending, metav1.CreateOptions{})
	require.NoError(t, err)
	r.eventually(t, p) // no address yet

	r.run(t, "10.0.0.2:7946", "fd00::2") // both families, and never ready
	wantSignal(t, p)
	r.eventually(t, p, "[fd00::2]:7946")

	name := r.there["10.0.0.2:7946"]
	grace := int64(3600)
	require.NoError(t, pods.Delete(t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: &grace}))
	r.eventually(t, p, "[fd00::2]:7946") // it still runs, and may be the last to hold the data

	pod, err := pods.Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	pod.Status.Phase = corev1.PodFailed
	_, err = pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	require.NoError(t, err)
	wantSignal(t, p)
	r.eventually(t, p)
}

func TestARealAPIServersPagesMakeOneAnswer(t *testing.T) {
	if testing.Short() {
		t.Skip("makes many pods")
	}
	s := kubetest.Start(t)
	r := newRealPods(t, s, "list", "watch")
	n := 2*pageSize + 1 // three pages; the limit itself is tried without a real server
	for i := range n {
		r.run(t, fmt.Sprintf("10.1.%d.%d:7946", i/250, i%250+1))
	}
	p, err := New(r.config(t))
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, p.Initialize(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got, err := p.DiscoverPeers(ctx)
	require.NoError(t, err)
	require.Len(t, got, n)
}
