package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/dustin/go-humanize"
)

// demoView lays the demonstration out. Colours are the terminal's own sixteen, so
// that its theme decides; without a terminal, or with NO_COLOR, there are none and
// nothing that is said depends on them.
type demoView struct {
	out  io.Writer // styled; lipgloss takes off what it cannot show
	live bool      // a terminal: lines may be written over
	err  error     // the first failure to write

	shown time.Time // when the waiting line was last written; zero: none is there
}

var (
	styleTitle = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color("6"))
	styleAct   = lipgloss.NewStyle().Bold(true)
	styleFaint = lipgloss.NewStyle().Faint(true)
	styleGood  = lipgloss.NewStyle().Foreground(lipgloss.Color("2"))
	styleBad   = lipgloss.NewStyle().Foreground(lipgloss.Color("1"))
	styleBar   = lipgloss.NewStyle().Foreground(lipgloss.Color("6"))

	// Equal digests have equal colours.
	digestColours = []lipgloss.Style{
		lipgloss.NewStyle().Foreground(lipgloss.Color("2")),
		lipgloss.NewStyle().Foreground(lipgloss.Color("5")),
		lipgloss.NewStyle().Foreground(lipgloss.Color("3")),
	}
)

const (
	demoIndent  = "     "
	demoMargin  = "  "
	barWidth    = 40
	digestShown = 16 // hex digits: two nodes' digests that differ, differ there
)

// newDemoView writes to out as it is where that is a terminal, so that its kind
// can be told, and else to plain.
func newDemoView(out any, plain io.Writer) *demoView {
	if w, ok := out.(io.Writer); ok && isTerminal(out) {
		return &demoView{out: w, live: true}
	}
	return &demoView{out: plain}
}

// print writes one line.
func (v *demoView) print(line string) {
	v.clear()
	v.write(strings.TrimRight(line, " ") + "\n")
}

func (v *demoView) write(s string) {
	if v.err != nil {
		return
	}
	if _, err := lipgloss.Fprint(v.out, s); err != nil {
		v.err = &outputError{err}
	}
}

func (v *demoView) title(name, text string) {
	v.print("")
	v.print(demoMargin + styleTitle.Render(name) + demoMargin + styleFaint.Render(text))
}

func (v *demoView) act(number int, what string) {
	v.print("")
	v.print(demoMargin + styleTitle.Render(fmt.Sprint(number)) + demoMargin + styleAct.Render(what))
}

func (v *demoView) say(text string) {
	v.print("")
	v.print(demoIndent + text)
}

func (v *demoView) done(format string, args ...any) {
	v.print(demoIndent + styleGood.Render("✓") + " " + fmt.Sprintf(format, args...))
}

// more goes on where done stopped.
func (v *demoView) more(text string) { v.print(demoIndent + "  " + text) }

func (v *demoView) closing(text string) {
	v.print("")
	v.print(demoMargin + styleFaint.Render(text))
	v.print("")
}

// waitingRedraw is how often the line of what is waited for moves.
const waitingRedraw = 80 * time.Millisecond

var waitingFrames = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// waiting shows, on a terminal, what takes how long.
func (v *demoView) waiting(what string, since time.Duration) {
	if !v.live || time.Since(v.shown) < waitingRedraw {
		return
	}
	v.shown = time.Now()
	frame := waitingFrames[int(since/waitingRedraw)%len(waitingFrames)]
	v.write("\r" + demoIndent + styleBar.Render(frame) + " " + styleFaint.Render(fmt.Sprintf("%s … %.1f s", what, since.Seconds())) + eraseRest)
}

// eraseRest is ECMA-48's EL: clear to the end of the line.
const eraseRest = "\x1b[K"

// clear takes the waiting line away.
func (v *demoView) clear() {
	if !v.shown.IsZero() {
		v.shown = time.Time{}
		v.write("\r" + eraseRest)
	}
}

// picture draws the network.
func (v *demoView) picture(severed bool) {
	link := styleGood.Render("━━━━━")
	left := link
	if severed {
		left = styleBad.Render("━ ╳ ━")
	}
	node := func(name string) string { return "( " + styleAct.Render(name) + " )" }
	v.print(demoIndent + node("a") + left + node("b") + link + node("c") + left + node("a"))
}

// demoDigest is what one node holds.
type demoDigest struct {
	node, digest string
	entries      uint64
}

func (v *demoView) digests(rows []demoDigest) {
	colours := map[string]lipgloss.Style{}
	table := [][]string{{"node", "root digest", "entries"}}
	for _, r := range rows {
		style, ok := colours[r.digest]
		if !ok {
			style = digestColours[len(colours)%len(digestColours)]
			colours[r.digest] = style
		}
		shown := r.digest[:min(digestShown, len(r.digest))] + "…"
		table = append(table, []string{r.node, style.Render("● " + shown), humanize.Comma(int64(r.entries))})
	}
	verdict := styleGood.Render("equal")
	if len(colours) > 1 {
		verdict = styleBad.Render("different")
	}
	table[1] = append(table[1], verdict)
	v.table(table)
}

// values shows keys, and under each node's name what it has there; an empty
// value stands for none.
func (v *demoView) values(rows [][]string) {
	table := [][]string{{"key", "on a", "on b", "on c"}}
	for _, row := range rows {
		cells := []string{row[0]}
		for _, value := range row[1:] {
			switch {
			case value == "":
				value = styleFaint.Render("-")
			case value != row[1] || value != row[2] || value != row[3]:
				value = styleBad.Render(value)
			default:
				value = styleGood.Render(value)
			}
			cells = append(cells, value)
		}
		table = append(table, cells)
	}
	v.table(table)
}

// table prints rows in columns, the first row as their heads.
func (v *demoView) table(rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], lipgloss.Width(cell))
		}
	}
	v.print("")
	for r, row := range rows {
		line := demoIndent + "  "
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-lipgloss.Width(cell)+tableGap)
			if r == 0 {
				cell = styleFaint.Render(cell)
			}
			line += cell + pad
		}
		v.print(line)
	}
}

// demoBar is an amount with its name.
type demoBar struct {
	name  string
	bytes uint64
}

// bars shows amounts beside each other, to scale.
func (v *demoView) bars(bars []demoBar) {
	var most uint64 = 1
	name := 0
	for _, b := range bars {
		most = max(most, b.bytes)
		name = max(name, lipgloss.Width(b.name))
	}
	for _, b := range bars {
		// In eighths of a character; what is there at all is seen.
		eighths := max(int(b.bytes*barWidth*8/most), 1)
		bar := strings.Repeat("█", eighths/8)
		if rest := eighths % 8; rest > 0 {
			bar += string([]rune("▏▎▍▌▋▊▉")[rest-1])
		}
		share := ""
		if b.bytes < most {
			share = styleFaint.Render(fmt.Sprintf(" %.1f%%", 100*float64(b.bytes)/float64(most)))
		}
		v.print(fmt.Sprintf("%s  %-*s  %8s  %s%s", demoIndent, name, b.name, humanize.Bytes(b.bytes), styleBar.Render(bar), share))
	}
}
