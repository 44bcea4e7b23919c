package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/semaphore"

	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/client/wire"
)

// importInto imports text into f and returns how it ended.
func importInto(ctx context.Context, f *fakeNode, text io.Reader) (*importer, error) {
	im := newImporter(client.Local(f), time.Second)
	return im, im.run(ctx, newLines(text))
}

func TestAnImportStoresEveryLine(t *testing.T) {
	defer goleak.VerifyNone(t)
	const n = 10_000
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "{\"key\":\"k%d\",\"text\":\"v%d\"}\n", i, i)
		if i%1000 == 0 {
			text.WriteString("\n \r\n") // blank lines are no lines
		}
	}
	f := newFakeNode()
	im, err := importInto(t.Context(), f, iotest.HalfReader(strings.NewReader(text.String())))
	require.NoError(t, err)
	require.EqualValues(t, n, im.stored.Load())
	require.Len(t, f.entries, n)
	for i := range n {
		require.Equal(t, fmt.Sprintf("v%d", i), string(f.entries[fmt.Sprintf("k%d", i)].Value))
	}
}

func TestTheLastLineOfAKeyWins(t *testing.T) {
	const keys, rounds = 20, 200
	var text strings.Builder
	for r := range rounds {
		for k := range keys {
			fmt.Fprintf(&text, "{\"key\":\"k%d\",\"text\":\"%d\"}\n", k, r)
		}
	}
	f := newFakeNode()
	_, err := importInto(t.Context(), f, strings.NewReader(text.String()))
	require.NoError(t, err)
	for k := range keys {
		require.Equal(t, fmt.Sprint(rounds-1), string(f.entries[fmt.Sprintf("k%d", k)].Value))
	}
}

func TestABadLineEndsTheImportAndWhatCameBeforeIsStored(t *testing.T) {
	defer goleak.VerifyNone(t)
	const good = 5_000
	head := strings.Repeat("{\"key\":\"k\",\"text\":\"v\"}\n", good-1) + "{\"key\":\"last\",\"text\":\"v\"}"
	for _, c := range []struct{ name, tail, want string }{
		{"malformed", "\n{\"key\":5}\n{\"key\":\"after\",\"text\":\"v\"}\n", "line 5001: column 8: '5' instead of key as a string in quotes"},
		{"cut off", "\n{\"key\":\"half", "line 5001: it ends in the middle of the object: the file is cut off"},
		{"short, but not last", "\n{\"key\":\"half\n{\"key\":\"after\",\"text\":\"v\"}\n", "line 5001: it ends in the middle of the object"},
		{"blank lines count", "\n\n\n{\n", "line 5003: it ends in the middle of the object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeNode()
			im, err := importInto(t.Context(), f, strings.NewReader(head+c.tail))
			require.EqualError(t, err, c.want)
			require.Equal(t, exitUsage, (&app{stderr: io.Discard}).finish(err))
			require.EqualValues(t, good, im.stored.Load())
			require.Contains(t, f.entries, "last")
			require.NotContains(t, f.entries, "after")
		})
	}
}

func TestALineWithoutALineFeedAtTheEndIsALine(t *testing.T) {
	f := newFakeNode()
	_, err := importInto(t.Context(), f, strings.NewReader(`{"key":"a","text":"b"}`))
	require.NoError(t, err)
	require.Contains(t, f.entries, "a")
}

func TestALineOverTheLimitIsRefusedBeforeItIsHeldWhole(t *testing.T) {
	endless := io.MultiReader(strings.NewReader("{\"key\":\"a\",\"text\":\"b\"}\n{\"key\":\"b\",\"text\":\""), repeat(bytes.Repeat([]byte{'x'}, 4096)))
	f := newFakeNode()
	_, err := importInto(t.Context(), f, endless)
	require.EqualError(t, err, "line 2: it is longer than 32 MiB")
	require.Contains(t, f.entries, "a")
}

// repeat is a stream of the same bytes without end.
type repeat []byte

