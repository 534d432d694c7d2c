package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// TestDemoCrowd: a crowd with nearly every fate gets what it should, and the lines and the summary say so.
func TestDemoCrowd(t *testing.T) {
	t.Parallel()
	d := demo{customers: 11, under: t.TempDir()}
	var out, errOut bytes.Buffer
	if err := d.run(t.Context(), &out, &errOut); err != nil {
		t.Fatalf("demo: %v\n%s\n%s", err, &out, &errOut)
	}
	ends := map[int]string{
		51200001: `fresh +activated +via activate`,
		51200002: `announced twice +activated +via activate`,
		51200003: `answer lost +activated +via lookup`,
		51200004: `slow partner +activated +via activate`,
		51200005: `refused +failed +refused: the partner refuses to activate this customer`,
		51200006: `busy partner +activated +via activate`,
		51200007: `fresh +activated +via activate`,
		51200008: `lost, seen late +activated +via lookup`,
		51200009: `DNS missing +activated +via activate`,
		51200010: `terms open +activated +via activate`,
		51200011: `of last year +activated +via activate`,
	}
	for id, end := range ends {
		for _, pattern := range []string{`announced +waits for its turn`, `started +attempt 1`, end} {
			line := regexp.MustCompile(fmt.Sprintf(`(?m)^ +\d+\.\ds  %d  .*%s$`, id, pattern))
			if n := len(line.FindAllString(out.String(), -1)); n != 1 {
				t.Errorf("%d lines match %v, want one", n, line)
			}
		}
	}
	for _, want := range []string{
		"51200008  ひので茶舗     lost, seen late  deferred   unknown_outcome, next attempt in ",
		": the answer does not tell whether the request took effect\n",
		"\nfresh              2 of 2  activated\n",
		"DNS missing      deferred   dns_unverified, next attempt in ",
		"terms open       deferred   terms_pending, next attempt in ",
		"of last year     deferred   backlog, next attempt in ",
		"\n11 customers: 10 activated, 1 failed.\n",
		" activate (10 took effect), ",
		" look-up, ", " DNS data, 1 token; ",
		"\nEach got what it should, and nobody was activated twice.\n",
		"\nNext: worker run ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q", want)
		}
	}
	if strings.Contains(out.String(), "\x1b") || errOut.Len() > 0 {
		t.Errorf("want no control sequences and nothing on stderr, which got %q", &errOut)
	}
	if t.Failed() {
		t.Logf("output:\n%s", &out)
	}
	mustBeEmpty(t, d.under)
}

// TestDemoAsksNoEnvironment runs the command where the environment is against it.
func TestDemoAsksNoEnvironment(t *testing.T) {
	dir := t.TempDir()
	for name, value := range map[string]string{
		"TMPDIR": dir, "NATS_URL": "nats://127.0.0.1:1", "WORKER_NATS_LISTEN": "nonsense", "WORKER_LEASE": "1s", "WORKER_INTAKE_STREAM": "OTHER",
		"LINEWORKS_ACCESS_TOKEN": "x", "LINEWORKS_API_URL": "https://www.worksapis.com/v1.0", "HTTP_PROXY": "http://127.0.0.1:1",
	} {
		t.Setenv(name, value)
	}
	var out, errOut bytes.Buffer
	if code := run([]string{"demo", "--customers", "2"}, &out, &errOut); code != exitDone {
		t.Errorf("exit status %d, want %d\n%s\n%s", code, exitDone, &out, &errOut)
	}
	mustBeEmpty(t, dir)
}

func TestDemoUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--customers", "0"}, {"--customers", "1001"}, {"--customers", "many"}, {"51200001"}} {
		var out, errOut bytes.Buffer
		if code := run(append([]string{"demo"}, args...), &out, &errOut); code != exitUsage || errOut.Len() == 0 {
			t.Errorf("demo %v: exit status %d, want %d and why:\n%s", args, code, exitUsage, &errOut)
		}
	}
}

// TestDemoFails: a customer that does not get what it should is named, and the exit status says so.
func TestDemoFails(t *testing.T) {
	t.Parallel()
	d := demo{customers: 2, under: t.TempDir(), tamper: func(p *simulator.Simulator) {
		p.Script(firstDemoID, simulator.OpActivate, "409:NOT_TODAY*")
	}}
	var out, errOut bytes.Buffer
	err := d.run(t.Context(), &out, &errOut)
	if code := exitCode(t.Context(), err); code != exitFailed {
		t.Errorf("exit status %d (%v), want %d", code, err, exitFailed)
	}
	want := "\nNot as it should be:\n  51200001 ひので食品 (fresh): is failed, should be activated; 0 activate calls took effect, should be 1\n"
	if !strings.HasSuffix(out.String(), want) {
		t.Errorf("the output ends otherwise than with %q:\n%s", want, &out)
	}
	if !strings.Contains(errOut.String(), "activation failed") {
		t.Errorf("stderr lacks what the worker logged:\n%s", &errOut)
	}
	mustBeEmpty(t, d.under)
}

