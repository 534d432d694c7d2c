package console

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// reach is what the keyboard reaches in the present view, as JavaScript: all that can have the focus, but for what another of its group has
// for it (radio buttons), and what is not shown.
const reach = `[...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")].filter(e =>
	e.tabIndex >= 0 && !e.disabled && e.checkVisibility({visibilityProperty: true}) && !e.closest("dialog:not([open])") &&
	!(e.type === "radio" && !e.checked))`

// focused tells what has the focus and whether that can be seen: an outline, in view, with nothing before it.
const focused = `(() => {
	const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect()
	const marked = x => { const s = getComputedStyle(x); return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 1 || s.boxShadow !== "none" }
	const inView = r.width > 0 && r.height > 0 && r.bottom > 0 && r.top < innerHeight && r.right > 0 && r.left < innerWidth
	const front = document.elementFromPoint(Math.max(0, Math.min(innerWidth - 1, r.left + r.width / 2)), Math.max(0, Math.min(innerHeight - 1, r.top + r.height / 2)))
	const label = e.closest("label")
	const covered = front && !e.contains(front) && !front.contains(e) && !(label && label.contains(front))
	e.dataset.reached = "yes"
	return {
		what: e.outerHTML.slice(0, 160),
		seen: inView && !covered && e.matches(":focus-visible") && (marked(e) || label !== null && marked(label)),
		end: e === document.body,
	}
})()`

type focusState struct {
	What      string
	Seen, End bool
}

// Without a mouse everything can be reached, in each view, and one sees where one is.
func TestTheKeyboardReachesEverything(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start("w1")
	s.refused(7301, 3)
	s.lacksDNS(7310, "keys.example")
	s.ready(7311, 20)
	b := open(t, w.console)
	b.await(`document.querySelectorAll("#recent [data-event]").length >= 10`)
	for _, view := range [][2]string{{"#/", "now"}, {"#/customers", "customers"}, {"#/customers/7310", "customer"}, {"#/replay?all-failed=true", "replay"}} {
		b.load(view[0])
		b.settled(view[1])
		if got := b.press(kb.Tab); !ask[bool](b, `document.activeElement.matches("a.skip")`) || !got.Seen {
			t.Errorf("%s: the first Tab leads to %s, want the skip link, to be seen: %t", view[1], got.What, got.Seen)
		}
		steps := 0
		for ; steps < 400; steps++ {
			got := b.press(kb.Tab)
			if got.End {
				break
			}
			if !got.Seen {
				t.Errorf("%s: the focus is not to be seen on %s", view[1], got.What)
			}
		}
		if steps < 10 || steps == 400 {
			t.Errorf("%s: %d times Tab to the end of the page", view[1], steps)
		}
		// And back, in a low window, where the page scrolls below what stands at its upper edge.
		b.size(1280, 400)
		for range steps {
			if got := b.press(kb.Tab, kb.ModifierShift); got.End || !got.Seen {
				t.Errorf("%s: Shift and Tab lead back to %s, to be seen: %t", view[1], got.What, got.Seen)
			}
		}
		b.size(1280, 900)
		for _, left := range ask[[]string](b, reach+`.filter(e => !e.dataset.reached).map(e => e.outerHTML.slice(0, 160))`) {
			t.Errorf("%s: Tab never leads to %s", view[1], left)
		}
	}
}

func (b *tab) press(key string, modifiers ...kb.Modifier) focusState {
	b.t.Helper()
	b.keys(key, modifiers...)
	return ask[focusState](b, focused)
}

// settled waits until a view has what it first asks for.
func (b *tab) settled(view string) {
	b.t.Helper()
	b.view(view)
	b.await(map[string]string{
		"now":       `document.querySelector('[data-figure="activated-today"]').dataset.value !== undefined && document.querySelector("#chart-activations canvas")`,
		"customers": `document.querySelector("#customers tbody tr[data-customer]") || !document.querySelector("#no-customers").hidden`,
		"customer":  `document.querySelector("main").dataset.found`,
		"replay":    `!/[?&](ids?|reason|code|all-failed|rejected)=/.test(location.hash) || !document.querySelector("#replay-result").hidden`,
	}[view])
	b.await(`!document.querySelector('main [aria-busy="true"]')`)
}

