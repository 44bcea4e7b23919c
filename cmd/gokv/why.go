package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/tochemey/gokv/client"
)

// stateUnknown is the state of a key of which a member holds nothing.
const stateUnknown = "unknown"

func (a *app) whyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "why KEY",
		Short: "print what each member holds of a key, and who wrote it",
		Long: `Prints what the node that answers holds of KEY, and below what each other member
does, which it asks: whether the key is live, expired, deleted or unknown there,
its value's size, when and by whom it was written, when it expires, and the
version, by which the later of two writes wins. Deleted and expired keys are
known until every member has seen that; then they are unknown.

The time is that of the writer's clock. A writer is one life of a member: where
its name is not known any more, the instance alone is shown. A member that could
not be asked is listed with the reason. Exits 1 where no member that was asked
knows the key.`,
		Args:              takes("KEY"),
		ValidArgsFunction: a.completeKey,
		RunE: a.keyed(func(ctx context.Context, cl *client.Client, key string) error {
			holdings, err := cl.Why(ctx, key)
			if err != nil {
				return err
			}
			return a.printWhy(holdings)
		}),
	}
}

// memberHolding is a row of why in JSON.
type memberHolding struct {
	Member string `json:"member"`
	Error  string `json:"error,omitempty"`
	*holding
}

// holding is what somebody holds of a key, in JSON.
type holding struct {
	State     string `json:"state"`
	Size      uint64 `json:"size,string"`
	Version   string `json:"version,omitempty"`
	Instance  string `json:"instance,omitempty"` // as versions and logs spell it
	Writer    string `json:"writer,omitempty"`
	WrittenAt string `json:"written_at,omitempty"`
	ExpiresAt string `json:"expires_at,omitempty"`
}

func holdingOf(h client.Holding) *holding {
	out := &holding{State: h.State, Size: h.Size, Version: h.Version, Writer: h.Writer}
	if h.Version != "" {
		out.Instance = instance(h.Instance)
		out.WrittenAt = formatTime(time.UnixMilli(h.Written))
	}
	if h.ExpiresAt != 0 {
		out.ExpiresAt = formatTime(time.UnixMilli(h.ExpiresAt))
	}
	return out
}

func instance(id uint64) string { return fmt.Sprintf("%016x", id) }

func (a *app) printWhy(holdings []client.Holding) error {
	items := make([]memberHolding, 0, len(holdings))
	rows := [][]string{{"MEMBER", "STATE", "SIZE", "WRITTEN", "BY", "EXPIRES", "VERSION"}}
	for _, h := range holdings {
		if h.Error != "" {
			items = append(items, memberHolding{Member: h.Member, Error: h.Error})
			rows = append(rows, []string{visible(h.Member), "not asked: " + visible(h.Error)})
			continue
		}
		out := holdingOf(h)
		items = append(items, memberHolding{Member: h.Member, holding: out})
		size, by := "-", "-"
		if h.State != stateUnknown {
			size, by = humanize.IBytes(h.Size), out.Instance
			if h.Writer != "" {
				by = visible(h.Writer) + " " + by
			}
		}
		rows = append(rows, []string{visible(h.Member), h.State, size, dash(out.WrittenAt), by, dash(out.ExpiresAt), dash(h.Version)})
	}
	print := func() error { return a.printTable(rows) }
	if a.format == formatJSON {
		print = func() error { return a.printJSON(items) }
	}
	if err := print(); err != nil {
		return err
	}
	if !slices.ContainsFunc(holdings, func(h client.Holding) bool { return h.Error == "" && h.State != stateUnknown }) {
		return &statusError{status: client.ExitStatus(client.ErrNotFound)}
	}
	return nil
}
