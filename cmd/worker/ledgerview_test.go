package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

// stored is a state record with the time at which the server stored it.
type stored struct {
	*events.Record
	at time.Time
}

// ledgerView follows the ledger as any reader of the event stream may. It is safe for concurrent use.
type ledgerView struct {
	t      testing.TB
	stream jetstream.Stream

	mu        sync.Mutex
	changed   chan struct{} // closed at every message
	last      uint64        // sequence of the newest message seen
	families  map[int64][]stored
	open      map[int64]*events.Record // newest is started
	activated map[int64]bool
	intake    []string                        // subjects of what workers said of the intake
	replays   map[string][]events.ReplayEvent // by their ids
	broken    []string                        // what no reader could read
}

// viewLedger follows the ledger from its beginning until the test ends.
func viewLedger(t testing.TB, js jetstream.JetStream) *ledgerView {
	t.Helper()
	stream, err := js.Stream(t.Context(), events.DefaultStream)
	if err != nil {
		t.Fatalf("stream %s: %v", events.DefaultStream, err)
	}
	v := &ledgerView{
		t: t, stream: stream, changed: make(chan struct{}),
		families: map[int64][]stored{}, open: map[int64]*events.Record{}, activated: map[int64]bool{}, replays: map[string][]events.ReplayEvent{},
	}
	cons, err := stream.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatalf("reading stream %s: %v", events.DefaultStream, err)
	}
	reading, err := cons.Consume(v.take)
	if err != nil {
		t.Fatalf("reading stream %s: %v", events.DefaultStream, err)
	}
	t.Cleanup(func() {
		reading.Stop()
		<-reading.Closed()
	})
	return v
}

func (v *ledgerView) take(msg jetstream.Msg) {
	v.mu.Lock()
	defer v.mu.Unlock()
	defer func() {
		close(v.changed)
		v.changed = make(chan struct{})
	}()
	meta, err := msg.Metadata()
	if err != nil {
		v.broken = append(v.broken, fmt.Sprintf("%s: %v", msg.Subject(), err))
		return
	}
	v.last = meta.Sequence.Stream
	switch {
	case msg.Subject() == events.SubjectIntakePaused || msg.Subject() == events.SubjectIntakeResumed:
		v.intake = append(v.intake, msg.Subject())
		return
	case strings.HasPrefix(msg.Subject(), events.ReplaySubject("")):
		replay, err := events.DecodeReplay(msg.Data())
		if err != nil {
			v.broken = append(v.broken, err.Error())
		}
		v.replays[replay.ReplayID] = append(v.replays[replay.ReplayID], replay)
		return
	}
	r, err := events.DecodeRecord(msg.Subject(), meta.Sequence.Stream, msg.Data())
	if err != nil {
		v.broken = append(v.broken, err.Error())
		return
	}
	v.families[r.DomainID] = append(v.families[r.DomainID], stored{r, meta.Timestamp})
	delete(v.open, r.DomainID)
	switch r.State {
	case events.Started:
		v.open[r.DomainID] = r
	case events.Activated:
		v.activated[r.DomainID] = true
	}
}

// await waits until something holds of what has been read; false when ctx ended first. holds runs under the view's lock.
func (v *ledgerView) await(ctx context.Context, holds func() bool) bool {
	for {
		v.mu.Lock()
		ok, changed := holds(), v.changed
		v.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// catchUp reads as far as the stream now goes.
func (v *ledgerView) catchUp(ctx context.Context) {
	v.t.Helper()
	info, err := v.stream.Info(ctx)
	if err != nil {
		v.t.Fatalf("stream %s: %v", events.DefaultStream, err)
	}
	if !v.await(ctx, func() bool { return v.last >= info.State.LastSeq }) {
		v.t.Fatalf("stream %s was read up to %d of %d", events.DefaultStream, v.last, info.State.LastSeq)
	}
}

// awaitHolder waits until one of the workers holds a live lease and returns those that do, sorted.
func (v *ledgerView) awaitHolder(ctx context.Context, workers []string) []string {
	var holders []string
	v.await(ctx, func() bool {
		for _, r := range v.open {
			if slices.Contains(workers, r.Worker) && time.Now().Before(r.LeaseExpiresAt) && !slices.Contains(holders, r.Worker) {
				holders = append(holders, r.Worker)
			}
		}
		return len(holders) > 0
	})
	slices.Sort(holders)
	return holders
}

// abandoned counts the claims of a worker that had a live lease at a time and no outcome: the family ends
// with them or goes on with another's claim. Only the holder of a claim writes its outcome.
func (v *ledgerView) abandoned(worker string, at time.Time) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	count := 0
	for _, family := range v.families {
		for i, r := range family {
			if r.State != events.Started || r.Worker != worker || !at.Before(r.LeaseExpiresAt) {
				continue
			}
			if i == len(family)-1 || family[i+1].State == events.Started {
				count++
			}
		}
	}
	return count
}

// states are a customer's records in order, as "deferred(reason)".
func (v *ledgerView) states(id int64) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []string
	for _, r := range v.families[id] {
		state := string(r.State)
		if r.Reason != "" {
			state += "(" + string(r.Reason) + ")"
		}
		all = append(all, state)
	}
	return all
}

// in counts the customers whose newest record is in a state, with a reason where one is given.
func (v *ledgerView) in(state events.State, reason events.Reason) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.inLocked(state, reason)
}

func (v *ledgerView) inLocked(state events.State, reason events.Reason) int {
	count := 0
	for _, family := range v.families {
		if r := family[len(family)-1]; r.State == state && (reason == "" || r.Reason == reason) {
			count++
		}
	}
	return count
}

// awaitIn waits until so many customers are in a state.
func (v *ledgerView) awaitIn(within time.Duration, count int, state events.State, reason events.Reason) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), within)
	defer cancel()
	if !v.await(ctx, func() bool { return v.inLocked(state, reason) >= count }) {
		v.t.Fatalf("%d customers are %s %s after %s, want %d", v.in(state, reason), state, reason, within, count)
	}
}
