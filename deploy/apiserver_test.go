package deploy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/tochemey/gokv/internal/kubetest"
)

// cluster is an API server with RBAC enforced, and no controller.
type cluster struct {
	server  *kubetest.Server
	admin   *rest.Config
	clients *kubernetes.Clientset
	dynamic *dynamic.DynamicClient
	mapper  meta.RESTMapper
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	server := kubetest.Start(t)
	c := &cluster{server: server, admin: server.Admin}
	var err error
	c.clients, err = kubernetes.NewForConfig(c.admin)
	require.NoError(t, err)
	c.dynamic, err = dynamic.NewForConfig(c.admin)
	require.NoError(t, err)
	c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.clients.Discovery()))
	return c
}

// apply is kubectl apply --server-side --validate=strict, with conflicts refused.
func (c *cluster) apply(t *testing.T, m manifests) error {
	t.Helper()
	for _, o := range m.raw {
		gvk := o.GroupVersionKind()
		mapping, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		require.NoError(t, err)
		body, err := json.Marshal(o.Object)
		require.NoError(t, err)
		var in dynamic.ResourceInterface = c.dynamic.Resource(mapping.Resource)
		if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
			in = c.dynamic.Resource(mapping.Resource).Namespace(o.GetNamespace())
		}
		no := false
		if _, err := in.Patch(t.Context(), o.GetName(), types.ApplyPatchType, body, metav1.PatchOptions{
			FieldManager: "gokv-test", Force: &no, FieldValidation: metav1.FieldValidationStrict,
		}); err != nil {
			return fmt.Errorf("%s %s: %w", gvk.Kind, o.GetName(), err)
		}
	}
	return nil
}

// makeNamespace refuses pods that Kubernetes's strictest standard refuses.
func (c *cluster) makeNamespace(t *testing.T, name string) {
	t.Helper()
	_, err := c.clients.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		require.NoError(t, err)
	}
}

// makePods makes what the StatefulSet's controller, the scheduler and the kubelet
// would have made by now: pods that run, have addresses, and are not ready.
func (c *cluster) makePods(t *testing.T, m manifests, ips ...string) {
	t.Helper()
	for i, ip := range ips {
		pod := &corev1.Pod{ObjectMeta: *m.set.Spec.Template.ObjectMeta.DeepCopy(), Spec: *m.set.Spec.Template.Spec.DeepCopy()}
		pod.Namespace, pod.Name = m.set.Namespace, fmt.Sprintf("%s-%d", m.set.Name, i)
		pod.Spec.Hostname, pod.Spec.Subdomain = pod.Name, m.set.Spec.ServiceName
		c.server.RunPod(t, pod, ip)
	}
}

// account is who the pods are.
func (c *cluster) account(t *testing.T, m manifests) *rest.Config {
	t.Helper()
	return c.server.ServiceAccount(t, m.set.Namespace, m.account.Name)
}

// settings let a node be a pod of these manifests outside of the cluster.
func (c *cluster) settings(t *testing.T, m manifests) map[string]string {
	t.Helper()
	return map[string]string{
		"GOKV_KUBECONFIG":           c.server.Kubeconfig(t, c.account(t, m)),
		"GOKV_KUBERNETES_NAMESPACE": m.set.Namespace,
	}
}

func TestAnAPIServerAcceptsAllManifests(t *testing.T) {
	c := newCluster(t)
	example, _ := overlay(t)
	all := map[string]manifests{"base": base(t), "overlay": example}
	for name, v := range matrix {
		if name == "service monitor" { // its kind is the Prometheus operator's
			continue
		}
		v.namespace = "chart-" + strings.ToLower(strings.ReplaceAll(name, " ", "-"))
		all[v.namespace] = v.chart.render(t)
	}
	for name, m := range all {
		t.Run(name, func(t *testing.T) {
			if m.namespace == nil {
				c.makeNamespace(t, m.set.Namespace)
			}
			require.NoError(t, c.apply(t, m))
			require.NoError(t, c.apply(t, m), "a second time")
			if m.account != nil && m.set.Spec.Template.Spec.PriorityClassName == "" {
				c.makePods(t, m, "10.0.0.1") // the standard "restricted" is for pods
			}
		})
	}
}

// The check itself has to be able to say no.
func TestAnAPIServerRefusesAManifestThatIsWrong(t *testing.T) {
	c := newCluster(t)
	c.makeNamespace(t, "wrong")
	for name, spoil := range map[string]func(spec map[string]any){
		"replica":         func(spec map[string]any) { spec["replica"] = int64(3) },
		"podManagement":   func(spec map[string]any) { spec["podManagementPolicy"] = "Sometimes" },
		"selector":        func(spec map[string]any) { spec["selector"] = map[string]any{"matchLabels": map[string]any{"a": "b"}} },
		"terminationGrac": func(spec map[string]any) { podSpec(spec)["terminationGracePeriodSecond"] = int64(30) },
	} {
		t.Run(name, func(t *testing.T) {
			m := chart{namespace: "wrong"}.render(t)
			for _, o := range m.raw {
				if o.GetKind() == "StatefulSet" {
					spoil(o.Object["spec"].(map[string]any))
				}
			}
			require.ErrorContains(t, c.apply(t, m), "StatefulSet gokv")
		})
	}
}

func podSpec(spec map[string]any) map[string]any {
	return spec["template"].(map[string]any)["spec"].(map[string]any)
}

