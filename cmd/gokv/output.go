package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"golang.org/x/term"
)

const (
	formatTable = "table"
	formatJSON  = "json"
)

// outputBuffer gathers small rows into writes.
const outputBuffer = 64 << 10

// outputError is the failure of a write to stdout: apart from all others,
// because a closed pipe is no failure of gokv.
type outputError struct{ err error }

func (e *outputError) Error() string { return fmt.Sprintf("write the output: %v", e.err) }
func (e *outputError) Unwrap() error { return e.err }

// outputWriter is stdout.
type outputWriter struct{ w io.Writer }

func (o outputWriter) Write(b []byte) (int, error) {
	n, err := o.w.Write(b)
	if err != nil {
		err = &outputError{err}
	}
	return n, err
}

// isTerminal says whether f, a reader or writer, is a terminal.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// terminalWidth is 0 where f is no terminal.
func terminalWidth(f any) int {
	file, ok := f.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// timeFormat is RFC 3339 with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// lastTime is the last that RFC 3339 can write; an expiry past it is as good as
// it, and a file that holds it can be read again.
var lastTime = time.Date(9999, time.December, 31, 23, 59, 59, 999e6, time.UTC)

func formatTime(t time.Time) string {
	if t = t.UTC(); t.After(lastTime) {
		t = lastTime
	}
	return t.Format(timeFormat)
}

// printJSON prints v on a line.
func (a *app) printJSON(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode the output: %w", err)
	}
	_, err := a.stdout.Write(b.Bytes())
	return err
}

// printTable prints rows in aligned columns.
func (a *app) printTable(rows [][]string) error {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, tableGap, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cell)
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("lay out the output: %w", err)
	}
	_, err := a.stdout.Write(b.Bytes())
	return err
}

// yes is a flag as a table shows it.
func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
