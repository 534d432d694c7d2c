package console

import (
	"strings"
	"testing"
	"time"
)

// Under a path of another server, which takes the path away or leaves it, all works: views, live figures, links.
func TestUnderAPath(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start("w1")
	s.refused(7901, 1)
	for name, base := range map[string]string{
		"stripped":     behind(t, w.console, "/tools/activation/", true),
		"not stripped": behind(t, w.console, "/tools/activation/", false),
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, base)
			b.settled("now")
			before := b.data(`[data-figure="activated-today"]`, "value")
			id := map[string]int{"stripped": 7911, "not stripped": 7912}[name]
			s.ready(id, 1)
			b.await(`document.querySelector('[data-figure="activated-today"]').dataset.value > ` + before)
			b.click(`nav [data-nav="customers"]`)
			b.settled("customers")
			b.click(`#customers tr[data-customer="7901"] a`)
			b.settled("customer")
			b.awaitData("#customer-state", "state", "failed")
			if link := b.data("#copy-link", "copy"); link != base+"#/customers/7901" {
				t.Errorf("the link to send is %q", link)
			}
			b.goTo("#/replay?all-failed=true", "replay")
			b.awaitData(`[data-replay="moves"]`, "value", "1")
			asked := strings.Join(b.requests(), "\n")
			for _, part := range []string{"app.js", "style.css", "uplot/", "api/live", "api/activations?", "api/customers?", "api/customers/7901", "api/replay?"} {
				if !strings.Contains(asked, base+part) {
					t.Errorf("%s was never asked for under the path; but:\n%s", part, asked)
				}
			}
			if direct := open(t, w.console); len(direct.requests()) == 0 {
				t.Error("requests are not noted")
			}
		})
	}
}

// Whichever replica serves the page, it shows the same customers, and says who else is there.
func TestReplicasShowTheSame(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first, second := s.start("w1"), s.start("w2")
	s.refused(7951, 2)
	s.lacksDNS(7955, "replica.example")
	one, two := open(t, first.console), open(t, second.console)
	s.ready(7961, 10)
	const counts = `JSON.stringify([...document.querySelectorAll("[data-count], [data-figure]")].map(e => [e.dataset.count ?? e.dataset.figure, e.dataset.value]).sort())`
	for b, self := range map[*tab]string{one: "w1", two: "w2"} {
		b.awaitData(`[data-figure="activated-today"]`, "value", "10")
		b.awaitData(`[data-count="failed/refused"]`, "value", "2")
		b.awaitData(`[data-count="deferred/dns_unverified"]`, "value", "1")
		b.await(`document.querySelectorAll("#replicas [data-replica]").length === 2`)
		b.awaitData(`#replicas [data-replica="`+self+`"]`, "self", "true")
		b.says("footer", "Served by "+self)
	}
	if a, b := ask[string](one, counts), ask[string](two, counts); a != b {
		t.Errorf("w1 counts %s\nw2 counts %s", a, b)
	}
	// Of two replicas one goes: the page of the other goes on, and says who is left.
	one.mayFail(true)
	began := time.Now()
	first.Stop()
	t.Logf("w1 ended within %s", time.Since(began).Round(time.Millisecond))
	s.ready(7971, 1)
	two.awaitData(`[data-figure="activated-today"]`, "value", "11")
	two.await(`document.querySelectorAll("#replicas [data-replica]").length === 1`)
	t.Logf("%s after w1 was asked to end it is not shown any more", time.Since(began).Round(time.Millisecond))
}
