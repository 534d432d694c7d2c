package console

import (
	"fmt"
	"testing"
	"time"
)

const (
	many        = 100_000
	manyFirst   = 60_000_000
	manyPattern = 59_000_000 // the first of three whose records the others' are copies of
	manyFailed  = many / 10  // of ten customers one has failed, one waits
	manyWaiting = many / 10
)

// A hundred thousand customers are as quick to look through as ten: the worker hands out pages, and the browser holds one of them.
func TestAHundredThousandCustomers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start("w1")
	s.refused(manyPattern, 1)
	s.lacksDNS(manyPattern+1, "many.example")
	s.ready(manyPattern+2, 1)
	failed, waits, active := s.awaitRecord(manyPattern, "failed"), s.awaitRecord(manyPattern+1, "deferred"), s.awaitRecord(manyPattern+2, "activated")
	w.Stop()
	began := time.Now()
	s.crowd(manyFirst, many, active, active, failed, active, active, active, waits, active, active, active)
	t.Logf("written in %s", time.Since(began).Round(time.Millisecond))
	w.again("WORKER_SWEEP_INTERVAL=1h") // who waits has no timer: not to be mended while we look
	b := newTab(t, w.console)
	timed := func(what string, do func()) {
		t.Helper()
		began := time.Now()
		do()
		t.Logf("%s: %s; %d elements in the page", what, time.Since(began).Round(time.Millisecond), ask[int](b, `document.querySelectorAll("*").length`))
		if n := ask[int](b, `document.querySelectorAll("*").length`); n > 4000 {
			t.Errorf("%s: the page has %d elements", what, n)
		}
	}
	shows := func(from, total int) {
		t.Helper()
		b.await(fmt.Sprintf(`document.querySelector("#range").dataset.from === "%d" && document.querySelector("#range").dataset.total === "%d"`, from, total))
		b.await(`document.querySelectorAll("#customers tbody tr[data-customer]").length > 0`)
		b.await(fmt.Sprintf(`document.querySelector("#customers tbody tr").ariaRowIndex === "%d"`, from+1)) // as readers of a screen hear it; the head is the first
	}
	timed("counted, and the first page", func() {
		b.mayFail(true) // 503 as long as they are being counted
		b.load("#/customers")
		shows(1, many+3)
		b.mayFail(false)
	})
	for choice, want := range map[string]int{"state/failed": manyFailed + 1, "state/deferred": manyWaiting + 1, "state/activated": many - manyFailed - manyWaiting + 1, "reason/refused": manyFailed + 1} {
		b.awaitData(fmt.Sprintf(`[data-choice=%q]`, choice), "value", fmt.Sprint(want))
	}
	timed("who has failed", func() {
		b.click("#filters input[name=state][value=failed]")
		shows(1, manyFailed+1)
	})
	b.await(`[...document.querySelectorAll("#customers tbody tr[data-customer]")].every(e => e.dataset.state === "failed")`)
	timed("by id", func() {
		b.click("#id-prefix")
		b.keys("60010002")
		shows(1, 1)
	})
	timed("nobody", func() {
		b.keys("9")
		b.await(`!document.querySelector("#no-customers").hidden && document.querySelector("#no-customers").innerText.includes("No customer fits")`)
	})
	timed("all again", func() {
		b.keys("1") // which is not waited for
		b.click("#filters-clear")
		shows(1, many+3)
	})
	timed("twenty pages on", func() {
		for range 20 {
			from := ask[int](b, `Number(document.querySelector("#range").dataset.to) + 1`)
			b.click("#older")
			shows(from, many+3)
		}
	})
	first := ask[string](b, `document.querySelector("#customers tbody tr[data-customer]").dataset.customer`)
	timed("and back", func() {
		for range 20 {
			to := ask[int](b, `Number(document.querySelector("#range").dataset.from) - 1`)
			b.click("#newer")
			b.await(fmt.Sprintf(`document.querySelector("#range").dataset.to === "%d"`, to))
		}
		shows(1, many+3)
	})
	if again := ask[string](b, `document.querySelector("#customers tbody tr[data-customer]").dataset.customer`); again == first {
		t.Errorf("the first page begins with %s, as does the twenty-first", again)
	}
	timed("to the middle, then to the end", func() {
		// As a link that somebody kept: the place in the list stands in the address.
		oldest := ask[string](b, fmt.Sprintf(`fetch("api/customers?id=%d&limit=1").then(r => r.json()).then(r => r.rows[0].cursor)`, manyFirst+60))
		middle := ask[string](b, fmt.Sprintf(`fetch("api/customers?id=%d&limit=1").then(r => r.json()).then(r => r.rows[0].cursor)`, manyFirst+many/2))
		for _, place := range []struct {
			cursor string
			behind int
		}{{middle, many / 3}, {oldest, many - 1000}} {
			b.goTo("#/customers?before="+place.cursor, "customers")
			b.await(fmt.Sprintf(`Number(document.querySelector("#range").dataset.from) > %d`, place.behind))
		}
		for ask[bool](b, `document.querySelector("#older").hasAttribute("href")`) {
			from := ask[int](b, `Number(document.querySelector("#range").dataset.to) + 1`)
			b.click("#older")
			shows(from, many+3)
		}
		b.await(`document.querySelector("#range").dataset.to === document.querySelector("#range").dataset.total`)
	})
}
