package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/tochemey/gokv"
)

// stopTimeout bounds how long a node hands its writes over and finishes what
// is in flight once it was told to end.
const stopTimeout = 15 * time.Second

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	// exitInterrupted is a shell's status for what SIGINT ended.
	exitInterrupted = 130
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	var o options
	if err := o.parse(args, os.LookupEnv, stdout); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return exitOK
		}
		return fail(stderr, err, exitUsage)
	}
	if o.version {
		return done(fmt.Fprintln(stdout, "gokv-node", gokv.Version()))
	}
	o.Logger = o.logger(stderr)

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		<-signals
		stop()
		// Supervisors may repeat a SIGTERM; only somebody at a terminal who
		// asks twice wants the rest abandoned.
		for s := range signals {
			if s == os.Interrupt {
				os.Exit(exitInterrupted)
			}
		}
	}()

	node, err := gokv.NewNode(o.Config)
	if err != nil {
		return fail(stderr, err, exitFailed)
	}
	if err := node.Start(ctx); err != nil {
		return fail(stderr, err, exitFailed)
	}
	addrs := node.Addrs()
	if code := done(fmt.Fprintf(stdout, "peers    %s (UDP)\nclients  %s (QUIC on UDP, TLS on TCP)\nhttp     http://%s/metrics\n",
		addrs.Peer, addrs.Client, addrs.HTTP)); code != exitOK {
		o.Logger.Warn("the addresses could not be printed")
	}

	var fatal error
	select {
	case <-ctx.Done():
	case fatal = <-node.Fatal():
	}
	stopping, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := errors.Join(fatal, node.Stop(stopping)); err != nil {
		return fail(stderr, err, exitFailed)
	}
	return exitOK
}

func done(_ int, err error) int {
	if err != nil {
		return exitFailed
	}
	return exitOK
}

// fail prints err on one line.
func fail(stderr io.Writer, err error, code int) int {
	line := strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	if _, err := fmt.Fprintln(stderr, "gokv-node:", line); err != nil {
		return exitFailed
	}
	return code
}
