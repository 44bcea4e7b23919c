package deploy

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	documents "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// manifests is a rendering, decoded. Of what there is once at most, nil says that
// there is none.
type manifests struct {
	raw []*unstructured.Unstructured // all, in order

	namespace      *corev1.Namespace
	account        *corev1.ServiceAccount
	role           *rbacv1.Role
	binding        *rbacv1.RoleBinding
	secret         *corev1.Secret
	peers, clients *corev1.Service
	policy         *networkingv1.NetworkPolicy
	budget         *policyv1.PodDisruptionBudget
	set            *appsv1.StatefulSet
	monitor        *unstructured.Unstructured
}

// decode takes a rendering apart. A field that its kind does not have, one that
// stands twice, and a kind that nobody expects fail the test.
func decode(t *testing.T, text string) manifests {
	t.Helper()
	var m manifests
	seen := map[string]bool{}
	for reader := documents.NewYAMLReader(bufio.NewReader(strings.NewReader(text))); ; {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return m
		}
		require.NoError(t, err)
		if strings.TrimSpace(string(doc)) == "" {
			continue
		}
		raw := new(unstructured.Unstructured)
		require.NoError(t, yaml.UnmarshalStrict(doc, &raw.Object), "%s", doc)
		id := raw.GetAPIVersion() + " " + raw.GetKind() + " " + raw.GetName()
		require.False(t, seen[id], "%s stands twice", id)
		seen[id] = true
		m.raw = append(m.raw, raw)

		switch raw.GetAPIVersion() + " " + raw.GetKind() {
		case "v1 Namespace":
			m.namespace = strictly[corev1.Namespace](t, doc)
		case "v1 ServiceAccount":
			m.account = strictly[corev1.ServiceAccount](t, doc)
		case "rbac.authorization.k8s.io/v1 Role":
			m.role = strictly[rbacv1.Role](t, doc)
		case "rbac.authorization.k8s.io/v1 RoleBinding":
			m.binding = strictly[rbacv1.RoleBinding](t, doc)
		case "v1 Secret":
			m.secret = strictly[corev1.Secret](t, doc)
		case "v1 Service":
			if s := strictly[corev1.Service](t, doc); s.Spec.ClusterIP == corev1.ClusterIPNone {
				m.peers = s
			} else {
				m.clients = s
			}
		case "networking.k8s.io/v1 NetworkPolicy":
			m.policy = strictly[networkingv1.NetworkPolicy](t, doc)
		case "policy/v1 PodDisruptionBudget":
			m.budget = strictly[policyv1.PodDisruptionBudget](t, doc)
		case "apps/v1 StatefulSet":
			m.set = strictly[appsv1.StatefulSet](t, doc)
		case "monitoring.coreos.com/v1 ServiceMonitor":
			m.monitor = raw
		default:
			require.Fail(t, "unexpected", id)
		}
	}
}

func strictly[T any](t *testing.T, doc []byte) *T {
	t.Helper()
	into := new(T)
	require.NoError(t, yaml.UnmarshalStrict(doc, into, yaml.DisallowUnknownFields), "%s", doc)
	return into
}

// container is the one that there is.
func (m manifests) container(t *testing.T) corev1.Container {
	t.Helper()
	require.NotNil(t, m.set)
	require.Len(t, m.set.Spec.Template.Spec.Containers, 1)
	require.Empty(t, m.set.Spec.Template.Spec.InitContainers)
	return m.set.Spec.Template.Spec.Containers[0]
}

// port returns a container's port by its name.
func (m manifests) port(t *testing.T, name string) corev1.ContainerPort {
	t.Helper()
	for _, p := range m.container(t).Ports {
		if p.Name == name {
			return p
		}
	}
	require.Fail(t, "no such port", name)
	return corev1.ContainerPort{}
}

// labels of the pods that the StatefulSet makes.
func (m manifests) labels() map[string]string { return m.set.Spec.Template.Labels }

