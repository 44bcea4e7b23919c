package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/tochemey/gokv/client"
)

func (a *app) importCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE",
		Short: "store the entries of a file of NDJSON; - is stdin",
		Long: `Stores the entries of FILE, an object a line as export writes them:

  {"key":"svc/a","value":"aGVsbG8=","expires_at":"2026-01-02T15:04:05.000Z"}

value is base64; text may stand for it and holds the value as it is. key_base64
may stand for key. Without expires_at an entry does not expire; one that has
expired already is skipped. version is not read: an import is a new write.

A bad line ends the import; what came before it is stored.`,
		Args: takes("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.transfer(c, func(ctx context.Context, cl *client.Client) error {
				return a.importFile(ctx, cl, args[0])
			})
		},
	}
}

// transfer calls f with a client that waits for a node that is away for a while,
// but only once there was one: where nobody listens the command ends at once.
func (a *app) transfer(c *cobra.Command, f func(context.Context, *client.Client) error) error {
	err := a.with(c, once, func(ctx context.Context, cl *client.Client) error { return cl.Ping(ctx) })
	if err != nil {
		return fmt.Errorf("%s: %w", commandName(c), err)
	}
	return a.with(c, patient, f)
}

func (a *app) importFile(ctx context.Context, cl *client.Client, name string) error {
	var in io.Reader
	size := int64(-1)
	if name != stdinValue {
		f, err := os.Open(name)
		if err != nil {
			return misuse("import: %w", err)
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			size = info.Size()
		}
		in = f
	} else {
		in, name = newInterruptible(ctx, a.stdin), "stdin"
	}
	begin := time.Now()
	bar := a.progress("importing", size, true)
	im := newImporter(cl, a.timeout)
	err := im.run(ctx, newLines(io.TeeReader(in, bar)))
	bar.close()
	if err != nil {
		return fmt.Errorf("import %s: %w; %s stored", name, err, count(im.stored.Load(), "entry", "entries"))
	}
	summary := fmt.Sprintf("imported %s (%s) in %s",
		count(im.stored.Load(), "entry", "entries"), humanize.Bytes(uint64(im.bytes.Load())), since(begin))
	if n := im.expired.Load(); n > 0 {
		summary += fmt.Sprintf("; skipped %s that had expired", count(n, "entry", "entries"))
	}
	a.tell(summary)
	return nil
}

func (a *app) exportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export",
		Short: "print all entries as NDJSON, in key order",
		Long: `Prints all entries in bytewise key order, an object a line, as list -o json does
and import reads. Nodes that agree print the same bytes.`,
		Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.transfer(c, a.export)
		},
	}
}

func (a *app) export(ctx context.Context, cl *client.Client) error {
	begin := time.Now()
	total := int64(-1)
	if a.showsProgress() && !isTerminal(a.out) {
		if status, err := cl.Status(ctx); err == nil {
			total = int64(status.Entries)
		}
	}
	bar := a.progress("exporting", total, false)
	out := bufio.NewWriterSize(a.stdout, outputBuffer)
	var line []byte
	var entries, bytes int64
	for e, err := range cl.List(ctx) {
		if err == nil {
			line = appendEntry(line[:0], e)
			_, err = out.Write(line)
		}
		if err != nil {
			bar.close()
			if flushed := out.Flush(); flushed != nil {
				return fmt.Errorf("export: %w", flushed)
			}
			return fmt.Errorf("export: %w; %s written, not all", err, count(entries, "entry", "entries"))
		}
		entries++
		bytes += int64(len(line))
		bar.add(1)
	}
	bar.close()
	if err := out.Flush(); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	a.tell(fmt.Sprintf("exported %s (%s) in %s", count(entries, "entry", "entries"), humanize.Bytes(uint64(bytes)), since(begin)))
	return nil
}

// tell writes a line that is no output to stderr. Where nobody can read it, it
// is not needed either.
func (a *app) tell(line string) { _, _ = fmt.Fprintln(a.stderr, line) }

func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return humanize.Comma(n) + " " + many
}

// since is the time since begin, to three digits or so.
func since(begin time.Time) string { return rounded(time.Since(begin)).String() }

func rounded(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}

// progress is a bar on stderr, or nothing where that is no terminal. As a writer
// it counts what passes.
type progress struct{ bar *progressbar.ProgressBar }

func (a *app) showsProgress() bool { return isTerminal(a.stderr) }

func (a *app) progress(doing string, total int64, bytes bool) progress {
	if !a.showsProgress() || total == 0 || !bytes && isTerminal(a.out) {
		return progress{}
	}
	return progress{progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(a.stderr),
		progressbar.OptionSetDescription(doing),
		progressbar.OptionShowBytes(bytes),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("entries"),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetSpinnerChangeInterval(0), // no goroutine of its own
		progressbar.OptionSetWidth(24),
		progressbar.OptionClearOnFinish(),
	)}
}

// The bar's errors are those of writing to the terminal: no reason to stop.

func (p progress) add(n int) {
	if p.bar != nil {
		_ = p.bar.Add(n)
	}
}

func (p progress) Write(b []byte) (int, error) {
	p.add(len(b))
	return len(b), nil
}

func (p progress) close() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
