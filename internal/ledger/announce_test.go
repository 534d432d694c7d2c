package ledger_test

import (
	"context"
	"encoding/base64"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// rejections lists the rejections of intake messages with that sequence.
func (w *world) rejections(t *testing.T, sequence uint64) []ledger.Entry {
	t.Helper()
	l := w.ledger(t)
	return w.upToDate(t, w.layout.Streams.Rejected, events.RejectedSubject(sequence), func(ctx context.Context) ([]ledger.Entry, error) {
		var found []ledger.Entry
		err := l.Rejections(ctx, func(e ledger.Entry) error {
			r, err := events.DecodeRejection(e.Data)
			if err == nil && r.Original.Sequence == sequence {
				found = append(found, e)
			}
			return err
		})
		return found, err
	})
}

func badMessage(w *world, created time.Time) events.Message {
	return events.Message{
		Subject: events.DefaultIntakeSubject, Stream: events.DefaultIntakeStream, StreamCreated: created,
		Sequence: uint64(w.customer()), Data: []byte("no JSON"), Header: map[string][]string{"X-From": {"signup"}},
	}
}

func testReject(t *testing.T, _ *place, w *world) {
	l := w.ledger(t)
	m := badMessage(w, time.Unix(1, 0))
	why := &events.Undecodable{Reason: "invalid_json", Detail: "the data is not JSON"}
	for range 2 {
		if err := l.Reject(limited(t), m, why); err != nil {
			t.Fatal(err)
		}
	}
	entries := w.rejections(t, m.Sequence)
	if len(entries) != 1 || entries[0].Subject != events.RejectedSubject(m.Sequence) {
		t.Fatalf("rejections are %v, want one", entries)
	}
	if got := nats.Header(entries[0].Header); got.Get("Content-Type") != events.ContentType || got.Get("Nats-Msg-Id") == "" {
		t.Errorf("header is %v", got)
	}
	r, err := events.DecodeRejection(entries[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	if original, err := base64.StdEncoding.DecodeString(r.Original.DataBase64); string(original) != "no JSON" || err != nil {
		t.Errorf("the original is %q: %v", original, err)
	}
	if r.Reason != why.Reason || r.Original.Stream != m.Stream || r.Original.Headers["X-From"][0] != "signup" {
		t.Errorf("rejection is %+v", r)
	}
}

// The intake stream may be made anew and count from one again.
func testRejectAgain(t *testing.T, _ *place, w *world) {
	l := w.ledger(t)
	m := badMessage(w, time.Unix(1, 0))
	again := m
	again.StreamCreated = time.Unix(2, 0)
	for _, m := range []events.Message{m, again} {
		if err := l.Reject(limited(t), m, &events.Undecodable{Reason: "invalid_json"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.rejections(t, m.Sequence); len(got) != 2 {
		t.Errorf("%d rejections, want one of each message", len(got))
	}
}

func testAnnounce(t *testing.T, p *place, _ *world) {
	w := p.world(t)
	l := w.ledger(t)
	if last, err := l.LastIntake(limited(t)); last != nil || err != nil {
		t.Fatalf("before anything was announced: %+v %v", last, err)
	}
	in := events.Intake{Worker: "w1", Reason: "no_credentials", Detail: "there are none", Since: time.Now(), WhatToDo: "set some"}
	for _, c := range []struct {
		paused  bool
		subject string
	}{
		{true, events.SubjectIntakePaused}, {false, events.SubjectIntakeResumed}, {true, events.SubjectIntakePaused},
	} {
		in.Since = in.Since.Add(time.Second)
		if err := l.AnnounceIntake(limited(t), in, c.paused); err != nil {
			t.Fatal(err)
		}
		last, err := l.LastIntake(limited(t))
		if err != nil || last == nil || last.Subject != c.subject || last.Sequence == 0 {
			t.Fatalf("the last is %+v, want %s: %v", last, c.subject, err)
		}
		got, err := events.DecodeIntake(last.Data)
		if err != nil || got.Worker != in.Worker || !got.Since.Equal(in.Since) || got.WhatToDo != in.WhatToDo {
			t.Errorf("the event says %+v, want %+v: %v", got, in, err)
		}
	}
	// Told twice, for want of an answer, it stands there once.
	if err := l.AnnounceIntake(limited(t), in, true); err != nil {
		t.Fatal(err)
	}
	s, err := w.js.Stream(limited(t), w.layout.Streams.Ledger)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.CachedInfo().State.Msgs; got != 3 {
		t.Errorf("%d messages, want 3", got)
	}
}
