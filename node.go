package gokv

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	mathrand "math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/client/wire"
	"github.com/tochemey/gokv/discovery"
	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/auth"
	"github.com/tochemey/gokv/internal/hostlist"
	"github.com/tochemey/gokv/internal/replica"
	"github.com/tochemey/gokv/membership"
	"github.com/tochemey/gokv/merkle"
	"github.com/tochemey/gokv/transport"
)

// Node is one member of a cluster. Its methods may be called from many
// goroutines; Start and Stop once each, in this order.
type Node struct {
	// Fixed after NewNode.
	cfg     Config
	log     *slog.Logger
	auth    *auth.Authenticator
	engine  *engine.Engine
	memory  memory
	metrics *metrics
	local   *client.Client
	self    uint64 // instance ID
	names   *names
	offsets *replica.Offsets
	// provider finds peers; nil where none is configured.
	provider discovery.Provider

	// Fixed after Start.
	name        string
	advertise   string // what peers dial
	addrs       Addrs
	started     time.Time
	transport   *transport.Transport
	members     *membership.Loop
	replication *replication
	finder      *finder // nil where there is nobody to find
	clients     *transport.ClientListener
	http        *httpServer
	stopSweep   context.CancelFunc
	scrubAt     uint64 // owned by the sweeps' goroutine
	wasFenced   bool   // likewise
	background  sync.WaitGroup

	wired  chan struct{} // closed when the parts above are all there
	phase  atomic.Int32
	writes sync.RWMutex  // read-held by a write from its admission to its end
	badLog *rate.Limiter // malformed messages
	odd    *rate.Limiter // refused entries
	joins  *rate.Limiter // peers that could not be reached
	taken  *rate.Limiter // newcomers under a name that is in use

	crowded  *rate.Limiter // that the memory is full, and is not
	wasFull  bool          // owned by the sweep
	tally    tally
	concerns concerns
	fatal    chan error
}

// tally holds what Status tells of rounds and lag.
type tally struct {
	equal, repaired, failed atomic.Uint64
	lag                     atomic.Int64 // of the last version that a push brought, in ns
}

// A node's phases. Reads and writes are admitted only while it serves.
const (
	phaseNew int32 = iota
	phaseStarting
	phaseServing
	phaseDraining
	phaseStopped
)

// Addrs are the addresses that a node bound; empty where it has no listener.
type Addrs struct{ Peer, Client, HTTP string }

// handoverTimeout bounds how long Stop waits for unpushed writes to reach the
// other members.
const handoverTimeout = 5 * time.Second

// sweepInterval is the pause between sweeps of what has expired; reads judge
// expiry themselves, so that it only bounds how late memory comes back.
const (
	sweepInterval = 250 * time.Millisecond
	sweepBudget   = 4096
)

