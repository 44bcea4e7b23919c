package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/tochemey/gokv/client"
)

func (a *app) listCommand() *cobra.Command {
	var limit int
	var keys bool
	c := &cobra.Command{
		Use:   "list [PREFIX]",
		Short: "print entries in key order",
		Long: `Prints the entries whose keys begin with PREFIX, or all, in bytewise key order,
as they arrive. With -o json an object a line: key (key_base64 where the key is
not UTF-8), value in base64, version, and expires_at where there is one.

The table is for reading: it quotes what is not printable and, on a terminal,
cuts values to its width. Scripts want --keys or -o json.`,
		Args:              between(0, "PREFIX"),
		ValidArgsFunction: a.completeKey,
		RunE: func(c *cobra.Command, args []string) error {
			if limit < 0 {
				return misuse("list: --limit is %d: at least 0, which is no limit", limit)
			}
			options := []client.ListOption{client.WithLimit(limit)}
			if len(args) > 0 {
				options = append(options, client.WithPrefix(args[0]))
			}
			if keys {
				options = append(options, client.KeysOnly())
			}
			return a.with(c, once, func(ctx context.Context, cl *client.Client) error {
				out := bufio.NewWriterSize(a.stdout, outputBuffer)
				rows := a.rows(out, keys)
				flush := func() error {
					if err := rows.flush(); err != nil {
						return err
					}
					return out.Flush()
				}
				for e, err := range cl.List(ctx, options...) {
					if err == nil {
						err = rows.write(e)
					}
					if err != nil {
						// What came is shown; the error says that it is not all.
						if flushed := flush(); flushed != nil {
							return flushed
						}
						return err
					}
				}
				return flush()
			})
		},
	}
	c.Flags().IntVar(&limit, "limit", 0, "print at most this many entries; 0: no limit")
	c.Flags().BoolVar(&keys, "keys", false, "print a key a line and nothing else")
	return c
}

// rowWriter prints entries one after the other.
type rowWriter interface {
	write(client.Entry) error
	flush() error
}

func (a *app) rows(w *bufio.Writer, keysOnly bool) rowWriter {
	switch {
	case a.format == formatJSON:
		encode := appendEntry
		if keysOnly {
			encode = appendKeyOnly
		}
		return &lineRows{w: w, encode: encode}
	case keysOnly:
		return &lineRows{w: w, encode: func(dst []byte, e client.Entry) []byte {
			return append(append(dst, e.Key...), '\n')
		}}
	}
	return &tableRows{w: w, width: terminalWidth(a.out)}
}

// lineRows prints a line an entry.
type lineRows struct {
	w      *bufio.Writer
	encode func([]byte, client.Entry) []byte
	buf    []byte
}

func (l *lineRows) write(e client.Entry) error {
	l.buf = l.encode(l.buf[:0], e)
	_, err := l.w.Write(l.buf)
	return err
}

func (l *lineRows) flush() error { return nil }

// tableRows aligns columns without holding the whole list: it looks at a few
// rows at a time, and a column only ever grows.
type tableRows struct {
	w     io.Writer
	width int // of the terminal; 0: none

	pending        []tableRow
	keys, expiries int // columns' widths
	headed         bool
}

type tableRow struct{ key, expiry, value string }

const (
	tableBatch  = 64
	tableKeyMax = 48 // a longer key pushes its own row aside, not all
	tableGap    = 2
)

func (t *tableRows) write(e client.Entry) error {
	expiry := "-"
	if !e.ExpiresAt.IsZero() {
		expiry = formatTime(e.ExpiresAt)
	}
	t.pending = append(t.pending, tableRow{visible(e.Key), expiry, t.clip(e.Value)})
	if len(t.pending) < tableBatch {
		return nil
	}
	return t.flush()
}

func (t *tableRows) flush() error {
	if len(t.pending) == 0 {
		return nil
	}
	if !t.headed {
		t.pending = append([]tableRow{{"KEY", "EXPIRES", "VALUE"}}, t.pending...)
		t.headed = true
	}
	for _, r := range t.pending {
		if n := utf8.RuneCountInString(r.key); n <= tableKeyMax {
			t.keys = max(t.keys, n)
		}
		t.expiries = max(t.expiries, len(r.expiry))
	}
	for _, r := range t.pending {
		line := fmt.Sprintf("%-*s  %-*s  ", t.keys, r.key, t.expiries, r.expiry)
		if t.width > 0 {
			r.value = cut(r.value, max(t.width-utf8.RuneCountInString(line), 8))
		}
		if _, err := fmt.Fprintf(t.w, "%s%s\n", line, r.value); err != nil {
			return err
		}
	}
	t.pending = t.pending[:0]
	return nil
}

// clip renders a value, of which a terminal shows only the beginning.
func (t *tableRows) clip(value []byte) string {
	if t.width > 0 && len(value) > utf8.UTFMax*t.width {
		end := utf8.UTFMax * t.width
		for end > 0 && !utf8.RuneStart(value[end]) {
			end--
		}
		value = value[:end]
	}
	return visible(string(value))
}

// visible is s on one line and without anything that moves a cursor.
func visible(s string) string {
	if s == "" || !printable(s) {
		return strconv.Quote(s)
	}
	return s
}

// printable says whether s is UTF-8 that shows as it is.
func printable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return false
		}
	}
	return true
}

// cut shortens s to n characters.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	return string(r[:n-1]) + "…"
}
