package kubernetes

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/tochemey/gokv/discovery"
)

const (
	patience = 20 * time.Second // bounds each wait; it is no expectation
	often    = 10 * time.Millisecond
)

// newProvider makes an initialized provider that ends with the test.
func newProvider(t *testing.T, kubeconfig string, change ...func(*Config)) *Provider {
	t.Helper()
	cfg := valid()
	cfg.Kubeconfig = kubeconfig
	for _, c := range change {
		c(&cfg)
	}
	p, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	p.Announce(discovery.Self{Addr: "10.0.0.1:7946"})
	require.NoError(t, p.Initialize(t.Context()))
	require.NoError(t, p.Register(t.Context()))
	return p
}

// discover asks once, as the node does.
func discover(t *testing.T, p *Provider) ([]string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return p.DiscoverPeers(ctx)
}

func wantPeers(t *testing.T, p *Provider, want ...string) {
	t.Helper()
	got, err := discover(t, p)
	require.NoError(t, err)
	require.ElementsMatch(t, want, got)
}

// wantSignal waits for word of a change.
func wantSignal(t *testing.T, p *Provider) {
	t.Helper()
	select {
	case <-p.Changes():
	case <-time.After(patience):
		t.Fatal("no change is signalled")
	}
}

func TestOnlyPodsOfTheNamespaceWithAllLabelsArePeers(t *testing.T) {
	f := startFake(t)
	other, elsewhere := podAt(t, "10.0.0.2:7946"), podAt(t, "10.0.0.3:7946")
	other.Labels = map[string]string{"app": "gokv"}
	elsewhere.Namespace = "elsewhere"
	f.put(podAt(t, "10.0.0.1:7946"), other, elsewhere)
	tiers := func(c *Config) { c.PodLabels = map[string]string{"app": "gokv", "tier": "cache"} }

	wantPeers(t, newProvider(t, f.kubeconfig("ns"), tiers), "10.0.0.1:7946")
	wantPeers(t, newProvider(t, f.kubeconfig("ns")), "10.0.0.1:7946", "10.0.0.2:7946")
	wantPeers(t, newProvider(t, f.kubeconfig("ns"), func(c *Config) { c.Namespace = "elsewhere" }), "10.0.0.3:7946")
	wantPeers(t, newProvider(t, f.kubeconfig("")))
	wantPeers(t, newProvider(t, f.kubeconfig("ns"), func(c *Config) { c.PodLabels = map[string]string{"app": "other"} }))
}

func TestAPodThatIsNoPeerIsNamedBesideThoseThatAre(t *testing.T) {
	f := startFake(t)
	odd := podAt(t, "10.0.0.2:7946")
	odd.Spec.Containers[0].Ports = nil
	f.put(podAt(t, "10.0.0.1:7946"), odd)
	got, err := discover(t, newProvider(t, f.kubeconfig("ns")))
	require.Equal(t, []string{"10.0.0.1:7946"}, got)
	require.EqualError(t, err, `the pod pod-10-0-0-2-7946 has no container port "peers" (kubernetes-discovery-port-name)`)

	for i := range 100 { // an error stays readable
		odd.Name = fmt.Sprint("odd-", i)
		f.put(odd)
	}
	_, err = discover(t, newProvider(t, f.kubeconfig("ns")))
	require.Less(t, len(err.Error()), 1000)
}

func fleet(t *testing.T, n int) []*corev1.Pod {
	t.Helper()
	pods := make([]*corev1.Pod, n)
	for i := range pods {
		pods[i] = podAt(t, fmt.Sprintf("10.%d.%d.1:7946", i/250, i%250))
	}
	return pods
}

