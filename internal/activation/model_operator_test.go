package activation_test

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
)

// order is what an operator has asked for, as whoever carries it out holds it in memory.
type order struct {
	verb     events.Verb
	trigger  events.Trigger
	expected int
	next     *events.Record // to be written; nil: to be read
	armed    bool
}

// ask lets an operator ask for something, if nothing is under way.
func (w *world) ask(t *rapid.T) {
	if w.operator != nil {
		return
	}
	verb := rapid.SampledFrom([]events.Verb{events.VerbReplay, events.VerbReplay, events.VerbReplay, events.VerbCancel, events.VerbForget}).Draw(t, "verb")
	w.operator = &order{verb: verb, trigger: events.Trigger{Kind: events.TriggerReplay, ID: fmt.Sprintf("r-%d", w.sequence)}}
}

// operate does the next thing of what was asked for: read, arm the timer, write. Who loses
// the compare-and-set arms the winner's timer and reads again.
func (w *world) operate(t *rapid.T) {
	o, r := w.operator, w.newest()
	switch {
	case o == nil:
	case o.next == nil:
		o.expected = w.sequence
		if o.next = o.carryOut(t, w, r); o.next == nil {
			w.operator = nil
		}
	case o.verb == events.VerbReplay && !o.armed:
		w.timer, o.armed = activation.WakeAt(o.next, policy, w.now, 0), true
	case !w.write(t, nil, o.next, o.expected):
		if r.State == events.Deferred {
			w.timer = activation.WakeAt(r, policy, w.now, 0)
		}
		o.next, o.armed = nil, false
	default:
		if o.verb == events.VerbCancel {
			w.timer = time.Time{}
		}
		w.operator = nil
	}
}

// carryOut is the record that the order makes of the customer's; nil where there is nothing to do.
func (o *order) carryOut(t *rapid.T, w *world, r *events.Record) *events.Record {
	does := activation.ReplayOf(r)
	switch {
	case o.verb == events.VerbForget && r != nil && r.State != events.Forgotten && (r.State != events.Started || !w.now.Before(r.LeaseExpiresAt)):
		return activation.Forgotten(r, "ops", "asked")
	case o.verb == events.VerbCancel && r != nil && r.State == events.Deferred:
		return activation.Cancelled(r, o.trigger, "not wanted", w.now)
	case o.verb == events.VerbReplay && does == activation.Waits && activation.CanHasten(r, w.now):
		return activation.Hastened(r, o.trigger, w.now)
	case o.verb == events.VerbReplay && does == activation.Requeued:
		due := w.now.Add(time.Duration(rapid.IntRange(0, 7200).Draw(t, "turn after")) * time.Second)
		return activation.Queued(r, nil, domainID, events.Replay, o.trigger, due)
	}
	return nil
}

// zone is what can be seen of the ownership records in DNS. The partner may see more or less.
type zone struct {
	there, near bool    // as wanted; nearly so
	silent      [2]bool // resolvers
	off         bool    // nobody looks
}

func (z *zone) change(t *rapid.T) {
	flag := func(name string, of int) bool { return rapid.IntRange(1, of).Draw(t, name) == 1 }
	*z = zone{there: flag("there", 2), near: flag("near", 4), silent: [2]bool{flag("silent 1", 4), flag("silent 2", 4)}, off: flag("off", 6)}
}

// sight is a look by both resolvers, if one of them answers.
func (z *zone) sight() (s activation.Sight, ok bool) {
	for i, name := range []string{"192.0.2.1:53", "192.0.2.2:53"} {
		if z.silent[i] {
			s.Silent = append(s.Silent, name)
			continue
		}
		if z.there {
			s.Visible, s.Seen = true, append(s.Seen, by(proof, name))
		}
		if z.near {
			s.Seen = append(s.Seen, by(events.DNSRecord{Type: "TXT", Name: proof.Name, Value: "works-verify=old"}, name))
		}
	}
	return s, !z.off && len(s.Silent) < 2
}

// prove is the look that belongs to an attempt.
func (z *zone) prove(now time.Time) activation.Answer {
	a := activation.Answer{Operation: activation.LookDNS, Kind: activation.Blind, RetryAfter: -1, At: now}
	if s, ok := z.sight(); ok {
		a.Kind, a.Visible, a.Seen, a.Silent = activation.Looked, s.Visible, s.Seen, s.Silent
	}
	return a
}
