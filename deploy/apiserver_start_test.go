package deploy

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// startAPIServer returns an administrator's way to an API server that enforces RBAC
// and runs no controllers. GOKV_TEST_KUBECONFIG names a fresh one: the tests make
// namespaces, and leave them.
func startAPIServer(t *testing.T) *rest.Config {
	t.Helper()
	if testing.Short() {
		t.Skip("applies manifests to an API server")
	}
	file := os.Getenv("GOKV_TEST_KUBECONFIG")
	if file == "" {
		leftOut(t, "no API server: GOKV_TEST_KUBECONFIG names none")
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	require.NoError(t, err)
	return config
}