// check holds a rendering to what it must be, whatever the values are.
func (m manifests) check(t *testing.T) {
	t.Helper()
	for _, o := range m.raw {
		if o.GetKind() != "Namespace" {
			require.Equal(t, m.set.Namespace, o.GetNamespace(), "%s %s", o.GetKind(), o.GetName())
		}
	}
	m.checkSet(t)
	m.checkPod(t)
	m.checkProbes(t)
	m.checkServices(t)
	m.checkRights(t)
	m.checkPolicy(t)
	if m.budget != nil {
		require.NotNil(t, m.budget.Spec.Selector, "it would be for no pod")
		require.Equal(t, m.set.Spec.Selector.MatchLabels, m.budget.Spec.Selector.MatchLabels)
		require.Equal(t, intstr.FromInt32(1), *m.budget.Spec.MaxUnavailable)
	}
}

func (m manifests) checkSet(t *testing.T) {
	t.Helper()
	require.Equal(t, appsv1.ParallelPodManagement, m.set.Spec.PodManagementPolicy, "one after the other never gets past the first")
	require.Equal(t, appsv1.RollingUpdateStatefulSetStrategyType, m.set.Spec.UpdateStrategy.Type)
	require.Equal(t, m.peers.Name, m.set.Spec.ServiceName)
	require.LessOrEqual(t, len(m.set.Name), 52, "the pods' controller-revision-hash would be no label")
	require.NotEmpty(t, m.set.Spec.Selector.MatchLabels)
	require.Subset(t, m.labels(), m.set.Spec.Selector.MatchLabels)
	require.NotContains(t, m.set.Spec.Selector.MatchLabels, "app.kubernetes.io/version", "a selector cannot be changed by an upgrade")
	for _, c := range m.set.Spec.Template.Spec.TopologySpreadConstraints {
		require.Equal(t, corev1.ScheduleAnyway, c.WhenUnsatisfiable)
		require.Equal(t, m.set.Spec.Selector.MatchLabels, c.LabelSelector.MatchLabels)
	}
}

func (m manifests) checkPod(t *testing.T) {
	t.Helper()
	pod, c := m.set.Spec.Template.Spec, m.container(t)
	require.False(t, *pod.EnableServiceLinks, "a Service named gokv would bring variables that begin with GOKV_")
	require.True(t, *pod.AutomountServiceAccountToken)
	require.False(t, pod.HostNetwork || pod.HostPID || pod.HostIPC)

	require.True(t, *pod.SecurityContext.RunAsNonRoot)
	require.NotZero(t, *pod.SecurityContext.RunAsUser)
	require.NotZero(t, *pod.SecurityContext.FSGroup, "a file of mode 0400 belongs to root")
	require.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pod.SecurityContext.SeccompProfile.Type)
	require.False(t, *c.SecurityContext.AllowPrivilegeEscalation)
	require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem)
	require.Equal(t, []corev1.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop)
	require.Empty(t, c.SecurityContext.Capabilities.Add)

	mounted := map[string]corev1.VolumeMount{}
	for _, mount := range c.VolumeMounts {
		mounted[mount.Name] = mount
	}
	require.NotEmpty(t, pod.Volumes, "neither a secret nor certificates")
	for _, v := range pod.Volumes {
		require.NotNil(t, v.Secret, v.Name)
		require.Equal(t, int32(0o400), *v.Secret.DefaultMode, v.Name)
		require.True(t, mounted[v.Name].ReadOnly, v.Name)
		require.Empty(t, mounted[v.Name].SubPath, "%s: a file mounted so is never brought up to date", v.Name)
	}
	if m.secret != nil {
		require.Equal(t, m.secret.Name, pod.Volumes[0].Secret.SecretName)
	}
	require.NotNil(t, c.Lifecycle.PreStop.Sleep, "there is no shell in the image to run anything else")
	// cmd/gokv-node gives a stop 15 s.
	require.GreaterOrEqual(t, *pod.TerminationGracePeriodSeconds, c.Lifecycle.PreStop.Sleep.Seconds+15)
	if m.account != nil {
		require.Equal(t, m.account.Name, pod.ServiceAccountName)
		require.False(t, *m.account.AutomountServiceAccountToken)
	}
}