func (r repeat) Read(b []byte) (int, error) { return copy(b, r), nil }

func TestALongLineSpansManyReads(t *testing.T) {
	value := bytes.Repeat([]byte("0123456789abcdef"), 30_000)
	line := appendEntry(nil, client.Entry{Key: "long", Value: value})
	f := newFakeNode()
	_, err := importInto(t.Context(), f, io.MultiReader(strings.NewReader("{\"key\":\"a\",\"text\":\"b\"}\n"), bytes.NewReader(line), strings.NewReader("{\"key\":\"z\",\"text\":\"b\"}")))
	require.NoError(t, err)
	require.True(t, bytes.Equal(value, f.entries["long"].Value))
	require.Len(t, f.entries, 3)
}

func TestAFileThatCannotBeReadOnIsWrongUseWithItsLine(t *testing.T) {
	broken := errors.New("the disk is broken")
	f := newFakeNode()
	_, err := importInto(t.Context(), f, io.MultiReader(strings.NewReader("{\"key\":\"a\",\"text\":\"b\"}\n"), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	require.EqualError(t, err, "line 2: the disk is broken")
	require.Equal(t, exitUsage, (&app{stderr: io.Discard}).finish(err))
	require.Contains(t, f.entries, "a")
}

func TestARefusedPutIsReportedWithTheEarliestLine(t *testing.T) {
	var text strings.Builder
	for i := range 2_000 {
		fmt.Fprintf(&text, "{\"key\":\"k%d\",\"text\":\"%s\"}\n", i, strings.Repeat("x", i%500))
	}
	f := newFakeNode()
	f.refuse = func(r *wire.Request) (wire.Code, string) {
		if len(r.Value) > 400 {
			return wire.CodeTooLarge, fmt.Sprintf("value is %d bytes, the limit is 400", len(r.Value))
		}
		return wire.CodeOK, ""
	}
	_, err := importInto(t.Context(), f, strings.NewReader(text.String()))
	require.ErrorIs(t, err, client.ErrTooLarge)
	require.EqualError(t, err, `line 402: put "k401": value is 401 bytes, the limit is 400: too large`)
	for i := range 400 {
		require.Contains(t, f.entries, fmt.Sprintf("k%d", i), "what came before is stored")
	}
}

func TestAnImportIntoANodeThatIsGoneEndsAtOnce(t *testing.T) {
	defer goleak.VerifyNone(t)
	f := newFakeNode()
	f.refuse = func(*wire.Request) (wire.Code, string) { return wire.CodeNotReady, "the node is stopping" }
	endless := &endlessLines{}
	_, err := importInto(t.Context(), f, endless)
	require.ErrorIs(t, err, client.ErrNotReady)
	require.Regexp(t, `^line \d+: put "k": the node is stopping: not ready$`, err.Error())
	require.Equal(t, 3, client.ExitStatus(err))
}

// endlessLines is a file without end.
type endlessLines struct{ rest string }

func (e *endlessLines) Read(b []byte) (int, error) {
	if e.rest == "" {
		e.rest = "{\"key\":\"k\",\"text\":\"v\"}\n"
	}
	n := copy(b, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func TestAnInterruptedImportSaysSo(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithCancel(t.Context())
	f := newFakeNode()
	f.refuse = func(*wire.Request) (wire.Code, string) {
		cancel()
		return wire.CodeOK, ""
	}
	_, err := importInto(ctx, f, &endlessLines{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestAnInterruptOfTheLastPutsIsNotMistakenForTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := importInto(ctx, newFakeNode(), strings.NewReader(""))
	require.ErrorIs(t, err, context.Canceled)
}

func TestAnEntryThatHasExpiredIsCountedAndSkipped(t *testing.T) {
	future := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
	text := fmt.Sprintf("{\"key\":\"old\",\"text\":\"v\",\"expires_at\":\"2020-01-01T00:00:00.000Z\"}\n{\"key\":\"new\",\"text\":\"v\",\"expires_at\":%q}\n", formatTime(future))
	f := newFakeNode()
	im, err := importInto(t.Context(), f, strings.NewReader(text))
	require.NoError(t, err)
	require.EqualValues(t, 1, im.expired.Load())
	require.EqualValues(t, 1, im.stored.Load())
	require.NotContains(t, f.entries, "old")
	require.True(t, future.Equal(f.entries["new"].ExpiresAt))
}

func TestAnEntryThatExpiresOnItsWayIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		soon := time.Now().Add(time.Second)
		text := fmt.Sprintf("{\"key\":\"a\",\"text\":\"v\",\"expires_at\":%q}\n", formatTime(soon))
		f := newFakeNode()
		f.refuse = func(*wire.Request) (wire.Code, string) {
			<-time.After(2 * time.Second)
			return wire.CodeInvalid, "expiry is in the past"
		}
		im, err := importInto(t.Context(), f, strings.NewReader(text))
		require.NoError(t, err)
		require.EqualValues(t, 1, im.expired.Load())
	})
}

func TestAnOverloadedNodeIsGivenTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusals := 5
		f := newFakeNode()
		f.refuse = func(*wire.Request) (wire.Code, string) {
			if refusals--; refusals >= 0 {
				return wire.CodeOverloaded, "1,024 requests are in flight"
			}
			return wire.CodeOK, ""
		}
		_, err := importInto(t.Context(), f, strings.NewReader("{\"key\":\"a\",\"text\":\"v\"}\n"))
		require.NoError(t, err)
		require.Contains(t, f.entries, "a")
	})
}

