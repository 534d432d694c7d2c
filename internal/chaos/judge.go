package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/audit"
	"activation-worker/internal/events"
)

// await waits until every customer has reached what is meant for it and nothing is left to do, as long as they become fewer: how many a
// busy machine does in a minute is not what is asked here.
func (g *game) await(ctx context.Context) {
	began, moved, fewest := time.Now(), time.Now(), len(g.plan.Guests)+1
	waiting, wrong := g.view.open(g.plan.Guests)
	for ; len(waiting) > 0 && time.Since(moved) < g.settle; waiting, wrong = g.view.open(g.plan.Guests) {
		if len(waiting) < fewest {
			moved, fewest = time.Now(), len(waiting)
		}
		if !pause(ctx, 200*ms) {
			return
		}
	}
	if len(wrong) > 0 {
		g.notes.breach("%d customers have another outcome than is meant for them: %s", len(wrong), few(wrong))
	}
	if len(waiting) > 0 {
		g.notes.breach("%d customers have no outcome, and in %s none of them got one: %s", len(waiting), g.settle, few(waiting))
		return
	}
	g.notes.say("every customer has reached its outcome, %s after the cure", time.Since(began).Round(100*ms))
	if err := eventually(ctx, g.settle, func() error { return g.idle(ctx) }); err != nil && ctx.Err() == nil {
		g.notes.breach("%s after every customer has reached its outcome: %v", g.settle, err)
		return
	}
	g.notes.say("nothing is left to do")
	if err := eventually(ctx, timersLimit, func() error { return g.timers(ctx) }); err != nil && ctx.Err() == nil {
		g.notes.add("%v", err)
	}
}

// timersLimit is how long timers of customers who are done may take to go. What is left then is no breach: a node that was killed can
// have lost that it had dropped a timer (seen with nats-server 2.15.2), which then never fires, and nobody waits for.
const timersLimit = 15 * time.Second

func (g *game) timers(ctx context.Context) error {
	count, err := g.waiting(ctx, events.SubjectTimers)
	if err == nil && count > 0 {
		err = fmt.Errorf("%d timers of customers who are done are left", count)
	}
	return err
}

// waiting counts the messages of the work stream.
func (g *game) waiting(ctx context.Context, subject string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	name := events.StreamsOf(events.DefaultStream).Work
	stream, err := g.js.Stream(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", name, err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subject))
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", name, err)
	}
	sum := uint64(0)
	for _, n := range info.State.Subjects {
		sum += n
	}
	return sum, nil
}

// idle says what is still waiting to be done.
func (g *game) idle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	streams := events.StreamsOf(events.DefaultStream)
	for name, stream := range map[string]string{events.ConsumerActivator: events.DefaultIntakeStream, events.ConsumerDue: streams.Work, events.ConsumerRedo: streams.Work} {
		cons, err := g.js.Consumer(ctx, stream, name)
		if err != nil {
			return fmt.Errorf("consumer %s: %w", name, err)
		}
		if info := cons.CachedInfo(); info.NumPending > 0 || info.NumAckPending > 0 {
			return fmt.Errorf("consumer %s has %d messages waiting and %d not acknowledged", name, info.NumPending, info.NumAckPending)
		}
	}
	for _, subject := range []string{events.SubjectDue, events.SubjectRedo} {
		n, err := g.waiting(ctx, subject)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d wake-ups are left as %s", n, subject)
		}
		if err != nil {
			return err
		}
	}
	rejected, err := g.js.Stream(ctx, streams.Rejected)
	if err != nil {
		return fmt.Errorf("stream %s: %w", streams.Rejected, err)
	}
	want := uint64(0)
	for _, guest := range g.plan.Guests {
		if guest.Fate == invalid {
			want++
		}
	}
	if n := rejected.CachedInfo().State.Msgs; n != want {
		return fmt.Errorf("%d invalid messages were announced and %d rejected", want, n)
	}
	return nil
}

// judge asks whether the promises were kept, writes down what is needed to look closer, and reports.
func (g *game) judge(ctx context.Context) error {
	journal := g.partner.Journal()
	audited, err := g.audit(ctx, journal)
	if err != nil {
		return err
	}
	g.panics()
	text := g.report(journal, audited)
	g.notes.mu.Lock()
	fmt.Fprint(g.notes.out, text)
	g.notes.mu.Unlock()
	if err := os.WriteFile(filepath.Join(g.site.dir, "report.txt"), []byte(text), 0o600); err != nil {
		return err
	}
	if err := errors.Join(keepLines(g.site.dir, "journal.jsonl", journal.Calls), keepLines(g.site.dir, "audit.json", []*audit.Report{audited})); err != nil {
		return err
	}
	if g.notes.broken() {
		return fmt.Errorf("a promise was broken; the same plan again: -seed %d -customers %d -kills %d", g.seed, g.customers, g.kills)
	}
	return toothless(g.effects(journal, audited))
}

// keepLines writes things as JSON, one a line.
func keepLines[T any](dir, name string, all []T) error {
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	to := json.NewEncoder(file)
	for _, one := range all {
		if err := to.Encode(one); err != nil {
			return err
		}
	}
	return file.Close()
}

// panics looks for crashes in what workers said.
func (g *game) panics() {
	for i := range workerCount {
		name := g.site.logFile(fmt.Sprintf("worker-%d", i+1))
		text, err := os.ReadFile(name)
		if err != nil {
			g.notes.add("%v", err)
			continue
		}
		for _, sign := range []string{"\npanic:", "\nfatal error:", "DATA RACE"} {
			if strings.Contains(string(text), sign) {
				g.notes.breach("%s says %q", name, strings.TrimSpace(sign))
			}
		}
	}
}
