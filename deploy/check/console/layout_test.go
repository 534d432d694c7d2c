package console

import (
	"fmt"
	"testing"
)

// outOfPlace lists what does not stand right in a view: what is wider than the page, what is cut off without a way to see the rest, words broken
// into letters, and what stands on something else.
const outOfPlace = `(() => {
	const found = [], tell = (what, e) => found.push(what + ": " + (e.outerHTML ?? "").slice(0, 140))
	if (document.documentElement.scrollWidth > innerWidth) found.push("the page is " + document.documentElement.scrollWidth + " px wide")
	const hides = e => { const r = e.getBoundingClientRect(), s = getComputedStyle(e); return r.width <= 1 || r.height <= 1 || s.clipPath !== "none" || s.opacity === "0" }
	const hidden = e => { for (; e && e !== document.body; e = e.parentElement) if (hides(e)) return true; return false }
	const scrolls = e => { for (e = e.parentElement; e && e !== document.body; e = e.parentElement) if (/auto|scroll/.test(getComputedStyle(e).overflowX) && e.scrollWidth > e.clientWidth) return e; return null }
	const boxes = []
	for (const e of document.body.querySelectorAll("*")) {
		if (!e.checkVisibility({visibilityProperty: true}) || hidden(e)) continue
		const r = e.getBoundingClientRect(), s = getComputedStyle(e), box = scrolls(e)
		if (!box && (r.right > innerWidth + 1 || r.left < -1)) tell("beside the page", e)
		if (box && box.tabIndex < 0 && !box.querySelector("a[href], button, summary")) tell("the keyboard cannot scroll", box)
		const cut = s.overflowX !== "visible" && s.overflowX !== "auto" && s.overflowX !== "scroll" && e.scrollWidth > e.clientWidth + 1
		if (cut && !/^(INPUT|TEXTAREA|SELECT)$/.test(e.tagName) && !e.title && e.textContent.trim()) tell("cut off", e)
	}
	const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
	for (let n; (n = texts.nextNode());) {
		const e = n.parentElement
		if (!n.data.trim() || !e.checkVisibility({visibilityProperty: true}) || hidden(e) || e.closest("script, noscript, style, dialog:not([open])")) continue
		const range = document.createRange()
		range.selectNodeContents(n)
		const rects = range.getClientRects()
		if (rects.length > 3 && rects.length > n.data.trim().split(/[\s./_-]+/).length && !e.closest(".ext, code, pre")) found.push("broken into letters: " + n.data.trim().slice(0, 60))
		for (const r of rects) {
			const shown = clipped(e, r), front = document.elementFromPoint((shown.left + shown.right) / 2, (shown.top + shown.bottom) / 2)
			const over = front && !front.contains(e) && !e.contains(front) && getComputedStyle(front).opacity !== "0" && !document.querySelector("dialog[open]")
			if (over && shown.right - shown.left > 2 && shown.bottom - shown.top > 5) found.push("hidden behind " + front.outerHTML.slice(0, 60) + ": " + n.data.trim().slice(0, 60))
			if (shown.right - shown.left > 1 && shown.bottom - shown.top > 1) boxes.push({n, e, r: shown})
		}
	}
	const panels = [...document.querySelectorAll("main section, main .figure")].map(e => ({e, r: e.getBoundingClientRect()})).filter(p => p.r.width * p.r.height > 0)
	for (const a of panels) for (const b of panels) {
		if (a.e.compareDocumentPosition(b.e) !== Node.DOCUMENT_POSITION_FOLLOWING) continue
		if (Math.min(a.r.right, b.r.right) - Math.max(a.r.left, b.r.left) > 1 && Math.min(a.r.bottom, b.r.bottom) - Math.max(a.r.top, b.r.top) > 1) found.push("a panel on another: " + a.e.id + ", " + b.e.id)
	}
	for (let i = 0; i < boxes.length; i++) for (let k = i + 1; k < boxes.length && found.length < 20; k++) {
		const a = boxes[i], b = boxes[k]
		if (a.n === b.n || fixed(a.e) !== fixed(b.e)) continue
		const wide = Math.min(a.r.right, b.r.right) - Math.max(a.r.left, b.r.left), high = Math.min(a.r.bottom, b.r.bottom) - Math.max(a.r.top, b.r.top)
		if (wide > 2 && high > 5) found.push("text on text: " + a.n.data.trim().slice(0, 60) + " / " + b.n.data.trim().slice(0, 60))
	}
	function clipped(e, r) {
		let {left, right, top, bottom} = r
		for (; e && e !== document.body; e = e.parentElement) {
			if (getComputedStyle(e).overflow === "visible") continue
			const c = e.getBoundingClientRect()
			left = Math.max(left, c.left), right = Math.min(right, c.right), top = Math.max(top, c.top), bottom = Math.min(bottom, c.bottom)
		}
		return {left, right, top, bottom}
	}
	function fixed(e) { for (; e; e = e.parentElement) if (/fixed|sticky/.test(getComputedStyle(e).position) || e.matches("dialog")) return true; return false }
	return found.slice(0, 20)
})()`

