package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

// unread are the ids announced on the intake, in order.
func (s *site) unread() []int64 {
	s.t.Helper()
	stream, err := s.js.Stream(s.t.Context(), "SIGNUP")
	if err != nil {
		s.t.Fatal(err)
	}
	var ids []int64
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(s.t.Context(), seq)
		if err != nil {
			s.t.Fatal(err)
		}
		a, err := events.Decoder{}.Decode(events.Message{Subject: m.Subject, Header: m.Header, Data: m.Data, Stream: "SIGNUP", Sequence: seq, StoredAt: m.Time})
		if err != nil {
			s.t.Fatalf("message %d cannot be read back: %v\n%s", seq, err, m.Data)
		}
		ids = append(ids, a.DomainID)
	}
	return ids
}

func TestBinarySubmit(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "ids.txt")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var want []int64
	steps := []struct {
		stdin string
		args  []string
		ids   []int64 // announced
		says  []string
		code  int
	}{
		{args: []string{"1", "9223372036854775807"}, ids: []int64{1, 9223372036854775807}, says: []string{"announced 1 (SIGNUP 1)", "announced 9223372036854775807 (SIGNUP 2)"}},
		{args: []string{"--file", file("\ufeff11\r\n12\r\n\r\n13")}, ids: []int64{11, 12, 13}},
		{args: []string{"-"}, stdin: "\ufeff21\n 22 \n", ids: []int64{21, 22}},
		{args: []string{"--file", "-"}, stdin: "31\n", ids: []int64{31}},
		{args: []string{"-"}, stdin: "41\nforty-two\n43\n044\n", code: exitUsage, says: []string{"line 2", "forty-two", "line 4", "044", "nothing was announced"}},
		{args: []string{"41", "x42"}, code: exitUsage, says: []string{"argument 2", "x42", "nothing was announced"}},
		{args: []string{"-"}, stdin: "\r\n \n", code: exitUsage, says: []string{"no domain id"}},
		{args: []string{"-"}, stdin: "51\n" + strings.Repeat("5", 5000) + "\n", code: exitUsage, says: []string{"line 2", "nothing was announced"}},
		{args: []string{"-"}, stdin: "51\n\x00\x1b[2J\n", code: exitUsage, says: []string{"line 2", `\x1b[2J`}},
		{args: []string{"61", "--subject", "nobody.listens"}, code: exitFailed, says: []string{"61", "0 of 1"}},
	}
	for _, step := range steps {
		invoke(t, step.stdin, s.env(), append([]string{"submit"}, step.args...)...).want(t, step.code, step.says...)
		want = append(want, step.ids...)
		if got := s.unread(); !slices.Equal(got, want) {
			t.Fatalf("after submit %v the intake holds %v, want %v", step.args, got, want)
		}
	}
}

// TestBinarySubmitEvent holds an announcement against what the contract says of CloudEvents.
func TestBinarySubmitEvent(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	env := s.env("WORKER_INTAKE_TYPE=shop.terms.v1, shop.terms.v2")
	invoke(t, "", env, "submit", "51200931", "--domain", "日の出フーズ.example", "--reference", "order <7>").want(t, exitDone)
	invoke(t, "", env, "submit", "51200931").want(t, exitDone)
	stream, err := s.js.Stream(t.Context(), "SIGNUP")
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetLastMsgForSubject(t.Context(), "signup.terms.accepted")
	if err != nil || m.Sequence != 2 {
		t.Fatalf("two announcements of one customer are %v, %v; want two messages", m, err)
	}
	if m, err = stream.GetMsg(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	var e struct {
		SpecVersion, ID, Source, Type string
		Time                          time.Time
		Data                          struct {
			DomainID   int64     `json:"domainId"`
			Domain     string    `json:"domain"`
			Reference  string    `json:"reference"`
			AcceptedAt time.Time `json:"acceptedAt"`
		}
	}
	if err := json.Unmarshal(m.Data, &e); err != nil {
		t.Fatal(err)
	}
	if m.Header.Get("Content-Type") != "application/cloudevents+json" || m.Header.Get(jetstream.MsgIDHeader) == "" {
		t.Errorf("headers %v", m.Header)
	}
	if e.SpecVersion != "1.0" || e.ID == "" || e.Source == "" || e.Type != "shop.terms.v1" || time.Since(e.Time).Abs() > time.Hour ||
		e.Data.DomainID != 51200931 || e.Data.Domain != "日の出フーズ.example" || e.Data.Reference != "order <7>" || e.Data.AcceptedAt.IsZero() {
		t.Errorf("announcement: %+v of %s", e, m.Data)
	}
}

// TestBinarySubmitWithoutIntake says what is missing.
func TestBinarySubmitWithoutIntake(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	invoke(t, "", s.env(), "submit", "51200931").want(t, exitFailed, "51200931", "signup.terms.accepted", "worker setup --with-intake")
}
