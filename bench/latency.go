package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/internal/clustertest"
)

type latencyOptions struct {
	puts, valueBytes int
	redis            bool
}

var defaultLatency = latencyOptions{puts: 2000, valueBytes: 100, redis: true}

// A store is asked for a key until it has it; found says whether it has.
type (
	putFunc func(ctx context.Context, key string, value []byte) error
	hasFunc func(ctx context.Context, key string) (found bool, err error)
)

// between is the pause between puts: the cluster is otherwise idle, and a put
// finds no other in flight.
const between = 2 * time.Millisecond

// measureLatency measures, from a put's start, when its key can be read on both
// other nodes of three, each a process of its own on loopback.
func measureLatency(ctx context.Context, o latencyOptions) (figures []figure, err error) {
	_, nodes, stop, err := processes(ctx, 3)
	if err != nil {
		return nil, err
	}
	defer stop()
	clients := make([]*client.Client, len(nodes))
	for i, p := range nodes {
		// One transport for all, so that the three are asked alike.
		kv, err := client.New(client.Config{Addrs: []string{"tls://" + p.Client}})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, kv.Close()) }()
		clients[i] = kv
	}
	has := func(kv *client.Client) hasFunc {
		return func(ctx context.Context, key string) (bool, error) { return kv.Exists(ctx, key) }
	}
	put := func(ctx context.Context, key string, value []byte) error { return clients[0].Put(ctx, key, value) }
	readable, answered, err := visible(ctx, o, put, has(clients[1]), has(clients[2]))
	if err != nil {
		return nil, err
	}
	figures = append(percentiles("latency", "gokv, put to readable on both others", readable),
		percentiles("latency", "gokv, put to its answer", answered)...)
	if !o.redis {
		return figures, nil
	}
	beside, err := redisLatency(ctx, o)
	return append(figures, beside...), err
}

// visible measures the time from a put's start to its answer, and until every one
// of others has the key. It asks them in turn, one question in flight: the figure
// contains up to one round trip of asking each.
func visible(ctx context.Context, o latencyOptions, put putFunc, others ...hasFunc) (readable, answered []time.Duration, err error) {
	const warmUp = 100
	for i := range o.puts + warmUp {
		k := key(i)
		began := time.Now()
		if err := put(ctx, k, value(i, 0, o.valueBytes)); err != nil {
			return nil, nil, err
		}
		answer := time.Since(began)
		for _, has := range others {
			for {
				found, err := has(ctx, k)
				if err != nil {
					return nil, nil, err
				}
				if found {
					break
				}
			}
		}
		if i >= warmUp {
			readable = append(readable, time.Since(began))
			answered = append(answered, answer)
		}
		if err := pause(ctx, between); err != nil {
			return nil, nil, err
		}
	}
	return readable, answered, nil
}

// processes builds gokv-node and starts a cluster of n on loopback. stop ends it.
func processes(ctx context.Context, n int) (binaries clustertest.Binaries, nodes []*clustertest.Process, stop func(), err error) {
	dir, err := os.MkdirTemp("", "gokv-bench-")
	if err != nil {
		return binaries, nil, nil, err
	}
	var started []*clustertest.Process
	end := func() {
		for _, p := range started {
			p.Kill()
		}
		_ = os.RemoveAll(dir) // a temporary folder left behind spoils no figure
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	binaries, err = clustertest.Build(ctx, dir, false)
	if err != nil {
		return binaries, nil, nil, err
	}
	for i := range n {
		flags := []string{"--name", string(rune('a' + i)), "--log-level", "error"}
		if i > 0 {
			flags = append(flags, "--join", started[0].Peer)
		}
		p, err := binaries.StartNode(ctx, flags...)
		if err != nil {
			return binaries, nil, nil, err
		}
		started = append(started, p)
	}
	for _, p := range started {
		if err := p.WaitReady(ctx); err != nil {
			return binaries, nil, nil, err
		}
	}
	return binaries, started, end, nil
}

// redisLatency measures the same of redis-server and one replica; nothing where it
// is not installed.
func redisLatency(ctx context.Context, o latencyOptions) (figures []figure, err error) {
	server, err := exec.LookPath("redis-server")
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: redis-server is not installed: not measured beside gokv")
		return nil, nil
	}
	dir, err := os.MkdirTemp("", "gokv-bench-redis-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	var conns [2]*redisConn
	for i := range conns {
		addr, err := freeTCPAddr()
		if err != nil {
			return nil, err
		}
		args := []string{
			"--port", strconv.Itoa(addr.Port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
			"--dir", dir, "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", "--daemonize", "no",
		}
		if i > 0 {
			primary := conns[0].addr
			args = append(args, "--replicaof", "127.0.0.1", strconv.Itoa(primary.Port))
		}
		cmd := exec.CommandContext(ctx, server, args...)
		if err := cmd.Start(); err != nil {
			return nil, fmt.Errorf("start redis-server: %w", err)
		}
		defer func() {
			_ = cmd.Process.Kill() // it may have ended by itself
			_ = cmd.Wait()
		}()
		if conns[i], err = dialRedis(ctx, addr); err != nil {
			return nil, err
		}
		defer conns[i].close()
	}
	put := func(_ context.Context, key string, value []byte) error {
		_, err := conns[0].do("SET", key, string(value))
		return err
	}
	has := func(_ context.Context, key string) (bool, error) {
		reply, err := conns[1].do("EXISTS", key)
		return reply == "1", err
	}
	if err := conns[1].waitForPrimary(ctx); err != nil {
		return nil, err
	}
	readable, answered, err := visible(ctx, o, put, has)
	if err != nil {
		return nil, err
	}
	return append(percentiles("latency", "Redis, set to readable on its replica", readable),
		percentiles("latency", "Redis, set to its answer", answered)...), nil
}
