package kubernetes

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// fakeAPI is as much of an API server as lists and watches pods: over HTTP, in JSON,
// with pages, and with failures that a real one has at the wrong moments alone.
type fakeAPI struct {
	t      *testing.T
	addr   string
	server *httptest.Server

	mu      sync.Mutex
	change  sync.Cond
	version int
	pods    map[string]*corev1.Pod // by namespace/name
	events  []metav1.WatchEvent
	refuse  func(verb string) (code int, reason metav1.StatusReason)
	answer  http.HandlerFunc // instead of all else
	lists   int
	stopped bool
}

func startFake(t *testing.T) *fakeAPI {
	t.Helper()
	f := &fakeAPI{t: t, pods: map[string]*corev1.Pod{}}
	f.change.L = &f.mu
	f.start("127.0.0.1:0")
	t.Cleanup(f.stop)
	return f
}

func (f *fakeAPI) start(addr string) {
	f.t.Helper()
	l, err := net.Listen("tcp", addr)
	require.NoError(f.t, err)
	f.mu.Lock()
	f.stopped = false
	f.mu.Unlock()
	f.addr = l.Addr().String()
	f.server = httptest.NewUnstartedServer(f)
	require.NoError(f.t, f.server.Listener.Close())
	f.server.Listener = l
	f.server.Start()
}

// stop ends the server; its pods stay.
func (f *fakeAPI) stop() {
	f.mu.Lock()
	f.stopped = true
	f.change.Broadcast()
	f.mu.Unlock()
	f.server.CloseClientConnections()
	f.server.Close()
}

func (f *fakeAPI) restart() { f.start(f.addr) }

// kubeconfig writes a file that leads to the server, in a context of the namespace.
func (f *fakeAPI) kubeconfig(namespace string) string {
	f.t.Helper()
	file := filepath.Join(f.t.TempDir(), "kubeconfig")
	require.NoError(f.t, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"fake": {Server: "http://" + f.addr}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"nobody": {}},
		Contexts:       map[string]*clientcmdapi.Context{"it": {Cluster: "fake", AuthInfo: "nobody", Namespace: namespace}},
		CurrentContext: "it",
	}, file))
	return file
}

// put makes a pod, or changes it.
func (f *fakeAPI) put(pods ...*corev1.Pod) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, pod := range pods {
		kind, key := "ADDED", pod.Namespace+"/"+pod.Name
		if f.pods[key] != nil {
			kind = "MODIFIED"
		}
		f.pods[key] = pod.DeepCopy()
		f.event(kind, f.pods[key])
	}
}

// remove deletes a pod.
func (f *fakeAPI) remove(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	pod := f.pods[key].DeepCopy()
	delete(f.pods, key)
	f.event("DELETED", pod)
}

// event is told to who watches. f.mu is held.
func (f *fakeAPI) event(kind string, pod *corev1.Pod) {
	f.version++
	pod.ResourceVersion = strconv.Itoa(f.version)
	pod.APIVersion, pod.Kind = "v1", "Pod"
	raw, err := json.Marshal(pod)
	require.NoError(f.t, err)
	e := metav1.WatchEvent{Type: kind}
	e.Object.Raw = raw
	f.events = append(f.events, e)
	f.change.Broadcast()
}

// publish makes the pods of addresses, in the namespace "ns", and no others there.
func (f *fakeAPI) publish(addrs ...string) {
	f.t.Helper()
	want := map[string]bool{}
	for _, addr := range addrs {
		pod := podAt(f.t, addr)
		want[pod.Namespace+"/"+pod.Name] = true
		f.put(pod)
	}
	f.mu.Lock()
	var gone []string
	for key := range f.pods {
		if !want[key] {
			gone = append(gone, key)
		}
	}
	f.mu.Unlock()
	for _, key := range gone {
		f.remove(key)
	}
}

// forbid makes the server refuse verbs, as RBAC does.
func (f *fakeAPI) forbid(verbs ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = func(verb string) (int, metav1.StatusReason) {
		if slices.Contains(verbs, verb) {
			return http.StatusForbidden, metav1.StatusReasonForbidden
		}
		return 0, ""
	}
}

