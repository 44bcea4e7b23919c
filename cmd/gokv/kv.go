package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/client/wire"
)

// stdinValue names stdin in an argument's place.
const stdinValue = "-"

func (a *app) putCommand() *cobra.Command {
	var ttl time.Duration
	var keep bool
	var demand condition
	c := &cobra.Command{
		Use:   "put KEY VALUE",
		Short: "store a value; - reads it from stdin",
		Long: `Stores VALUE under KEY; the value - is read from stdin. Without a flag the entry
does not expire, whatever it did before.

With --if-absent or --if-version nothing is stored unless the node that takes the
put holds no entry of KEY, or the one of that version (gokv get -o json tells it);
then the exit status is 1. It is no lock: another node may take a write meanwhile.

With --concern the command ends once so many members hold the write. If that takes
longer than --timeout, the write stays, the exit status is 3, and the message says
how many are known to hold it.`,
		Args:              takes("KEY", "VALUE"),
		ValidArgsFunction: a.completeKey,
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkKey(c, args[0]); err != nil {
				return err
			}
			var options []client.PutOption
			switch {
			case c.Flags().Changed("ttl") && keep:
				return misuse("put: --ttl and --keep-ttl exclude each other")
			case c.Flags().Changed("ttl"):
				if err := checkTTL(c, ttl); err != nil {
					return err
				}
				options = append(options, client.WithTTL(ttl))
			case keep:
				options = append(options, client.KeepTTL())
			}
			conditions, err := demand.of(c)
			if err != nil {
				return err
			}
			for _, o := range conditions {
				options = append(options, o)
			}
			value := []byte(args[1])
			if args[1] == stdinValue {
				var err error
				if value, err = readValue(newInterruptible(c.Context(), a.stdin)); err != nil {
					return fmt.Errorf("put %q: %w", args[0], err)
				}
			}
			return a.with(c, once, func(ctx context.Context, cl *client.Client) error {
				return cl.Put(ctx, args[0], value, options...)
			})
		},
	}
	c.Flags().DurationVar(&ttl, "ttl", 0, "the entry expires after this time")
	c.Flags().BoolVar(&keep, "keep-ttl", false, "keep the expiry of the entry that is replaced")
	demand.flags(c)
	return c
}

// condition is what the flags of put and delete demand.
type condition struct {
	absent  bool
	version string
	concern string
}

// writeOption is an option of put and of delete.
type writeOption interface {
	client.PutOption
	client.DeleteOption
}

func (d *condition) flags(c *cobra.Command) {
	c.Flags().BoolVar(&d.absent, "if-absent", false, "only if there is no such key, else exit 1")
	c.Flags().StringVar(&d.version, "if-version", "", "only if the entry's version is this one, else exit 1")
	c.Flags().StringVar(&d.concern, "concern", "local", "who must hold the write: local, one (member more), quorum, all; else exit 3")
}

// of are the options that the flags stand for.
func (d *condition) of(c *cobra.Command) ([]writeOption, error) {
	concern, err := client.ParseConcern(d.concern)
	if err != nil {
		return nil, misuse("%s: --concern: %w", commandName(c), err)
	}
	options := []writeOption{client.WithConcern(concern)}
	byVersion := c.Flags().Changed("if-version")
	switch {
	case byVersion && d.absent:
		return nil, misuse("%s: --if-absent and --if-version exclude each other", commandName(c))
	case d.absent:
		return append(options, client.IfAbsent()), nil
	case !byVersion:
		return options, nil
	}
	v, err := client.ParseVersion(d.version)
	if err != nil {
		return nil, misuse("%s: --if-version: %w", commandName(c), err)
	}
	if v.IsZero() {
		return nil, misuse("%s: --if-version is zero: for a key that is not there it is --if-absent", commandName(c))
	}
	return append(options, client.IfVersion(v)), nil
}

func (a *app) getCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "get KEY",
		Short: "print a value",
		Long: `Prints the value's bytes as they are and, on a terminal only, a newline.
With -o json the entry, as list -o json prints it.`,
		Args:              takes("KEY"),
		ValidArgsFunction: a.completeKey,
		RunE: a.keyed(func(ctx context.Context, cl *client.Client, key string) error {
			e, err := cl.Get(ctx, key)
			if err != nil {
				return err
			}
			if a.format == formatJSON {
				_, err = a.stdout.Write(appendEntry(nil, e))
				return err
			}
			if isTerminal(a.out) {
				e.Value = append(e.Value, '\n')
			}
			_, err = a.stdout.Write(e.Value)
			return err
		}),
	}
}

