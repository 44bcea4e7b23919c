package kubetest

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// RunPod makes a pod, in a namespace that exists, and does what the scheduler and the
// kubelet would: it is bound to a machine, runs, has these addresses and is not ready.
// The pod's service account need not exist, and is "default" if it names none.
func (s *Server) RunPod(t testing.TB, pod *corev1.Pod, ips ...string) {
	t.Helper()
	clients, err := kubernetes.NewForConfig(s.Admin)
	if err != nil {
		t.Fatal(err)
	}
	pod = pod.DeepCopy()
	pod.Spec.NodeName = "nowhere"
	pods := clients.CoreV1().Pods(pod.Namespace)
	made, err := pods.Create(t.Context(), pod, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		t.Fatalf("make pod %s/%s: %v", pod.Namespace, pod.Name, err)
	}
	made.Status.Phase = corev1.PodRunning
	made.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}
	for i, ip := range ips {
		if i == 0 {
			made.Status.PodIP = ip
		}
		made.Status.PodIPs = append(made.Status.PodIPs, corev1.PodIP{IP: ip})
	}
	if _, err := pods.UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
		t.Fatalf("set the status of pod %s/%s: %v", pod.Namespace, pod.Name, err)
	}
}

// RemovePod deletes a pod at once, as when its grace period is over.
func (s *Server) RemovePod(t testing.TB, namespace, name string) {
	t.Helper()
	clients, err := kubernetes.NewForConfig(s.Admin)
	if err != nil {
		t.Fatal(err)
	}
	now := int64(0)
	err = clients.CoreV1().Pods(namespace).Delete(t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: &now})
	if err != nil {
		t.Fatalf("delete pod %s/%s: %v", namespace, name, err)
	}
}

// Allow gives a service account a Role with these verbs on pods of its namespace, in
// place of those that an earlier call gave it. It is in force a moment later.
func (s *Server) Allow(t testing.TB, namespace, account string, verbs ...string) {
	t.Helper()
	clients, err := kubernetes.NewForConfig(s.Admin)
	if err != nil {
		t.Fatal(err)
	}
	rbac := clients.RbacV1()
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: account},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: verbs}},
	}
	if len(verbs) == 0 {
		role.Rules = nil
	}
	_, err = rbac.Roles(namespace).Create(t.Context(), role, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = rbac.Roles(namespace).Update(t.Context(), role, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatalf("make role %s/%s: %v", namespace, account, err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: account},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: account},
	}
	_, err = rbac.RoleBindings(namespace).Create(t.Context(), binding, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatalf("make role binding %s/%s: %v", namespace, account, err)
	}
}