// TestDemoInterrupted: an interruption shuts everything down; customers on their way are no failure.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	d := demo{customers: 4, forever: true, under: t.TempDir()}
	var errOut bytes.Buffer
	out := &trigger{on: "  slow partner     started", do: func() error {
		cancel(errInterrupted)
		return nil
	}}
	err := d.run(ctx, out, &errOut)
	if code := exitCode(ctx, err); code != exitInterrupted {
		t.Errorf("exit status %d (%v), want %d\n%s", code, err, exitInterrupted, &errOut)
	}
	if !strings.Contains(out.String(), " Still on their way: ") || !strings.Contains(out.String(), "\nEach of the others got what it should,") {
		t.Errorf("the summary is missing or wrong:\n%s", out)
	}
	mustBeEmpty(t, d.under)
}

// TestDemoReaderGone: whoever reads the output may leave.
func TestDemoReaderGone(t *testing.T) {
	t.Parallel()
	d := demo{customers: 2, under: t.TempDir()}
	var errOut bytes.Buffer
	err := d.run(t.Context(), &trigger{on: "started", do: func() error { return syscall.EPIPE }}, &errOut)
	if !errors.Is(err, syscall.EPIPE) || errOut.Len() > 0 {
		t.Errorf("got %v, want a broken pipe and no log: %s", err, &errOut)
	}
	mustBeEmpty(t, d.under)
}