// views are the page's views with something in each.
var views = []struct{ hash, view string }{
	{"#/", "now"},
	{"#/customers", "customers"},
	{"#/customers?id=999", "customers"},
	{"#/customers/7810", "customer"},
	{"#/customers/7801", "customer"},
	{"#/customers/9999", "customer"},
	{"#/replay", "replay"},
	{"#/replay?all-failed=true", "replay"},
}

// manifold is a site with a bit of everything, and a tab that shows it.
func manifold(t *testing.T) (*site, *worker, *tab) {
	t.Helper()
	s := newSite(t)
	w := s.start("worker-with-a-long-name-7c9f6d5b8-x2x4q")
	s.refused(7801, 3)
	s.lacksDNS(7810, "a-rather-long-name-of-a-company.of-some-group.hinode-foods.example")
	s.ready(7811, 12)
	b := open(t, w.console)
	b.await(`document.querySelector('[data-figure="activated-today"]').dataset.value === "12" && document.querySelector('[data-count="failed/refused"]').dataset.value === "3"`)
	b.await(`document.querySelector('[data-count="deferred/dns_unverified"]').dataset.value === "1"`)
	return s, w, b
}

// On a telephone and on a wide screen nothing lies beside the page, is cut off or stands on something else.
func TestNarrowAndWide(t *testing.T) {
	t.Parallel()
	_, _, b := manifold(t)
	check := func(where string) {
		t.Helper()
		for _, fault := range ask[[]string](b, outOfPlace) {
			t.Errorf("%s: %s", where, fault)
		}
	}
	for _, width := range []int{320, 360, 768, 1600} {
		b.size(width, 900)
		for _, v := range views {
			b.goTo(v.hash, v.view)
			b.settled(v.view)
			check(fmt.Sprintf("%s at %d px", v.hash, width))
			// All that can be opened is open.
			b.eval(`document.querySelectorAll("main details").forEach(d => { d.open = true })`)
			b.await(`[...document.querySelectorAll("#timeline details[open] pre.json")].every(e => e.textContent !== "")`)
			check(fmt.Sprintf("%s with all open at %d px", v.hash, width))
		}
		b.keys("?")
		b.await(`document.querySelector("#help").open`)
		check(fmt.Sprintf("the list of keys at %d px", width))
		b.click("#help-close")
	}
}

// What the reader's system wants, dark or light, is what the page is, to the charts.
func TestDarkAndLight(t *testing.T) {
	t.Parallel()
	_, w, b := manifold(t)
	const bright = `(() => {
		const grounds = [document.body, document.documentElement].map(e => getComputedStyle(e).backgroundColor.match(/[\d.]+/g).map(Number))
		const [r, g, b] = grounds.find(c => c[3] !== 0)
		return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255
	})()`
	// The colours of the style sheet that the chart is painted with, if some of its points have exactly one of them.
	const painted = `(() => {
		const c = document.querySelector("#chart-activations canvas"), style = getComputedStyle(document.documentElement), wanted = new Set()
		for (const name of ["--good", "--good-soft", "--line"]) wanted.add(parseInt(style.getPropertyValue(name).trim().slice(1), 16))
		const copy = new OffscreenCanvas(c.width, c.height).getContext("2d", {willReadFrequently: true})
		copy.drawImage(c, 0, 0)
		const {data} = copy.getImageData(0, 0, c.width, c.height)
		for (let i = 0; i < data.length; i += 4) if (data[i + 3] === 255 && wanted.has(data[i] << 16 | data[i + 1] << 8 | data[i + 2])) return true
		return false
	})()`
	b.settled("now")
	b.mayFail(true)
	w.Kill() // else what comes in would paint the chart anew
	for _, scheme := range []string{"light", "dark", "light"} {
		b.scheme(scheme)
		b.await(fmt.Sprintf(`matchMedia("(prefers-color-scheme: %s)").matches`, scheme))
		if got := ask[float64](b, bright); (got > 0.5) != (scheme == "light") {
			t.Errorf("%s: the page's ground has a brightness of %.2f", scheme, got)
		}
		b.await(painted)
	}
}
