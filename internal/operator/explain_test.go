package operator

import (
	"strings"
	"testing"
	"time"

	"activation-worker/internal/events"
)

func TestEveryStateAndReasonHasItsWords(t *testing.T) {
	t.Parallel()
	var records []*events.Record
	for _, state := range events.States() {
		if state != events.Deferred && state != events.Failed {
			records = append(records, &events.Record{State: state})
			continue
		}
		for _, reason := range events.Reasons() {
			records = append(records, &events.Record{State: state, Reason: reason})
		}
	}
	seen := map[string]key{}
	for _, r := range records {
		words := Explain(r)
		if words.Is == "" || words.Next == "" || words.WhatToDo == "" {
			t.Errorf("%s(%s) has no words", r.State, r.Reason)
		}
		if other, twice := seen[words.Is]; twice {
			t.Errorf("%s(%s) reads like %v", r.State, r.Reason, other)
		}
		seen[words.Is] = keyOf(r)
	}
}

func TestWordsTellVariantsApart(t *testing.T) {
	t.Parallel()
	now := time.Now()
	shown := &events.Visibility{Missed: now, Since: now}
	other := &events.DNS{Seen: []events.DNSRecord{{Type: "TXT", Value: "v=spf1"}}}
	for text, r := range map[string]events.Record{
		"something else stands there":    {State: events.Deferred, Reason: events.DNSUnverified, DNS: other},
		"are visible in DNS, but":        {State: events.Deferred, Reason: events.DNSUnverified, Visibility: shown, DNS: other},
		"not visible in DNS yet":         {State: events.Deferred, Reason: events.DNSUnverified, Visibility: &events.Visibility{Missed: now}, DNS: &events.DNS{}},
		"visible in DNS, but the par":    {State: events.Failed, Reason: events.DNSUnverified, Visibility: shown},
		"as they are wanted for so":      {State: events.Failed, Reason: events.DNSUnverified, DNS: other},
		"active already before":          {State: events.Activated, Via: events.ViaLookup},
		"The customer is active.":        {State: events.Activated, Via: events.ViaLookup, Calls: 1},
		"may have been applied already":  {State: events.Started, Unsettled: true},
		"asked for another attempt now.": {State: events.Deferred, Reason: events.TermsPending, Queued: true, Trigger: events.Trigger{Kind: events.TriggerReplay}},
		"queued again by an operator":    {State: events.Deferred, Reason: events.Replay, Queued: true, Trigger: events.Trigger{Kind: events.TriggerReplay}},
	} {
		if got := Explain(&r); !strings.Contains(got.Is, text) {
			t.Errorf("%+v reads %q, want %q in it", r, got.Is, text)
		}
	}
}

func TestWordsAreFilledIn(t *testing.T) {
	t.Parallel()
	for k := range english {
		r := &events.Record{State: k.state, Reason: k.reason, DomainID: 51200931}
		words := Explain(r)
		all := words.Is + words.NextAt("at noon") + words.WhatToDo
		if strings.ContainsAny(all, "{}") {
			t.Errorf("%v has a gap: %s", k, all)
		}
		waits := k.state == events.Deferred || k.state == events.Started
		if waits != strings.Contains(words.NextAt("at noon"), "at noon") {
			t.Errorf("%v: next is %q", k, words.Next)
		}
		if (k.state == events.Failed) != strings.Contains(words.WhatToDo, `worker replay 51200931 --why "…"`) {
			t.Errorf("%v: to do is %q", k, words.WhatToDo)
		}
	}
}
