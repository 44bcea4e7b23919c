package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tochemey/gokv/client"
)

func (a *app) forgetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "forget NAME",
		Short: "say that a dead member will not return, so that nothing waits for it",
		Long: `Deleted and expired entries are kept until every member has seen that, and for a
dead member as long as --tombstone-grace says. This tells every live member, by
way of the node that answers, not to wait for NAME any longer: what it held up,
which status shows, goes at once. Prints who was told; exits 3 where somebody
could not be: say it again, or let the grace pass there.

A member that is alive or suspect is refused, and so is a name that nobody bears.

It is not dangerous if NAME returns within ten minutes nevertheless: nothing that it had seen and
that was deleted meanwhile comes back, and what it alone had written is kept. One
thing is as after the grace: of a put of its own and a delete elsewhere, made while
neither knew of the other, the put stays even if the delete was the later one.
Later than that it is refused and ends; started anew, it joins empty.`,
		Args: takes("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if args[0] == "" {
				return misuse("forget: the name is empty")
			}
			return a.with(c, once, func(ctx context.Context, cl *client.Client) error {
				told, err := cl.Forget(ctx, args[0])
				if err != nil {
					return err
				}
				return a.printForgotten(args[0], told)
			})
		},
	}
}

func (a *app) printForgotten(name string, told []client.Forgotten) error {
	var failed []string
	rows := [][]string{{"MEMBER", "TOLD"}}
	for _, m := range told {
		if m.Error != "" {
			failed = append(failed, fmt.Sprintf("%s: %s", m.Member, m.Error))
		}
		rows = append(rows, []string{visible(m.Member), yes(m.Error == "")})
	}
	print := func() error { return a.printTable(rows) }
	if a.format == formatJSON {
		print = func() error { return a.printJSON(told) }
	}
	if err := print(); err != nil {
		return err
	}
	if len(failed) > 0 {
		return fmt.Errorf("forget %q: not told: %s: %w", name, strings.Join(failed, "; "), client.ErrUnavailable)
	}
	return nil
}