// The way of somebody at work, without a mouse: skip, find, look, filter, open, read the list of keys.
func TestAtWorkWithoutAMouse(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start("w1")
	s.refused(7401, 2)
	s.ready(7411, 3)
	b := open(t, w.console)
	b.await(`document.querySelector('[data-count="failed/refused"]').dataset.value === "2"`)

	b.keys(kb.Tab)
	b.keys(kb.Enter)
	b.await(`document.activeElement === document.querySelector("main")`)

	b.keys("/")
	b.await(`document.activeElement.id === "search"`)
	b.keys("7401")
	b.keys(kb.Enter)
	b.view("customer")
	b.await(`document.querySelector("main").dataset.customer === "7401" && document.activeElement.matches("main h1")`)

	b.keys("?")
	b.await(`document.querySelector("#help").open && document.querySelector("#help").contains(document.activeElement)`)
	for range 12 { // what lies behind the dialog is not reached
		b.keys(kb.Tab)
		b.await(`document.activeElement === document.body || document.querySelector("#help").contains(document.activeElement)`)
	}
	b.keys(kb.Escape)
	b.await(`!document.querySelector("#help").open && document.activeElement.matches("main h1")`)

	b.keys("gc")
	b.view("customers")
	b.await(`document.querySelectorAll("#customers tbody tr[data-customer]").length === 5`)
	b.tabTo(`#filters input[name=state][value=failed]`)
	b.keys(" ")
	b.await(`document.querySelectorAll("#customers tbody tr[data-customer]").length === 2 && location.hash.includes("state=failed")`)
	b.await(`document.activeElement.matches("#filters input[name=state][value=failed]")`)
	b.tabTo(`#customers tr[data-customer="7402"] a`)
	b.keys(kb.Enter)
	b.view("customer")
	b.await(`document.querySelector("main").dataset.customer === "7402"`)
}

// tabTo presses Tab until an element has the focus.
func (b *tab) tabTo(selector string) {
	b.t.Helper()
	for range 200 {
		if ask[bool](b, fmt.Sprintf("document.activeElement.matches(%q)", selector)) {
			return
		}
		b.keys(kb.Tab)
	}
	b.t.Fatalf("200 times Tab do not lead to %s\n%s", selector, b.state())
}

// What comes in must not take the focus away from whoever is at something.
func TestTheFocusStaysWhileFiguresChange(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start("w1")
	s.refused(7501, 2)
	s.ready(7511, 2)
	b := open(t, w.console)
	b.await(`document.querySelectorAll("#recent [data-event]").length >= 8`)
	stays := func(selector, happened string, happens func()) {
		t.Helper()
		b.await(fmt.Sprintf("document.querySelector(%q)", selector))
		b.eval(fmt.Sprintf("document.querySelector(%q).focus(); window.held = document.activeElement", selector))
		if !ask[bool](b, "held !== document.body") {
			t.Fatalf("%s takes no focus", selector)
		}
		happens()
		b.await(happened)
		if !ask[bool](b, "held.isConnected && document.activeElement === held") {
			t.Errorf("%s has lost the focus to %s", selector, ask[string](b, "document.activeElement.outerHTML.slice(0, 160)"))
		}
	}
	count := 4
	announce := func() {
		s.ready(7600+count, 2)
		count += 2
	}
	stays(`a:has([data-count="failed/refused"])`, `document.querySelector('[data-figure="activated-today"]').dataset.value === "4"`, announce)
	stays(`#recent [data-event] a`, `document.querySelector('[data-figure="activated-today"]').dataset.value === "6"`, announce)
	stays(`#activations input[name=span]:checked`, `document.querySelector('[data-figure="activated-today"]').dataset.value === "8"`, announce)
	b.goTo("#/customers", "customers")
	stays(`#customers tr[data-customer="7501"] a`, `document.querySelector("#range").dataset.total === "12"`, announce)
	stays(`#filters input[name=state][value=failed]`, `document.querySelector("#range").dataset.total === "14"`, announce)
	// A choice that nobody fits goes when it is given up; its neighbour gets the focus.
	b.goTo("#/customers?reason=transient", "customers")
	b.await(`document.querySelector("#no-customers").hidden === false`)
	b.eval(`document.querySelector("#filters input[name=reason][value=transient]").focus()`)
	b.keys(" ")
	b.await(`!document.querySelector("#filters input[name=reason][value=transient]")`)
	b.await(`document.activeElement.matches("#filters input[name=reason]")`)
	// At the end of the list there is nothing older: what led there keeps the focus.
	s.ready(7551, 50)
	b.goTo("#/customers", "customers")
	b.awaitData("#range", "total", "64")
	stays("#older[href]", `document.querySelector("#older").ariaDisabled === "true" && document.querySelector("#range").dataset.total === "64"`, func() { b.keys(kb.Enter) })
	b.goTo("#/customers/7501", "customer")
	b.await(`document.querySelector("main").dataset.found === "true"`)
	stays(`#copy-link`, `document.querySelector("#customer-state").dataset.state === "activated"`, func() {
		s.tell("script", `{"domainId":7501,"operation":"activate","faults":[]}`)
		s.ready(7501, 1)
	})
}
