package gokv

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tochemey/gokv/client/wire"
	"github.com/tochemey/gokv/discovery"
	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/auth"
	"github.com/tochemey/gokv/membership"
	"github.com/tochemey/gokv/merkle"
	"github.com/tochemey/gokv/transport"
)

// metrics holds every collector of a node. Counters are raised where the
// thing happens; gauges are read from the parts when they are scraped. Every
// series of a bounded label exists from the start, at zero.
type metrics struct {
	registry *prometheus.Registry

	requests        *prometheus.CounterVec
	requestDuration *prometheus.HistogramVec

	rounds        *prometheus.CounterVec
	syncBytes     *prometheus.CounterVec
	syncEntries   *prometheus.CounterVec
	roundDuration prometheus.Histogram
	pushEntries   *prometheus.CounterVec
	pushDropped   prometheus.Counter
	ignored       *prometheus.CounterVec
	lag           prometheus.Histogram
	probes        *prometheus.CounterVec
	refused       *prometheus.CounterVec
	discovery     *prometheus.CounterVec
	badMessages   *prometheus.CounterVec
	clockRefused  prometheus.Counter
}

// The values of bounded labels, in the metrics' words.
const (
	roleInitiator = "initiator"
	roleResponder = "responder"

	resultEqual    = "equal"
	resultRepaired = "repaired"
	resultFailed   = "failed"

	directionSent     = "sent"
	directionReceived = "received"

	byPush  = "push"
	byRound = "round"

	phaseDigest  = "digest"
	phaseEntries = "entries"

	probeAck         = "ack"
	probeIndirectAck = "indirect_ack"
	probeTimeout     = "timeout"
)

// latencyBuckets run from 25 µs to 13 s, each twice the one before.
var latencyBuckets = prometheus.ExponentialBuckets(25e-6, 2, 20)

// providers are those that come with gokv.
var providers = []string{"static", "dns", "nats", "kubernetes"}

func newMetrics(provider discovery.Provider) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gokv_client_requests_total", Help: "Clients' requests answered, by operation and result.",
		}, []string{"op", "code"}),
		requestDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gokv_client_request_duration_seconds", Help: "Time from a request's arrival to its answer.", Buckets: latencyBuckets,
		}, []string{"op"}),
		rounds: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gokv_sync_rounds_total", Help: "Anti-entropy rounds ended, by this node's role and the result.",
		}, []string{"role", "result"}),
		syncBytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gokv_sync_bytes_total", Help: "Protocol bytes of anti-entropy rounds: digests and what belongs to them, or entries.",
		}, []string{"direction", "phase"}),
		syncEntries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gokv_sync_entries_total", Help: "Entries that crossed in anti-entropy rounds.",
		}, []string{"direction"}),
		roundDuration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gokv_sync_duration_seconds", Help: "Duration of the anti-entropy rounds that this node began.", Buckets: latencyBuckets,
		}),
		pushEntries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gokv_push_entries_total", Help: "Entries pushed to other members as they were written.",
		}, []string{"direction"}),
		pushDropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gokv_push_dropped_total", Help: "Entries whose push was dropped or failed; a round repairs them.",
		}),
		ignored: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gokv_entries_ignored_total", Help: "Entries that came and were of no use: this node had them already, or newer ones.",
		}, []string{"by"}),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gokv_replication_lag_seconds", Help: "From a version's wall time to its merge here.",
			Buckets: prometheus.ExponentialBuckets(100e-6, 2.5, 18),
		}),
		probes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gokv_probes_total", Help: "Probes of other members, by how they ended.",
		}, []string{"result"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gokv_handshakes_refused_total", Help: "Handshakes refused, of peers and clients, by reason.",
		}, []string{"reason"}),
		discovery: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gokv_discovery_failures_total", Help: "Failed attempts to find peers, or to reach an address that was found, by provider.",
		}, []string{"provider"}),
		badMessages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gokv_bad_messages_total", Help: "Malformed messages from authenticated peers, by protocol; each changed nothing.",
		}, []string{"protocol"}),
		clockRefused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gokv_clock_readings_refused_total", Help: "Peers' clock readings too far ahead of the wall clock to be taken in.",
		}),
	}
	m.registry.MustRegister(
		m.requests, m.requestDuration, m.rounds, m.syncBytes, m.syncEntries, m.roundDuration,
		m.pushEntries, m.pushDropped, m.ignored, m.lag, m.probes, m.refused, m.discovery, m.badMessages, m.clockRefused,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gokv_build_info", Help: "The build that runs; the value is always 1.",
			ConstLabels: prometheus.Labels{"version": Version(), "go_version": runtime.Version()},
		}, func() float64 { return 1 }),
	)
	for _, op := range wire.Ops() {
		m.requestDuration.WithLabelValues(op.String())
		for _, code := range wire.Codes() {
			m.requests.WithLabelValues(op.String(), code.String())
		}
	}
	for _, role := range []string{roleInitiator, roleResponder} {
		for _, result := range []string{resultEqual, resultRepaired, resultFailed} {
			m.rounds.WithLabelValues(role, result)
		}
	}
	for _, by := range []string{byPush, byRound} {
		m.ignored.WithLabelValues(by)
	}
	for _, direction := range []string{directionSent, directionReceived} {
		m.syncEntries.WithLabelValues(direction)
		m.pushEntries.WithLabelValues(direction)
		for _, phase := range []string{phaseDigest, phaseEntries} {
			m.syncBytes.WithLabelValues(direction, phase)
		}
	}
	for _, result := range []string{probeAck, probeIndirectAck, probeTimeout} {
		m.probes.WithLabelValues(result)
	}
	for _, reason := range auth.Reasons() {
		m.refused.WithLabelValues(reason)
	}
	for _, id := range providers {
		m.discovery.WithLabelValues(id)
	}
	if provider != nil {
		m.discovery.WithLabelValues(provider.ID())
	}
	for _, protocol := range []string{"membership", "push", "round", "inquiry"} {
		m.badMessages.WithLabelValues(protocol)
	}
	return m
}

