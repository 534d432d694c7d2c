package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"activation-worker/internal/events"
)

// trickle is who comes after the crowd, without end: in waves, with quiet times between them. The zero value begins with a wave.
type trickle struct {
	wave bool
	left int // customers until it changes
}

func (t *trickle) pause() time.Duration {
	if t.left == 0 {
		t.wave = !t.wave
		t.left = 4 + rand.N(4)
		if t.wave {
			t.left = 15 + rand.N(30)
		}
	}
	t.left--
	if t.wave {
		return 200*time.Millisecond + rand.N(1200*time.Millisecond)
	}
	return 3*time.Second + rand.N(6*time.Second)
}

// trickleMix are the fates of the trickle, each as likely as it is often here.
var trickleMix = slices.Concat(fateMix, []string{refusedMended, refusedMended, "DNS missing", "DNS missing"})

// invite makes the n-th customer. Who lacks something takes as long as a page needs to be worth watching, and less than until the partner is
// called in any case.
func (t *trickle) invite(n int) *guest {
	return inviteAs(n, trickleMix[rand.N(len(trickleMix))], 10*time.Second+rand.N(40*time.Second))
}

// replay asks for a customer to be attempted again, as an operator would.
func (s *demoShow) replay(ctx context.Context, g *guest) error {
	r := events.Request{
		ID: newRequestID(), Verb: events.VerbReplay, User: "demo", Why: "the contract was renewed", IDs: []int64{g.id}, Rate: events.DefaultReplayRate,
	}
	if err := publishRequest(ctx, s.js, r); err != nil && ctx.Err() == nil {
		return fmt.Errorf("replay %d: %w", g.id, err)
	}
	return nil
}

const (
	// keptDone is for how long a customer of the trickle is still among the others who is done.
	keptDone  = time.Minute
	tidyEvery = 5 * time.Second
)

// tidy forgets who was done a while ago, but for how they have fared: there is no end to those who come.
func (s *demoShow) tidy(now time.Time) {
	if !s.forever || now.Sub(s.tidied) < tidyEvery {
		return
	}
	s.tidied = now
	s.guests = slices.DeleteFunc(s.guests, func(g *guest) bool {
		if !g.done() || now.Sub(g.changed) < keptDone {
			return false
		}
		s.past.add(g, s.partner.Counts(g.id), false, now)
		s.partner.Forget(g.id)
		delete(s.byID, g.id)
		return true
	})
	if now.Sub(s.checked) > checkEvery {
		s.check(now)
	}
}

// checkEvery is well before calls are dropped from the partner's journal that were not looked at.
const checkEvery = 10 * time.Minute

func (s *demoShow) check(now time.Time) {
	s.checked = now
	for _, breach := range s.partner.Journal().Check() {
		s.past.breach(breach)
	}
}

// summary counts every customer and every partner call, and reports whether each got what it should.
func (s *demoShow) summary(out io.Writer, interrupted bool, now time.Time) bool {
	for _, g := range s.guests {
		s.past.add(g, s.partner.Counts(g.id), interrupted, now)
	}
	s.check(now)
	return s.past.write(out, s.partner.Journal())
}