func TestAllPagesMakeOneAnswer(t *testing.T) {
	f := startFake(t)
	f.put(fleet(t, 2*pageSize+1)...)
	p := newProvider(t, f.kubeconfig("ns"))
	before := f.listed()
	got, err := discover(t, p)
	require.NoError(t, err)
	require.Len(t, got, 2*pageSize+1)
	require.GreaterOrEqual(t, f.listed(), before+3)

	// The second page fails: half an answer is none.
	pages := 0
	f.fail(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("watch") == "" && q.Get("continue") != "" {
			pages++
			status(w, http.StatusGone, metav1.StatusReasonExpired, "the continue parameter is too old")
			return
		}
		f.mu.Lock()
		f.answer = nil
		f.mu.Unlock()
		f.ServeHTTP(w, r)
		f.fail(func(w http.ResponseWriter, _ *http.Request) {
			pages++
			status(w, http.StatusGone, metav1.StatusReasonExpired, "the continue parameter is too old")
		})
	})
	got, err = discover(t, p)
	require.ErrorContains(t, err, "list pods in namespace ns: the continue parameter is too old")
	require.Empty(t, got)
	require.Positive(t, pages)
}

func TestTenThousandAddressesAreTakenAndNoMore(t *testing.T) {
	f := startFake(t)
	pods := fleet(t, maxAddresses+1)
	f.put(pods[:maxAddresses]...)
	p := newProvider(t, f.kubeconfig("ns"))
	got, err := discover(t, p)
	require.NoError(t, err)
	require.Len(t, got, maxAddresses)
	f.put(pods[maxAddresses])
	got, err = discover(t, p)
	require.EqualError(t, err, "more than 10000 pods: the rest is left out")
	require.Len(t, got, maxAddresses)
}

func TestAMissingRightIsNamed(t *testing.T) {
	f := startFake(t)
	f.put(podAt(t, "10.0.0.1:7946"))
	f.forbid("list")
	p := newProvider(t, f.kubeconfig("ns"))
	got, err := discover(t, p)
	require.ErrorContains(t, err, `list pods in namespace ns: pods is forbidden: User "nobody" cannot list resource "pods"`)
	require.Empty(t, got)

	f.forbid("watch")
	p = newProvider(t, f.kubeconfig("ns"))
	require.Eventually(t, func() bool { got, err = discover(t, p); return err != nil }, patience, often)
	require.ErrorContains(t, err, `watch pods in namespace ns: pods is forbidden: User "nobody" cannot watch resource "pods"`)
	require.Equal(t, []string{"10.0.0.1:7946"}, got, "they are found all the same")

	f.forbid()
	require.Eventually(t, func() bool { _, err := discover(t, p); return err == nil }, patience, often)
	f.put(podAt(t, "10.0.0.2:7946"))
	wantSignal(t, p)
}

