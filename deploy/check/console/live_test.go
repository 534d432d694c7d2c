package console

import (
	"regexp"
	"testing"
	"time"

	"activation-worker/deploy/check/deploytest"
)

// A customer is announced and activated before one's eyes: on its own page, which was open before anybody knew of it, and in the figures.
func TestACustomerTurnsActive(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start("w1")
	now, own := open(t, w.console), newTab(t, w.console)
	now.awaitData(`[data-figure="activated-today"]`, "value", "0")
	own.load("#/customers/7001")
	own.awaitData("main", "found", "false")
	own.says("#customer-is", "No record")
	for _, b := range []*tab{now, own} {
		b.eval(`window.sameDocument = true`)
	}
	now.eval(`new MutationObserver(() => { window.changed ||= Date.now() }).observe(document.querySelector('[data-figure="activated-today"]'), {subtree: true, childList: true, characterData: true, attributes: true})`)

	s.ready(7001, 1)

	own.awaitData("main", "found", "true")
	own.awaitData("#customer-state", "state", "activated")
	own.says("#customer-is", "active")
	own.await(`document.querySelectorAll("#timeline [data-record]").length >= 2`)
	own.eval(`document.querySelectorAll("main details").forEach(d => { d.open = true })`)
	own.await(`document.querySelectorAll("#timeline details[open] pre.json").length >= 2 && [...document.querySelectorAll("#timeline details[open] pre.json")].every(e => e.textContent.includes("specversion"))`)
	if personal := ask[[]string](own, `document.body.textContent.match(/.{0,30}(companyName|administrator|privateEmail|cellphone|[a-z]@[a-z]).{0,30}/gs) ?? []`); len(personal) > 0 {
		t.Errorf("the page shows what the partner knows of the customer: %q", personal)
	}
	now.awaitData(`[data-figure="activated-today"]`, "value", "1")
	now.await(`document.querySelector('#recent [data-event][data-state="activated"] a[href="#/customers/7001"]')`)
	now.await(`document.querySelector('#activations [data-total="1"]') && document.querySelector("#activations [data-median]").dataset.median > 0`)
	late := time.UnixMilli(int64(ask[float64](now, "window.changed"))).Sub(s.awaitRecord(7001, "activated").Time)
	t.Logf("the figure changed %s after the record was stored", late)
	if late > 5*time.Second { // a second on a machine that has time
		t.Errorf("the figure changed %s after the record was stored", late)
	}
	for _, b := range []*tab{now, own} {
		if !ask[bool](b, "window.sameDocument === true") {
			t.Error("the page was loaded anew")
		}
	}
}

// The demo says where its page is, and there is something to see.
func TestTheDemoCanBeWatched(t *testing.T) {
	t.Parallel()
	demo := deploytest.Start(t, deploytest.Command{Path: deploytest.Worker(t), Args: []string{"demo", "--forever"}})
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+/`)
	if !deploytest.Eventually(t, func() bool { return address.MatchString(demo.Said()) }) {
		t.Fatalf("the demo names no page:\n%s", demo.Said())
	}
	b := open(t, address.FindString(demo.Said()))
	b.await(`!document.querySelector("#simulated").hidden`)
	b.await(`document.querySelector('[data-figure="activated-today"]').dataset.value >= 5`)
	b.await(`document.querySelectorAll("#recent [data-event]").length >= 15`)
	seen := b.data("#recent [data-event]", "event")
	b.await(`document.querySelector("#recent [data-event]").dataset.event !== "` + seen + `"`)
}
