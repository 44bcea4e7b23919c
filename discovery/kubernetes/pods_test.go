package kubernetes

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var always = corev1.ContainerRestartPolicyAlways

func TestAPodIsAPeerFromItsAddressToItsEnd(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(d time.Duration) *metav1.Time { return &metav1.Time{Time: now.Add(d)} }
	peers := func(port int32, protocol corev1.Protocol) corev1.ContainerPort {
		return corev1.ContainerPort{Name: "peers", ContainerPort: port, Protocol: protocol}
	}
	for name, c := range map[string]struct {
		change func(pod *corev1.Pod)
		own    string
		want   string
		wrong  string
	}{
		"it runs":             {want: "10.0.0.1:7946"},
		"it is ready":         {change: func(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionTrue }, want: "10.0.0.1:7946"},
		"it starts":           {change: func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }, want: "10.0.0.1:7946"},
		"nobody knows":        {change: func(p *corev1.Pod) { p.Status.Phase = corev1.PodUnknown }, want: "10.0.0.1:7946"},
		"it has succeeded":    {change: func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }},
		"it has failed":       {change: func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }},
		"it is being deleted": {change: func(p *corev1.Pod) { p.DeletionTimestamp = at(time.Second) }, want: "10.0.0.1:7946"},
		"its grace is over":   {change: func(p *corev1.Pod) { p.DeletionTimestamp = at(0) }},
		"no address yet":      {change: func(p *corev1.Pod) { p.Status.PodIP, p.Status.PodIPs = "", nil }},
		"the old field alone": {change: func(p *corev1.Pod) { p.Status.PodIPs = nil }, want: "10.0.0.1:7946"},
		"no address nor port": {change: func(p *corev1.Pod) { p.Status, p.Spec = corev1.PodStatus{}, corev1.PodSpec{} }},
		"an address that is none": {
			change: func(p *corev1.Pod) { p.Status.PodIPs = []corev1.PodIP{{IP: "10.0.0.256"}} },
			wrong:  `the pod p has the address "10.0.0.256", which nobody can dial`,
		},
		"everywhere": {change: func(p *corev1.Pod) { p.Status.PodIPs = []corev1.PodIP{{IP: "::"}} }, wrong: `the pod p has the address "::"`},
		"IPv6": {
			change: func(p *corev1.Pod) { p.Status.PodIPs = []corev1.PodIP{{IP: "fd00::7"}} },
			want:   "[fd00::7]:7946",
		},
		"both, and the node has IPv4": {change: both, own: "10.0.0.9", want: "10.0.0.1:7946"},
		"both, and the node has IPv6": {change: both, own: "fd00::9", want: "[fd00::7]:7946"},
		"both, and the node a name":   {change: both, want: "10.0.0.1:7946"},
		"only the other one":          {own: "fd00::9", want: "10.0.0.1:7946"},
		"no such port": {
			change: func(p *corev1.Pod) { p.Spec.Containers[0].Ports[0].Name = "peer" },
			wrong:  `the pod p has no container port "peers" (kubernetes-discovery-port-name)`,
		},
		"no port for clients": {
			change: func(p *corev1.Pod) { p.Spec.Containers[0].Ports = p.Spec.Containers[0].Ports[:1] },
			want:   "10.0.0.1:7946", wrong: `the pod p has no container port "clients" (kubernetes-port-name)`,
		},
		"a port that is none": {change: func(p *corev1.Pod) { p.Spec.Containers[0].Ports[0].ContainerPort = 70000 }, wrong: "no container port"},
		"TCP, which is what a port is that does not say": {
			change: func(p *corev1.Pod) { p.Spec.Containers[0].Ports[0].Protocol = corev1.ProtocolTCP },
			want:   "10.0.0.1:7946",
		},
		"a second container": {
			change: func(p *corev1.Pod) {
				p.Spec.Containers = append([]corev1.Container{{Name: "proxy"}}, p.Spec.Containers...)
			},
			want: "10.0.0.1:7946",
		},
		"two of the name": {
			change: func(p *corev1.Pod) {
				p.Spec.Containers = append([]corev1.Container{{Ports: []corev1.ContainerPort{peers(1, corev1.ProtocolTCP)}}}, p.Spec.Containers...)
			},
			want: "10.0.0.1:7946",
		},
		"beside the containers": {
			change: func(p *corev1.Pod) {
				p.Spec.InitContainers = []corev1.Container{{RestartPolicy: &always, Ports: p.Spec.Containers[0].Ports}}
				p.Spec.Containers = []corev1.Container{{Name: "application"}}
			},
			want: "10.0.0.1:7946",
		},
		"before the containers": {
			change: func(p *corev1.Pod) {
				p.Spec.InitContainers = []corev1.Container{{Ports: p.Spec.Containers[0].Ports}}
				p.Spec.Containers = []corev1.Container{{Name: "application"}}
			},
			wrong: "no container port",
		},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: "p"},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{
					peers(7946, corev1.ProtocolUDP), {Name: "clients", ContainerPort: 7947},
				}}}},
				Status: corev1.PodStatus{
					Phase: corev1.PodRunning, PodIP: "10.0.0.1", PodIPs: []corev1.PodIP{{IP: "10.0.0.1"}},
					Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}},
				},
			}
			if c.change != nil {
				c.change(pod)
			}
			r := reader{peers: "peers", clients: "clients"}
			if c.own != "" {
				r.own = netip.MustParseAddr(c.own)
			}
			for _, pod := range []*corev1.Pod{pod, slim(pod)} { // the watch's has to say the same
				got, err := r.address(pod, now)
				require.Equal(t, c.want, got)
				if c.wrong == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, c.wrong)
				}
			}
		})
	}
}

func both(p *corev1.Pod) { p.Status.PodIPs = []corev1.PodIP{{IP: "10.0.0.1"}, {IP: "fd00::7"}} }

func TestANodeKnowsItsOwnPod(t *testing.T) {
	pod := &corev1.Pod{Status: corev1.PodStatus{
		PodIPs: []corev1.PodIP{{IP: "10.0.0.1"}, {IP: "fd00::7"}}, HostIP: "192.168.0.1", HostIPs: []corev1.HostIP{{IP: "fd01::1"}},
	}}
	for own, want := range map[string]bool{
		"10.0.0.1": true, "fd00::7": true, "192.168.0.1": true, "fd01::1": true, "fd00::8": false, "10.0.0.2": false,
	} {
		require.Equal(t, want, reader{own: netip.MustParseAddr(own)}.isOwn(pod), own)
	}
	require.False(t, reader{own: netip.MustParseAddr("10.0.0.1")}.isOwn(&corev1.Pod{}))
}