func (m manifests) checkProbes(t *testing.T) {
	t.Helper()
	c := m.container(t)
	http := m.port(t, "http")
	for _, p := range []struct {
		probe *corev1.Probe
		path  string
	}{
		{c.StartupProbe, "/healthz"},
		{c.LivenessProbe, "/healthz"}, // not /readyz: one that waits for the others is not to be killed
		{c.ReadinessProbe, "/readyz"},
	} {
		require.NotNil(t, p.probe)
		require.Equal(t, p.path, p.probe.HTTPGet.Path)
		require.Equal(t, intstr.FromString(http.Name), p.probe.HTTPGet.Port)
	}
}

func (m manifests) checkServices(t *testing.T) {
	t.Helper()
	require.NotNil(t, m.peers, "no headless Service")
	require.NotNil(t, m.clients)
	require.True(t, m.peers.Spec.PublishNotReadyAddresses, "pods have to find each other to become ready")
	require.False(t, m.clients.Spec.PublishNotReadyAddresses)
	for _, s := range []*corev1.Service{m.peers, m.clients} {
		require.Equal(t, m.set.Spec.Selector.MatchLabels, s.Spec.Selector, s.Name)
		for _, p := range s.Spec.Ports {
			at := m.port(t, p.TargetPort.StrVal)
			require.Equal(t, at.ContainerPort, p.Port, s.Name)
			require.Equal(t, at.Protocol, p.Protocol, s.Name)
		}
	}
	require.Equal(t, []string{"clients/TCP", "clients-quic/UDP"}, ports(m.clients), "the peers' port is for peers alone")
	require.Equal(t, []string{"peers/UDP", "http/TCP"}, ports(m.peers))
	require.Equal(t, m.port(t, "clients").ContainerPort, m.port(t, "clients-quic").ContainerPort)
}

func ports(s *corev1.Service) []string {
	var all []string
	for _, p := range s.Spec.Ports {
		all = append(all, p.TargetPort.StrVal+"/"+string(p.Protocol))
	}
	return all
}

func (m manifests) checkRights(t *testing.T) {
	t.Helper()
	if m.role == nil {
		return
	}
	require.Equal(t, []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "watch"}}}, m.role.Rules)
	require.Equal(t, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: m.role.Name}, m.binding.RoleRef)
	require.Equal(t, []rbacv1.Subject{{Kind: "ServiceAccount", Name: m.set.Spec.Template.Spec.ServiceAccountName, Namespace: m.set.Namespace}}, m.binding.Subjects)
}

func (m manifests) checkPolicy(t *testing.T) {
	t.Helper()
	if m.policy == nil {
		return
	}
	own := m.set.Spec.Selector.MatchLabels
	require.Equal(t, own, m.policy.Spec.PodSelector.MatchLabels)
	require.Equal(t, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}, m.policy.Spec.PolicyTypes)
	open := map[string]int{}
	for _, rule := range m.policy.Spec.Ingress {
		require.NotEmpty(t, rule.From, "a rule without from is for everybody")
		require.NotEmpty(t, rule.Ports, "a rule without ports is for all of them")
		for _, p := range rule.Ports {
			name := ""
			for _, at := range m.container(t).Ports {
				if at.ContainerPort == p.Port.IntVal && at.Protocol == *p.Protocol {
					name = at.Name
				}
			}
			require.NotEmpty(t, name, "%s/%s is no port of the pod", p.Port, *p.Protocol)
			open[name]++
			if name == "peers" {
				require.Equal(t, []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: own}}}, rule.From)
			}
		}
	}
	require.Equal(t, 1, open["peers"])
}
