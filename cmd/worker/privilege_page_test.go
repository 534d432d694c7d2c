package main

import (
	"fmt"
	"testing"

	"activation-worker/internal/console"
	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// TestPrivilegesAreEnoughForThePage: with the shipped accounts the page shows all that it can, and nothing that is asked of it makes the
// worker less ready. The intake is such as the nats command line makes one: it lets messages be read directly, which our user may not.
func TestPrivilegesAreEnoughForThePage(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	s := g.site()
	g.allowDirect("SIGNUP")
	w := startWorker(t, g.env("worker")...)
	w.AwaitReady(startTimeout)
	_, pipeline := g.connect("pipeline")
	const refused = 51500002
	g.partner.Add(simulator.Customer{DomainID: refused, Domain: "r.by-works.com", Terms: true, DNS: true})
	g.partner.Script(refused, simulator.OpActivate, "409:TAKEN")
	for _, id := range []int64{refused, 0} { // the second is rejected
		if _, err := pipeline.Publish(t.Context(), events.DefaultIntakeSubject, fmt.Appendf(nil, `{"domainId":%d}`, id)); err != nil {
			t.Fatal(err)
		}
	}
	s.await(refused, events.Failed, w)
	l := lookAt(t, w.Console())
	live := l.live()
	right := func(now console.Now) bool {
		return now.Ready && now.Known && now.Trouble == "" && len(now.Replicas) == 1 && len(now.Consumers) == 4 && now.Intake.Is != "" && now.Quota != nil
	}
	await(t, live, "that all is well", right)
	if page := l.customers("state=failed"); page.Total != 1 || page.Rows[0].Code != "TAKEN" {
		t.Errorf("the list is %+v", page)
	}
	l.customer(refused)
	if c := l.customer(51500009); c.Found || c.State != "none" {
		t.Errorf("who was not announced is %+v", c)
	}
	var preview console.Replay
	for _, query := range []string{"all-failed=true", "rejected=true"} {
		if status, _, body := l.get("api/replay?"+query, &preview); status != 200 || !preview.Complete {
			t.Errorf("replay of %s: %d, %s", query, status, body)
		}
	}
	await(t, live, "that all is still well", right)
	w.awaitCheck("nats", true)
	w.stop()
}

// allowDirect lets a stream's messages be read otherwise than from its leader.
func (g *guarded) allowDirect(name string) {
	g.t.Helper()
	_, js := g.connect("setup")
	stream, err := js.Stream(g.t.Context(), name)
	if err == nil {
		c := stream.CachedInfo().Config
		c.AllowDirect = true
		_, err = js.UpdateStream(g.t.Context(), c)
	}
	if err != nil {
		g.t.Fatal(err)
	}
}
