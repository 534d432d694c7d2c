package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"activation-worker/internal/events"
)

// outputFlag adds -o and checks it before the command runs.
func outputFlag(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", "table", "table or json")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if *output != "table" && *output != "json" {
			return usageError{fmt.Errorf("--output: %q is not table or json", *output)}
		}
		return nil
	}
}

// momentFlag reads a flag's point in time, which is given as such or as how long ago it was; empty is none.
func momentFlag(name, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, usageError{fmt.Errorf("--%s: %.60q is no time (RFC 3339, such as 2026-11-01T00:00:00+09:00) and no duration (such as 24h or 30m)", name, text)}
}

// timeView is how people read times: seen from now, in a zone.
type timeView struct {
	now  time.Time
	zone *time.Location
}

func localView() timeView { return timeView{time.Now(), time.Local} }

const clock = "2006-01-02 15:04:05 -07:00"

// at is a time with its offset; nothing for none.
func (v timeView) at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(v.zone).Format(clock)
}

// due is when something happens, within a sentence.
func (v timeView) due(t time.Time) string {
	if wait := t.Sub(v.now); wait > 0 {
		return "at " + v.at(t) + " (in " + inWords(wait) + ")"
	}
	return "now (due since " + v.at(t) + ")"
}

func local(t time.Time) string { return localView().at(t) }

// inWords is a duration as people say it: days and hours where it is long.
func inWords(d time.Duration) string {
	const day = 24 * time.Hour
	if d < 2*day {
		return d.Round(time.Second).String()
	}
	d = d.Round(time.Hour)
	return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
}

// customerLine is the JSON of a customer.
type customerLine struct {
	DomainID      int64         `json:"domainId"`
	Domain        string        `json:"domain,omitempty"`
	Reference     string        `json:"reference,omitempty"`
	State         events.State  `json:"state"`
	Reason        events.Reason `json:"reason,omitempty"`
	Code          string        `json:"code,omitempty"`
	Attempt       int           `json:"attempt"`
	Round         int           `json:"round"`
	Since         time.Time     `json:"since,omitzero"`
	NextAttemptAt time.Time     `json:"nextAttemptAt,omitzero"`
	GiveUpAt      time.Time     `json:"giveUpAt,omitzero"`
}

func lineOf(r *events.Record) customerLine {
	line := customerLine{
		DomainID: r.DomainID, Domain: r.Domain, Reference: r.Reference, State: r.State, Reason: r.Reason,
		Attempt: r.Attempt, Round: r.Round, Since: r.Time.UTC(), NextAttemptAt: r.NextAttemptAt.UTC(), GiveUpAt: r.GiveUpAt.UTC(),
	}
	if r.Cause != nil {
		line.Code = r.Cause.Code
	}
	return line
}

// jsonLines writes one object a line.
func jsonLines(out io.Writer) *json.Encoder {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc
}

// cell is a column's text and its least width, as displayed. Nothing is cut: what is longer moves its own line only.
type cell struct {
	text  string
	width int
}

// row is one line of a table.
func row(cells ...cell) string {
	var b strings.Builder
	for i, c := range cells {
		if i > 0 {
			b.WriteString("  ")
		}
		b.WriteString(narrow.FillRight(printable(c.text), c.width))
	}
	return strings.TrimRight(b.String(), " ") + "\n"
}

// Least widths of columns.
const (
	idColumn     = 10
	timeColumn   = len(clock)
	stateColumn  = 9
	reasonColumn = 19
	domainColumn = 24
)

// printable keeps what others wrote from moving a terminal's cursor.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if !strconv.IsPrint(c) {
			return '\uFFFD'
		}
		return c
	}, s)
}

// plural is a count with its noun.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