func TestANodeThatStaysOverloadedEndsTheImport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeNode()
		f.refuse = func(*wire.Request) (wire.Code, string) { return wire.CodeOverloaded, "" }
		begin := time.Now()
		_, err := importInto(t.Context(), f, strings.NewReader("{\"key\":\"a\",\"text\":\"v\"}\n"))
		require.ErrorIs(t, err, client.ErrOverloaded)
		require.LessOrEqual(t, time.Since(begin), time.Second, "the importer's timeout, by the test's own clock")
	})
}

func TestBytesInFlightAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, lines, room = 16 << 10, 100, 256 << 10
		var text bytes.Buffer
		for i := range lines {
			text.Write(appendEntry(nil, client.Entry{Key: fmt.Sprintf("k%03d", i), Value: make([]byte, size-4)}))
		}
		gate := make(chan struct{})
		var waiting atomic.Int64
		f := newFakeNode()
		f.refuse = func(*wire.Request) (wire.Code, string) {
			waiting.Add(1)
			<-gate
			return wire.CodeOK, ""
		}
		im := newImporter(client.Local(f), time.Second)
		im.room = semaphore.NewWeighted(room)
		ended := make(chan error)
		go func() { ended <- im.run(t.Context(), newLines(&text)) }()
		synctest.Wait()
		require.LessOrEqual(t, waiting.Load(), int64(room/size))
		require.Positive(t, text.Len(), "the rest of the file waits until there is room")
		close(gate)
		require.NoError(t, <-ended)
		require.EqualValues(t, lines, im.stored.Load())
	})
}

func TestFormatsOfOutput(t *testing.T) {
	require.Equal(t, `"a\nb"`, visible("a\nb"))
	require.Equal(t, `""`, visible(""))
	require.Equal(t, "é ok", visible("é ok"))
	require.Equal(t, `"\xff"`, visible("\xff"))
	require.Equal(t, "abc…", cut("abcdef", 4))
	require.Equal(t, "äöü", cut("äöü", 3))
	require.Equal(t, []time.Duration{12300 * time.Millisecond, 1230 * time.Millisecond, 12300 * time.Microsecond, 123 * time.Microsecond},
		slices.Collect(func(yield func(time.Duration) bool) {
			for _, d := range []time.Duration{12_345 * time.Millisecond, 1_234 * time.Millisecond, 12_345 * time.Microsecond, 123_456 * time.Nanosecond} {
				if !yield(rounded(d)) {
					return
				}
			}
		}))
}
