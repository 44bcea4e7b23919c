package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestTheDemonstrationConvergesAndSaysSo(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits until the sides have given each other up")
	}
	leaks := goleak.IgnoreCurrent()
	var stdout, stderr bytes.Buffer
	none := func(string) (string, bool) { return "", false }
	status := run(t.Context(), []string{"demo", "--entries", "500"}, strings.NewReader(""), &stdout, &stderr, none)
	require.Equal(t, 0, status, stderr.String())
	require.Empty(t, stderr.String())
	require.NotContains(t, stdout.String(), "\x1b", "no colours and no cursor where there is no terminal")
	for _, want := range []string{
		`(?m)^ +✓ acknowledged in [0-9.]+(µs|ms|s), on all three nodes [0-9.]+(µs|ms|s) later$`,
		`(?m)^ +config/colour +red +blue +blue$`,
		`(?m)^ +session/ada +- +signed in +signed in$`,
		`(?m)^ +a +● [0-9a-f]{16}… +552 +different$`,
		`(?m)^ +b +● [0-9a-f]{16}… +553$`,
		`(?m)^ +✓ all three are equal again, .* after the heal$`,
		`(?m)^ +config/colour +blue +blue +blue$`,
		`(?m)^ +config/limit +20 +20 +20$`,
		`(?m)^ +session/ada +- +- +-$`,
		`(?m)^ +c +● [0-9a-f]{16}… +602$`,
		`(?m)^ +gokv, this heal +[0-9.]+ kB `,
		`SHA-256 of the export, the same of all three: [0-9a-f]{16}`,
	} {
		require.Regexp(t, want, stdout.String())
	}
	goleak.VerifyNone(t, leaks)
}

func TestAnInterruptedDemonstrationStopsItsNodes(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(t.Context())
	stdout := writerFunc(func(b []byte) (int, error) {
		if bytes.Contains(b, []byte("every node is ready")) {
			cancel()
		}
		return len(b), nil
	})
	var stderr bytes.Buffer
	none := func(string) (string, bool) { return "", false }
	require.Equal(t, exitInterrupted, run(ctx, []string{"demo", "--entries", "100"}, strings.NewReader(""), stdout, &stderr, none))
	require.Regexp(t, `^gokv: interrupted: demo: .*canceled\n$`, stderr.String())
	goleak.VerifyNone(t, leaks)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestADemonstrationThatDoesNotConvergeFails(t *testing.T) {
	d := &demo{view: newDemoView(nil, io.Discard)}
	err := d.await(t.Context(), "the sides compare", 0, func() (bool, error) { return false, nil })
	require.ErrorContains(t, err, "the sides compare: not after 0s")
	require.Equal(t, exitNotConverged, (&app{stderr: io.Discard}).finish(err))

	broken := errors.New("broken")
	require.ErrorIs(t, d.await(t.Context(), "", time.Hour, func() (bool, error) { return false, broken }), broken)
}

func TestACutNetworkDropsBetweenTheSidesAndCounts(t *testing.T) {
	network := &demoNetwork{}
	var conns [3]*demoConn
	for i, side := range []int{0, 1, 1} {
		var err error
		conns[i], err = network.listen(side)
		require.NoError(t, err)
		defer conns[i].Close()
	}
	a, b, c := conns[0], conns[1], conns[2]
	send := func(from, to *demoConn, text string) {
		n, err := from.WriteTo([]byte(text), to.LocalAddr())
		require.NoError(t, err)
		require.Equal(t, len(text), n)
	}
	want := func(at *demoConn, text string) {
		buf := make([]byte, 100)
		require.NoError(t, at.SetReadDeadline(time.Now().Add(10*time.Second)))
		n, _, err := at.ReadFrom(buf)
		require.NoError(t, err)
		require.Equal(t, text, string(buf[:n]))
	}
	send(a, b, "one")
	want(b, "one")
	network.severed.Store(true)
	send(a, b, "lost")
	send(b, a, "lost")
	send(b, c, "four")
	want(c, "four")
	network.severed.Store(false)
	send(b, a, "seven")
	want(a, "seven") // and not what was lost before it
	require.EqualValues(t, len("one"+"four"+"seven"), network.total.Load())
	require.EqualValues(t, len("one"+"seven"), network.across.Load())
	require.EqualValues(t, 2, network.dropped.Load())
}

func TestBarsAreToScaleAndWhatIsThereIsSeen(t *testing.T) {
	var out bytes.Buffer
	v := newDemoView(nil, &out)
	v.bars([]demoBar{{"all", 1000}, {"half", 500}, {"a trace", 1}})
	require.NoError(t, v.err)
	require.Equal(t, ""+
		"       all        1.0 kB  "+strings.Repeat("█", barWidth)+"\n"+
		"       half        500 B  "+strings.Repeat("█", barWidth/2)+" 50.0%\n"+
		"       a trace       1 B  ▏ 0.1%\n", out.String())
}
