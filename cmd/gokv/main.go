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

	"github.com/spf13/cobra"

	"github.com/tochemey/gokv/client"
)

// Exit statuses that the client's table does not know.
const (
	exitUsage       = 2
	exitOutput      = 3
	exitInterrupted = 128 + 2 // as a shell reports SIGINT
)

func main() {
	// A closed pipe shall be an error of the write, so that connections are
	// closed in order, not the end of the process.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.LookupEnv)
	stop()
	os.Exit(status)
}

// app is what the commands share: where they read and write, and the global flags.
type app struct {
	stdin  io.Reader
	stdout io.Writer // its errors are *outputError
	stderr io.Writer
	env    func(string) (string, bool)

	out    any // the real stdout, to ask whether it is a terminal
	addr   string
	format string

	timeout                            time.Duration
	tlsCA, tlsCert, tlsKey, secretFile string
	insecure                           bool
}

// run is the whole command: it returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env func(string) (string, bool)) int {
	a := &app{stdin: stdin, stdout: outputWriter{stdout}, stderr: stderr, env: env, out: stdout}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && ctx.Err() != nil {
		err = &statusError{status: exitInterrupted, err: fmt.Errorf("interrupted: %w", err)}
	}
	return a.finish(err)
}

// finish prints err on one line and returns the exit status that it stands for.
func (a *app) finish(err error) int {
	if err == nil {
		return 0
	}
	status, out := client.ExitStatus(err), (*outputError)(nil)
	if errors.As(err, &out) {
		if errors.Is(out.err, syscall.EPIPE) {
			return 0
		}
		status = exitOutput
	}
	if s := (*statusError)(nil); errors.As(err, &s) {
		status = s.status
		if s.err == nil {
			return status
		}
	}
	line := strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	// Where stderr is gone there is nobody left to tell; the status still is.
	_, _ = fmt.Fprintln(a.stderr, "gokv:", line)
	return status
}

// statusError gives an error an exit status of its own. Without an error it is a
// status and nothing to say.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *statusError) Unwrap() error { return e.err }

// misuse is an error about how the command was called.
func misuse(format string, args ...any) error {
	return &statusError{status: exitUsage, err: fmt.Errorf(format, args...)}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "gokv",
		Short: "read, write and watch over a gokv cluster",
		Long: `gokv talks to a gokv cluster: a key/value store in memory that every node holds
whole. Start a node with gokv-node, or see it work first with: gokv demo

A key or value that begins with a dash goes behind two dashes: gokv put -- k -1

Exit status: 0 done; 1 no such key, or a condition does not hold; 2 wrong use; 3 unreachable, not ready or
timed out; 4 refused (not authorised, too large, overloaded, clock).`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.checkGlobals() },
	}
	group(root)
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(helpCommand())
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		hint := ""
		if strings.HasPrefix(err.Error(), "unknown shorthand flag") {
			hint = " (a key or value that begins with a dash goes behind --)"
		}
		if c == root {
			return misuse("%w%s", err, hint)
		}
		return misuse("%s: %w%s", commandName(c), err, hint)
	})

	flags := root.PersistentFlags()
	flags.StringVar(&a.addr, "addr", "", "nodes to talk to, host:port[,host:port…]; quic:// and tls:// choose\nthe transport, else TLS is tried first (env GOKV_ADDR, default "+client.DefaultAddr+")")
	flags.DurationVar(&a.timeout, "timeout", client.DefaultTimeout, "for each request, connecting included")
	flags.StringVarP(&a.format, "output", "o", formatTable, "table or json")
	flags.StringVar(&a.tlsCA, "tls-ca", "", "CA that signed the nodes' certificates, PEM `FILE`")
	flags.StringVar(&a.tlsCert, "tls-cert", "", "own certificate, PEM `FILE`")
	flags.StringVar(&a.tlsKey, "tls-key", "", "its key, PEM `FILE`")
	flags.StringVar(&a.secretFile, "secret-file", "", "cluster secrets, one a line, `FILE`")
	flags.BoolVar(&a.insecure, "insecure", false, "allow nodes on other hosts without certificate or secret")

	root.AddCommand(
		a.putCommand(), a.getCommand(), a.existsCommand(), a.deleteCommand(), a.touchCommand(), a.persistCommand(),
		a.listCommand(), a.importCommand(), a.exportCommand(),
		a.membersCommand(), a.statusCommand(), a.syncCommand(),
		a.secretCommand(), a.demoCommand(), a.versionCommand(), a.completionCommand(),
	)
	return root
}

// group makes c a command that only has others below it.
func group(c *cobra.Command) {
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		hint := ""
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			hint = fmt.Sprintf(", did you mean %q?", near[0])
		}
		return misuse("unknown command %q%s", strings.TrimSpace(commandName(c)+" "+args[0]), hint)
	}
	c.SuggestionsMinimumDistance = 2
	c.RunE = func(c *cobra.Command, _ []string) error {
		c.SetOut(c.ErrOrStderr())
		if err := c.Help(); err != nil {
			return err
		}
		return &statusError{status: exitUsage}
	}
}

// helpCommand is cobra's own, but for an unknown topic, which is wrong use.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "print what a command is for and how it is called",
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return misuse("help: no command %q", strings.Join(args, " "))
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// takes demands exactly the named arguments.
func takes(names ...string) cobra.PositionalArgs {
	return between(len(names), names...)
}

// between demands the first few of the named arguments and allows the others.
func between(least int, names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return misuse("%s: %s is missing; usage: %s", commandName(c), names[len(args)], c.UseLine())
		case len(args) > len(names):
			return misuse("%s: %s, at most %d; usage: %s", commandName(c), count(int64(len(args)), "argument", "arguments"), len(names), c.UseLine())
		}
		return nil
	}
}

// commandName is c's name without the program's: `secret new`; the root's is empty.
func commandName(c *cobra.Command) string {
	_, name, _ := strings.Cut(c.CommandPath(), " ")
	return name
}
