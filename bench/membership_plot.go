package main

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
)

var variantColours = map[string]string{"gokv": "#c0392b", "gokv, told of held up sends": "#e08283", "plain SWIM": "#2c6fbb", "hasty SWIM": "#2e8b57"}

// membershipPlots draws those figures that there are; docs/membership.md shows
// them. Names are of files.
func membershipPlots(figures []figure) map[string][]byte {
	plots := make(map[string][]byte)
	var idle []curve
	crash := make(map[string][]curve) // by size
	var kinds []string
	slow := make(map[string]map[string]float64) // by kind of slowness, then variant
	add := func(curves []curve, workload string, p point) []curve {
		i := slices.IndexFunc(curves, func(c curve) bool { return c.name == workload })
		if i < 0 {
			return append(curves, curve{name: workload, colour: variantColours[workload], points: []point{p}, dots: true})
		}
		curves[i].points = append(curves[i].points, p)
		return curves
	}
	for _, f := range figures {
		var size, loss string
		name := strings.ReplaceAll(f.Name, ",0", "0") // of thousands
		switch {
		case scan(name, "idle, %s members: sent by each", &size):
			idle = add(idle, f.Workload, point{number(size), f.Value})
		case strings.HasSuffix(name, ": known to all") && scan(strings.NewReplacer(",", "", ":", "").Replace(name), "crash among %s %s %% loss known to all", &size, &loss):
			crash[size] = add(crash[size], f.Workload, point{number(loss), f.Value})
		case strings.HasSuffix(name, ": healthy members declared dead") && !strings.Contains(name, "all of these"):
			kind := strings.TrimSuffix(strings.TrimPrefix(f.Name, "one in twenty "), ": healthy members declared dead")
			if slow[kind] == nil {
				slow[kind] = make(map[string]float64)
				kinds = append(kinds, kind)
			}
			slow[kind][f.Workload] = f.Value
		}
	}
	if len(idle) > 0 {
		plots["membership-idle.svg"] = logLog("What a member of an idle cluster sends, with QUIC, UDP and IP headers", "members", "bytes a second", idle)
	}
	for size, curves := range crash {
		title := "A crash is known to all of " + size + " members, median"
		plots["membership-crash-"+size+".svg"] = linear(title, "datagrams lost, %", "seconds", curves)
	}
	if len(kinds) > 0 {
		plots["membership-slow.svg"] = slowBars(kinds, slow)
	}
	return plots
}

func scan(s, format string, into ...any) bool {
	n, err := fmt.Sscanf(s, format, into...)
	return err == nil && n == len(into)
}

// number is zero for what is none.
func number(s string) float64 {
	var v float64
	if !scan(s, "%g", &v) {
		return 0
	}
	return v
}

// linear draws curves over two axes from zero, as SVG.
func linear(title, xName, yName string, curves []curve) []byte {
	const (
		width, height            = 720, 420
		left, right, top, bottom = 60, 150, 44, 56
	)
	var hi point
	for _, c := range curves {
		for _, p := range c.points {
			hi = point{max(hi.x, p.x), max(hi.y, p.y)}
		}
	}
	stepX, stepY := tick(hi.x), tick(hi.y)
	hi = point{math.Ceil(hi.x/stepX) * stepX, math.Ceil(hi.y/stepY) * stepY}
	atX := func(v float64) float64 { return left + v/hi.x*(width-left-right) }
	atY := func(v float64) float64 { return height - bottom - v/hi.y*(height-top-bottom) }
	var b bytes.Buffer
	svgHead(&b, width, height, left, title)
	for v := 0.0; v <= hi.x; v += stepX {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle" fill="#444444">%g</text>`+"\n", atX(v), height-bottom+18, v)
	}
	for v := 0.0; v <= hi.y; v += stepY {
		fmt.Fprintf(&b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#dddddd"/>`+"\n", left, atY(v), width-right, atY(v))
		fmt.Fprintf(&b, `<text x="%d" y="%.1f" text-anchor="end" fill="#444444">%g</text>`+"\n", left-8, atY(v)+4, v)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle" fill="#444444">%s</text>`+"\n", (left+width-right)/2, height-14, xName)
	fmt.Fprintf(&b, `<text transform="translate(18 %d) rotate(-90)" text-anchor="middle" fill="#444444">%s</text>`+"\n", (top+height-bottom)/2, yName)
	for _, c := range curves {
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, c.colour)
		for _, p := range c.points {
			fmt.Fprintf(&b, "%.1f,%.1f ", atX(p.x), atY(p.y))
		}
		fmt.Fprintln(&b, `"/>`)
		for _, p := range c.points {
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n", atX(p.x), atY(p.y), c.colour)
		}
		fmt.Fprintf(&b, `<text x="%d" y="%.1f" fill="%s">%s</text>`+"\n", width-right+10, atY(c.last().y)+4, c.colour, c.name)
	}
	fmt.Fprintln(&b, "</svg>")
	return b.Bytes()
}

func svgHead(b *bytes.Buffer, width, height, left int, title string) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", width, height)
	fmt.Fprintf(b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	fmt.Fprintf(b, `<text x="%d" y="26" font-size="15" fill="#222222">%s</text>`+"\n", left, title)
}

// tick is a round step for an axis up to most: 1, 2 or 5 times a power of ten.
func tick(most float64) float64 {
	step := math.Pow(10, math.Floor(math.Log10(max(most, 1e-9))))
	for _, part := range []float64{0.2, 0.5, 1} {
		if most/(step*part) <= 6 {
			return step * part
		}
	}
	return step
}

// slowBars draws how many healthy members were declared dead, a group of bars
// for each kind of slowness, as SVG. The axis is logarithmic from one an hour;
// none at all is a bar of no length with its number.
func slowBars(kinds []string, slow map[string]map[string]float64) []byte {
	names := []string{"gokv", "gokv, told of held up sends", "plain SWIM", "hasty SWIM"}
	const left, width, bar, gap = 250, 850, 16, 14
	height := 60 + len(kinds)*(len(names)*bar+gap) + 60
	most := 10.0
	for _, of := range slow {
		for _, v := range of {
			most = max(most, v)
		}
	}
	decades := math.Ceil(math.Log10(most))
	at := func(v float64) float64 { return left + math.Log10(max(v, 1))/decades*(width-left-90) }
	var b bytes.Buffer
	svgHead(&b, width, height, 20, "Healthy members declared dead, an hour, while one in twenty is slow")
	y := 50
	for _, kind := range kinds {
		fmt.Fprintf(&b, `<text x="20" y="%d" fill="#444444">%s</text>`+"\n", y+len(names)*bar/2+4, kind)
		for _, name := range names {
			v := slow[kind][name]
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", left, y, at(v)-left, bar-3, variantColours[name])
			fmt.Fprintf(&b, `<text x="%.1f" y="%d" font-size="11" fill="%s">%s</text>`+"\n", at(v)+5, y+bar-5, variantColours[name], thousands(int(v)))
			y += bar
		}
		y += gap
	}
	x := 20
	for _, name := range names {
		fmt.Fprintf(&b, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", x, y+20, variantColours[name], name)
		x += 40 + 8*len(name)
	}
	fmt.Fprintln(&b, "</svg>")
	return b.Bytes()
}
