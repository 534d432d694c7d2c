package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"activation-worker/internal/events"
	"activation-worker/internal/events/eventstest"
)

// TestReplayWithoutAWorker is not lost: it says that nobody takes it, and is carried out as soon as somebody does.
func TestReplayWithoutAWorker(t *testing.T) {
	t.Parallel()
	const id = 51380001
	s := newSetUpSite(t)
	w := startWorker(t, s.env()...)
	s.refuse(id, 1)
	s.await(id, events.Failed, w)
	w.stop()
	invoke(t, "", s.env(), "replay", fmt.Sprint(id), "--why", "mended").want(t, exitFailed, "1 to be replayed", "no worker is taking requests", "worker run", "ACTIVATION_WORK")
	if r := s.newest(id); r.State != events.Failed {
		t.Errorf("without a worker the customer is %s", r.State)
	}
	if n := eventstest.Now(t, s.js)[events.TypeRequested]; n != 1 {
		t.Errorf("%d requests are as published, want 1", n)
	}
	w = startWorker(t, s.env()...)
	if r := s.await(id, events.Activated, w); r.Round != 2 || r.Trigger.Kind != events.TriggerReplay {
		t.Errorf("activated in round %d by %s, want 2 by replay", r.Round, r.Trigger.Kind)
	}
	drained(t.Context(), t, s.js)
	invoke(t, "", s.env(), "replay", fmt.Sprint(id), "--why", "again").want(t, exitDone, "nothing to replay", "done already")
	invoke(t, "", s.env(), "replay", "--all-failed", "--why", "again").want(t, exitDone, "nothing to replay")
	w.stop()
}

// TestReplayDryRun shows whom a replay would be about, and writes nothing, with a worker and without.
func TestReplayDryRun(t *testing.T) {
	t.Parallel()
	const first, count, stranger = 51380001, 12, 51380100
	s := newSetUpSite(t)
	w := startWorker(t, s.env()...)
	view := viewLedger(t, s.js)
	s.refuse(first, count)
	view.awaitIn(workTimeout, count, events.Failed, events.Refused)
	w.stop()
	ledger, work := s.lastSequence("ACTIVATION"), s.lastSequence("ACTIVATION_WORK")

	dry := func(want int, args ...string) []choiceLine {
		t.Helper()
		r := invoke(t, "", s.env(), append([]string{"replay", "--dry-run", "-o", "json"}, args...)...).want(t, exitDone)
		var lines []choiceLine
		for text := range strings.Lines(r.stdout) {
			var line choiceLine
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			lines = append(lines, line)
		}
		if len(lines) != want {
			t.Errorf("worker %s shows %d customers, want %d:\n%s", strings.Join(r.args, " "), len(lines), want, r.stdout)
		}
		return lines
	}
	for i, line := range dry(count, "--all-failed") {
		if line.DomainID < first || line.DomainID >= first+count || line.State != events.Failed || line.Reason != events.Refused ||
			line.Code != fmt.Sprintf("NO_%d", line.DomainID) || line.Replay != "to_be_queued" {
			t.Errorf("line %d: %+v", i+1, line)
		}
	}
	dry(count, "--reason", "refused")
	dry(0, "--reason", "transient")
	dry(1, "--code", fmt.Sprintf("NO_%d", first+3))
	dry(0, "--until", "1h")
	dry(count, "--since", "1h")
	if lines := dry(2, fmt.Sprint(first), fmt.Sprint(stranger)); len(lines) == 2 && !strings.Contains(lines[1].Replay, "nothing to replay") {
		t.Errorf("a customer without a record: %+v", lines[1])
	}
	invoke(t, "", s.env(), "replay", "--all-failed", "--dry-run").want(t, exitDone, fmt.Sprintf("NO_%d", first), "12 to be replayed", "30/m")
	if got := s.lastSequence("ACTIVATION"); got != ledger {
		t.Errorf("a dry run has written %d messages to the ledger", got-ledger)
	}
	if got := s.lastSequence("ACTIVATION_WORK"); got != work {
		t.Errorf("a dry run has written %d messages to the work stream", got-work)
	}
}

// TestRequestsWronglyAskedFor are told so before anything is connected to.
func TestRequestsWronglyAskedFor(t *testing.T) {
	t.Parallel()
	env := []string{"NATS_URL=nats://" + freePort(t)} // nobody is there
	for args, want := range map[string]string{
		"replay --why x":                                        "nobody is selected",
		"replay --dry-run":                                      "nobody is selected",
		"replay 51380001":                                       "--why is missing",
		"replay --all-failed --why=":                            "--why is missing",
		"replay --all-failed --why x --rate fast":               "--rate",
		"replay --all-failed --why x --rate 0/m":                "--rate",
		"replay --reason bored --why x":                         "there is no reason",
		"replay 51380001 --all-failed --why x":                  "one of these",
		"replay --rejected --all-failed --why x":                "one of these",
		"replay 5e3 --why x":                                    "no domain id",
		"replay --since yesterday --why x":                      "--since",
		"replay --all-failed --dry-run -o yaml":                 "table or json",
		"replay --all-failed --why " + strings.Repeat("x", 501): "longer than",
		"cancel --why x":                                        "domain ids, or --replay",
		"cancel 51380001 --replay abc --why x":                  "domain ids, or --replay",
		"cancel --replay a.b --why x":                           "no id of a replay",
		"cancel 51380001":                                       "--why",
		"forget --why x":                                        "a domain id is wanted",
		"forget 51380001":                                       "--why",
		"forget 0051380001 --why x":                             "no domain id",
		"replay --all-failed --why x --as me --unknown-way":     "unknown",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			r := invoke(t, "", env, strings.Fields(args)...).want(t, exitUsage, want)
			if r.stdout != "" {
				t.Errorf("on stdout: %s", r.stdout)
			}
		})
	}
}