func TestNonsenseIsAnError(t *testing.T) {
	f := startFake(t)
	f.put(podAt(t, "10.0.0.1:7946"))
	p := newProvider(t, f.kubeconfig("ns"))
	wantPeers(t, p, "10.0.0.1:7946")
	say := func(code int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	const js = "application/json"
	for name, answer := range map[string]http.HandlerFunc{
		"nothing":            say(200, js, ""),
		"a page of HTML":     say(200, "text/html", "<html>log in here</html>"),
		"half of JSON":       say(200, js, `{"kind":"PodList","apiVersion":"v1","items":[{"meta`),
		"another kind":       say(200, js, `{"kind":"Status","apiVersion":"v1","status":"Success"}`),
		"another kind still": say(200, js, `{"kind":"NodeList","apiVersion":"v1","items":[]}`),
		"null":               say(200, js, "null"),
		"no protobuf":        say(200, "application/vnd.kubernetes.protobuf", "k8s\x00\xff\xff\xff"),
		"401":                say(401, "text/plain", "who are you"),
		"404":                say(404, "text/plain", "404 page not found"),
		"redirect":           func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusFound) },
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"kind":`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f.fail(answer)
			defer f.fail(nil)
			got, err := discover(t, p)
			require.Error(t, err)
			require.Empty(t, got)
		})
	}
	wantPeers(t, p, "10.0.0.1:7946")
}

func TestANewPodIsSignalledAndAMereChangeOfItsStateIsNot(t *testing.T) {
	f := startFake(t)
	f.put(podAt(t, "10.0.0.1:7946"))
	p := newProvider(t, f.kubeconfig("ns"))
	wantSignal(t, p)

	unborn := podAt(t, "10.0.0.2:7946")
	unborn.Status.PodIP, unborn.Status.PodIPs = "", nil
	f.put(unborn) // pending, and then it has an address
	f.put(podAt(t, "10.0.0.2:7946"))
	wantSignal(t, p)
	wantPeers(t, p, "10.0.0.1:7946", "10.0.0.2:7946")
	f.remove("ns/pod-10-0-0-2-7946")
	wantSignal(t, p)
	wantPeers(t, p, "10.0.0.1:7946")

	w := &watcher{reader: reader{peers: "peers"}, changes: p.changes}
	quiet := func() {
		t.Helper()
		select {
		case <-p.Changes():
			t.Fatal("a change is signalled")
		default:
		}
	}
	now := podAt(t, "10.0.0.1:7946")
	later := now.DeepCopy()
	later.Status.Conditions[0].Status = corev1.ConditionTrue
	later.Annotations = map[string]string{"a": "b"}
	w.OnUpdate(slim(now), slim(later))
	quiet()
	w.OnAdd(slim(unborn), false)
	quiet()
	w.OnDelete(slim(unborn))
	quiet()
	w.OnDelete(cache.DeletedFinalStateUnknown{Key: "ns/x", Obj: slim(now)})
	wantSignal(t, p)
	later.Status.Phase = corev1.PodFailed
	w.OnUpdate(slim(now), slim(later))
	wantSignal(t, p)
}

func TestTheWatchIsTakenUpAgain(t *testing.T) {
	f := startFake(t)
	f.put(podAt(t, "10.0.0.1:7946"))
	p := newProvider(t, f.kubeconfig("ns"))
	wantSignal(t, p)
	f.stop()
	_, err := discover(t, p)
	require.ErrorContains(t, err, "list pods in namespace ns: ")
	f.put(podAt(t, "10.0.0.2:7946"))
	f.restart()
	wantSignal(t, p)
	f.put(podAt(t, "10.0.0.3:7946"))
	wantSignal(t, p)
	wantPeers(t, p, "10.0.0.1:7946", "10.0.0.2:7946", "10.0.0.3:7946")
}

func TestCloseEndsACallThatHangs(t *testing.T) {
	f := startFake(t)
	p := newProvider(t, f.kubeconfig("ns"))
	wantPeers(t, p)
	asked := make(chan struct{}, 8)
	f.fail(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		hang(w, r)
	})
	ended := make(chan error)
	go func() {
		_, err := p.DiscoverPeers(context.Background())
		ended <- err
	}()
	<-asked
	require.NoError(t, p.Close())
	require.ErrorIs(t, <-ended, errClosed)
	_, err := p.DiscoverPeers(t.Context())
	require.ErrorIs(t, err, errClosed)
	require.ErrorIs(t, p.Initialize(t.Context()), errClosed)
}

// The node logs what there is to log. client-go would write to the process's stderr.
func TestNothingIsWrittenToStderr(t *testing.T) {
	f := startFake(t)
	file, err := os.Create(t.TempDir() + "/stderr")
	require.NoError(t, err)
	defer file.Close()
	before := os.Stderr
	os.Stderr = file
	defer func() { os.Stderr = before }()

	p := newProvider(t, f.kubeconfig("ns"))
	wantPeers(t, p)
	f.forbid("watch", "list")
	_, err = discover(t, p)
	require.Error(t, err)
	f.stop()
	_, err = discover(t, p)
	require.Error(t, err)
	q := newProvider(t, f.kubeconfig("ns"))
	_, err = discover(t, q)
	require.Error(t, err)
	f.restart()
	require.Eventually(t, func() bool { return q.watcher.mayNot() != nil }, patience, often)
	require.NoError(t, p.Close())
	require.NoError(t, q.Close())

	said, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	require.Empty(t, string(said))
}