// NewNode makes a node from cfg, which it checks whole: the error names every
// field that is wrong. Nothing is bound before Start.
func NewNode(cfg Config) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	var ids [40]byte
	if _, err := rand.Read(ids[:]); err != nil {
		return nil, fmt.Errorf("draw an instance ID: %w", err)
	}
	provider, err := providerOf(cfg)
	if err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, log: cfg.Logger, self: binary.BigEndian.Uint64(ids[:8]) | 1, provider: provider, metrics: newMetrics(provider),
		wired: make(chan struct{}), fatal: make(chan error, 1), badLog: rate.NewLimiter(rate.Every(10*time.Second), 3),
		odd: rate.NewLimiter(rate.Every(30*time.Second), 2), joins: rate.NewLimiter(rate.Every(10*time.Second), 3),
		taken: rate.NewLimiter(rate.Every(10*time.Second), 3), names: newNames(),
		crowded: rate.NewLimiter(rate.Every(30*time.Second), 2), offsets: replica.NewOffsets(cfg.MaxClockSkew, time.Now()),
	}
	if n.cfg.Seed == 0 {
		n.cfg.Seed = binary.BigEndian.Uint64(ids[8:16])
	}
	key := merkle.Key{Created: math.MaxUint64}
	copy(key.Secret[:], ids[16:32])

	n.auth, err = auth.New(auth.Config{
		Cluster: cfg.Cluster, Instance: n.self,
		CAFile: cfg.TLSCA, CertFile: cfg.TLSCert, KeyFile: cfg.TLSKey,
		SecretFile: cfg.SecretFile, Secrets: cfg.Secrets, Insecure: cfg.Insecure, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	for _, a := range []struct{ setting, addr string }{{"peer-addr", cfg.PeerAddr}, {"client-addr", cfg.ClientAddr}} {
		if a.addr == "" || (a.setting == "peer-addr" && cfg.PeerConn != nil) {
			continue
		}
		if err := n.auth.CheckAddr(a.addr); err != nil {
			return nil, fmt.Errorf("%s: %w", a.setting, err)
		}
	}
	n.memory.limit = cfg.MaxMemory
	n.engine = engine.New(engine.Config{
		Instance: n.self, Key: key, MaxValueSize: int(cfg.MaxValueSize), MaxClockSkew: cfg.MaxClockSkew,
		MaxMemory: cfg.MaxMemory, Beside: n.memory.beside,
	})
	n.local = client.Local(server{n})
	n.metrics.watch(n)
	return n, nil
}

// providerOf is the configured provider; Join stands for a static one.
func providerOf(cfg Config) (discovery.Provider, error) {
	if cfg.Discovery != nil || len(cfg.Join) == 0 {
		return cfg.Discovery, nil
	}
	p, err := hostlist.New(cfg.Join)
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	return p, nil
}

// Start binds the node's listeners and joins the cluster in the background:
// it returns when the node is reachable, which may be before it is ready.
// ctx bounds the start alone.
func (n *Node) Start(ctx context.Context) error {
	if !n.phase.CompareAndSwap(phaseNew, phaseStarting) {
		return errors.New("start: the node was started before")
	}
	if err := n.start(ctx); err != nil {
		n.phase.Store(phaseStopped)
		n.close()
		return err
	}
	return nil
}

func (n *Node) start(ctx context.Context) error {
	n.started = time.Now()
	conn := n.cfg.PeerConn
	if conn == nil {
		var err error
		if conn, err = net.ListenPacket("udp", n.cfg.PeerAddr); err != nil {
			return fmt.Errorf("peer-addr: %w", err)
		}
	}
	n.addrs.Peer = conn.LocalAddr().String()
	if n.advertise = n.cfg.AdvertiseAddr; n.advertise == "" {
		n.advertise = n.addrs.Peer
	}
	if n.name = n.cfg.Name; n.name == "" {
		n.name = defaultName(n.addrs.Peer)
	}
	n.names.note(n.self, n.name)
	hello := auth.Hello{Cluster: n.cfg.Cluster, Instance: n.self, Name: n.name, Addr: n.advertise}
	wall := n.nowMS()

	var err error
	if n.replication, err = newReplication(n, wall, n.random(1)); err != nil {
		return errors.Join(err, conn.Close())
	}
	n.transport, err = transport.Listen(transport.Config{
		Conn: conn, Auth: n.auth, Self: hello, Handler: peerHandler{n}, Logger: n.log, Refused: n.refused,
	})
	if err != nil {
		return errors.Join(fmt.Errorf("peer-addr: %w", err), conn.Close())
	}
	clientAddr, err := n.bindClients(hello)
	if err != nil {
		return err
	}
	if n.finder, err = newFinder(n); err != nil {
		return err
	}
	n.members, err = membership.Start(membership.LoopConfig{
		Config: membership.Config{
			Self: membership.Member{
				Name: n.name, Instance: n.self, Incarnation: uint64(wall), Started: wall,
				State: membership.Alive, PeerAddr: n.advertise, ClientAddr: clientAddr,
			},
			Rand: n.random(2),
		},
		Sender:   memberSender{n},
		Delegate: memberDelegate{n},
	})
	if err != nil {
		return err
	}
	if n.http, err = n.startHTTP(); err != nil {
		return err
	}
	close(n.wired)
	n.startSweep()
	n.log.Info("started", "name", n.name, "cluster", n.cfg.Cluster, "instance", hexID(n.self),
		"peers", n.addrs.Peer, "clients", n.addrs.Client, "http", n.addrs.HTTP, "security", n.auth.Mode().String())
	n.replication.start()
	if n.finder != nil {
		n.finder.start()
	}
	return ctx.Err()
}

// isWired says whether Start has put the parts together; from then on they
// may be read.
func (n *Node) isWired() bool {
	select {
	case <-n.wired:
		return true
	default:
		return false
	}
}

// random gives each part a stream of its own from the node's seed.
func (n *Node) random(part uint64) *mathrand.Rand {
	return mathrand.New(mathrand.NewPCG(n.cfg.Seed, part))
}

func (n *Node) nowMS() int64 { return n.cfg.Clock().UnixMilli() }

func (n *Node) startSweep() {
	ctx, cancel := context.WithCancel(context.Background())
	n.stopSweep = cancel
	n.tendMemory()
	n.background.Go(func() {
		tick := time.NewTicker(sweepInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				now, known := n.tendClock()
				for known && n.engine.Sweep(now, sweepBudget) == sweepBudget && ctx.Err() == nil {
				}
				n.replication.horizon.Purge(time.Now())
				n.engine.PurgeBeyond(n.cfg.MaxTombstones)
				n.replication.tendGone()
				n.scrub()
				n.tendMemory()
			}
		}
	})
}

// scrubRanges is how many ranges are scrubbed after each sweep: a million entries
// within some five minutes, for half a percent of a core.
const scrubRanges = 64

// scrub looks at the next few ranges. The goroutine of the sweeps calls it.
func (n *Node) scrub() {
	for range scrubRanges {
		next, wrong := n.engine.Scrub(n.scrubAt)
		if wrong > 0 {
			n.log.Error("entries in memory are not what was written, or their digests were not", "found", wrong)
		}
		if n.scrubAt = next; next == 0 {
			return
		}
	}
}