// watch adds the gauges that are read from the node's parts at each scrape.
func (m *metrics) watch(n *Node) {
	gauge := func(name, help string, read func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
	}
	gauge("gokv_entries", "Live entries.", func() float64 { return float64(n.engine.Stats().Entries) })
	gauge("gokv_tombstones", "Deleted and expired entries that are still kept.", func() float64 { return float64(n.engine.Stats().Tombstones) })
	gauge("gokv_entry_bytes", "Bytes of keys and values held.", func() float64 { return float64(n.engine.Stats().EntryBytes) })
	gauge("gokv_ready", "1 while the node answers reads and writes, else 0.", func() float64 {
		if n.Ready() && !n.clockOffset().Fenced {
			return 1
		}
		return 0
	})
	gauge("gokv_diverged_seconds", "For how long the live member that is longest apart has held something else than this one; 0: none does.",
		func() float64 {
			if !n.isWired() {
				return 0
			}
			return n.replication.diverged().Seconds()
		})
	gauge("gokv_memory_bytes", "Memory that counts against the limit: contents, queues of pushes, frames in flight, and the process itself.",
		func() float64 { return float64(n.engine.Used()) })
	gauge("gokv_memory_limit_bytes", "The limit, --max-memory; 0: none.", func() float64 { return float64(n.memory.limit) })
	gauge("gokv_full_members", "Live members whose memory is over 85 % of their limit, this node included.", func() float64 {
		if !n.isWired() {
			return 0
		}
		return float64(len(n.fullMembers()))
	})
	gauge("gokv_fenced", "1 while the node takes no writes because its clock differs from those of most peers, else 0.", func() float64 {
		if n.clockOffset().Fenced {
			return 1
		}
		return 0
	})
	gauge("gokv_clock_offset_seconds", "How far the peers' wall clocks are ahead of this node's: their median; below zero: behind.",
		func() float64 { return n.clockOffset().Median.Seconds() })
	gauge("gokv_versions_parked", "Versions that are ahead of the wall clock and wait until they are due.",
		func() float64 { return float64(n.engine.Stats().Parked) })
	counter := func(name, help string, read func() float64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, read))
	}
	counter("gokv_versions_refused_total", "Entries of other members that were refused, but for want of memory: versions too far ahead of the wall clock, or values over the limit.",
		func() float64 { return float64(n.engine.Stats().Refused) })
	counter("gokv_version_conflicts_total", "Equal versions that bore different content; must stay zero.",
		func() float64 { return float64(n.engine.Stats().Conflicts) })
	counter("gokv_scrub_mismatches_total", "Entries or digests found in memory that are not what was written; must stay zero.",
		func() float64 { return float64(n.engine.Stats().Mismatches) })
	for from, read := range map[string]func(engine.Stats) uint64{
		"client": func(s engine.Stats) uint64 { return s.OverloadedPuts },
		"member": func(s engine.Stats) uint64 { return s.OverloadedEntries },
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "gokv_overloaded_total", Help: "Writes refused because memory is full, here or at another member, by whom they came from.",
			ConstLabels: prometheus.Labels{"from": from},
		}, func() float64 { return float64(read(n.engine.Stats())) }))
	}
	m.registry.MustRegister(memberGauge{n})
	for _, over := range []string{transport.OverQUIC, transport.OverTLS, "unix"} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gokv_client_connections", Help: "Clients' connections that have proved themselves, by transport.",
			ConstLabels: prometheus.Labels{"transport": over},
		}, func() float64 {
			if !n.isWired() || n.clients == nil {
				return 0
			}
			return float64(n.clients.Connections(over))
		}))
	}
	if _, ok := n.auth.CertExpiry(); ok {
		gauge("gokv_certificate_expiry_seconds", "When this node's certificate expires, in seconds since 1970.", func() float64 {
			at, ok := n.auth.CertExpiry()
			if !ok {
				return 0
			}
			return float64(at.UnixMilli()) / 1000
		})
	}
}

