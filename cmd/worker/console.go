package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"activation-worker/internal/census"
	"activation-worker/internal/config"
	"activation-worker/internal/console"
	"activation-worker/internal/events"
)

// consoleSource is what the page shows: what the running service's parts know. It only reads.
type consoleSource struct {
	*parts
	c *config.Config
}

// serveConsole serves the page until ctx ends, or closed is called, which waits for the end; url is empty where there is to be none.
func (p *parts) serveConsole(ctx context.Context, c *config.Config, address string, log *zap.Logger) (url string, closed func(), err error) {
	if address == "" {
		return "", func() {}, nil
	}
	page := console.Page(console.PageOptions{
		Source: consoleSource{p, c}, Addr: address, Hosts: c.Worker.ConsoleHosts, States: listedStates(), Reasons: reasonNames(), Log: log,
	})
	server, err := console.Listen(ctx, "WORKER_CONSOLE_ADDR", address, page, log)
	if err != nil {
		return "", nil, err
	}
	url = pageURL(server.Addr())
	log.Info("console is served", zap.String("console", url))
	if host, _, _ := net.SplitHostPort(server.Addr()); !net.ParseIP(host).IsLoopback() {
		log.Warn("the console asks nobody who they are: whoever reaches it sees customers' domains and states", zap.String("listens_on", server.Addr()))
	}
	stop := context.AfterFunc(ctx, server.Close) // at once: what the worker has in hand needs the time
	return url, func() {                         //nolint:contextcheck // ctx has ended by then
		stop()
		server.Close()
	}, nil
}

// pageURL is where the page is to be found on this machine.
func pageURL(address string) string {
	host, port, _ := net.SplitHostPort(address)
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() { // every address, which is none to ask for
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}

// listedStates are those of the page's list.
func listedStates() (names []string) {
	for _, state := range append(events.States(), census.Unknown) {
		names = append(names, string(state))
	}
	return names
}

// away says in what way an answer of NATS's is missing.
func away(err error) error { return fmt.Errorf("%w: %w", console.ErrAway, err) }

// reading is how customers are read, or why that cannot be.
func (s consoleSource) reading() (*statusReader, error) {
	if trouble := s.linkTrouble(); trouble != "" {
		return nil, fmt.Errorf("%w: %s", console.ErrAway, trouble)
	}
	return s.reader.Load(), nil
}

// linkTrouble is why nothing can be read from NATS; empty where it can.
func (p *parts) linkTrouble() string {
	link, away := p.link()
	switch {
	case away:
		return "NATS is away: " + link.Detail
	case p.worker.Load() == nil:
		return "The worker has not begun: " + *p.stage.Load()
	}
	return ""
}

// trouble is why the page may show what is old, or too little; empty where it is right.
func (p *parts) trouble() string {
	if trouble := p.linkTrouble(); trouble != "" {
		return trouble
	}
	if link, _ := p.link(); !link.OK {
		return "NATS is in trouble: " + link.Detail
	}
	_, lag, known := p.census.Load().Counts()
	switch {
	case !known && lag > 0:
		return fmt.Sprintf("The ledger is being read: %s messages to go", grouped(lag))
	case !known:
		return "The customers are not counted at the moment; where that lasts, the worker's log says why"
	case lag > muchLag:
		return fmt.Sprintf("The counts are behind the ledger: %s messages to go", grouped(lag))
	}
	return ""
}

// muchLag is more than what a busy worker writes in a moment.
const muchLag = 1000

// grouped is a number as people read it: 12,345.
func grouped(n uint64) string {
	text := strconv.FormatUint(n, 10)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// counted are counts in the order of the states and of their reasons.
func counted(counts map[census.Key]int) []console.Count {
	list := []console.Count{}
	for _, state := range append(events.States(), census.Unknown) {
		for _, reason := range append([]events.Reason{""}, events.Reasons()...) {
			if n, ok := counts[census.Key{State: state, Reason: reason}]; ok {
				list = append(list, console.Count{State: string(state), Reason: string(reason), Count: n})
			}
		}
	}
	return list
}

// spans are those of the census.
var spans = map[console.Span]census.Span{console.SpanHour: census.Hour, console.SpanDay: census.Day, console.SpanWeek: census.Week}

// Activations implements [console.Source].
func (s consoleSource) Activations(span console.Span, midnight time.Time) console.Activations {
	known := s.census.Load()
	if known == nil {
		known = census.New(census.Options{Log: zap.NewNop()}) // counts nobody
	}
	a := known.Activations(spans[span], midnight, time.Now())
	out := console.Activations{
		Step: int(a.Step / time.Second), Counts: a.Counts, Times: make([]int64, len(a.Times)),
		Total: a.Total, Timed: a.Timed, TotalMedian: secondsOf(a.TotalMedian), TotalP90: secondsOf(a.TotalP90), Today: a.Today,
	}
	for i, t := range a.Times {
		out.Times[i] = t.Unix()
		out.Median, out.P90 = append(out.Median, secondsOf(a.Median[i])), append(out.P90, secondsOf(a.P90[i]))
	}
	return out
}

// secondsOf is nil for what is not known.
func secondsOf(d time.Duration) *float64 {
	if d < 0 {
		return nil
	}
	s := d.Seconds()
	return &s
}

// rowOf is a record as the list has it.
func rowOf(r *events.Record) console.Row {
	line := lineOf(r)
	return console.Row{
		DomainID: idText(r.DomainID), Domain: printable(r.Domain), Reference: printable(r.Reference),
		State: string(r.State), Reason: string(r.Reason), Code: line.Code, Attempt: r.Attempt, Since: line.Since, NextAttemptAt: line.NextAttemptAt,
	}
}

// known checks the words of a filter.
func knownWords[T ~string](what string, words []string, known []T) ([]T, error) {
	var all []T
	for _, w := range words {
		if !slices.Contains(known, T(w)) {
			return nil, console.InputError{Err: fmt.Errorf("there is no %s %.40q", what, w)}
		}
		all = append(all, T(w))
	}
	return all, nil
}

// errInput is what was asked for in a wrong way.
func errInput(err error) error {
	if usage := (usageError{}); errors.As(err, &usage) {
		err = usage.err
	}
	return console.InputError{Err: err}
}

// idText is a domain id as JSON has it here: JavaScript has no integers above 2^53.
func idText(id int64) string { return strconv.FormatInt(id, 10) }