func (a *app) existsCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "exists KEY",
		Short:             "print true, or false and exit 1",
		Args:              takes("KEY"),
		ValidArgsFunction: a.completeKey,
		RunE: a.keyed(func(ctx context.Context, cl *client.Client, key string) error {
			ok, err := cl.Exists(ctx, key)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintln(a.stdout, ok); err != nil {
				return err
			}
			if !ok {
				return &statusError{status: client.ExitStatus(client.ErrNotFound)}
			}
			return nil
		}),
	}
}

func (a *app) deleteCommand() *cobra.Command {
	var demand condition
	c := &cobra.Command{
		Use:   "delete KEY",
		Short: "delete an entry, whether or not it exists",
		Long: `Deletes the entry of KEY. With --if-version, only if it is the one of that version
(gokv get -o json tells it) on the node that takes the delete; else nothing is
done and the exit status is 1. --concern is as with put.`,
		Args:              takes("KEY"),
		ValidArgsFunction: a.completeKey,
		RunE: func(c *cobra.Command, args []string) error {
			conditions, err := demand.of(c)
			if err != nil {
				return err
			}
			var options []client.DeleteOption
			for _, o := range conditions {
				options = append(options, o)
			}
			return a.keyed(func(ctx context.Context, cl *client.Client, key string) error {
				return cl.Delete(ctx, key, options...)
			})(c, args)
		},
	}
	demand.flags(c)
	return c
}

func (a *app) touchCommand() *cobra.Command {
	var ttl time.Duration
	c := &cobra.Command{
		Use:                   "touch KEY --ttl D",
		Short:                 "make an entry expire after a time; its value stays",
		Args:                  takes("KEY"),
		ValidArgsFunction:     a.completeKey,
		DisableFlagsInUseLine: true,
		RunE: func(c *cobra.Command, args []string) error {
			if !c.Flags().Changed("ttl") {
				return misuse("touch: --ttl is missing; usage: %s", c.UseLine())
			}
			if err := checkTTL(c, ttl); err != nil {
				return err
			}
			return a.keyed(func(ctx context.Context, cl *client.Client, key string) error {
				return cl.Touch(ctx, key, ttl)
			})(c, args)
		},
	}
	c.Flags().DurationVar(&ttl, "ttl", 0, "the entry expires after this time")
	return c
}

func (a *app) persistCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "persist KEY",
		Short:             "make an entry not expire; its value stays",
		Args:              takes("KEY"),
		ValidArgsFunction: a.completeKey,
		RunE: a.keyed(func(ctx context.Context, cl *client.Client, key string) error {
			return cl.Persist(ctx, key)
		}),
	}
}

// keyed is a command about one key.
func (a *app) keyed(f func(context.Context, *client.Client, string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		if err := checkKey(c, args[0]); err != nil {
			return err
		}
		return a.with(c, once, func(ctx context.Context, cl *client.Client) error {
			return f(ctx, cl, args[0])
		})
	}
}

// checkKey refuses an empty key before a node is asked: it is wrong use whether
// or not one is there.
func checkKey(c *cobra.Command, key string) error {
	if key == "" {
		return misuse("%s: the key is empty", commandName(c))
	}
	return nil
}

func checkTTL(c *cobra.Command, ttl time.Duration) error {
	if ttl <= 0 {
		return misuse("%s: --ttl is %v: it must be positive", commandName(c), ttl)
	}
	return nil
}

// readValue reads a value whole, as far as any node could take it.
func readValue(r io.Reader) ([]byte, error) {
	var value bytes.Buffer
	if _, err := value.ReadFrom(io.LimitReader(r, wire.MaxFrame+1)); err != nil {
		return nil, misuse("read the value from stdin: %w", err)
	}
	if value.Len() > wire.MaxFrame {
		return nil, fmt.Errorf("the value on stdin is over %d bytes: %w", wire.MaxFrame, client.ErrTooLarge)
	}
	return value.Bytes(), nil
}

// Bounds of completion: a shell waits for it while somebody types.
const (
	completeTimeout = 500 * time.Millisecond
	completeKeys    = 100
)

// completeKey offers the cluster's keys to a shell's completion.
func (a *app) completeKey(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	const keysOnly = cobra.ShellCompDirectiveNoFileComp
	if len(args) > 0 {
		return nil, keysOnly
	}
	a.timeout = min(a.timeout, completeTimeout)
	var keys []string
	err := a.with(c, once, func(ctx context.Context, cl *client.Client) error {
		ctx, cancel := context.WithTimeout(ctx, completeTimeout)
		defer cancel()
		for e, err := range cl.List(ctx, client.WithPrefix(typed), client.KeysOnly(), client.WithLimit(completeKeys)) {
			if err != nil {
				return err
			}
			if printable(e.Key) {
				keys = append(keys, e.Key)
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, keysOnly | cobra.ShellCompDirectiveError
	}
	return keys, keysOnly
}
