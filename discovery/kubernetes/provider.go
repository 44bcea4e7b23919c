package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tochemey/gokv/discovery"
)

// ID is the provider's name in logs and metrics.
const ID = "kubernetes"

const (
	pageSize     = 500
	maxAddresses = 10_000

	// How long the kubelet has to publish the address of the pod that it started
	// this in, and how often that is looked for.
	ownPatience = 2 * time.Second
	ownPause    = 100 * time.Millisecond
)

var (
	errClosed = errors.New("the kubernetes provider is closed")
	errEarly  = errors.New("not initialized: Initialize has not succeeded")

	silent = logr.Discard() // for client-go: what it would log is returned, too
)

// Provider finds peers as pods. See the package comment.
type Provider struct {
	cfg     Config
	reader  reader // changed by Announce alone
	changes chan struct{}
	now     func() time.Time
	ctx     context.Context // ended by Close
	end     context.CancelCauseFunc

	mu      sync.Mutex
	watcher *watcher       // nil before Initialize has succeeded
	running sync.WaitGroup // the watcher and the calls; grows under mu, while ctx lives
}

var (
	_ discovery.Provider  = (*Provider)(nil)
	_ discovery.Announcer = (*Provider)(nil)
	_ discovery.Watcher   = (*Provider)(nil)
)

// New returns a provider for cfg, or what Validate says. It reads no file and asks
// nobody yet.
func New(cfg Config) (*Provider, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := &Provider{
		cfg: cfg, reader: reader{peers: cfg.DiscoveryPortName, clients: cfg.PortName},
		changes: make(chan struct{}, 1), now: time.Now,
	}
	p.ctx, p.end = context.WithCancelCause(context.Background())
	return p, nil
}

// ID implements discovery.Provider.
func (p *Provider) ID() string { return ID }

// Announce implements discovery.Announcer: the host of self's address, if it is an
// IP address, gives the family of the peers', and is looked for among the pods.
func (p *Provider) Announce(self discovery.Self) {
	p.reader.own = netip.Addr{}
	if host, _, err := net.SplitHostPort(self.Addr); err == nil {
		if ip, err := netip.ParseAddr(host); err == nil {
			p.reader.own = ip.Unmap()
		}
	}
}

// Changes implements discovery.Watcher.
func (p *Provider) Changes() <-chan struct{} { return p.changes }

// Initialize implements discovery.Provider. It reads how to reach the API server and
// begins to watch; whether that works does not matter here.
func (p *Provider) Initialize(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.alive(ctx); err != nil {
		return err
	}
	if p.watcher != nil {
		return nil
	}
	connection, err := connect(p.ctx, p.cfg)
	if err != nil {
		return err
	}
	p.watcher = &watcher{connection: connection, selector: p.cfg.selector(), reader: p.reader, changes: p.changes}
	p.running.Go(func() { p.watcher.run(p.ctx) })
	return nil
}

// Register implements discovery.Provider. The pod is there.
func (p *Provider) Register(ctx context.Context) error { return p.alive(ctx) }

// Deregister implements discovery.Provider. The pod goes by itself.
func (p *Provider) Deregister(ctx context.Context) error { return ctx.Err() }

// Close implements discovery.Provider. It ends calls that are in flight and the
// watch, and waits for them.
func (p *Provider) Close() error {
	p.mu.Lock()
	p.end(errClosed)
	w := p.watcher
	p.mu.Unlock()
	if w != nil {
		w.connection.close() // what hangs ends
	}
	p.running.Wait()
	return nil
}

func (p *Provider) alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return context.Cause(p.ctx)
}

// enter counts a call that Close has to wait for.
func (p *Provider) enter(ctx context.Context) (*watcher, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.alive(ctx); err != nil {
		return nil, err
	}
	if p.watcher == nil {
		return nil, errEarly
	}
	p.running.Add(1)
	return p.watcher, nil
}

// DiscoverPeers implements discovery.Provider. The addresses have the form ip:port,
// or [ip]:port, and no order; the node's own is among them.
func (p *Provider) DiscoverPeers(ctx context.Context) ([]string, error) {
	w, err := p.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer p.running.Done()
	ctx, cancel := context.WithCancelCause(logr.NewContext(ctx, silent))
	defer cancel(nil)
	stop := context.AfterFunc(p.ctx, func() { cancel(errClosed) })
	defer stop()

	found, err := p.listWithOwn(ctx, w.connection)
	if err != nil {
		return nil, fmt.Errorf("list pods in namespace %s: %w", w.connection.namespace, err)
	}
	if !found.own && p.wantsOwn() {
		found.errs = append(found.errs, fmt.Errorf(
			"none of the %d pods with %s in namespace %s has this node's own address %s: are the namespace and the labels those of its pod?",
			found.pods, p.cfg.selector(), w.connection.namespace, p.reader.own))
	}
	return found.addrs, errors.Join(append(found.errs, w.mayNot())...)
}

// wantsOwn tells whether the node has to find itself: it is a pod, and announces an
// address by which it can be told.
func (p *Provider) wantsOwn() bool { return p.cfg.Kubeconfig == "" && p.reader.own.IsValid() }

// answer is what a list of pods amounts to.
type answer struct {
	addrs []string
	errs  []error // what is wrong with single pods
	pods  int     // how many there are
	own   bool    // this node's is one of them
}

// listWithOwn lists until the node's own pod has its address, within reason.
func (p *Provider) listWithOwn(ctx context.Context, c *connection) (answer, error) {
	enough := time.NewTimer(ownPatience)
	defer enough.Stop()
	again := time.NewTicker(ownPause)
	defer again.Stop()
	for {
		found, err := p.list(ctx, c)
		if err != nil || found.own || !p.wantsOwn() {
			return found, err
		}
		select {
		case <-again.C:
		case <-enough.C:
			return found, nil
		case <-ctx.Done():
			return answer{}, context.Cause(ctx)
		}
	}
}

// list reads all pages. It fails as a whole: half an answer is none.
func (p *Provider) list(ctx context.Context, c *connection) (answer, error) {
	options := metav1.ListOptions{LabelSelector: p.cfg.selector(), Limit: pageSize}
	var found answer
	for {
		page, err := c.pods.List(ctx, options)
		if err != nil {
			if ended := context.Cause(ctx); ended != nil {
				return answer{}, ended
			}
			return answer{}, err
		}
		if page.ResourceVersion == "" {
			// client-go takes any JSON for a list of pods, one without pods then.
			return answer{}, errors.New("the answer is no list of pods: it has no resourceVersion")
		}
		for i := range page.Items {
			if !found.add(p.reader, &page.Items[i], p.now()) {
				return found, nil
			}
		}
		if page.Continue == "" {
			return found, nil
		}
		options.Continue = page.Continue
	}
}

// maxFaults is how many pods an error names.
const maxFaults = 5

// add takes one pod in, and tells whether more may follow.
func (a *answer) add(r reader, pod *corev1.Pod, now time.Time) bool {
	a.pods++
	a.own = a.own || r.isOwn(pod)
	addr, err := r.address(pod, now)
	if err != nil && len(a.errs) < maxFaults {
		a.errs = append(a.errs, err)
	}
	if addr == "" {
		return true
	}
	if len(a.addrs) == maxAddresses {
		a.errs = append(a.errs, fmt.Errorf("more than %d pods: the rest is left out", maxAddresses))
		return false
	}
	a.addrs = append(a.addrs, addr)
	return true
}
