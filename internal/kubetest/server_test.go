package kubetest_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/tochemey/gokv/internal/kubetest"
)

func TestAServerKeepsItsDataRefusesWhatIsNotAllowedAndHangs(t *testing.T) {
	s := kubetest.Start(t)
	account := s.ServiceAccount(t, "store", "gokv")
	clients, err := kubernetes.NewForConfig(account)
	require.NoError(t, err)
	list := func(limit time.Duration) (*corev1.PodList, error) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		return clients.CoreV1().Pods("store").List(ctx, metav1.ListOptions{})
	}
	_, err = list(time.Minute)
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	s.Allow(t, "store", "gokv", "list")
	require.Eventually(t, func() bool { _, err = list(time.Minute); return err == nil }, time.Minute, 10*time.Millisecond)

	s.RunPod(t, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "store", Name: "a"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
	}, "10.0.0.1", "fd00::1")
	s.Stop(t)
	s.Stop(t)
	_, err = list(time.Minute)
	require.ErrorContains(t, err, "refused")
	s.Restart(t)
	require.Eventually(t, func() bool { _, err = list(time.Minute); return err == nil }, time.Minute, 10*time.Millisecond)
	pods, err := list(time.Minute)
	require.NoError(t, err)
	require.Len(t, pods.Items, 1)
	require.Equal(t, "10.0.0.1", pods.Items[0].Status.PodIP)
	require.Len(t, pods.Items[0].Status.PodIPs, 2)

	s.Freeze(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.Admin.Host, "https://"))
	require.NoError(t, err, "it accepts")
	require.NoError(t, conn.Close())
	_, err = list(200 * time.Millisecond)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	s.Thaw(t)
	require.Eventually(t, func() bool { _, err = list(time.Minute); return err == nil }, time.Minute, 10*time.Millisecond)

	s.RemovePod(t, "store", "a")
	pods, err = list(time.Minute)
	require.NoError(t, err)
	require.Empty(t, pods.Items)
}
