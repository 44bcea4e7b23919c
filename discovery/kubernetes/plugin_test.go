package kubernetes

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// withPlugin returns a kubeconfig that leads to the server over TLS, without which
// there are no credentials, with those that a shell script gives: they have to be the
// token "it". The script's $1 is a directory of the test's.
func withPlugin(t *testing.T, f *fakeAPI, mode clientcmdapi.ExecInteractiveMode, script string) (file, dir string) {
	t.Helper()
	file, dir = f.kubeconfig("ns"), t.TempDir()
	config, err := clientcmd.LoadFromFile(file)
	require.NoError(t, err)
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer it" {
			status(w, http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "who are you?")
			return
		}
		f.ServeHTTP(w, r)
	}))
	t.Cleanup(secure.Close)
	config.Clusters["fake"] = &clientcmdapi.Cluster{
		Server:                   secure.URL,
		CertificateAuthorityData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}),
	}
	config.AuthInfos["nobody"].Exec = &clientcmdapi.ExecConfig{
		APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: mode,
		Command: "/bin/sh", Args: []string{"-c", script, "plugin", dir},
	}
	require.NoError(t, clientcmd.WriteToFile(*config, file))
	return file, dir
}

func TestAPluginGivesTheCredentials(t *testing.T) {
	f := startFake(t)
	f.put(podAt(t, "10.0.0.1:7946"))
	file, _ := withPlugin(t, f, clientcmdapi.IfAvailableExecInteractiveMode,
		`echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"it"}}'`)
	wantPeers(t, newProvider(t, file), "10.0.0.1:7946")
}

func TestAPluginThatHangsHoldsNobodyUp(t *testing.T) {
	f := startFake(t)
	file, dir := withPlugin(t, f, clientcmdapi.NeverExecInteractiveMode,
		`touch "$1/begun"; while [ -e "$1/begun" ]; do sleep 0.05; done; exit 1`) // until the directory is removed
	p := newProvider(t, file)
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(dir, "begun"))
		return err == nil
	}, patience, often)

	for range 2 * maxAsking {
		ctx, cancel := context.WithTimeout(t.Context(), often)
		_, err := p.DiscoverPeers(ctx)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	ended := make(chan error)
	go func() {
		_, err := p.DiscoverPeers(context.Background())
		ended <- err
	}()
	closed := make(chan error)
	go func() { closed <- p.Close() }()
	for _, end := range []<-chan error{ended, closed} {
		select {
		case err := <-end:
			if err != nil {
				require.ErrorIs(t, err, errClosed)
			}
		case <-time.After(patience):
			t.Fatal("waits for the plugin")
		}
	}
}

func TestAPluginThatWantsToAskSomebodyIsAnError(t *testing.T) {
	f := startFake(t)
	file, _ := withPlugin(t, f, clientcmdapi.AlwaysExecInteractiveMode, `cat`)
	_, err := discover(t, newProvider(t, file))
	require.ErrorContains(t, err, "exec plugin cannot support interactive mode")
}
