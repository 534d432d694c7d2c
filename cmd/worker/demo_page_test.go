package main

import (
	"bytes"
	"context"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"activation-worker/internal/broker"
	"activation-worker/internal/console"
	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

var demoAddress = regexp.MustCompile(`(?m)^Console: (http://127\.0\.0\.1:(\d+)/)$`)

// TestDemoServesThePage, says where before anybody comes, and shows there who comes.
func TestDemoServesThePage(t *testing.T) {
	t.Parallel()
	p := startBinary(t, []string{"WORKER_CONSOLE_ADDR=127.0.0.1:0", "TMPDIR=" + t.TempDir()}, "demo", "--customers", "4")
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	var url []string
	if !p.stdout.waitFor(ctx, p.ended, func(said string) bool {
		url = demoAddress.FindStringSubmatch(said)
		return url != nil
	}) {
		t.Fatalf("no address is told:\n%s%s", p.stdout, p.stderr)
	}
	await(t, lookAt(t, url[1]).live(), "who is activated before the last", func(now console.Now) bool {
		return now.Simulated && now.Worker == "demo" && countOf(now.Counts, "activated", "") >= 3
	})
	if code := p.Wait(workTimeout); code != exitDone {
		t.Errorf("exit status %d:\n%s%s", code, p.stdout, p.stderr)
	}
	before, _, _ := strings.Cut(p.stdout.String(), url[0])
	if strings.Contains(before, "51200001") {
		t.Errorf("the address is told only after\n%s", before)
	}
}

// usualConsole is where the page is by default, taken for as long as the tests run: else one test's worker could get the place that another
// takes. nil: somebody else has it, which is as good.
var usualConsole = sync.OnceValue(func() net.Listener {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:8081")
	if err != nil {
		return nil
	}
	return l
})

// TestDemoWhereThePageCannotBe: at a place of one's own it must be, else it is at another.
func TestDemoWhereThePageCannotBe(t *testing.T) {
	t.Parallel()
	usualConsole()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	for setting, want := range map[string]struct {
		code int
		says string
	}{
		"WORKER_CONSOLE_ADDR=" + taken:        {exitFailed, "WORKER_CONSOLE_ADDR: cannot listen on " + taken},
		"WORKER_CONSOLE_ADDR=8081":            {exitUsage, "WORKER_CONSOLE_ADDR"},
		"WORKER_CONSOLE_ADDR=off":             {exitDone, "activated"},
		"WORKER_CONSOLE_HOSTS=a.example.net":  {exitDone, "\nConsole: http://127.0.0.1:"},
		"WORKER_CONSOLE_HOSTS=two words.test": {exitUsage, "WORKER_CONSOLE_HOSTS"},
	} {
		r := invoke(t, "", []string{setting, "TMPDIR=" + t.TempDir()}, "demo", "--customers", "1").want(t, want.code, want.says)
		if at := demoAddress.FindStringSubmatch(r.stdout); at != nil && at[2] == "8081" || setting == "WORKER_CONSOLE_ADDR=off" && at != nil {
			t.Errorf("%s: the page is at %v", setting, at)
		}
	}
}

// TestDemoMends: who was refused is replayed once the reason is gone.
func TestDemoMends(t *testing.T) {
	t.Parallel()
	d := demo{customers: 2, mix: []string{refusedMended, "fresh"}, under: t.TempDir()}
	var out, errOut bytes.Buffer
	if err := d.run(t.Context(), &out, &errOut); err != nil {
		t.Fatalf("demo: %v\n%s\n%s", err, &out, &errOut)
	}
	for _, want := range []string{
		"refused, mended  failed     refused: the partner refuses", "refused, mended  deferred   replay", "refused, mended  activated  via activate",
		"refused, mended    1 of 1  failed, then activated by a replay\n", "\n2 customers: 2 activated.\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, &out)
		}
	}
}

// TestDemoForgetsWhoIsDone in a demo without end, and still counts them.
func TestDemoForgetsWhoIsDone(t *testing.T) {
	t.Parallel()
	partner, err := simulator.New(simulator.Options{JournalLimit: 10})
	if err != nil {
		t.Fatal(err)
	}
	s := newDemoShow(&demo{forever: true}, partner, nil, broker.Layout{})
	now := time.Now()
	for i := range 40 { // each fate is met
		g := invite(i)
		g.register(partner)
		g.since = now
		s.guests, s.byID[g.id] = append(s.guests, g), g
		switch {
		case i < 10: // done, and not as it should be: the partner knows of no call
			g.see(&events.Record{State: events.Activated, Via: events.ViaActivate})
		case i < 20:
			g.see(&events.Record{State: events.Deferred, Reason: events.Transient})
		}
	}
	s.tidy(now.Add(keptDone - time.Second))
	if len(s.guests) != 40 {
		t.Errorf("%d are left too early", len(s.guests))
	}
	s.tidy(now.Add(keptDone + tidyEvery))
	if len(s.guests) != 30 || len(s.byID) != 30 || s.past.customers != 10 || s.past.states[events.Activated] != 10 {
		t.Errorf("left: %d, %d by id; counted %+v", len(s.guests), len(s.byID), s.past)
	}
	if _, known := partner.Customer(firstDemoID); known {
		t.Error("the partner remembers who is done")
	}
	if _, known := partner.Customer(firstDemoID + 10); !known {
		t.Error("the partner has forgotten who is not done")
	}
	table := demoTable{began: now, past: &s.past}
	if got := table.progress(s.guests, now.Add(time.Second)); got != "1 s (Ctrl-C ends it), 10 of 40 done: 10 activated, 10 deferred, 20 announced" {
		t.Errorf("progress is %q", got)
	}
	var out bytes.Buffer
	if s.summary(&out, true, now) || strings.Count(out.String(), "51200001 ") != 1 || !strings.Contains(out.String(), "\n40 customers: 10 activated, 10 deferred, 20 announced. Still on their way: 30.\n") {
		t.Errorf("the summary is\n%s", &out)
	}
}

// TestDemoTrickle comes in waves, with quiet times between them, and knows every fate.
func TestDemoTrickle(t *testing.T) {
	t.Parallel()
	var more trickle
	quiet, waves, was, names := 0, 0, false, map[string]bool{}
	for i := range 2000 {
		pause := more.pause()
		calm := pause >= 3*time.Second
		if calm {
			quiet++
		}
		if i == 0 || !calm && was {
			waves++
		}
		was = calm
		g := more.invite(i)
		names[g.name] = true
		if g.readyAfter < 10*time.Second || g.readyAfter >= 50*time.Second || pause < 200*time.Millisecond || pause > 9*time.Second {
			t.Fatalf("ready after %s, the next after %s", g.readyAfter, pause)
		}
	}
	if waves < 30 || waves > 130 || quiet < 2*waves || quiet > 8*waves || len(names) != len(fates) {
		t.Errorf("%d waves, %d in quiet times, fates %v", waves, quiet, names)
	}
}
