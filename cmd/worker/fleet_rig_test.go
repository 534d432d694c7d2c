package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"activation-worker/internal/audit"
	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

const (
	fleetFirstID = 51_600_001
	fleetRate    = 20 // a second, of each operation
)

// newFleetSite is a site with streams whose partner is of a certain kind.
func newFleetSite(t testing.TB, o simulator.Options) *site {
	t.Helper()
	s := newSite(t)
	s.partner = newPartner(t, o)
	invoke(t, "", s.env(), "setup", "--with-intake").want(t, exitDone)
	return s
}

// strictPartner refuses what is beyond the settings of [site.fleetEnv], and answers after a moment.
func strictPartner() simulator.Options {
	return simulator.Options{RatePerMinute: fleetRate * 60, MaxConcurrent: 5, Latency: 15 * time.Millisecond}
}

// fleetEnv are settings whose quota a few hundred customers use up for some seconds.
func (s *site) fleetEnv(more ...string) []string {
	return s.env(append([]string{
		"WORKER_LOG_LEVEL=info",
		fmt.Sprintf("LINEWORKS_RATE=%d/s", fleetRate), "LINEWORKS_CONCURRENCY=5",
		"LINEWORKS_TIMEOUT=1s", "WORKER_LEASE=11s", "WORKER_SWEEP_INTERVAL=2s",
		"WORKER_BACKOFF=transient=1s,unknown_outcome=1s/2s,partner_unavailable=1s",
	}, more...)...)
}

// replicas are workers that share a ledger, and so a quota.
type replicas struct {
	t    testing.TB
	env  []string
	path string  // of the binary
	live []*proc // the oldest first
	gone []*proc // told to stop, or killed
}

// startReplicas starts so many and waits until each is ready.
func startReplicas(t testing.TB, n int, env []string) *replicas {
	t.Helper()
	r := &replicas{t: t, env: env, path: buildWorker(t)}
	for range n {
		r.start()
	}
	r.awaitReady()
	return r
}

// start adds one, with settings of its own.
func (r *replicas) start(more ...string) *proc {
	r.t.Helper()
	id := fmt.Sprintf("WORKER_ID=replica-%d", len(r.live)+len(r.gone)+1)
	p := startProcess(r.t, r.path, settings(r.env, []string{id}, more), "run")
	r.live = append(r.live, p)
	return p
}

func (r *replicas) awaitReady() {
	r.t.Helper()
	for _, p := range r.live {
		p.AwaitReady(startTimeout)
	}
}

// relieve lets another come, and tells the oldest to stop as an orchestrator does.
func (r *replicas) relieve() {
	r.t.Helper()
	r.start().AwaitReady(startTimeout)
	r.take(r.live[0]).Term()
}

// replace kills the oldest, which by now has work in hand, and starts another.
func (r *replicas) replace() {
	r.t.Helper()
	r.take(r.live[0]).Kill()
	r.start()
}

// take counts one among those that are gone.
func (r *replicas) take(p *proc) *proc {
	r.live = slices.DeleteFunc(r.live, func(q *proc) bool { return p == q })
	r.gone = append(r.gone, p)
	return p
}

// named is the live replica with that WORKER_ID.
func (r *replicas) named(id string) *proc {
	for _, p := range r.live {
		if slices.Contains(p.cmd.Env, "WORKER_ID="+id) {
			return p
		}
	}
	return nil
}

// names are the WORKER_IDs of those alive.
func (r *replicas) names() []string {
	var all []string
	for _, p := range r.live {
		for _, setting := range p.cmd.Env {
			if id, ok := strings.CutPrefix(setting, "WORKER_ID="); ok {
				all = append(all, id)
			}
		}
	}
	return all
}

// stop ends all in order; those told to stop before have done so too.
func (r *replicas) stop() {
	r.t.Helper()
	for _, p := range r.live {
		p.Term()
	}
	for _, p := range append(r.gone, r.live...) {
		if code := p.Wait(workTimeout); code != exitDone && code != -1 { // -1: killed by us
			r.t.Errorf("exit status %d after SIGTERM; the worker said:\n%s", code, p.stderr.tail())
		}
	}
}

