package main

import (
	"fmt"
	"math"
	"strings"
)

// A plot is a line drawing of a few series over places of equal distance.
type plot struct {
	title, xAxis, yAxis string
	places              []string
	series              []series
}

type series struct {
	name   string
	values []float64 // one for each place
}

const (
	plotWidth, plotHeight = 720, 400
	plotLeft, plotRight   = 72, 120
	plotTop, plotBottom   = 40, 56
	plotStyle             = `text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600}.grid{stroke:#d0d7de;stroke-width:1}.line{fill:none;stroke-width:2}` +
		`.s0{stroke:#57606a}.s1{stroke:#0969da}.s2{stroke:#bc4c00}.s3{stroke:#8250df}.d0{fill:#57606a}.d1{fill:#0969da}.d2{fill:#bc4c00}.d3{fill:#8250df}` +
		`@media(prefers-color-scheme:dark){text{fill:#e6edf3}.grid{stroke:#30363d}.s0{stroke:#9ea7b3}.s1{stroke:#58a6ff}.s2{stroke:#f0883e}.s3{stroke:#bc8cff}` +
		`.d0{fill:#9ea7b3}.d1{fill:#58a6ff}.d2{fill:#f0883e}.d3{fill:#bc8cff}}`
)

// svg draws it, for a light ground and a dark one.
func (p plot) svg() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label=%q>`+"\n<style>%s</style>\n", plotWidth, plotHeight, p.title, plotStyle)
	text := func(x, y float64, anchor, class, s string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s" class="%s">%s</text>`+"\n", x, y, anchor, class, s)
	}
	top := 0.0
	for _, s := range p.series {
		for _, v := range s.values {
			top = math.Max(top, v)
		}
	}
	step := niceStep(top / 5)
	top = math.Max(step, math.Ceil(top/step)*step)
	xOf := func(i int) float64 {
		return plotLeft + float64(plotWidth-plotLeft-plotRight)*(float64(i)+0.5)/float64(len(p.places))
	}
	yOf := func(v float64) float64 { return plotHeight - plotBottom - (plotHeight-plotTop-plotBottom)*v/top }
	for i := 0; float64(i)*step <= top*1.0001; i++ {
		v := float64(i) * step
		fmt.Fprintf(&b, `<path class="grid" d="M%d %.1fH%d"/>`+"\n", plotLeft, yOf(v), plotWidth-plotRight)
		text(plotLeft-8, yOf(v)+4, "end", "", fmt.Sprintf("%.4g", v))
	}
	for i, place := range p.places {
		text(xOf(i), plotHeight-plotBottom+20, "middle", "", place)
	}
	for n, s := range p.series {
		var path strings.Builder
		for i, v := range s.values {
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], xOf(i), yOf(v))
		}
		fmt.Fprintf(&b, `<path class="line s%d" d="%s"/>`+"\n", n, path.String())
		for i, v := range s.values {
			fmt.Fprintf(&b, `<circle class="d%d" cx="%.1f" cy="%.1f" r="3.5"/>`+"\n", n, xOf(i), yOf(v))
		}
		// The names stand below one another, not at the lines' ends, where they would cover each other.
		y := float64(plotTop + 16 + 20*n)
		fmt.Fprintf(&b, `<circle class="d%d" cx="%d" cy="%.1f" r="4"/>`+"\n", n, plotWidth-plotRight+14, y-4)
		text(plotWidth-plotRight+24, y, "start", "", s.name)
	}
	text(plotLeft, 22, "start", "title", p.title)
	text((plotLeft+plotWidth-plotRight)/2, plotHeight-14, "middle", "", p.xAxis)
	fmt.Fprintf(&b, `<text transform="translate(18 %d) rotate(-90)" text-anchor="middle">%s</text>`+"\n</svg>\n", (plotTop+plotHeight-plotBottom)/2, p.yAxis)
	return b.String()
}

// niceStep is 1, 2 or 5 times a power of ten, at least v.
func niceStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= v {
			return m * power
		}
	}
	return 10 * power
}