// fail makes the server answer everything in another way; nil ends that.
func (f *fakeAPI) fail(answer http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

func (f *fakeAPI) listed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lists
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	namespace, ok := strings.CutPrefix(r.URL.Path, "/api/v1/namespaces/")
	namespace, pods := strings.CutSuffix(namespace, "/pods")
	if !ok || !pods || r.Method != http.MethodGet {
		http.Error(w, r.Method+" "+r.URL.Path+": this is no API server", http.StatusNotFound)
		return
	}
	q := r.URL.Query()
	verb := "list"
	if q.Get("watch") == "true" {
		verb = "watch"
	}
	f.mu.Lock()
	answer, refuse := f.answer, f.refuse
	f.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	if refuse != nil {
		if code, reason := refuse(verb); code != 0 {
			status(w, code, reason, fmt.Sprintf("pods is forbidden: User %q cannot %s resource %q in API group %q in the namespace %q", "nobody", verb, "pods", "", namespace))
			return
		}
	}
	selector, err := labels.Parse(q.Get("labelSelector"))
	if err != nil {
		status(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	if verb == "watch" {
		f.watch(w, r, namespace, selector)
		return
	}
	f.list(w, r, namespace, selector)
}

func (f *fakeAPI) list(w http.ResponseWriter, r *http.Request, namespace string, selector labels.Selector) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists++
	var keys []string
	for key, pod := range f.pods {
		if pod.Namespace == namespace && selector.Matches(labels.Set(pod.Labels)) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	list := corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}}
	list.ResourceVersion = strconv.Itoa(f.version)
	if after := r.URL.Query().Get("continue"); after != "" {
		i, _ := slices.BinarySearch(keys, after)
		keys = keys[i:]
	}
	if limit, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil && limit > 0 && len(keys) > limit {
		list.Continue = keys[limit]
		keys = keys[:limit]
	}
	for _, key := range keys {
		list.Items = append(list.Items, *f.pods[key])
	}
	write(w, http.StatusOK, list)
}

func (f *fakeAPI) watch(w http.ResponseWriter, r *http.Request, namespace string, selector labels.Selector) {
	if r.URL.Query().Get("sendInitialEvents") != "" { // an older server: the client lists first
		status(w, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "sendInitialEvents: unknown")
		return
	}
	next, err := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	if err != nil {
		status(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	ended := r.Context().Done()
	wake := make(chan struct{})
	defer close(wake)
	go func() {
		select {
		case <-ended:
		case <-wake:
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.change.Broadcast()
	}()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	flusher := http.NewResponseController(w)
	for {
		_ = flusher.Flush() // an error ends the request, and so this
		f.mu.Lock()
		for next == len(f.events) && r.Context().Err() == nil && !f.stopped {
			f.change.Wait()
		}
		if r.Context().Err() != nil || f.stopped {
			f.mu.Unlock()
			return
		}
		e := f.events[next]
		next++
		f.mu.Unlock()
		var pod corev1.Pod
		if err := json.Unmarshal(e.Object.Raw, &pod); err != nil {
			panic(err)
		}
		if pod.Namespace == namespace && selector.Matches(labels.Set(pod.Labels)) {
			_ = json.NewEncoder(w).Encode(e)
		}
	}
}

func status(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	write(w, code, metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
	})
}

func write(w http.ResponseWriter, code int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(object) // who asked may be gone
}

// podAt returns a pod that runs, is not ready, and listens there.
func podAt(t *testing.T, addr string) *corev1.Pod {
	t.Helper()
	host, text, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	port, err := strconv.ParseUint(text, 10, 16)
	require.NoError(t, err)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: "pod-" + strings.NewReplacer(":", "-", ".", "-", "[", "", "]", "").Replace(addr),
			Labels: map[string]string{"app": "gokv", "tier": "cache"},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "gokv", Image: "gokv",
			Ports: []corev1.ContainerPort{
				{Name: "http", ContainerPort: 7948},
				{Name: "peers", ContainerPort: int32(port), Protocol: corev1.ProtocolUDP},
				{Name: "clients", ContainerPort: 7947},
			},
		}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: host, PodIPs: []corev1.PodIP{{IP: host}},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}},
		},
	}
}
