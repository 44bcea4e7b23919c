package main

import (
	"bytes"
	"fmt"
	"math"
	"slices"
)

type point struct{ x, y float64 }

type curve struct {
	name, colour string
	points       []point
	dots         bool // measured: each point shows
}

// syncPlot draws the measured bytes beside the computed ones of others.
func syncPlot(entries int, measured []point) []byte {
	if len(measured) == 0 {
		return nil
	}
	most := measured[len(measured)-1].x
	curves := []curve{{name: "gokv, measured", colour: "#c0392b", points: measured, dots: true}}
	for i, r := range rivals {
		c := curve{name: r.name + ", computed", colour: []string{"#2c6fbb", "#2e8b57", "#8e5ea2", "#8a6d3b"}[i%4]}
		for e := 0.0; e <= math.Log10(most)+1e-9; e += 0.1 {
			d := math.Pow(10, e)
			c.points = append(c.points, point{d, r.cost(float64(entries), d)})
		}
		curves = append(curves, c)
	}
	title := fmt.Sprintf("Bytes to repair d differences among %s entries, beyond the entries", thousands(entries))
	return logLog(title, "differences", "bytes, both ways", curves)
}

// logLog draws curves over two logarithmic axes, as SVG.
func logLog(title, xName, yName string, curves []curve) []byte {
	const (
		width, height            = 850, 500
		left, right, top, bottom = 80, 250, 44, 56
	)
	lo, hi := point{math.Inf(1), math.Inf(1)}, point{}
	for _, c := range curves {
		for _, p := range c.points {
			lo = point{min(lo.x, p.x), min(lo.y, p.y)}
			hi = point{max(hi.x, p.x), max(hi.y, p.y)}
		}
	}
	decade := func(v float64, round func(float64) float64) float64 { return round(math.Log10(v)) }
	x0, x1 := decade(lo.x, math.Floor), max(decade(hi.x, math.Ceil), decade(lo.x, math.Floor)+1)
	y0, y1 := decade(lo.y, math.Floor), max(decade(hi.y, math.Ceil), decade(lo.y, math.Floor)+1)
	atX := func(v float64) float64 { return left + (math.Log10(v)-x0)/(x1-x0)*(width-left-right) }
	atY := func(v float64) float64 { return height - bottom - (math.Log10(v)-y0)/(y1-y0)*(height-top-bottom) }

	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="%d" y="26" font-size="15" fill="#222222">%s</text>`+"\n", left, title)
	line := func(ax, ay, bx, by float64) {
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#dddddd"/>`+"\n", ax, ay, bx, by)
	}
	for e := x0; e <= x1; e++ {
		x := atX(math.Pow(10, e))
		line(x, top, x, height-bottom)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle" fill="#444444">%s</text>`+"\n", x, height-bottom+18, magnitude(e, ""))
	}
	for e := y0; e <= y1; e++ {
		y := atY(math.Pow(10, e))
		line(left, y, width-right, y)
		fmt.Fprintf(&b, `<text x="%d" y="%.1f" text-anchor="end" fill="#444444">%s</text>`+"\n", left-8, y+4, magnitude(e, "B"))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle" fill="#444444">%s</text>`+"\n", (left+width-right)/2, height-14, xName)
	fmt.Fprintf(&b, `<text transform="translate(18 %d) rotate(-90)" text-anchor="middle" fill="#444444">%s</text>`+"\n", (top+height-bottom)/2, yName)

	// Names stand where their curves end, moved apart where they would overlap.
	slices.SortFunc(curves, func(a, b curve) int { return int(atY(a.last().y) - atY(b.last().y)) })
	below := 0.0
	for _, c := range curves {
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, c.colour)
		for _, p := range c.points {
			fmt.Fprintf(&b, "%.1f,%.1f ", atX(p.x), atY(p.y))
		}
		fmt.Fprintln(&b, `"/>`)
		for _, p := range c.points {
			if c.dots {
				fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n", atX(p.x), atY(p.y), c.colour)
			}
		}
		below = max(below+16, atY(c.last().y)+4)
		fmt.Fprintf(&b, `<text x="%d" y="%.1f" fill="%s">%s</text>`+"\n", width-right+10, below, c.colour, c.name)
	}
	fmt.Fprintln(&b, "</svg>")
	return b.Bytes()
}

func (c curve) last() point { return c.points[len(c.points)-1] }

// magnitude is a power of ten as people write it: 10 kB.
func magnitude(e float64, unit string) string {
	i := int(e)
	if unit == "" {
		return thousands(int(math.Pow10(i)))
	}
	return fmt.Sprintf("%d %s%s", int(math.Pow10(i%3)), []string{"", "k", "M", "G"}[i/3], unit)
}

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