// becomeReady is called once, when the node may answer reads and writes. A
// cluster whose digest key nobody has settled yet begins with this node.
func (n *Node) becomeReady(reason string) {
	if key := n.engine.Key(); key.Created == math.MaxUint64 {
		key.Created = uint64(n.nowMS())
		n.engine.Rekey(key)
	}
	n.engine.IndexNow()
	if n.phase.CompareAndSwap(phaseStarting, phaseServing) {
		n.log.Info("ready", "because", reason, "after", time.Since(n.started).Round(time.Millisecond))
	}
}

// Ready says whether the node answers reads and writes: it has joined and
// done its first round, or is alone by configuration, and is not stopping.
func (n *Node) Ready() bool { return n.phase.Load() == phaseServing }

// joining reports whether the node has yet to become ready.
func (n *Node) joining() bool { return n.phase.Load() == phaseStarting }

// Stop takes no reads and writes any more, hands unpushed writes over, leaves
// the cluster and releases everything. Until it has left, clients that ask are
// told that the node is not ready, so that they go elsewhere. ctx bounds it;
// what was not done by then is abandoned, and the error says so. A node that
// has stopped stays so, and the answer is nil.
func (n *Node) Stop(ctx context.Context) error {
	// Writes that were admitted have ended once the lock is had: what they
	// wrote is handed over with the rest.
	n.writes.Lock()
	was := n.phase.Swap(phaseDraining)
	n.writes.Unlock()
	switch was {
	case phaseNew, phaseStopped:
		n.phase.Store(phaseStopped)
		return nil
	case phaseDraining:
		return errors.New("stop: the node is stopping already")
	}
	n.log.Info("stopping")
	var errs []error
	// Whoever starts from here on shall not be sent to a node that leaves.
	if err := n.finder.stop(ctx); err != nil {
		errs = append(errs, fmt.Errorf("discovery %s: deregister: %w", n.provider.ID(), err))
	}
	handover, cancel := context.WithTimeout(ctx, handoverTimeout)
	if err := n.replication.drain(handover); err != nil {
		errs = append(errs, fmt.Errorf("hand over unpushed writes: %w", err))
	}
	cancel()
	if err := n.members.Leave(ctx); err != nil {
		errs = append(errs, fmt.Errorf("leave the cluster: %w", err))
	}
	if n.clients != nil {
		if err := n.clients.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("requests in flight: %w", err))
		}
	}
	n.close()
	n.phase.Store(phaseStopped)
	n.log.Info("stopped")
	return errors.Join(errs...)
}

// close releases whatever start made, in the order in which the parts use one
// another. It is called once.
func (n *Node) close() {
	n.logClose("discovery", n.closeDiscovery())
	if n.clients != nil {
		n.logClose("clients", n.clients.Close())
	}
	if n.stopSweep != nil {
		n.stopSweep()
	}
	if n.members != nil {
		n.members.Close()
	}
	if n.replication != nil {
		n.replication.stop()
	}
	if n.transport != nil {
		n.logClose("peers", n.transport.Close())
	}
	if n.replication != nil {
		n.replication.wait()
	}
	if n.http != nil {
		n.logClose("http", n.http.close())
	}
	n.background.Wait()
	goHeap.leave(n)
}

// closeDiscovery ends the search, where Stop has not, and the provider.
func (n *Node) closeDiscovery() error {
	if n.provider == nil {
		return nil
	}
	return errors.Join(n.finder.stop(context.Background()), n.provider.Close())
}

func (n *Node) logClose(part string, err error) {
	if err != nil {
		n.log.Warn("closing", "part", part, "error", err)
	}
}

// Fatal gives the reason, once, when the node can not go on as a member: an
// older live process bears its name, its discovery has given up before the
// node was ever ready, or the others take it for gone for good. The owner should Stop it.
func (n *Node) Fatal() <-chan error { return n.fatal }

func (n *Node) fail(err error) {
	select {
	case n.fatal <- err:
	default:
	}
}

// Client is the node's own client: in process, without a socket, at the speed
// of memory. It is valid for as long as the node; before the node is ready
// its calls fail with client.ErrNotReady.
func (n *Node) Client() *client.Client { return n.local }

// Addrs returns the addresses that Start bound. It is empty before.
func (n *Node) Addrs() Addrs {
	if !n.isWired() {
		return Addrs{}
	}
	return n.addrs
}

func (n *Node) refused(reason string) { n.metrics.refused.WithLabelValues(reason).Inc() }

// admits says why the node would not take a read or a write, or nil.
func (n *Node) admits() error {
	switch n.phase.Load() {
	case phaseServing:
		return nil
	case phaseDraining, phaseStopped:
		return refusal{wire.CodeNotReady, "not ready: the node is stopping"}
	}
	return refusal{wire.CodeNotReady, "not ready: the node has not finished its first round with the cluster"}
}
