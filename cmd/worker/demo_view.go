package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"

	"activation-worker/internal/events"
)

// view shows the customers while their states change.
type view interface {
	changed(g *guest, now time.Time) error          // after each change of a customer
	tick(guests []*guest, now time.Time) error      // a few times a second
	end(guests []*guest, now time.Time) (err error) // leaves the terminal as it was; twice is harmless
}

// newView is a live table on a terminal, else a line for each change. total is how many customers will come; 0: no end.
func newView(out io.Writer, total int, environ []string) view {
	if !isTerminal(out) || slices.Contains(environ, "TERM=dumb") {
		return &lines{out: out, began: time.Now()}
	}
	f := out.(*os.File) //nolint:errcheck // isTerminal has looked
	return &table{
		out: out, total: total, began: time.Now(),
		colour: !slices.ContainsFunc(environ, func(v string) bool { return strings.HasPrefix(v, "NO_COLOR=") && v != "NO_COLOR=" }),
		size: func() (width, height int) {
			width, height, err := term.GetSize(int(f.Fd()))
			if err != nil || width < 1 || height < 1 {
				return 80, 24
			}
			return width, height
		},
	}
}

// Widths of columns, as displayed.
const (
	idWidth      = 8
	companyWidth = 13
	specialWidth = 15
	stateWidth   = 9
	callsWidth   = 5
	fixedWidth   = idWidth + companyWidth + specialWidth + stateWidth + callsWidth + 5*2
)

// narrow measures as nearly all terminals do, wherever they stand: Japanese is two columns wide, the … one.
var narrow = &runewidth.Condition{StrictEmojiNeutral: true}

// padded is text in exactly that many columns.
func padded(text string, width int) string {
	return narrow.FillRight(cut(text, width), width)
}

func cut(text string, width int) string { return narrow.Truncate(text, max(0, width), "…") }

// detail says why, and what comes next; then is what stands before the time of the next attempt.
func (g *guest) detail(then string, now time.Time) string {
	r := g.record
	if r == nil {
		return "waits for its turn"
	}
	switch r.State {
	case events.Started:
		return fmt.Sprintf("attempt %d", r.Attempt)
	case events.Activated:
		return "via " + string(r.Via)
	}
	text := string(r.Reason)
	if r.State == events.Deferred {
		text += then + max(0, r.NextAttemptAt.Sub(now)).Round(time.Second).String()
	}
	if r.Cause != nil {
		text += ": " + printable(r.Cause.Description)
	}
	return text
}

// lines is a view that prints a line for each change.
type lines struct {
	out   io.Writer
	began time.Time
}

func (v *lines) changed(g *guest, now time.Time) error {
	_, err := fmt.Fprintf(v.out, "%5.1fs  %d  %s  %s  %s  %s\n", now.Sub(v.began).Seconds(), g.id,
		padded(g.company, companyWidth), padded(g.name, specialWidth), padded(string(g.state()), stateWidth), g.detail(", next attempt in ", now))
	return err
}

func (v *lines) tick([]*guest, time.Time) error { return nil }
func (v *lines) end([]*guest, time.Time) error  { return nil }

// table is a view that redraws itself in place.
type table struct {
	out    io.Writer
	size   func() (width, height int)
	colour bool
	total  int
	began  time.Time

	drawn         int // lines
	width, height int // as they were then
	over          bool
}

// Terminal control sequences.
const (
	hideCursor  = "\x1b[?25l"
	showCursor  = "\x1b[?25h"
	clearScreen = "\x1b[2J\x1b[H"
	clearRight  = "\x1b[K"
	clearBelow  = "\x1b[J"
	plain       = "\x1b[0m"
	bold        = "\x1b[1m"
)

// colours are those of the states.
var colours = map[events.State]string{
	events.Started: "\x1b[36m", events.Deferred: "\x1b[33m", events.Activated: "\x1b[32m", events.Failed: "\x1b[31m",
}

func (v *table) changed(*guest, time.Time) error { return nil } // the next tick shows it

