package e2e

import (
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tochemey/gokv/internal/kubetest"
)

// orchestrator is a real API server; the test plays the scheduler and the kubelet.
type orchestrator struct {
	server     *kubetest.Server
	namespaces atomic.Int32
}

func newOrchestrator(t *testing.T) *orchestrator {
	t.Helper()
	return &orchestrator{server: kubetest.Start(t)}
}

// pods are those of one namespace.
type pods struct {
	t         *testing.T
	server    *kubetest.Server
	namespace string
	config    string // of the service account
	there     map[string]string
	made      int
}

// namespace makes one, with a service account that has the manifests' rights.
func (o *orchestrator) namespace(t *testing.T) *pods {
	t.Helper()
	p := &pods{t: t, server: o.server, namespace: fmt.Sprint("store-", o.namespaces.Add(1)), there: map[string]string{}}
	identity := o.server.ServiceAccount(t, p.namespace, "gokv")
	o.server.Allow(t, p.namespace, "gokv", "list", "watch")
	p.config = o.server.Kubeconfig(t, identity)
	return p
}

func (p *pods) flags() []string {
	return []string{
		"--discovery", "kubernetes", "--kubeconfig", p.config, "--kubernetes-namespace", p.namespace,
		"--kubernetes-pod-labels", "app=gokv", "--kubernetes-discovery-port-name", "peers",
	}
}

// publish makes exactly the pods of these nodes be there, none of them ready.
func (p *pods) publish(addrs ...string) {
	p.t.Helper()
	want := map[string]bool{}
	for _, addr := range addrs {
		want[addr] = true
		if p.there[addr] == "" {
			p.run(addr)
		}
	}
	for addr, name := range p.there {
		if !want[addr] {
			p.server.RemovePod(p.t, p.namespace, name)
			delete(p.there, addr)
		}
	}
}

func (p *pods) run(addr string) {
	p.t.Helper()
	host, text, err := net.SplitHostPort(addr)
	require.NoError(p.t, err)
	port, err := strconv.ParseInt(text, 10, 32)
	require.NoError(p.t, err)
	p.made++
	name := fmt.Sprint("gokv-", p.made)
	p.server.RunPod(p.t, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: name, Labels: map[string]string{"app": "gokv"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "gokv", Image: "gokv",
			Ports: []corev1.ContainerPort{{Name: "peers", ContainerPort: int32(port), Protocol: corev1.ProtocolUDP}},
		}}},
	}, host)
	p.there[addr] = name
}
