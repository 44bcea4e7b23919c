package clustertest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/tochemey/gokv"
	"github.com/tochemey/gokv/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAWriteOnAnyNodeIsSeenOnAll(t *testing.T) {
	c := Start(t, 3)
	c.Put("a", "k", "1")
	c.WantConverged("k", "1")
	c.Put("b", "k", "2")
	c.WantConverged("k", "2")
	c.Delete("c", "k")
	c.WantConverged("k", "")
	c.Put("c", "short", "lived", client.WithTTL(50*time.Millisecond))
	c.Put("a", "long", "lived", client.WithTTL(time.Hour))
	for _, name := range c.Names() {
		c.eventually(func() bool {
			entries := c.Entries(name)
			_, long := entries["long"]
			return long && len(entries) == 1
		}, name+" does not come to have what lives alone")
	}
	c.WantConverged("short", "", "long", "lived")
}

// Written on both sides of a partition that lasts until the sides have given each
// other up; healed, all agree, and the greatest version of each key stays.
func TestAPartitionThatWasNoticedHealsByItself(t *testing.T) {
	c := Start(t, 3)
	c.Put("a", "both", "before")
	c.Put("a", "deleted", "before")
	c.WantConverged("both", "before")

	c.Partition("a", "b|c")
	c.Put("a", "both", "a")
	c.Put("a", "left", "1")
	c.Delete("b", "deleted")
	c.WantAlive("a", "a")
	c.WantAlive("b", "b|c")
	c.Put("b", "both", "b")
	c.Put("c", "right", "2")
	require.Positive(t, c.Network().Dropped(), "the partition struck")

	c.Heal()
	c.WantConverged("both", "b", "left", "1", "right", "2", "deleted", "")
	require.Positive(t, c.Node("a").Status().RoundsRepaired, "a round repaired it")
}

// One that ends before anybody noticed loses nothing either.
func TestABriefPartitionLosesNothing(t *testing.T) {
	c := Start(t, 3)
	c.Partition("a", "b|c")
	c.Put("a", "k", "1")
	c.Put("b", "l", "2")
	c.Heal()
	c.WantConverged("k", "1", "l", "2")
}

func TestALinkThatIsDeadOneWayHealsToo(t *testing.T) {
	c := Start(t, 3)
	c.Network().Cut("a", "b")
	c.Put("a", "k", "1")
	c.Put("b", "l", "2")
	c.eventually(func() bool { return c.Network().Dropped() > 0 }, "nothing was dropped")
	c.Heal()
	c.WantConverged("k", "1", "l", "2")
}

// With one direction dead for ever the third node carries what the link does not.
func TestNodesThatCannotReachEachOtherConvergeThroughAThird(t *testing.T) {
	c := Start(t, 3)
	c.Network().Cut("a", "b")
	c.Network().Cut("b", "a")
	c.Put("a", "k", "1")
	c.Put("b", "l", "2")
	c.eventually(func() bool { return len(c.Entries("a")) == 2 && len(c.Entries("b")) == 2 && len(c.Entries("c")) == 2 },
		"c does not carry what a and b cannot tell each other")
	require.Positive(t, c.Network().Dropped())
	c.Heal() // for the farewell
}

func TestACrashedNodeComesBackEmptyAndIsFilled(t *testing.T) {
	c := Start(t, 3)
	for i := range 500 {
		c.Put("c", key(i), "old")
	}
	c.WantConverged(key(7), "old")
	old := c.Node("c").Self().Instance
	c.Kill("c")
	c.WantAlive("a", "a|b")
	c.Put("a", key(7), "new")
	c.Delete("b", key(8))
	c.Revive("c")
	require.NotEqual(t, old, c.Node("c").Self().Instance)
	c.WantConverged(key(7), "new", key(8), "", key(499), "old")
	require.Positive(t, c.Node("c").Status().RoundsRepaired)
}

// The oldest goes; the next in age leads, on every node alike.
func TestTheLeaderIsTheLongestLivedMember(t *testing.T) {
	c := Start(t, 3)
	first := c.wantLeader()
	c.Kill(first)
	for _, name := range c.Names() {
		c.WantAlive(name, strings.Join(c.Names(), "|"))
	}
	require.NotEqual(t, first, c.wantLeader())
}

// wantLeader demands that all agree on a leader, and that none alive is older.
func (c T) wantLeader() string {
	c.t.Helper()
	names := c.Names()
	leader := c.Node(names[0]).Leader()
	for _, name := range names {
		require.Equal(c.t, leader.Name, c.Node(name).Leader().Name, "the leader as %s sees it", name)
		require.False(c.t, c.Node(name).Self().Started.Before(leader.Started), "%s is older than the leader %s", name, leader.Name)
	}
	return leader.Name
}

func TestAFullQueueOrALongSyncIntervalDelaysNothing(t *testing.T) {
	c := Start(t, 2, func(_ string, cfg *gokv.Config) { cfg.SyncInterval = time.Hour })
	large := string(make([]byte, 1<<20))
	for i := range 40 { // far beyond a peer's queue
		c.Put("a", key(i), large)
	}
	c.WantConverged()
	require.Len(t, c.Entries("b"), 40)
}

func key(i int) string { return "k/" + string(rune('a'+i%26)) + string(rune('a'+i/26)) }

// More writers than the scheduler runs within the allowed skew: one that is put
// aside between reading the wall clock and taking its version must not find its
// own node's clock ahead.
func TestManyWritersInOneProcessNeverFindTheClockAhead(t *testing.T) {
	c := Start(t, 1)
	kv := c.Node("a").Client()
	writers, stop := errgroup.WithContext(t.Context())
	deadline := time.Now().Add(3 * time.Second)
	for range 500 {
		writers.Go(func() error {
			for time.Now().Before(deadline) && stop.Err() == nil {
				if err := kv.Put(stop, "k", []byte("v")); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, writers.Wait())
}
