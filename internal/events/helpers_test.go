package events_test

import (
	"errors"
	"testing"
	"time"

	"activation-worker/internal/events"
)

// at is a fixed moment, a number of seconds after the tests' first one.
func at(seconds int) time.Time {
	return time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC).Add(time.Duration(seconds) * time.Second)
}

// intake is a stored intake message with that data; mods change it.
func intake(data string, mods ...func(*events.Message)) events.Message {
	m := events.Message{
		Subject: "signup.terms.accepted", Data: []byte(data),
		Stream: "SIGNUP", StreamCreated: at(-3600), Sequence: 7, StoredAt: at(0),
	}
	for _, mod := range mods {
		mod(&m)
	}
	return m
}

// header sets one header.
func header(name, value string) func(*events.Message) {
	return func(m *events.Message) {
		if m.Header == nil {
			m.Header = map[string][]string{}
		}
		m.Header[name] = append(m.Header[name], value)
	}
}

// structured is an intake message in the structured form.
func structured(event string) events.Message {
	return intake(event, header("Content-Type", events.ContentType))
}

// binary is an intake message in the binary form, with the four required attributes.
func binary(data string, mods ...func(*events.Message)) events.Message {
	return intake(data, append([]func(*events.Message){
		header("ce-specversion", "1.0"), header("ce-id", "A-1"), header("ce-source", "/signup"), header("ce-type", "terms.accepted"),
	}, mods...)...)
}

// replaceHeader sets one header whatever it was before.
func replaceHeader(name, value string) func(*events.Message) {
	return func(m *events.Message) { m.Header[name] = []string{value} }
}

// without removes one header.
func without(name string) func(*events.Message) {
	return func(m *events.Message) { delete(m.Header, name) }
}

// wantUndecodable fails unless err rejects the message for that reason.
func wantUndecodable(t *testing.T, err error, reason string) {
	t.Helper()
	u, ok := errors.AsType[*events.Undecodable](err)
	if !ok {
		t.Fatalf("error is %v, want an Undecodable with reason %s", err, reason)
	}
	if u.Reason != reason {
		t.Errorf("reason is %s (%s), want %s", u.Reason, u.Detail, reason)
	}
	if u.Detail == "" {
		t.Error("the detail is empty")
	}
}

// decode reads m; a panic is a failure of this one test, so that the others still tell what they find.
func decode(t *testing.T, d events.Decoder, m events.Message) (a events.Accepted, err error) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Fatalf("Decode panics: %v", p)
		}
	}()
	return d.Decode(m)
}
