package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
	"activation-worker/internal/quota"
	"activation-worker/internal/quota/quotatest"
)

// byTheMinute lets ten requests through at the beginning of each minute.
var byTheMinute = quota.Limits{Peak: quota.Rate{N: 10, Per: time.Minute}, Concurrency: 3}

// recorded is the shared quota with ten activates just ended, the partner's wish to be left alone, and who waits at workers.
func recorded(t *testing.T, limits quota.Limits, ended int, pause time.Duration, wants ...string) quota.Outlook {
	t.Helper()
	store := &quotatest.Memory{}
	ends := ""
	if ended > 0 {
		ends = fmt.Sprintf("%d,%d", time.Now().UnixMicro(), ended)
	}
	store.Put([]byte(fmt.Sprintf(`{"version":1,"operations":{"activate":{"windows":[{"micros":60002000,"ends":[%s]}],"pausedUntil":%d}},"replicas":{"w":{"until":%d,"places":2,"wants":[%s]}}}`,
		ends, time.Now().Add(pause).UnixMicro(), time.Now().Add(time.Minute).UnixMicro(), strings.Join(wants, ","))))
	o, err := quota.Look(t.Context(), store, limits)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func want(lane string, n int) string {
	return fmt.Sprintf(`{"operation":"activate","lane":%q,"since":1,"n":%d}`, lane, n)
}

// Whoever waits is told how many go before, and when their own turn comes at the pace that is left to them.
func TestAhead(t *testing.T) {
	t.Parallel()
	now := time.Now()
	due := func(mods ...func(*events.Record)) *events.Record {
		r := &events.Record{State: events.Deferred, DomainID: 1, Reason: events.Transient, NextAttemptAt: now.Add(-time.Second)}
		for _, mod := range mods {
			mod(r)
		}
		return r
	}
	full := recorded(t, byTheMinute, 10, 0, want("fresh", 2), want("waiting", 3))
	empty := recorded(t, byTheMinute, 0, 0)
	pausedFor := recorded(t, byTheMinute, 0, 5*time.Minute)
	free := recorded(t, quota.Limits{Concurrency: 3}, 0, 0)
	for sentence, c := range map[string]struct {
		of   Expected
		want string
	}{
		"nobody before": {Ahead{Outlook: empty}.Announced(7, false), "at once"},
		"unread, behind three unread and two in a worker's hands": {
			Ahead{Outlook: full, intake: line{pending: 9, delivered: 100}}.Announced(104, false), "about +1m0s (in 1m0s): 6 before it at the partner's pace, 10 a minute",
		},
		"unread, behind other messages of the stream": {
			Ahead{Outlook: empty, intake: line{pending: 9, delivered: 100}}.Announced(1000, false), "at once: 8 before it, and the partner's pace has room",
		},
		"in a worker's hands": {Ahead{Outlook: full, intake: line{delivered: 104}}.Announced(104, false), "about +1m0s (in 1m0s): 1 before it at the partner's pace, 10 a minute"},
		"unread for long: waits with those who wait": {
			Ahead{Outlook: empty, intake: line{pending: 30}, due: line{pending: 4}}.Announced(21, true), "about +2m0s (in 2m0s): 24 before it at the partner's pace, 10 a minute",
		},
		"due, its wake-up in a worker's hands": {
			Ahead{Outlook: full, due: line{pending: 50, delivered: 9}}.Deferred(due(), 9, time.Time{}, now), "about +1m0s (in 1m0s): 4 before it at the partner's pace, 10 a minute",
		},
		"due, its wake-up fired behind eleven": {
			Ahead{Outlook: full, due: line{pending: 50, delivered: 9}}.Deferred(due(), 21, time.Time{}, now), "about +2m0s (in 2m0s): 16 before it at the partner's pace, 10 a minute",
		},
		"due, its wake-up put off: behind all": {
			Ahead{Outlook: full, due: line{pending: 50, delivered: 9}}.Deferred(due(), 0, now.Add(time.Second), now), "about +6m0s (in 6m0s): 55 before it at the partner's pace, 10 a minute",
		},
		"put off for longer than all take": {
			Ahead{Outlook: full}.Deferred(due(), 0, now.Add(time.Hour), now), "about +1h0m0s (in 1h0m0s), its own time: 5 before it will have had their turn",
		},
		"due, looked up first: another operation": {
			Ahead{Outlook: full}.Deferred(due(func(r *events.Record) { r.LookFirst = true }), 0, time.Time{}, now), "at once",
		},
		"old, at a time of its own": {
			Ahead{Outlook: empty}.Deferred(due(func(r *events.Record) { r.Reason, r.NextAttemptAt = events.Backlog, now.Add(time.Minute) }), 0, now.Add(time.Minute), now),
			"about +1m0s (in 1m0s), its own time",
		},
		"replayed: behind who waits": {
			Ahead{Outlook: empty, due: line{pending: 15}, redo: line{pending: 1, delivered: 3}}.Deferred(due(func(r *events.Record) {
				r.Reason, r.Queued, r.Trigger.Kind = events.Replay, true, events.TriggerReplay
			}), 4, time.Time{}, now),
			"about +1m0s (in 1m0s): 15 before it at the partner's pace, 10 a minute",
		},
		"fifty to be replayed in half an hour": {Ahead{Outlook: empty}.Replayed(50, 30*time.Minute), "about +30m0s (in 30m0s), its own time: 49 before it will have had their turn"},
		"fifty to be replayed in a minute":     {Ahead{Outlook: empty}.Replayed(50, time.Minute), "about +4m0s (in 4m0s): 49 before it at the partner's pace, 10 a minute"},
		"the partner wants a pause": {
			Ahead{Outlook: pausedFor}.Announced(7, false), "about +5m0s (in 5m0s); the partner wants no request before +5m0s",
		},
		"without limits": {Ahead{Outlook: free, intake: line{pending: 900}}.Announced(500, false), "at once: 499 before it, and the partner's pace has room"},
	} {
		got := c.of.Sentence(now, func(at time.Time) string { return "+" + at.Sub(now).Round(time.Second).String() })
		if got != c.want {
			t.Errorf("%s: %s; want %s", sentence, got, c.want)
		}
	}
}

func TestWaitsForPace(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for reason, later := range map[events.Reason]bool{events.Transient: false, events.DNSUnverified: false, events.Backlog: true, events.Replay: true} {
		r := &events.Record{State: events.Deferred, Reason: reason, NextAttemptAt: now}
		if !WaitsForPace(r, now) || WaitsForPace(r, now.Add(-1)) != later {
			t.Errorf("%s: due %t, before %t", reason, WaitsForPace(r, now), WaitsForPace(r, now.Add(-1)))
		}
		if r.State = events.Started; WaitsForPace(r, now) {
			t.Errorf("%s: waits under way", reason)
		}
	}
}

// The doctor says what is used, held and waited for, and warns only where something is wrong.
func TestDoctorOnWhatIsSpent(t *testing.T) {
	t.Parallel()
	now := time.Now()
	d := &Doctor{Limits: quota.Limits{Peak: byTheMinute.Peak, Sustained: quota.Rate{N: 5, Per: time.Minute}, Concurrency: 3}, Now: func() time.Time { return now }, At: func(time.Time) string { return "then" }}
	for sentence, c := range map[string]struct {
		ahead Ahead
		level Level
		says  []string
	}{
		"nothing used": {Ahead{Outlook: recorded(t, d.Limits, 0, 0)}, OK, []string{"2 of 3 places held by 1 workers", "nobody waits"}},
		"used and waited for": {
			Ahead{Outlook: recorded(t, d.Limits, 10, 0, want("fresh", 2)), intake: line{pending: 8}, due: line{pending: 9}, redo: line{pending: 1}},
			OK,
			[]string{"activate 10 of 10 in a minute and 10 of 150 in half an hour", "20 wait, the last of them for a turn about then (in 2m0s)"},
		},
		"a pause": {Ahead{Outlook: recorded(t, d.Limits, 0, time.Minute)}, Warn, []string{"the partner wants no activate before then", "wait: workers go on"}},
	} {
		check := Check{Level: OK}
		d.describe(c.ahead, &check)
		for _, text := range c.says {
			if check.Level != c.level || !strings.Contains(check.Detail+"; "+check.WhatToDo, text) {
				t.Errorf("%s: %+v, want %s with %q", sentence, check, c.level, text)
			}
		}
	}
	d.Link = quiet{}
	for sentence, c := range map[string]struct {
		store *quotatest.Memory
		level Level
		says  string
	}{
		"a newer worker's": {&quotatest.Memory{Ask: func(context.Context, string) error { return quota.ErrNewer }}, Warn, "newest version"},
		"no right to read": {&quotatest.Memory{Ask: func(context.Context, string) error { return errors.New("permissions violation") }}, Warn, "permissions violation"},
		"no worker yet":    {&quotatest.Memory{Ask: func(context.Context, string) error { return jetstream.ErrStreamNotFound }}, OK, "no worker shares it yet"},
	} {
		check := Check{Level: OK, WhatToDo: ""}
		d.Quota = c.store
		d.spent(t.Context(), &check)
		if check.Level != c.level || !strings.Contains(check.Detail+check.WhatToDo, c.says) || (check.WhatToDo != "") != (c.level == Warn) {
			t.Errorf("%s: %+v, want %s with %q", sentence, check, c.level, c.says)
		}
	}
}
