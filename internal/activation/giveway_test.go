package activation_test

import (
	"reflect"
	"testing"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
)

// A forced call gives way for half of its own step to the whole, twelve hours at most, and never past the deadline; who
// has something to gain does not.
func TestGivenWay(t *testing.T) {
	t.Parallel()
	const stays = -1
	p := activation.DefaultPolicy()
	unwatched := p
	unwatched.DNS.WatchFirst = 0
	none := p
	none.DNS.Call = nil
	often := p
	often.DNS.Call = []time.Duration{time.Hour, 3 * time.Hour}
	for sentence, c := range map[string]struct {
		record *events.Record
		policy activation.Policy
		now    time.Duration
		jitter float64
		want   time.Duration // since now
	}{
		"the call after an hour":                  {unproven(), p, time.Hour, 0, 30 * time.Minute},
		"with jitter":                             {unproven(), p, time.Hour, 0.5, 45 * time.Minute},
		"again, having given way before":          {unproven(), p, 2 * time.Hour, 0, 30 * time.Minute},
		"one tick before the call after six":      {unproven(), p, 6*time.Hour - 1, 0, 30 * time.Minute},
		"the call after six hours":                {unproven(), p, 6 * time.Hour, 0, 150 * time.Minute},
		"the call after a day: bounded":           {unproven(), p, day, 0, 6 * time.Hour},
		"daily ones: bounded":                     {unproven(), p, 5 * day, 0.5, 9 * time.Hour},
		"a second step of two hours":              {unproven(), often, 5 * time.Hour, 0, time.Hour},
		"then every three hours":                  {unproven(), often, 6 * time.Hour, 0, 90 * time.Minute},
		"without a schedule: hourly":              {unproven(), none, 5 * day, 0, 30 * time.Minute},
		"not past the deadline":                   {unproven(), p, 30*day - time.Hour, 0, time.Hour},
		"the last call":                           {unproven(), p, 30 * day, 0, stays},
		"never given up":                          {unproven(func(r *events.Record) { r.GiveUpAt = time.Time{} }), p, 90 * day, 0, 6 * time.Hour},
		"newly visible":                           {unproven(since(time.Hour, 0)), p, time.Hour, 0, stays},
		"visible, and the partner has said no":    {unproven(since(0, 2)), p, time.Hour, 0, stays},
		"visible once, not any more":              {unproven(func(r *events.Record) { r.Visibility.Nos = 2 }), p, time.Hour, 0, 30 * time.Minute},
		"an outcome is to be looked up":           {unproven(func(r *events.Record) { r.Unsettled = true }), p, time.Hour, 0, stays},
		"of old: looked up first":                 {unproven(func(r *events.Record) { r.LookFirst = true }), p, time.Hour, 0, stays},
		"an operator has asked":                   {unproven(func(r *events.Record) { r.Queued, r.Trigger.Kind = true, events.TriggerReplay }), p, time.Hour, 0, stays},
		"announced since the last call":           {unproven(func(r *events.Record) { r.Event.StoredAt = at(time.Minute) }), p, time.Hour, 0, stays},
		"DNS is not watched":                      {unproven(), unwatched, time.Hour, 0, stays},
		"nobody knows which records to watch for": {unproven(func(r *events.Record) { r.DNS.Wanted = nil }), p, time.Hour, 0, stays},
		"waits for something else":                {unproven(func(r *events.Record) { r.Reason = events.TermsPending }), p, time.Hour, 0, stays},
		"is being attempted":                      {unproven(func(r *events.Record) { r.State = events.Started }), p, time.Hour, 0, stays},
		"no record":                               {nil, p, time.Hour, 0, stays},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got := activation.GivenWay(c.record, c.policy, at(c.now), c.jitter)
			if gives := activation.GivesWay(c.record, c.policy, at(c.now)); gives != (got != nil) || gives != (c.want != stays) {
				t.Fatalf("gives way: %t, and the record is %+v", gives, got)
			}
			if got == nil {
				return
			}
			wantTime(t, "the next call", got.NextAttemptAt, at(c.now+c.want))
			want := *c.record
			want.NextAttemptAt, want.Time, want.Sequence, want.ID = got.NextAttemptAt, got.Time, got.Sequence, got.ID
			if !reflect.DeepEqual(*got, want) {
				t.Errorf("became\n%+v, want\n%+v", *got, want)
			}
		})
	}
}