func TestThePodsMayListAndWatchPodsOfTheirNamespaceAndNothingElse(t *testing.T) {
	c := newCluster(t)
	c.makeNamespace(t, "rights")
	c.makeNamespace(t, "elsewhere")
	m := chart{namespace: "rights"}.render(t)
	require.NoError(t, c.apply(t, m))
	example, _ := overlay(t)
	require.NoError(t, c.apply(t, example))

	for _, m := range []manifests{m, example} {
		clients, err := kubernetes.NewForConfig(c.account(t, m))
		require.NoError(t, err)
		may := func(r authorizationv1.ResourceAttributes) bool {
			review, err := clients.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
				Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &r},
			}, metav1.CreateOptions{})
			require.NoError(t, err)
			require.Empty(t, review.Status.EvaluationError)
			return review.Status.Allowed
		}
		own := m.set.Namespace
		for _, resource := range []schema.GroupResource{
			{Resource: "pods"},
			{Resource: "secrets"},
			{Resource: "configmaps"},
			{Resource: "services"},
			{Resource: "endpoints"},
			{Resource: "serviceaccounts"},
			{Resource: "nodes"},
			{Resource: "namespaces"},
			{Resource: "events"},
			{Group: "apps", Resource: "statefulsets"},
			{Group: "discovery.k8s.io", Resource: "endpointslices"},
			{Group: rbacv1.GroupName, Resource: "roles"},
			{Group: rbacv1.GroupName, Resource: "rolebindings"},
		} {
			for _, verb := range []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "impersonate", "escalate", "bind"} {
				for _, namespace := range []string{own, "elsewhere", "kube-system", ""} {
					want := resource.Resource == "pods" && namespace == own && (verb == "list" || verb == "watch")
					require.Equal(t, want, may(authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Group: resource.Group, Resource: resource.Resource}),
						"%s %s in %q", verb, resource, namespace)
				}
			}
		}
		for _, sub := range []string{"exec", "log", "status", "portforward", "eviction"} {
			for _, verb := range []string{"get", "create", "update", "patch"} {
				require.False(t, may(authorizationv1.ResourceAttributes{Namespace: own, Verb: verb, Resource: "pods", Subresource: sub}), "%s pods/%s", verb, sub)
			}
		}
	}
}

func TestHelmKeepsTheSecretThatItMade(t *testing.T) {
	c := newCluster(t)
	c.makeNamespace(t, "kept")
	r := chart{namespace: "kept", kubeconfig: c.server.Kubeconfig(t, c.admin)}
	first := r.render(t)
	require.NoError(t, c.apply(t, first))
	second := r.render(t)
	require.NotEmpty(t, first.secret.Data["cluster.secret"])
	require.Equal(t, first.secret.Data, second.secret.Data, "an upgrade has made another")

	other := r
	other.name = "other"
	require.NotEqual(t, first.secret.Data, other.render(t).secret.Data, "two releases share one")
}

// setVerbs changes what the manifest's Role allows.
func (c *cluster) setVerbs(t *testing.T, m manifests, verbs ...string) {
	t.Helper()
	roles := c.clients.RbacV1().Roles(m.set.Namespace)
	role, err := roles.Get(t.Context(), m.role.Name, metav1.GetOptions{})
	require.NoError(t, err)
	role.Rules[0].Verbs = verbs
	_, err = roles.Update(t.Context(), role, metav1.UpdateOptions{})
	require.NoError(t, err)
}

// The provider's own tests look closer; this one has everything else real: the
// manifests, their account, the rights, and whole nodes that know nothing but them.
func TestNodesFindEachOtherAsTheManifestsServiceAccount(t *testing.T) {
	c := newCluster(t)
	c.makeNamespace(t, "found")
	m := chart{namespace: "found", values: freePorts(t)}.render(t)
	require.NoError(t, c.apply(t, m))
	c.makePods(t, m, loopback...)
	all := startPods(t, m, c.settings(t, m))
	wantReady(t, all, m)
	for _, p := range all {
		p.end(t)
	}
}

func TestANodeWithoutARightSaysWhich(t *testing.T) {
	c := newCluster(t)
	for missing, left := range map[string]string{"list": "watch", "watch": "list"} {
		t.Run(missing, func(t *testing.T) {
			namespace := "without-" + missing
			c.makeNamespace(t, namespace)
			m := chart{namespace: namespace, values: freePorts(t)}.render(t)
			require.NoError(t, c.apply(t, m))
			c.makePods(t, m, loopback...)
			c.setVerbs(t, m, left)
			all := startPods(t, m, c.settings(t, m))
			if missing == "watch" { // a list finds the others, later than a watch would
				wantReady(t, all, m)
			}
			for _, p := range all {
				require.Eventually(t, func() bool {
					_, body := p.get("/metrics")
					return strings.Contains(body, `gokv_discovery_failures_total{provider="kubernetes"}`) &&
						!strings.Contains(body, `gokv_discovery_failures_total{provider="kubernetes"} 0`)
				}, 20*time.Second, 50*time.Millisecond)
				if missing == "list" {
					ready, _ := p.get("/readyz")
					require.Equal(t, http.StatusServiceUnavailable, ready)
				}
				p.end(t)
				require.Contains(t, p.stderr.String(), "cannot "+missing+` resource \"pods\"`)
			}
		})
	}
}
