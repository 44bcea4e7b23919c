package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/tochemey/gokv/client"
)

const (
	// importInFlight is how many puts are under way at once: enough to fill the
	// client's writes, few enough to be no burden to a node.
	importInFlight = 128
	// importQueue is how many lines each of them may have waiting, so that one
	// slow put does not hold up the others at once.
	importQueue = 8
	// importBytes bounds the lines in flight and waiting.
	importBytes = 32 << 20
	// maxLine is the longest line: a value of the protocol's largest size in
	// base64, with room.
	maxLine = 32 << 20

	overloadedPause    = 10 * time.Millisecond
	overloadedPauseMax = time.Second
)

// importer stores a file's entries, many at a time. Puts of one key go through
// one goroutine, so that the last line of a key wins, as the file says.
type importer struct {
	// Fixed after construction.
	client  *client.Client
	timeout time.Duration // how long a node may be overloaded
	room    *semaphore.Weighted
	seed    maphash.Seed

	stored, bytes, expired atomic.Int64

	mu     sync.Mutex
	failed *lineError // the failure on the earliest line
}

// lineError is what is wrong with a line.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }
func (e *lineError) Unwrap() error { return e.err }

// task is a line on its way.
type task struct {
	record
	line int
	size int64 // what it takes of the room
}

func newImporter(c *client.Client, timeout time.Duration) *importer {
	return &importer{client: c, timeout: timeout, room: semaphore.NewWeighted(importBytes), seed: maphash.MakeSeed()}
}

// run stores what lines gives until it ends or something fails: a bad line, a
// put, or ctx. It waits for all that is in flight.
func (im *importer) run(ctx context.Context, lines *lines) error {
	queues := make([]chan task, importInFlight)
	var workers sync.WaitGroup
	for i := range queues {
		queues[i] = make(chan task, importQueue)
		workers.Go(func() {
			for t := range queues[i] {
				im.work(ctx, t)
			}
		})
	}
	err := im.feed(ctx, lines, queues)
	for _, q := range queues {
		close(q)
	}
	workers.Wait()
	if failed := im.failure(); failed != nil {
		return failed // on an earlier line than feed's own
	}
	if err != nil {
		return err
	}
	return ctx.Err() // puts that it ended left no failure
}

// feed parses and hands out lines. It returns early once a put failed.
func (im *importer) feed(ctx context.Context, lines *lines, queues []chan task) error {
	for {
		raw, err := lines.next()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return &statusError{status: exitUsage, err: &lineError{lines.number, err}}
		}
		if failed := im.failure(); failed != nil {
			return failed
		}
		r, err := parseRecord(raw)
		if err != nil {
			if errors.Is(err, errCut) && lines.ended {
				err = fmt.Errorf("%w: the file is cut off", err)
			}
			return &statusError{status: exitUsage, err: &lineError{lines.number, err}}
		}
		t := task{record: r, line: lines.number, size: min(int64(len(r.key)+len(r.value)), importBytes)}
		if im.room.Acquire(ctx, t.size) != nil {
			return ctx.Err()
		}
		queues[maphash.String(im.seed, r.key)%uint64(len(queues))] <- t
	}
}

// work stores one line, unless an earlier one has failed. Once no node can be
// reached, no further line is tried, whatever its place; the lines in flight then
// are the first of their queues, so that the earliest line that is missing is
// among those that fail.
func (im *importer) work(ctx context.Context, t task) {
	defer im.room.Release(t.size)
	if failed := im.failure(); failed != nil && (failed.line < t.line || unreachable(failed)) {
		return
	}
	expired := func() bool { return !t.expiresAt.IsZero() && !t.expiresAt.After(time.Now()) }
	if expired() {
		im.expired.Add(1)
		return
	}
	err := im.put(ctx, t)
	switch {
	case err == nil:
		im.stored.Add(1)
		im.bytes.Add(int64(len(t.key) + len(t.value)))
	case errors.Is(err, client.ErrInvalid) && expired():
		im.expired.Add(1) // on its way
	case ctx.Err() != nil: // run says so
	default:
		im.fail(&lineError{t.line, err})
	}
}

// unreachable says that further requests would fail like this one.
func unreachable(err error) bool {
	return client.ExitStatus(err) == client.ExitStatus(client.ErrUnavailable)
}

// put stores t. A node that has no room for it now is given time.
func (im *importer) put(ctx context.Context, t task) error {
	var options []client.PutOption
	if !t.expiresAt.IsZero() {
		options = append(options, client.WithExpiry(t.expiresAt))
	}
	deadline := time.Now().Add(im.timeout)
	for pause := overloadedPause; ; pause = min(2*pause, overloadedPauseMax) {
		err := im.client.Put(ctx, t.key, t.value, options...)
		if !errors.Is(err, client.ErrOverloaded) {
			return err
		}
		wait := pause/2 + rand.N(pause/2)
		if e := (*client.Error)(nil); errors.As(err, &e) {
			wait = max(wait, e.RetryAfter)
		}
		if time.Now().Add(wait).After(deadline) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}

func (im *importer) failure() *lineError {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.failed
}

// fail keeps the failure on the earliest line.
func (im *importer) fail(e *lineError) {
	im.mu.Lock()
	defer im.mu.Unlock()
	if im.failed == nil || e.line < im.failed.line {
		im.failed = e
	}
}

// lines cuts a stream into lines of at most maxLine bytes, skipping blank ones.
type lines struct {
	r      *bufio.Reader
	long   []byte // a line that outgrew r's buffer
	number int    // of the line that next returned last, from 1
	ended  bool   // it had no line feed: the stream ended with it
}

func newLines(r io.Reader) *lines { return &lines{r: bufio.NewReaderSize(r, 256<<10)} }

// next returns a line, good until the next call, or io.EOF.
func (l *lines) next() ([]byte, error) {
	for {
		line, err := l.read()
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			return line, nil
		}
	}
}

func (l *lines) read() ([]byte, error) {
	l.long = l.long[:0]
	l.number++
	for {
		part, err := l.r.ReadSlice('\n')
		if len(l.long)+len(part) > maxLine {
			return nil, fmt.Errorf("it is longer than %d MiB", maxLine>>20)
		}
		switch {
		case err == nil && len(l.long) == 0:
			return part[:len(part)-1], nil
		case err == nil:
			l.long = append(l.long, part...)
			return l.long[:len(l.long)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
			l.long = append(l.long, part...)
		case errors.Is(err, io.EOF) && len(l.long)+len(part) > 0:
			l.ended = true
			l.long = append(l.long, part...)
			return l.long, nil
		default:
			return nil, err
		}
	}
}
