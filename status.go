package gokv

import (
	"context"
	"time"

	"github.com/tochemey/gokv/client/wire"
)

// Status describes the node now: what it holds, its root digest, which two
// members that agree have in common, and how its rounds ended.
func (n *Node) Status() wire.StatusInfo {
	stats := n.engine.Stats()
	root, _ := n.engine.Root()
	info := wire.StatusInfo{
		Name: n.cfg.Name, Cluster: n.cfg.Cluster, BuildVersion: Version(), Instance: n.self, Ready: n.Ready(),
		Entries: stats.Entries, Tombstones: stats.Tombstones, EntryBytes: stats.EntryBytes,
		// Sealed: bare roots, seen one after the other, would tell what each entry
		// adds, and let a client steer the digest.
		RootDigest:     n.engine.Hasher().Seal(root).String(),
		RoundsEqual:    n.tally.equal.Load(),
		RoundsRepaired: n.tally.repaired.Load(),
		RoundsFailed:   n.tally.failed.Load(),
		LagSeconds:     time.Duration(n.tally.lag.Load()).Seconds(),
		Clock:          n.engine.Clock().Read(),
	}
	info.MemoryBytes, info.MemoryLimit = uint64(n.engine.Used()), uint64(n.memory.limit)
	if n.isWired() {
		info.Full = n.fullMembers()
		info.Name = n.name
		info.UptimeSeconds = time.Since(n.started).Seconds()
		info.HeldUp = n.heldUp()
		offset := n.clockOffset()
		info.ClockOffsetSeconds, info.Fenced = offset.Median.Seconds(), offset.Fenced
	}
	return info
}

// Sync runs a round with every live peer now and says what each moved. It
// fails only when ctx ends first; a failed round is a result of its own.
func (n *Node) Sync(ctx context.Context) ([]wire.SyncInfo, error) {
	if err := n.admits(); err != nil {
		return nil, err
	}
	reports, err := n.replication.syncAll(ctx)
	if err != nil {
		return nil, err
	}
	infos := make([]wire.SyncInfo, 0, len(reports))
	for _, rep := range reports {
		info := wire.SyncInfo{
			Peer: rep.peer, Result: rep.result(),
			BytesSent:       rep.stats.DigestSent + rep.stats.EntryBytesSent,
			BytesReceived:   rep.stats.DigestReceived + rep.stats.EntryBytesReceived,
			EntriesSent:     rep.stats.EntriesSent,
			EntriesReceived: rep.stats.EntriesReceived,
			DurationSeconds: rep.took.Seconds(),
		}
		if rep.err != nil {
			info.Error = rep.err.Error()
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// merged notes that a version of another node was applied, lag ms after it
// was issued.
func (n *Node) merged(lag int64) {
	n.metrics.lag.Observe(float64(lag) / 1000)
}

// count notes how a round ended.
func (t *tally) count(result string) {
	switch result {
	case resultEqual:
		t.equal.Add(1)
	case resultRepaired:
		t.repaired.Add(1)
	case resultFailed:
		t.failed.Add(1)
	}
}
