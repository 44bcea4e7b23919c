package replica

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clocks are a node's wall clock, which shows wall at the start, and an Offsets that
// is told what its peers say.
type clocks struct {
	*Offsets
	begin, now time.Time
	wall       int64 // at the beginning
}

func newClocks() *clocks {
	begin := time.UnixMilli(0)
	return &clocks{Offsets: NewOffsets(500*time.Millisecond, begin), begin: begin, now: begin, wall: 1_700_000_000_000}
}

func (c *clocks) pass(d time.Duration) {
	for ; d > 0; d -= time.Second {
		c.now = c.now.Add(min(d, time.Second))
		c.Tick(c.now, c.own())
	}
}
func (c *clocks) own() int64    { return c.wall + c.now.Sub(c.begin).Milliseconds() }
func (c *clocks) judge() Offset { return c.Judge(c.now, c.own()) }
func (c *clocks) sweep() int64  { return c.Tick(c.now, c.own()).Sweep(c.own()) }

// hear has peers, numbered from 1, say that their clocks are ahead by so many ms.
func (c *clocks) hear(ahead ...int64) {
	for i, a := range ahead {
		c.Heard(c.now, uint64(i+1), c.own()+a)
	}
}

// settle has them say so often enough.
func (c *clocks) settle(ahead ...int64) {
	for range keptSamples {
		c.hear(ahead...)
	}
}

func TestAClockThatIsFarFromMostIsFenced(t *testing.T) {
	for _, test := range []struct {
		ahead  []int64
		fenced bool
		median time.Duration
	}{
		{nil, false, 0},
		{[]int64{3_600_000}, false, time.Hour}, // one peer: who knows which is wrong
		{[]int64{401, 401}, true, 401 * time.Millisecond},
		{[]int64{-401, -500}, true, -500 * time.Millisecond},
		{[]int64{400, 400}, false, 400 * time.Millisecond},
		{[]int64{2000, 0}, false, 0}, // one of two is no majority
		{[]int64{2000, 0, 0}, false, 0},
		{[]int64{2000, 2000, 0}, true, 2 * time.Second},
		{[]int64{2000, -2000, 0}, true, 0}, // far from both, though they disagree
		{[]int64{2000, 2000, 0, 0}, false, 0},
		{[]int64{-501, -501}, true, -501 * time.Millisecond},
	} {
		c := newClocks()
		c.settle(test.ahead...)
		is := c.judge()
		require.Equal(t, Offset{Median: test.median, Peers: len(test.ahead), Fenced: test.fenced}, is, "%v", test.ahead)
		correction := min(test.median.Milliseconds(), 0)
		if correction >= -500 {
			correction = 0
		}
		require.Equal(t, c.own()+correction, c.sweep())
	}
}

func TestAStepOfTheOwnClockShowsBeforeAnybodyIsHeard(t *testing.T) {
	for _, step := range []int64{-3_600_000, -2000, 2000, 3_600_000, 315_360_000_000} {
		c := newClocks()
		c.settle(0, 1, -1)
		require.False(t, c.judge().Fenced)
		c.pass(10 * time.Second)
		require.False(t, c.judge().Fenced)
		c.wall += step
		is := c.judge()
		require.True(t, is.Fenced, "%d ms", step)
		require.Equal(t, -step, is.Median.Milliseconds())
		require.LessOrEqual(t, c.sweep(), c.own()-max(step, 0), "what has not expired by the peers' clocks stays")
		c.wall -= step
		require.False(t, c.judge().Fenced)
	}
	c := newClocks()
	c.settle(0, 0)
	c.wall += 390
	require.False(t, c.judge().Fenced, "within 80 % of the limit")
}

func TestWhoIsAloneDoesNotBelieveAStepOfItsClockForAMinute(t *testing.T) {
	c := newClocks()
	c.pass(10 * time.Minute)
	before := c.own()
	c.wall += time.Hour.Milliseconds()
	require.Equal(t, before, c.sweep())
	c.pass(50 * time.Second)
	require.Equal(t, before+50_000, c.sweep())
	c.pass(2 * time.Minute)
	require.Equal(t, c.own(), c.sweep())
	c.wall -= time.Hour.Milliseconds()
	require.Equal(t, c.own(), c.sweep())
}

func TestAtTheLimitTheFenceDoesNotFlap(t *testing.T) {
	c := newClocks()
	c.settle(450, 450)
	require.True(t, c.judge().Fenced)
	c.wall += 100
	require.True(t, c.judge().Fenced)
	c.wall += 60
	require.False(t, c.judge().Fenced)
	c.wall -= 60
	require.False(t, c.judge().Fenced)
}

func TestALatePayloadDoesNotMakeAClockSlow(t *testing.T) {
	c := newClocks()
	c.hear(0, 0)
	for range keptSamples - 1 {
		c.pass(time.Second)
		c.hear(-5000, -5000) // this node was frozen, say
	}
	require.False(t, c.judge().Fenced)
	c.pass(time.Second)
	c.hear(-5000, -5000)
	require.True(t, c.judge().Fenced, "all of the last ones say so")
}

func TestFewPayloadsMakeNobodySlow(t *testing.T) {
	c := newClocks()
	for range slowSamples - 1 {
		c.hear(-5000, -5000)
		require.Equal(t, Offset{}, c.judge())
	}
	c.hear(-5000, -5000)
	require.True(t, c.judge().Fenced)
}

func TestWhatCameWhileTheProcessWasPausedIsNotHeard(t *testing.T) {
	c := newClocks()
	c.settle(0, 0)
	c.now = c.now.Add(10 * time.Second)
	c.settle(-10_000, -10_000)
	require.False(t, c.judge().Fenced)
	c.pass(deafFor)
	c.settle(-10_000, -10_000)
	require.True(t, c.judge().Fenced)
}

func TestPeersThatAreGoneOrSilentDoNotCount(t *testing.T) {
	c := newClocks()
	c.settle(2000, 2000, 0)
	require.True(t, c.judge().Fenced)
	c.Gone(c.now, 1)
	require.False(t, c.judge().Fenced)

	c.hear(2000, 2000, 0)
	require.True(t, c.judge().Fenced)
	c.pass(staleAfter - time.Second)
	c.Heard(c.now, 3, c.own())
	require.True(t, c.judge().Fenced)
	c.pass(time.Second)
	require.Equal(t, Offset{Peers: 1}, c.judge())
}
