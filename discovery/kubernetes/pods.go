package kubernetes

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// reader turns pods into addresses.
type reader struct {
	peers, clients string     // container ports' names; clients may be empty
	own            netip.Addr // the node's own, which gives the family; may be invalid
}

// address returns the host:port of the peer that a pod is at that time: nothing if
// it is none, or none yet. An error says why a pod that should be one is not.
func (r reader) address(pod *corev1.Pod, now time.Time) (string, error) {
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return "", nil
	}
	if gone := pod.DeletionTimestamp; gone != nil && !now.Before(gone.Time) {
		return "", nil // the time is that when the grace period is over
	}
	ips, err := podIPs(pod)
	if err != nil || len(ips) == 0 {
		return "", err
	}
	port := portNamed(pod, r.peers)
	if port == 0 {
		return "", fmt.Errorf("the pod %s has no container port %q (kubernetes-discovery-port-name)", pod.Name, r.peers)
	}
	addr := net.JoinHostPort(r.pick(ips).String(), strconv.Itoa(int(port)))
	if r.clients != "" && portNamed(pod, r.clients) == 0 {
		return addr, fmt.Errorf("the pod %s has no container port %q (kubernetes-port-name)", pod.Name, r.clients)
	}
	return addr, nil
}

// pick returns the address of the node's own family, or the first.
func (r reader) pick(ips []netip.Addr) netip.Addr {
	for _, ip := range ips {
		if r.own.IsValid() && ip.Is4() == r.own.Is4() {
			return ip
		}
	}
	return ips[0]
}

// isOwn tells whether the node's own address is the pod's or its machine's.
func (r reader) isOwn(pod *corev1.Pod) bool {
	ips, _ := podIPs(pod) // what cannot be parsed is no address of ours
	for _, text := range append([]corev1.HostIP{{IP: pod.Status.HostIP}}, pod.Status.HostIPs...) {
		if ip, err := netip.ParseAddr(text.IP); err == nil {
			ips = append(ips, ip)
		}
	}
	for _, ip := range ips {
		if ip.Unmap() == r.own {
			return true
		}
	}
	return false
}

// podIPs returns the pod's addresses, the first being that of its PodIP.
func podIPs(pod *corev1.Pod) ([]netip.Addr, error) {
	texts := pod.Status.PodIPs
	if len(texts) == 0 && pod.Status.PodIP != "" {
		texts = []corev1.PodIP{{IP: pod.Status.PodIP}}
	}
	ips := make([]netip.Addr, 0, len(texts))
	for _, text := range texts {
		ip, err := netip.ParseAddr(text.IP)
		if err != nil || ip.IsUnspecified() || ip.IsMulticast() {
			return nil, fmt.Errorf("the pod %s has the address %q, which nobody can dial", pod.Name, text.IP)
		}
		ips = append(ips, ip)
	}
	return ips, nil
}

// portNamed returns the number of the container port, 0 if there is none. A name
// stands for one port of a container, but several containers may use it.
func portNamed(pod *corev1.Pod, name string) int32 {
	var port int32
	for _, c := range serving(pod) {
		for _, p := range c.Ports {
			if p.Name == name && (port == 0 || p.Protocol == corev1.ProtocolUDP) {
				port = p.ContainerPort
			}
		}
	}
	if port < 1 || port > 65535 {
		return 0
	}
	return port
}

// serving returns the containers that run as long as the pod does.
func serving(pod *corev1.Pod) []corev1.Container {
	all := pod.Spec.Containers
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			all = append(all[:len(all):len(all)], c)
		}
	}
	return all
}

// slim returns what of a pod decides its address, so that an informer keeps no more
// in memory.
func slim(pod *corev1.Pod) *corev1.Pod {
	kept := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID,
			ResourceVersion: pod.ResourceVersion, DeletionTimestamp: pod.DeletionTimestamp,
		},
		Status: corev1.PodStatus{Phase: pod.Status.Phase, PodIP: pod.Status.PodIP, PodIPs: pod.Status.PodIPs},
	}
	for _, c := range serving(pod) {
		kept.Spec.Containers = append(kept.Spec.Containers, corev1.Container{Ports: c.Ports})
	}
	return kept
}
