package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"

	"activation-worker/internal/events"
)

// demoView shows the customers while their states change.
type demoView interface {
	changed(g *guest, now time.Time) error     // after each change of a customer
	tick(guests []*guest, now time.Time) error // a few times a second
	end(guests []*guest, now time.Time) error  // leaves the terminal as it was
}

// newDemoView is a live table on a terminal, else a line for each change. total is how many customers will come; 0: no end. past
// are those who are not among the customers any more.
func newDemoView(out io.Writer, total int, environ []string, past *tally) demoView {
	if !isTerminal(out) || slices.Contains(environ, "TERM=dumb") {
		return &demoLines{out: out, began: time.Now()}
	}
	f := out.(*os.File) //nolint:errcheck // isTerminal has looked
	return &demoTable{
		out: out, total: total, began: time.Now(), past: past,
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
	return narrow.FillRight(cutTo(text, width), width)
}

func cutTo(text string, width int) string { return narrow.Truncate(text, max(0, width), "…") }

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

// demoLines is a view that prints a line for each change.
type demoLines struct {
	out   io.Writer
	began time.Time
}

func (v *demoLines) changed(g *guest, now time.Time) error {
	_, err := fmt.Fprintf(v.out, "%5.1fs  %d  %s  %s  %s  %s\n", now.Sub(v.began).Seconds(), g.id,
		padded(g.company, companyWidth), padded(g.name, specialWidth), padded(string(g.state()), stateWidth), g.detail(", next attempt in ", now))
	return err
}

func (v *demoLines) tick([]*guest, time.Time) error { return nil }
func (v *demoLines) end([]*guest, time.Time) error  { return nil }

// demoTable is a view that redraws itself in place.
type demoTable struct {
	out    io.Writer
	size   func() (width, height int)
	colour bool
	total  int
	began  time.Time
	past   *tally // nil: nobody

	drawn         int // lines
	width, height int // as they were then
}

// Terminal control sequences.
const (
	hideCursor  = "\x1b[?25l"
	showCursor  = "\x1b[?25h"
	clearScreen = "\x1b[2J\x1b[H"
	clearRight  = "\x1b[K"
	clearBelow  = "\x1b[J"
	asBefore    = "\x1b[0m"
	bold        = "\x1b[1m"
)

// stateColours are those of the states.
var stateColours = map[events.State]string{
	events.Started: "\x1b[36m", events.Deferred: "\x1b[33m", events.Activated: "\x1b[32m", events.Failed: "\x1b[31m",
}

func (v *demoTable) changed(*guest, time.Time) error { return nil } // the next tick shows it

func (v *demoTable) tick(guests []*guest, now time.Time) error {
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

func (v *demoTable) end(guests []*guest, now time.Time) error {
	err := v.tick(guests, now)
	if _, shown := io.WriteString(v.out, showCursor); err == nil {
		err = shown
	}
	return err
}

// frame is what is shown: lines narrower than the terminal and fewer than its height.
func (v *demoTable) frame(guests []*guest, width, height int, now time.Time) []string {
	wide := width - 1 // a full last column wraps on some terminals
	frame := []string{v.paint(bold, tableRow("id", "company", "what happens", "state", "reason, next attempt", "calls", wide))}
	shown := roomFor(guests, height-4) // beside heading, rest, progress and the cursor's line
	for _, g := range shown {
		calls := 0
		if g.record != nil {
			calls = g.record.Calls
		}
		line := tableRow(fmt.Sprint(g.id), g.company, g.name, string(g.state()), g.detail(", ", now), fmt.Sprint(calls), wide)
		frame = append(frame, v.paintState(g.state(), line))
	}
	if rest := len(guests) - len(shown); rest > 0 {
		frame = append(frame, cutTo(fmt.Sprintf("… and %d more", rest), wide))
	}
	return append(frame, cutTo(v.progress(guests, now), wide))
}

// tableRow is one line of the table. What does not fit into its column is cut; where there is hardly room, there are no calls.
func tableRow(id, company, special, state, detail, calls string, wide int) string {
	cells := []string{padded(id, idWidth), padded(company, companyWidth), padded(special, specialWidth), padded(state, stateWidth), detail}
	if room := wide - fixedWidth; room >= callsWidth {
		cells[4] = padded(detail, room)
		cells = append(cells, narrow.FillLeft(calls, callsWidth))
	}
	return cutTo(strings.Join(cells, "  "), wide)
}

// urgency is which customers are shown where there is no room for all: those that something happens to, then the rest.
var urgency = map[events.State]int{events.Started: 0, events.Deferred: 1, "announced": 2, events.Activated: 3, events.Failed: 3}

// roomFor picks as many customers as there is room for, in order of their ids.
func roomFor(guests []*guest, room int) []*guest {
	some := slices.Clone(guests)
	slices.SortStableFunc(some, func(a, b *guest) int {
		return cmp.Or(cmp.Compare(urgency[a.state()], urgency[b.state()]), cmp.Compare(b.id, a.id))
	})
	some = some[:min(len(some), max(1, room))]
	slices.SortFunc(some, func(a, b *guest) int { return cmp.Compare(a.id, b.id) })
	return some
}

// barWidth is that of the progress bar.
const barWidth = 12

func (v *demoTable) progress(guests []*guest, now time.Time) string {
	finished, came, states := 0, len(guests), map[events.State]int{}
	if v.past != nil {
		finished, came, states = v.past.customers, came+v.past.customers, maps.Clone(v.past.states)
	}
	for _, g := range guests {
		states[g.state()]++
		if g.done() {
			finished++
		}
	}
	seconds := now.Sub(v.began).Seconds()
	if v.total == 0 {
		return fmt.Sprintf("%.0f s (Ctrl-C ends it), %d of %d done: %s", seconds, finished, came, statesInWords(states))
	}
	filled := barWidth * finished / v.total
	return fmt.Sprintf("[%s%s] %.0f s, %d of %d done: %s", strings.Repeat("#", filled), strings.Repeat(".", barWidth-filled),
		seconds, finished, v.total, statesInWords(states))
}

func (v *demoTable) paint(colour, text string) string {
	if !v.colour || colour == "" {
		return text
	}
	return colour + text + asBefore
}

// paintState colours the state's column of a line.
func (v *demoTable) paintState(s events.State, line string) string {
	before, after, found := strings.Cut(line, "  "+string(s))
	if !found {
		return line
	}
	return before + "  " + v.paint(stateColours[s], string(s)) + after
}
