package sim

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestEventsRunInTheOrderOfTheirTimeAndEqualOnesAsScheduled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := NewWorld(1)
		delays := rapid.SliceOf(rapid.IntRange(0, 20)).Draw(t, "delays")
		type ran struct{ at, order int }
		var got []ran
		for i, d := range delays {
			w.After(time.Duration(d)*time.Millisecond, func() {
				require.Equal(t, time.Duration(d)*time.Millisecond, w.Elapsed())
				got = append(got, ran{d, i})
			})
		}
		for w.Step() {
		}
		require.Len(t, got, len(delays))
		for i := 1; i < len(got); i++ {
			a, b := got[i-1], got[i]
			require.True(t, a.at < b.at || a.at == b.at && a.order < b.order, "%v before %v", a, b)
		}
	})
}

func TestAStoppedTimerDoesNotRun(t *testing.T) {
	w := NewWorld(1)
	timer := w.After(time.Second, func() { t.Error("ran") })
	timer.Stop()
	(*Timer)(nil).Stop()
	w.RunFor(2 * time.Second)
	require.Zero(t, w.Steps())
	require.Equal(t, 2*time.Second, w.Elapsed())
}

func TestTheClockStopsWhereItWasToldTo(t *testing.T) {
	w := NewWorld(1)
	var ran []time.Duration
	for _, d := range []time.Duration{1, 2, 3} {
		w.After(d*time.Second, func() { ran = append(ran, d) })
	}
	require.NoError(t, w.RunUntil(Epoch.Add(2*time.Second), nil))
	require.Equal(t, []time.Duration{1, 2}, ran)
	require.Equal(t, 2*time.Second, w.Elapsed())

	w.At(Epoch, func() { ran = append(ran, 0) }) // a time that has passed is now
	require.NoError(t, w.RunUntil(Epoch.Add(2*time.Second), nil))
	require.Equal(t, []time.Duration{1, 2, 0}, ran)
}

func TestAFailedCheckEndsTheRun(t *testing.T) {
	w := NewWorld(1)
	steps := 0
	for range 5 {
		w.After(time.Second, func() { steps++ })
	}
	boom := errors.New("boom")
	err := w.RunUntil(Epoch.Add(time.Minute), func() error {
		if steps == 3 {
			return boom
		}
		return nil
	})
	require.ErrorIs(t, err, boom)
	require.Equal(t, 3, steps)
}

func TestForksAreIndependentOfEachOthersUse(t *testing.T) {
	draw := func(used int) uint64 {
		w := NewWorld(7)
		a, b := w.Fork(), w.Fork()
		for range used {
			a.Uint64()
		}
		return b.Uint64()
	}
	require.Equal(t, draw(0), draw(10))
}

func TestAKilledProcessDoesNothingMore(t *testing.T) {
	w := NewWorld(1)
	p := w.Spawn("a")
	p.After(time.Second, func() { t.Error("timer ran") })
	p.Kill()
	p.Do(func() { t.Error("call ran") })
	w.RunFor(2 * time.Second)
	require.False(t, p.Alive())
}

func TestAPausedProcessDoesItsWorkWhenItResumes(t *testing.T) {
	w := NewWorld(1)
	p := w.Spawn("a")
	var ran []string
	p.Pause()
	require.True(t, p.Paused())
	p.After(time.Second, func() { ran = append(ran, "timer") })
	late := p.After(2*time.Second, func() { ran = append(ran, "stopped while it waited") })
	w.After(3*time.Second, func() { p.Do(func() { ran = append(ran, "call") }) })
	w.RunFor(4 * time.Second)
	require.Empty(t, ran)

	p.Do(func() { late.Stop() })
	p.Resume()
	p.Resume()
	require.Empty(t, ran, "what waited is an event of its own")
	w.RunFor(0)
	require.Equal(t, []string{"timer", "stopped while it waited", "call"}, ran)
}

func TestWhatWaitedInAPauseCanStillBeStopped(t *testing.T) {
	w := NewWorld(1)
	p := w.Spawn("a")
	p.Pause()
	timer := p.After(time.Second, func() { t.Error("ran") })
	w.RunFor(2 * time.Second)
	timer.Stop()
	p.Resume()
	w.RunFor(time.Second)
}

func TestTheTraceHashTellsRunsApart(t *testing.T) {
	run := func(seed uint64, what string) uint64 {
		w := NewWorld(seed)
		w.After(time.Duration(w.Rand().IntN(1000)), func() { w.Trace(what, 1) })
		w.RunFor(time.Second)
		return w.TraceHash()
	}
	require.Equal(t, run(1, "a"), run(1, "a"))
	require.NotEqual(t, run(1, "a"), run(2, "a"))
	require.NotEqual(t, run(1, "a"), run(1, "b"))
}

func TestTheLogIsNoPartOfTheTrace(t *testing.T) {
	run := func(log bool) (uint64, []string) {
		var lines []string
		w := NewWorld(1)
		if log {
			w.LogTo(func(l string) { lines = append(lines, l) })
		}
		require.Equal(t, log, w.Logging())
		w.After(1500*time.Millisecond, func() { w.Logf("hello %d", 1) })
		w.RunFor(2 * time.Second)
		return w.TraceHash(), lines
	}
	silent, none := run(false)
	loud, lines := run(true)
	require.Equal(t, silent, loud)
	require.Empty(t, none)
	require.Equal(t, []string{"    1.500000s  hello 1"}, lines)
}