// TestDemoWrongs: every expectation can fail.
func TestDemoWrongs(t *testing.T) {
	t.Parallel()
	ok := simulator.Counts{Activates: 1, Applied: 1}
	for name, c := range map[string]struct {
		fate   string
		record *events.Record
		change func(*guest)
		counts simulator.Counts
		want   string
	}{
		"as it should be": {"answer lost", lookedUp(), nil, ok, ""},
		"never read":      {"fresh", nil, nil, ok, "is announced, should be activated"},
		"stuck":           {"fresh", &events.Record{State: events.Deferred}, nil, ok, "is deferred, should be activated"},
		"activated twice": {"announced twice", lookedUp(), nil, simulator.Counts{Activates: 2, Applied: 2}, "2 activate calls took effect, should be 1"},
		"not called":      {"busy partner", lookedUp(), nil, ok, "1 activate calls were made, should be at least 2"},
		"told twice":      {"fresh", lookedUp(), func(g *guest) { g.activations++ }, ok, "there are 2 activated events, should be one"},
		"no payload":      {"fresh", lookedUp(), func(g *guest) { g.complete = false }, ok, "the activated event lacks the partner's answer"},
		"called again":    {"answer lost", &events.Record{State: events.Activated, Via: events.ViaActivate, Customer: payload()}, nil, ok, "was learned of via activate, should be lookup"},
		"another reason": {
			"refused", &events.Record{State: events.Failed, Reason: events.Transient, Cause: &events.Cause{HTTPStatus: 409}}, nil,
			simulator.Counts{Activates: 1},
			"failed as transient, should be refused",
		},
		"no cause": {
			"refused", &events.Record{State: events.Failed, Reason: events.Refused}, nil,
			simulator.Counts{Activates: 1},
			"the partner's reason is not on record",
		},
	} {
		g := guestWith(c.fate, c.record)
		if c.change != nil {
			c.change(g)
		}
		if got := strings.Join(g.wrongs(c.counts), "; "); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestDemoSummaryOfTheUnfinished: what is unfinished is excused only by an interruption, and not for long.
func TestDemoSummaryOfTheUnfinished(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		interrupted bool
		ago         time.Duration
		breaches    []string
		want        bool
	}{
		"at the end":             {false, 0, nil, false},
		"interrupted":            {true, onItsWay - 1, nil, true},
		"interrupted, too late":  {true, onItsWay, nil, false},
		"interrupted, with harm": {true, 0, []string{"activate of 51200001 (call 2) began after call 1 had been answered as active"}, false},
	} {
		g := guestWith("fresh", nil)
		g.since = now.Add(-c.ago)
		var out bytes.Buffer
		tally := newTally()
		tally.add(g, simulator.Counts{}, c.interrupted, now)
		for _, breach := range c.breaches {
			tally.breach(breach)
		}
		if got := tally.write(&out, simulator.Journal{}); got != c.want {
			t.Errorf("%s: good is %v, want %v:\n%s", name, got, c.want, &out)
		}
		for _, breach := range c.breaches {
			if !strings.Contains(out.String(), breach) || strings.Contains(out.String(), "nobody") {
				t.Errorf("%s: the breach is not told:\n%s", name, &out)
			}
		}
	}
}

// TestDemoCompanies: the names fit into their column, and there are enough of them.
func TestDemoCompanies(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for n := range 63 {
		name := companyName(n)
		if names[name] || narrow.StringWidth(name) > companyWidth {
			t.Errorf("name %d, %s, is taken or wider than %d", n, name, companyWidth)
		}
		names[name] = true
	}
	for _, f := range fates {
		if narrow.StringWidth(f.name) > specialWidth {
			t.Errorf("%s is wider than %d", f.name, specialWidth)
		}
	}
}

// TestDemoFrame: the table fits the terminal, whatever its size, and its columns stand in line.
func TestDemoFrame(t *testing.T) {
	t.Parallel()
	now := time.Now()
	table := demoTable{total: 24, began: now.Add(-9 * time.Second)}
	var guests []*guest
	for i := range 24 {
		g := invite(i)
		switch {
		case i < 10:
			g.see(&events.Record{State: events.Activated, Via: events.ViaActivate, Calls: 1})
		case i == 12:
			g.see(&events.Record{
				State: events.Deferred, Reason: events.Transient, NextAttemptAt: now.Add(6 * time.Second), Calls: 1,
				Cause: &events.Cause{Description: "the partner's rate limit is reached"},
			})
		case i < 16:
			g.see(&events.Record{State: events.Started, Attempt: 2})
		}
		guests = append(guests, g)
	}
	for _, size := range [][2]int{{80, 40}, {120, 40}, {80, 24}, {60, 12}, {100, 5}, {20, 6}, {1, 5}} {
		frame := table.frame(guests, size[0], size[1], now)
		text := strings.Join(frame, "\n")
		if len(frame) >= size[1] {
			t.Errorf("%v: %d lines", size, len(frame))
		}
		for _, line := range frame {
			if narrow.StringWidth(line) >= max(2, size[0]) {
				t.Errorf("%v: %d columns wide: %s", size, narrow.StringWidth(line), line)
			}
		}
		if rest := strings.Contains(text, "… and "); rest != (size[1] < 28) && size[0] > 9 {
			t.Errorf("%v: tells of more customers: %v\n%s", size, rest, text)
		}
		if size[0] < 60 {
			continue
		}
		state := narrow.StringWidth(strings.Split(frame[0], "state")[0])
		for _, line := range frame[1 : len(frame)-1] {
			if cell := narrow.TruncateLeft(line, state, ""); !strings.HasPrefix(line, "…") && !regexp.MustCompile(`^(announced|started|deferred|activated) `).MatchString(cell) {
				t.Errorf("%v: no state stands at column %d: %s", size, state, line)
			}
		}
		if !strings.Contains(text, "51200016") {
			t.Errorf("%v: lacks a customer that something happens to\n%s", size, text)
		}
	}
	wide := strings.Join(table.frame(guests, 120, 40, now), "\n")
	for _, want := range []string{
		"deferred   transient, 6s: the partner's rate limit is reached ", "started    attempt 2 ", "activated  via activate ",
		"[#####.......] 9 s, 10 of 24 done: 10 activated, 1 deferred, 5 started, 8 announced",
	} {
		if !strings.Contains(wide, want) {
			t.Errorf("the table lacks %q:\n%s", want, wide)
		}
	}
}

// TestDemoTableRedraws in place, hides the cursor and gives it back.
func TestDemoTableRedraws(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	width := 80
	table := demoTable{out: &out, total: 2, colour: true, began: time.Now(), size: func() (int, int) { return width, 24 }}
	guests := []*guest{invite(0), guestWith("fresh", lookedUp())}
	drawn := func(draw func([]*guest, time.Time) error) string {
		out.Reset()
		if err := draw(guests, time.Now()); err != nil {
			t.Fatalf("draw: %v", err)
		}
		return out.String()
	}
	if first := drawn(table.tick); !strings.HasPrefix(first, hideCursor+bold+"id") || !strings.Contains(first, "  \x1b[32mactivated\x1b[0m") {
		t.Errorf("first frame: %q", first)
	}
	if second := drawn(table.tick); !strings.HasPrefix(second, hideCursor+"\x1b[4A\r") {
		t.Errorf("second frame does not go back over four lines: %q", second)
	}
	width = 100
	if resized := drawn(table.tick); !strings.HasPrefix(resized, hideCursor+clearScreen) {
		t.Errorf("a frame of another size does not begin anew: %q", resized)
	}
	if last := drawn(table.end); !strings.HasSuffix(last, showCursor) {
		t.Errorf("the cursor is not given back: %q", last)
	}
}

func lookedUp() *events.Record {
	return &events.Record{State: events.Activated, Via: events.ViaLookup, Customer: payload()}
}

func payload() []byte { return []byte(`{"domainId":51200001,"companyName":"ひので食品"}`) }

// guestWith is the first customer with another fate, and with a record if there is one.
func guestWith(name string, r *events.Record) *guest {
	g := invite(0)
	for _, f := range fates {
		if f.name == name {
			g.fate = f
		}
	}
	if r != nil {
		g.see(r)
	}
	return g
}

// trigger is an output that does something, and fails with what that returns, once a text goes through it.
type trigger struct {
	bytes.Buffer
	on string
	do func() error
}

func (w *trigger) Write(p []byte) (int, error) {
	_, _ = w.Buffer.Write(p)
	if bytes.Contains(p, []byte(w.on)) {
		return len(p), w.do()
	}
	return len(p), nil
}

func mustBeEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
}