func (r *replicas) said() string {
	var b strings.Builder
	for _, p := range r.live {
		fmt.Fprintf(&b, "--- %s\n", p.stderr.tail())
	}
	return b.String()
}

// backfill announces a customer who can be activated and is looked up first, in the waiting lane.
func (s *site) backfill(id int64) {
	s.t.Helper()
	s.partner.Add(simulator.Customer{DomainID: id, Terms: true, DNS: true})
	m := nats.NewMsg(events.DefaultIntakeSubject)
	m.Header.Set("Content-Type", events.ContentType)
	m.Data = fmt.Appendf(nil, `{"specversion":"1.0","type":"signup.terms.accepted","source":"/signup","id":"old-%d","backfill":true,"data":{"domainId":%d}}`, id, id)
	if _, err := s.js.PublishMsg(s.t.Context(), m); err != nil {
		s.t.Fatalf("announcing %d: %v", id, err)
	}
}

// awaitCalls waits until so many calls of an operation have arrived.
func (s *site) awaitCalls(r *replicas, op simulator.Operation, count int) {
	s.t.Helper()
	if !eventually(s.t, workTimeout, func() bool { return len(s.partner.Journal().Of(0, op)) >= count }) {
		s.t.Fatalf("%d %s calls have arrived after %s, want %d; the workers said:\n%s", len(s.partner.Journal().Of(0, op)), op, workTimeout, count, r.said())
	}
}

// awaitActive waits until so many customers are activated.
func (v *ledgerView) awaitActive(r *replicas, count int) {
	v.t.Helper()
	ctx, cancel := contextWithin(v.t, workTimeout)
	defer cancel()
	if !v.await(ctx, func() bool { return len(v.activated) >= count }) {
		v.t.Fatalf("not %d customers are activated after %s, but %s; the workers said:\n%s", count, workTimeout, v.states(fleetFirstID), r.said())
	}
}

// kept checks what holds at every moment however the machine is loaded: at the partner, which sees all replicas together, no
// sliding window over the limit, no more calls at once than configured, no 429, and each customer activated once.
func (s *site) kept(perSecond, atOnce int) simulator.Journal {
	s.t.Helper()
	j := s.partner.Journal()
	for _, op := range []simulator.Operation{simulator.OpActivate, simulator.OpCustomer} {
		if got := j.Peak(op, time.Second); perSecond > 0 && got > perSecond {
			s.t.Errorf("%d %s calls arrived within a second, at most %d are allowed:\n%s", got, op, perSecond, around(j.Of(0, op), perSecond))
		}
	}
	if j.MaxConcurrent > atOnce {
		s.t.Errorf("%d calls were under way at once, at most %d are allowed", j.MaxConcurrent, atOnce)
	}
	for _, breach := range j.Check() {
		s.t.Error(breach)
	}
	for id, n := range j.Customers {
		if n.Applied > 1 {
			s.t.Errorf("customer %d was activated %d times", id, n.Applied)
		}
	}
	return j
}

// around tells of the calls before and in the first window that has too many: when each arrived, and how it ended.
func around(calls []simulator.Call, most int) string {
	var b strings.Builder
	for last := most; last < len(calls); last++ {
		if calls[last].At.Sub(calls[last-most].At) >= time.Second {
			continue
		}
		for _, c := range calls[max(0, last-2*most):min(len(calls), last+most)] {
			fmt.Fprintf(&b, "%s %d, ended after %s with %d, lost: %t\n", c.At.Format("05.000"), c.DomainID, c.EndedAt.Sub(c.At).Round(time.Millisecond), c.Status, c.Lost)
		}
		break
	}
	return b.String()
}

// unrefused fails where the partner had to say that it was too much.
func unrefused(t testing.TB, j simulator.Journal) {
	t.Helper()
	for _, c := range j.Calls {
		if c.Status == 429 {
			t.Errorf("%s of %d was refused with 429, at call %d with %d under way", c.Op, c.DomainID, c.Seq, c.Concurrent)
			return
		}
	}
}

// fleetCaps are the auditor's of the same settings.
func fleetCaps(perSecond, atOnce int) audit.Caps {
	return audit.Caps{Fleet: true, Concurrency: atOnce, Windows: []audit.Window{{Calls: perSecond, Per: time.Second}}}
}
