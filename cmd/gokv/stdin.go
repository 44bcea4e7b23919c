package main

import (
	"context"
	"io"
)

// interruptible reads r until ctx ends, even where r has nothing to give for ever:
// an interrupt shall end `gokv import -` on a terminal at once. The read that is
// then under way keeps its goroutine, which lasts until r gives something or the
// process ends, and a buffer of its own, so that it touches nothing that is used.
type interruptible struct {
	ctx context.Context
	r   io.Reader
	buf []byte
}

const stdinBuffer = 64 << 10

func newInterruptible(ctx context.Context, r io.Reader) *interruptible {
	return &interruptible{ctx: ctx, r: r, buf: make([]byte, stdinBuffer)}
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	buf := i.buf[:min(len(p), len(i.buf))]
	go func() {
		n, err := i.r.Read(buf)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return copy(p, buf[:r.n]), r.err
	case <-i.ctx.Done():
		return 0, i.ctx.Err()
	}
}