func (v *table) tick(guests []*guest, now time.Time) error {
	width, height := v.size()
	var b strings.Builder
	b.WriteString(hideCursor)
	switch {
	case v.drawn > 0 && (width != v.width || height != v.height):
		b.WriteString(clearScreen) // the terminal has moved the lines about
	case v.drawn > 0:
		fmt.Fprintf(&b, "\x1b[%dA\r", v.drawn)
	}
	frame := v.frame(guests, width, height, now)
	for _, line := range frame {
		b.WriteString(line + clearRight + "\n")
	}
	b.WriteString(clearBelow)
	v.drawn, v.width, v.height = len(frame), width, height
	_, err := io.WriteString(v.out, b.String())
	return err
}

func (v *table) end(guests []*guest, now time.Time) error {
	if v.over {
		return nil
	}
	v.over = true
	err := v.tick(guests, now)
	if _, shown := io.WriteString(v.out, showCursor); err == nil {
		err = shown
	}
	return err
}

// frame is what is shown: lines narrower than the terminal and fewer than its height.
func (v *table) frame(guests []*guest, width, height int, now time.Time) []string {
	wide := width - 1 // a full last column wraps on some terminals
	frame := []string{v.paint(bold, cut(row("id", "company", "what happens", "state", "reason, next attempt", "calls", wide), wide))}
	shown := fitting(guests, height-4) // beside heading, rest, progress and the cursor's line
	for _, g := range shown {
		calls := 0
		if g.record != nil {
			calls = g.record.Calls
		}
		line := cut(row(fmt.Sprint(g.id), g.company, g.name, string(g.state()), g.detail(", ", now), fmt.Sprint(calls), wide), wide)
		frame = append(frame, v.paintState(g.state(), line))
	}
	if rest := len(guests) - len(shown); rest > 0 {
		frame = append(frame, cut(fmt.Sprintf("… and %d more", rest), wide))
	}
	return append(frame, cut(v.progress(guests, now), wide))
}

// row is one line of the table. What does not fit into its column is cut.
func row(id, company, special, state, detail, calls string, wide int) string {
	return strings.Join([]string{
		padded(id, idWidth), padded(company, companyWidth), padded(special, specialWidth), padded(state, stateWidth),
		padded(detail, max(0, wide-fixedWidth)), narrow.FillLeft(calls, callsWidth),
	}, "  ")
}

// fitting are the customers that there is room for, in order of their ids: those on their way first, then the newest.
func fitting(guests []*guest, room int) []*guest {
	some := slices.Clone(guests)
	slices.SortStableFunc(some, func(a, b *guest) int {
		if a.done() != b.done() {
			return map[bool]int{true: 1, false: -1}[a.done()]
		}
		return cmp.Compare(b.id, a.id)
	})
	some = some[:min(len(some), max(1, room))]
	slices.SortFunc(some, func(a, b *guest) int { return cmp.Compare(a.id, b.id) })
	return some
}

// barWidth is that of the progress bar.
const barWidth = 24

func (v *table) progress(guests []*guest, now time.Time) string {
	finished, states := 0, map[events.State]int{}
	for _, g := range guests {
		states[g.state()]++
		if g.done() {
			finished++
		}
	}
	seconds := now.Sub(v.began).Seconds()
	if v.total == 0 {
		return fmt.Sprintf("%d of %d done: %s, %.0f s; Ctrl-C ends it", finished, len(guests), counted(states), seconds)
	}
	filled := barWidth * finished / v.total
	return fmt.Sprintf("[%s%s] %d of %d done: %s, %.0f s", strings.Repeat("#", filled), strings.Repeat(".", barWidth-filled),
		finished, v.total, counted(states), seconds)
}

func (v *table) paint(colour, text string) string {
	if !v.colour || colour == "" {
		return text
	}
	return colour + text + plain
}

// paintState colours the state's column of a line.
func (v *table) paintState(s events.State, line string) string {
	before, after, found := strings.Cut(line, "  "+string(s))
	if !found {
		return line
	}
	return before + "  " + v.paint(colours[s], string(s)) + after
}
