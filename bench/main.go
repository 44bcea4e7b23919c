package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/cobra"

	"github.com/tochemey/gokv/internal/debindex"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "bench",
		Short:         "Measure gokv: latency, idle traffic, the cost of a round, throughput",
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	format := root.PersistentFlags().StringP("output", "o", "table", "table or json (an object a line)")

	var (
		latency = defaultLatency
		idle    = defaultIdle
		round   = defaultRound
		ops     = defaultOps
		engine  = defaultEngine
		sync    = defaultSync
		join    = defaultJoin
	)
	workloads := []struct {
		name, short string
		run         func(context.Context) ([]figure, error)
		flags       func(*cobra.Command)
	}{
		{"latency", "A put on one node until it can be read on both others; three processes, otherwise idle", func(ctx context.Context) ([]figure, error) { return measureLatency(ctx, latency) }, func(c *cobra.Command) {
			c.Flags().IntVar(&latency.puts, "puts", latency.puts, "how many puts to measure")
			c.Flags().IntVar(&latency.valueBytes, "value", latency.valueBytes, "value size in bytes")
			c.Flags().BoolVar(&latency.redis, "redis", latency.redis, "measure redis-server and its replica too, where it is installed")
		}},
		{"idle", "UDP payload a second of a converged cluster that nobody uses; nodes in this process", func(ctx context.Context) ([]figure, error) { return measureIdle(ctx, idle) }, func(c *cobra.Command) {
			c.Flags().IntVar(&idle.keys, "keys", idle.keys, "how many keys it holds")
			c.Flags().IntVar(&idle.nodes, "nodes", idle.nodes, "how many nodes")
			c.Flags().DurationVar(&idle.window, "window", idle.window, "how long to count")
		}},
		{"round", "UDP payload of a round that finds few differences; two nodes in this process", func(ctx context.Context) ([]figure, error) { return measureRound(ctx, round) }, func(c *cobra.Command) {
			c.Flags().IntVar(&round.keys, "keys", round.keys, "entries that both hold")
			c.Flags().IntVar(&round.differing, "differing", round.differing, "entries that differ: half stale on one side, half missing there")
			c.Flags().IntVar(&round.valueBytes, "value", round.valueBytes, "value size in bytes")
		}},
		{"sync", "What rounds cost until two stores of a million entries agree, by how many differ; in this process", func(ctx context.Context) ([]figure, error) { return measureSyncAndNodes(ctx, sync, join) }, func(c *cobra.Command) {
			c.Flags().IntVar(&sync.entries, "entries", sync.entries, "entries of both together")
			c.Flags().IntSliceVar(&sync.differing, "differing", sync.differing, "how many of them differ: half missing on one side, half older there")
			c.Flags().IntVar(&sync.valueBytes, "value", sync.valueBytes, "value size in bytes")
			c.Flags().IntVar(&sync.seeds, "seeds", sync.seeds, "how often each is measured (default 25, at more than 1,000 differences 9, at more than 10,000 3)")
			c.Flags().BoolVar(&sync.nodes, "nodes", sync.nodes, "also the time of a repair, what rounds send for nothing under load, and joins (see join): with real nodes")
			c.Flags().BoolVar(&sync.breakdown, "breakdown", sync.breakdown, "also in which turns and frames the bytes go")
			c.Flags().StringVar(&sync.plot, "plot", sync.plot, "file to draw bytes against differences into, as SVG, beside what other protocols cost")
		}},
		{"join", "How long an empty node takes to join a cluster of a million entries, and what its clients feel; processes", func(ctx context.Context) ([]figure, error) { return measureJoin(ctx, join) }, func(c *cobra.Command) {
			c.Flags().IntVar(&join.keys, "keys", join.keys, "how many keys the cluster holds")
			c.Flags().IntVar(&join.valueBytes, "value", join.valueBytes, "value size in bytes")
			c.Flags().IntVar(&join.joins, "joins", join.joins, "how many joins, and as many under load")
			c.Flags().DurationVar(&join.calm, "calm", join.calm, "how long clients are served before each join under load")
			c.Flags().Float64Var(&join.share, "share", join.share, "load, as a part of what the members manage")
		}},
		{"ops", "Puts and gets a second, over the network; the node is a process of its own", func(ctx context.Context) ([]figure, error) { return measureOps(ctx, ops) }, func(c *cobra.Command) {
			c.Flags().IntVar(&ops.nodes, "nodes", ops.nodes, "members of the cluster; one of them is asked")
			c.Flags().IntSliceVar(&ops.callers, "callers", ops.callers, "concurrent callers that share one client")
			c.Flags().DurationVar(&ops.window, "window", ops.window, "how long each")
			c.Flags().IntVar(&ops.keys, "keys", ops.keys, "keys to choose from")
			c.Flags().IntVar(&ops.valueBytes, "value", ops.valueBytes, "value size in bytes")
			c.Flags().StringVar(&ops.transport, "transport", ops.transport, "tls, quic, or auto for the client's own choice")
		}},
		{"engine", "The engine in process beside sync.Map and xsync.Map, and its memory; takes minutes", func(ctx context.Context) ([]figure, error) { return measureEngine(ctx, engine) }, func(c *cobra.Command) {
			c.Flags().IntVar(&engine.keys, "keys", engine.keys, "how many entries")
			c.Flags().IntVar(&engine.valueBytes, "value", engine.valueBytes, "value size in bytes")
			c.Flags().IntVar(&engine.rounds, "rounds", engine.rounds, "how often each is measured; the median counts")
			c.Flags().DurationVar(&engine.turn, "turn", engine.turn, "how long each is measured at a time")
		}},
	}
	all := &cobra.Command{Use: "all", Short: "Every workload with its defaults", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		for _, w := range workloads {
			if err := measure(cmd, *format, w.run); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
		return nil
	}}
	for _, w := range workloads {
		cmd := &cobra.Command{Use: w.name, Short: w.short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			return measure(cmd, *format, w.run)
		}}
		w.flags(cmd)
		root.AddCommand(cmd)
	}
	root.AddCommand(all, debindexCommand())
	return root
}

func measure(cmd *cobra.Command, format string, run func(context.Context) ([]figure, error)) error {
	print, err := printer(format)
	if err != nil {
		return err
	}
	figures, err := run(cmd.Context())
	if err != nil {
		return err
	}
	return print(cmd.OutOrStdout(), figures)
}

func debindexCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "debindex",
		Short:   "Turn Debian's package index into NDJSON for gokv import, stdin to stdout",
		Example: "  apt-cache dumpavail | go run ./bench debindex >packages.ndjson",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			stats, err := debindex.WriteNDJSON(cmd.OutOrStdout(), cmd.InOrStdin())
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%d packages, %d bytes, %d duplicates left out\n", stats.Packages, stats.TextBytes, stats.Duplicates)
			return nil
		},
	}
}