func (m *metrics) request(op wire.Op, code wire.Code, took time.Duration) {
	m.requests.WithLabelValues(op.String(), code.String()).Inc()
	m.requestDuration.WithLabelValues(op.String()).Observe(took.Seconds())
}

func (m *metrics) round(role, result string, s merkle.RoundStats, took time.Duration) {
	m.rounds.WithLabelValues(role, result).Inc()
	m.syncBytes.WithLabelValues(directionSent, phaseDigest).Add(float64(s.DigestSent))
	m.syncBytes.WithLabelValues(directionReceived, phaseDigest).Add(float64(s.DigestReceived))
	m.syncBytes.WithLabelValues(directionSent, phaseEntries).Add(float64(s.EntryBytesSent))
	m.syncBytes.WithLabelValues(directionReceived, phaseEntries).Add(float64(s.EntryBytesReceived))
	m.syncEntries.WithLabelValues(directionSent).Add(float64(s.EntriesSent))
	m.syncEntries.WithLabelValues(directionReceived).Add(float64(s.EntriesReceived))
	m.ignored.WithLabelValues(byRound).Add(float64(s.EntriesReceived - s.Applied - min(s.Refused, s.EntriesReceived-s.Applied)))
	if role == roleInitiator {
		m.roundDuration.Observe(took.Seconds())
	}
}

// memberGauge is gokv_members: the known members by state, this node among
// them.
type memberGauge struct{ node *Node }

var membersDesc = prometheus.NewDesc("gokv_members", "Known members by state, this node included.", []string{"state"}, nil)

func (g memberGauge) Describe(ch chan<- *prometheus.Desc) { ch <- membersDesc }

func (g memberGauge) Collect(ch chan<- prometheus.Metric) {
	var count [4]float64
	for _, m := range g.node.memberList() {
		count[stateIndex(m.State)]++
	}
	for i, s := range memberStates {
		ch <- prometheus.MustNewConstMetric(membersDesc, prometheus.GaugeValue, count[i], s.String())
	}
}

var memberStates = [4]membership.State{membership.Alive, membership.Suspect, membership.Dead, membership.Left}

func stateIndex(s membership.State) int {
	for i, known := range memberStates {
		if s == known {
			return i
		}
	}
	return 0
}
