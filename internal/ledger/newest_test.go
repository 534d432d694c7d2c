package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// listed is what Newest tells of the customers: their states, and how often each was named.
func listed(ctx context.Context, l *ledger.Ledger, states ...events.State) (got map[int64]events.State, foreign int, err error) {
	got = map[int64]events.State{}
	err = l.Newest(ctx, states, nil, func(error) { foreign++ }, func(r *events.Record) error {
		if _, twice := got[r.DomainID]; twice {
			return fmt.Errorf("customer %d is named twice", r.DomainID)
		}
		got[r.DomainID] = r.State
		if r.Customer != nil {
			return fmt.Errorf("customer %d comes with the partner's object", r.DomainID)
		}
		return nil
	})
	return got, foreign, err
}

func testNewest(t *testing.T, p *place, _ *world) {
	w := p.world(t)
	l := w.ledger(t)
	want := map[int64]events.State{}
	for _, states := range [][]events.State{
		{events.Started},
		{events.Started, events.Deferred},
		{events.Deferred, events.Started, events.Deferred},
		{events.Started, events.Deferred, events.Started},
		{events.Started, events.Activated},
		{events.Started, events.Deferred, events.Started, events.Failed},
		{events.Failed, events.Deferred},
		{events.Started, events.Activated, events.Forgotten},
		{events.Forgotten, events.Started},
	} {
		id, expected := w.customer(), uint64(0)
		for _, s := range states {
			r := store(t, l, record(id, s), expected)
			if expected = r.Sequence; s == events.Forgotten {
				if err := l.Erase(limited(t), r); err != nil {
					t.Fatal(err)
				}
			}
		}
		want[id] = states[len(states)-1]
	}
	w.foreign(t, w.customer(), events.Deferred, `"urn:activation-worker:x/v2"`, `{"domainId":1}`)

	for _, states := range append([][]events.State{nil, {events.Deferred, events.Failed}}, each(events.States())...) {
		t.Run(fmt.Sprint(states), func(t *testing.T) {
			t.Parallel()
			wanted := maps.Clone(want)
			maps.DeleteFunc(wanted, func(_ int64, s events.State) bool { return len(states) > 0 && !slices.Contains(states, s) })
			left := 0
			if len(states) == 0 || slices.Contains(states, events.Deferred) {
				left = 1
			}
			eventually(t, func(ctx context.Context) error {
				got, foreign, err := listed(ctx, l, states...)
				if err == nil && (!maps.Equal(got, wanted) || foreign != left) {
					return fmt.Errorf("customers %v, want %v; %d foreign records, want %d", got, wanted, foreign, left)
				}
				return err
			})
		})
	}
}

func each(states []events.State) (all [][]events.State) {
	for _, s := range states {
		all = append(all, []events.State{s})
	}
	return all
}

// testNewestOvertaken writes while a list is read: customers who go on meanwhile are left out or named with
// their new state, never with the old one.
func testNewestOvertaken(t *testing.T, p *place, _ *world) {
	const many = 2500 // more than are looked at together
	w := p.world(t)
	l := w.ledger(t)
	js, err := jetstream.New(w.nc)
	if err != nil {
		t.Fatal(err)
	}
	for id := int64(1); id <= many; id++ {
		s := events.Activated
		if id == many {
			s = events.Deferred
		}
		data, err := events.EncodeRecord(record(id, s), source, 0, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.PublishAsync(events.CustomerSubject(id, s), data); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-limited(t).Done():
		t.Fatal("the records were not stored")
	}
	last := w.last(t, w.layout.Streams.Ledger, events.CustomerFamily(many))
	eventually(t, func(ctx context.Context) error { // a replica may lag
		got, _, err := listed(ctx, l)
		if err == nil && len(got) != many {
			return fmt.Errorf("%d customers, want %d", len(got), many)
		}
		return err
	})
	var named []int64
	err = l.Newest(limited(t), nil, nil, nil, func(r *events.Record) error {
		if len(named) == 0 {
			store(t, l, record(many, events.Activated), last.Sequence)
		}
		named = append(named, r.DomainID)
		return nil
	})
	if err != nil || len(named) != many-1 || slices.Contains(named, many) { // what is written meanwhile is not listed
		t.Errorf("%d customers, %v; want %d without the one that went on", len(named), err, many-1)
	}
	enough := errors.New("enough")
	if err := l.Newest(limited(t), nil, nil, nil, func(*events.Record) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("the reader's own error is returned as %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Newest(ended, nil, nil, nil, func(*events.Record) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a list for nobody: %v", err)
	}
}

// Whether a record is the newest is asked of the leader only about those that are wanted.
func testNewestWanted(t *testing.T, p *place, _ *world) {
	const waiting = 300
	w := p.world(t)
	w.crowded(t, waiting, 10)
	went := w.last(t, w.layout.Streams.Ledger, events.CustomerFamily(200))
	store(t, w.ledger(t), record(200, events.Activated), went.Sequence)
	l, requests := w.sweeper(t)
	eventually(t, func(ctx context.Context) error { // a replica may lag
		requests()
		looked := 0
		var got []int64
		err := l.Newest(ctx, []events.State{events.Deferred}, func(r *events.Record) bool {
			looked++
			return r.DomainID%100 == 0
		}, nil, func(r *events.Record) error {
			got = append(got, r.DomainID)
			return nil
		})
		switch asked := requests(); {
		case err != nil:
			return err
		case looked != waiting:
			return fmt.Errorf("%d records were looked at, want %d", looked, waiting)
		case !slices.Equal(got, []int64{100, 300}):
			t.Errorf("listed are %v, want those that are wanted and still wait", got)
		case asked > 30:
			t.Errorf("%d requests about 3 customers", asked)
		}
		return nil
	})
}
