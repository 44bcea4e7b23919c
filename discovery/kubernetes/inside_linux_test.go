package kubernetes

import (
	"context"
	"encoding/pem"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/discovery"
)

// insideVar makes the test's program be what runs in a pod, with the mounts in the
// directory that it names. insideOwn is the address that the pod announces.
const (
	insideVar = "GOKV_TEST_INSIDE_POD"
	insideOwn = "GOKV_TEST_POD_IP"
)

// insidePod asks once as a pod does, and prints the answer. It is alone in a mount
// namespace, where the kubelet's part is to be played.
func insidePod(*testing.M) int {
	if err := mountSecrets(os.Getenv(insideVar)); err != nil {
		fmt.Println("mount:", err)
		return 2
	}
	p, err := New(Config{PodLabels: map[string]string{"app": "gokv"}, DiscoveryPortName: "peers"})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer p.Close()
	p.Announce(discovery.Self{Addr: net.JoinHostPort(os.Getenv(insideOwn), "7946")})
	if err := p.Initialize(context.Background()); err != nil {
		fmt.Println(err)
		return 1
	}
	addrs, err := p.DiscoverPeers(context.Background())
	fmt.Println(addrs, err)
	return 0
}

func mountSecrets(dir string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	run, err := filepath.EvalSymlinks("/var/run")
	if err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", run, "tmpfs", 0, ""); err != nil {
		return err
	}
	if err := os.MkdirAll(mounted, 0o755); err != nil {
		return err
	}
	return syscall.Mount(dir, mounted, "", syscall.MS_BIND, "")
}

// inside runs insidePod with what the kubelet would mount, and returns what it said.
func inside(t *testing.T, server string, own string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	host, port, err := net.SplitHostPort(server)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = []string{insideVar + "=" + dir, insideOwn + "=" + own, "KUBERNETES_SERVICE_HOST=" + host, "KUBERNETES_SERVICE_PORT=" + port}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil && (cmd.ProcessState == nil || cmd.ProcessState.ExitCode() == 2) {
		why := fmt.Sprintf("LEFT OUT: this machine allows no mount namespace: %v %s", err, out)
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	return strings.TrimSpace(string(out))
}

func TestInAPodWhatIsMountedThereIsUsed(t *testing.T) {
	f := startFake(t)
	secure := httptest.NewTLSServer(f)
	defer secure.Close()
	addr := secure.Listener.Addr().String()
	files := map[string]string{
		"token": "a token", "namespace": "ns\n",
		"ca.crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})),
	}
	f.put(podAt(t, "10.0.0.1:7946"), podAt(t, "10.0.0.2:7946"))
	require.Equal(t, "[10.0.0.1:7946 10.0.0.2:7946] <nil>", inside(t, addr, "10.0.0.2", files))

	// Nobody tells the labels of its own pod to a node: that it does not find itself
	// is how it notices that they are others.
	lost := inside(t, addr, "10.0.0.3", files)
	require.Contains(t, lost, "[10.0.0.1:7946 10.0.0.2:7946] ")
	require.Contains(t, lost, "none of the 2 pods with app=gokv in namespace ns has this node's own address 10.0.0.3")

	delete(files, "namespace")
	require.Contains(t, inside(t, addr, "10.0.0.2", files), "kubernetes-namespace: none is given, and the pod's own is not known")
	delete(files, "token")
	require.Contains(t, inside(t, addr, "10.0.0.2", files), "this is no pod with a service account")
}
