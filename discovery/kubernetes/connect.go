package kubernetes

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/connrotation"

	"github.com/tochemey/gokv/discovery"
)

// mounted is where the kubelet puts what a pod needs for the API; its file "token"
// is rest.InClusterConfig's affair.
const mounted = "/var/run/secrets/kubernetes.io/serviceaccount"

const dialTimeout = 5 * time.Second

// connection is a way to the API server. Nothing is sent before it is used.
type connection struct {
	pods      corev1client.PodInterface
	namespace string
	dialer    *connrotation.Dialer // has all its sockets
}

// close closes all sockets. What it was opened with has ended, so that no other one
// follows.
func (c *connection) close() { c.dialer.CloseAll() }

// connect reads how to reach the API server, until closing has ended. Its errors are
// permanent.
func connect(closing context.Context, cfg Config) (*connection, error) {
	read := inCluster
	if cfg.Kubeconfig != "" {
		read = fromFile
	}
	config, namespace, err := read(cfg)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", discovery.ErrPermanent, err)
	}
	if cfg.Namespace != "" {
		namespace = cfg.Namespace
	}
	config.UserAgent = "gokv"
	config.QPS = -1 // the node has its own pace, which is slower
	config.WarningHandlerWithContext = rest.NoWarnings{}
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = config.ContentType + ",application/json"

	dialer := connrotation.NewDialer((&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext)
	config.Dial = until(closing, dialer.DialContext)
	if config.ExecProvider != nil {
		// It would take the terminal of a program that knows nothing of it.
		config.ExecProvider.StdinUnavailable = true
	}
	over, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", discovery.ErrPermanent, err)
	}
	over.Transport = newImpatient(over.Transport)
	client, err := corev1client.NewForConfigAndClient(config, over)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", discovery.ErrPermanent, err)
	}
	return &connection{pods: client.Pods(namespace), namespace: namespace, dialer: dialer}, nil
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// until ends dials, and refuses what they have opened, when closing has ended:
// net/http dials for longer than who asked for it waits. That the dialer is not
// client-go's own keeps other users in the process from sharing its connections.
func until(closing context.Context, dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stop := context.AfterFunc(closing, cancel)
		defer stop()
		conn, err := dial(ctx, network, address)
		if err == nil && closing.Err() != nil {
			_ = conn.Close() // nobody has written to it
			return nil, context.Cause(closing)
		}
		return conn, err
	}
}

func inCluster(cfg Config) (*rest.Config, string, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, "", fmt.Errorf("kubeconfig: none is given, and this is no pod with a service account: %w", err)
	}
	if cfg.Namespace != "" {
		return config, "", nil
	}
	text, err := os.ReadFile(mounted + "/namespace")
	if err != nil {
		return nil, "", fmt.Errorf("kubernetes-namespace: none is given, and the pod's own is not known: %w", err)
	}
	return config, strings.TrimSpace(string(text)), nil
}

func fromFile(cfg Config) (*rest.Config, string, error) {
	file, err := clientcmd.LoadFromFile(cfg.Kubeconfig)
	if err != nil {
		return nil, "", fmt.Errorf("kubeconfig: %q: %w", cfg.Kubeconfig, err)
	}
	if err := clientcmd.ResolveLocalPaths(file); err != nil {
		return nil, "", fmt.Errorf("kubeconfig: %q: %w", cfg.Kubeconfig, err)
	}
	chosen := clientcmd.NewDefaultClientConfig(*file, &clientcmd.ConfigOverrides{})
	config, err := chosen.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("kubeconfig: %q: %w", cfg.Kubeconfig, err)
	}
	namespace, _, err := chosen.Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("kubeconfig: %q: %w", cfg.Kubeconfig, err)
	}
	return config, namespace, nil
}
