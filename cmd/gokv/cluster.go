package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/tochemey/gokv/client"
)

func (a *app) membersCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "members",
		Short: "print the members as the node sees them",
		Args:  takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c, once, func(ctx context.Context, cl *client.Client) error {
				members, err := cl.Members(ctx)
				if err != nil {
					return err
				}
				return a.printMembers(members)
			})
		},
	}
}

func (a *app) printMembers(members []client.Member) error {
	slices.SortFunc(members, func(x, y client.Member) int { return strings.Compare(x.Name, y.Name) })
	if a.format == formatJSON {
		for i := range members {
			if members[i].Tags == nil {
				members[i].Tags = map[string]string{}
			}
		}
		if members == nil {
			members = []client.Member{}
		}
		return a.printJSON(members)
	}
	rows := [][]string{{"NAME", "STATE", "PEER", "CLIENT", "INCARNATION", "LEADER"}}
	for _, m := range members {
		leader := "-"
		if m.Leader {
			leader = "leader"
		}
		rows = append(rows, []string{
			visible(m.Name), m.State, dash(m.PeerAddr), dash(m.ClientAddr), strconv.FormatUint(m.Incarnation, 10), leader,
		})
	}
	return a.printTable(rows)
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "print what the node holds and how it is doing",
		Long: `Prints the state of the node that answers: with several addresses, the first that
can be reached. Nodes that hold the same have the same digest. While a member is
full, its memory over 85 % of --max-memory, all refuse puts that make the store grow.

A deleted or expired entry is forgotten when every member has seen it. Where some
wait, "held up" says for which member: all that are believed dead, else the one
that is furthest behind, and how long ago that is up to which it has seen
everything. A moment is as it should be; a dead member is waited for as long as
--tombstone-grace says, or until: gokv forget NAME`,
		Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c, once, func(ctx context.Context, cl *client.Client) error {
				status, err := cl.Status(ctx)
				if err != nil {
					return err
				}
				return a.printStatus(status)
			})
		},
	}
}

func (a *app) printStatus(s client.Status) error {
	if a.format == formatJSON {
		if s.Full == nil {
			s.Full = []string{}
		}
		return a.printJSON(s)
	}
	limit := "no limit"
	if s.MemoryLimit > 0 {
		limit = "of " + humanize.IBytes(s.MemoryLimit)
	}
	full := make([]string, 0, len(s.Full))
	for _, name := range s.Full {
		full = append(full, visible(name))
	}
	rows := [][]string{
		{"name", visible(s.Name)},
		{"cluster", visible(s.Cluster)},
		{"version", s.BuildVersion},
		{"ready", yes(s.Ready)},
		{"entries", strconv.FormatUint(s.Entries, 10)},
		{"tombstones", strconv.FormatUint(s.Tombstones, 10)},
		{"bytes", humanize.IBytes(s.EntryBytes)},
		{"digest", s.RootDigest},
		{"rounds", fmt.Sprintf("%d equal, %d repaired, %d failed", s.RoundsEqual, s.RoundsRepaired, s.RoundsFailed)},
		{"lag", rounded(seconds(s.LagSeconds)).String()},
		{"clock", clock(s)},
		{"uptime", rounded(seconds(s.UptimeSeconds)).String()},
		{"memory", humanize.IBytes(s.MemoryBytes) + ", " + limit},
		{"full members", dash(strings.Join(full, ", "))},
	}
	for _, h := range s.HeldUp {
		rows = append(rows, []string{"held up", heldUp(h)})
	}
	return a.printTable(rows)
}

// clock is how the node's clock compares with its peers', in words.
func clock(s client.Status) string {
	offset := seconds(s.ClockOffsetSeconds)
	words := "as the others"
	switch {
	case offset > 0:
		words = rounded(offset).String() + " behind the others"
	case offset < 0:
		words = rounded(-offset).String() + " ahead of the others"
	}
	if s.Fenced {
		words += ", fenced: it takes no writes"
	}
	return words
}

// heldUp is a member that dead entries wait for, in words.
func heldUp(h client.HeldUp) string {
	name, state, behind := visible(h.Name), "", "has reported nothing yet"
	switch {
	case h.Name == "":
		name = "instance " + instance(h.Instance)
	case h.Earlier:
		name = "an earlier instance of " + name
	}
	if h.Dead {
		state = ", believed dead"
	}
	if h.Reported {
		behind = "is " + rounded(seconds(h.BehindSeconds)).String() + " behind"
	}
	return fmt.Sprintf("%s for %s%s, which %s", count(int64(h.Waiting), "dead entry waits", "dead entries wait"), name, state, behind)
}

func (a *app) syncCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sync",
		Short: "run a round of anti-entropy with every peer now",
		Long: `Makes the node compare what it holds with every live peer, now, and repair what
differs on both sides. Prints the bytes and entries that moved. A round that
failed makes it exit 3.`,
		Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c, once, func(ctx context.Context, cl *client.Client) error {
				results, err := cl.Sync(ctx)
				if err != nil {
					return err
				}
				return a.printSync(results)
			})
		},
	}
}

// syncFailed is the result of a round that did not reach its end.
const syncFailed = "failed"

func (a *app) printSync(results []client.SyncResult) error {
	slices.SortStableFunc(results, func(x, y client.SyncResult) int { return strings.Compare(x.Peer, y.Peer) })
	var failed []string
	rows := [][]string{{"PEER", "RESULT", "SENT", "RECEIVED", "ENTRIES OUT", "ENTRIES IN", "TIME"}}
	for _, r := range results {
		if r.Result == syncFailed {
			failed = append(failed, fmt.Sprintf("%s: %s", r.Peer, r.Error))
		}
		rows = append(rows, []string{
			visible(r.Peer), r.Result, humanize.IBytes(r.BytesSent), humanize.IBytes(r.BytesReceived),
			strconv.FormatUint(r.EntriesSent, 10), strconv.FormatUint(r.EntriesReceived, 10),
			rounded(seconds(r.DurationSeconds)).String(),
		})
	}
	print := func() error { return a.printTable(rows) }
	if a.format == formatJSON {
		if results == nil {
			results = []client.SyncResult{}
		}
		print = func() error { return a.printJSON(results) }
	}
	if err := print(); err != nil {
		return err
	}
	if len(failed) > 0 {
		return fmt.Errorf("sync: %s: %w", strings.Join(failed, "; "), client.ErrUnavailable)
	}
	return nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// dash stands for what is not there.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
