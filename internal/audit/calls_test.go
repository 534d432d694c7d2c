package audit_test

import (
	"strings"
	"testing"
	"time"

	"activation-worker/internal/audit"
)

// call is an activate call at a moment; mods change it.
func (c *customer) call(at time.Time, mods ...func(*audit.Call)) {
	call := audit.Call{At: at, EndedAt: at.Add(time.Microsecond), Op: audit.Activate, DomainID: c.id}
	for _, m := range mods {
		m(&call)
	}
	c.calls = append(c.calls, call)
}

func applied(c *audit.Call) { c.Applied, c.AppliedAt, c.Lost = true, c.At, true }

func told(what string) func(*audit.Call) { return func(c *audit.Call) { c.Told = what } }

func lookup(c *audit.Call) { c.Op = audit.LookUp }

// ended lets a call take so long.
func ended(after time.Duration) func(*audit.Call) {
	return func(c *audit.Call) { c.EndedAt = c.At.Add(after) }
}

// TestWhatThePartnerSaw tampers with one thing in a journal that is true otherwise.
func TestWhatThePartnerSaw(t *testing.T) {
	t.Parallel()
	hold := func(d time.Duration) func(*audit.Options) { return func(o *audit.Options) { o.Hold = d } }
	caps := func(c audit.Caps) func(*audit.Options) { return func(o *audit.Options) { o.Caps = c } }
	for name, c := range map[string]struct {
		rule   audit.Rule // "": no breach
		frozen int
		tamper func(*customer)
		mods   []func(*audit.Options)
	}{
		"a call after the success": {audit.RuleAfterSuccess, 0, func(c *customer) { c.announce().succeed().call(time.Now()) }, nil},
		"a call of a time before the claim": {audit.RuleUnlicensed, 0, func(c *customer) {
			before := time.Now()
			c.announce().find().call(before)
		}, nil},
		"a call without any record": {audit.RuleUnlicensed, 0, func(c *customer) { c.call(time.Now()) }, nil},
		"a call while waiting":      {audit.RuleUnlicensed, 0, func(c *customer) { c.announce().slowDown().call(time.Now()) }, nil},
		"a call after the lease": {audit.RuleUnlicensed, 0, func(c *customer) {
			c.announce().claim(time.Millisecond).call(time.Now().Add(time.Second))
		}, nil},
		"a call after the lease, held on its way": {"", 1, func(c *customer) {
			c.announce().claim(time.Millisecond).call(time.Now().Add(time.Second))
		}, []func(*audit.Options){hold(2 * time.Second)}},
		"held longer than anything could be": {audit.RuleUnlicensed, 0, func(c *customer) {
			c.announce().claim(time.Millisecond).call(time.Now().Add(3 * time.Second))
		}, []func(*audit.Options){hold(2 * time.Second)}},
		"a call that its sender has given up arrives after the outcome": {"", 1, func(c *customer) {
			c.announce().loseSight()
			for i := range c.calls {
				if c.calls[i].DomainID == c.id && c.calls[i].Op == audit.Activate {
					c.calls[i].At = time.Now()
				}
			}
		}, nil},
		"one more arrives than was sent": {audit.RuleUnlicensed, 0, func(c *customer) {
			c.announce().loseSight().call(time.Now())
		}, []func(*audit.Options){hold(time.Minute)}},
		"activated twice": {audit.RuleNoLookUp, 0, func(c *customer) {
			c.announce().claim(time.Minute).call(time.Now(), applied)
			c.call(time.Now(), applied)
		}, nil},
		"activated twice, asked in between": {"", 0, func(c *customer) {
			c.announce().claim(time.Minute).call(time.Now(), applied)
			c.call(time.Now(), lookup, told(audit.ToldInactive))
			c.call(time.Now().Add(time.Millisecond), applied)
		}, nil},
		"activated twice, asked in vain": {audit.RuleNoLookUp, 0, func(c *customer) {
			c.announce().claim(time.Minute).call(time.Now(), applied)
			c.call(time.Now(), lookup)
			c.call(time.Now().Add(time.Millisecond), applied)
		}, nil},
		"called although told that it is active": {audit.RuleNoLookUp, 0, func(c *customer) {
			c.announce().claim(time.Minute).call(time.Now(), lookup, told(audit.ToldActive))
			c.call(time.Now().Add(time.Millisecond))
		}, nil},
		"activated, and on record as failed": {audit.RuleUnrecorded, 0, func(c *customer) {
			c.announce().fail()
			for i := range c.calls {
				if c.calls[i].DomainID == c.id && c.calls[i].Op == audit.Activate {
					applied(&c.calls[i])
				}
			}
		}, nil},
		"on record as activated, and never asked about": {audit.RulePhantom, 0, func(c *customer) {
			before := c.calls
			c.announce().succeed().calls = before
		}, nil},
		"on record as activated, and told otherwise": {audit.RulePhantom, 0, func(c *customer) {
			c.announce().succeed()
			last := &c.calls[len(c.calls)-1]
			last.Applied, last.AppliedAt, last.Told = false, time.Time{}, audit.ToldInactive
		}, nil},
		"too many at once": {audit.RuleConcurrency, 0, func(c *customer) {
			c.crowd(4)
			for i := range c.calls[1:] {
				ended(time.Second)(&c.calls[i+1])
			}
		}, []func(*audit.Options){caps(audit.Caps{Concurrency: 3})}},
		"as many at once as allowed": {"", 0, func(c *customer) {
			c.crowd(3)
			for i := range c.calls[1:] {
				ended(time.Second)(&c.calls[i+1])
			}
		}, []func(*audit.Options){caps(audit.Caps{Concurrency: 3})}},
		"too many in a window":                {audit.RuleRate, 0, func(c *customer) { c.crowd(4) }, []func(*audit.Options){caps(audit.Caps{Windows: []audit.Window{{Calls: 3, Per: time.Minute}}})}},
		"too many of all workers in a window": {audit.RuleRate, 0, func(c *customer) { c.crowd(3) }, []func(*audit.Options){caps(audit.Caps{Fleet: true, Windows: []audit.Window{{Calls: 3, Per: time.Minute}}})}},
		"as many in a window as allowed":      {"", 0, func(c *customer) { c.crowd(3) }, []func(*audit.Options){caps(audit.Caps{Windows: []audit.Window{{Calls: 4, Per: time.Minute}}})}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.customer().announce().succeed()
			c.tamper(w.customer())
			w.acknowledge()
			want := map[audit.Rule]int{}
			if c.rule != "" {
				want[c.rule] = 1
			}
			r := w.audit(c.mods...)
			wantBreaches(t, r, want)
			if r.Partner.Frozen != c.frozen {
				t.Errorf("%d calls counted by their start, want %d", r.Partner.Frozen, c.frozen)
			}
		})
	}
}

// crowd makes so many customers be called by one worker about now.
func (c *customer) crowd(n int) {
	for range n {
		c.customer().announce().succeed()
	}
}
