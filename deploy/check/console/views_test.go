package console

import (
	"fmt"
	"testing"
)

// axe-core, with all its rules, finds nothing in any view, light or dark, narrow or wide, nor in what is shown at times only.
func TestAxeFindsNothing(t *testing.T) {
	t.Parallel()
	s, w, b := manifold(t)
	schemes, widths := []string{"light", "dark"}, []int{360, 1600}
	for _, scheme := range schemes {
		b.scheme(scheme)
		for _, width := range widths {
			b.size(width, 900)
			for _, v := range views {
				b.goTo(v.hash, v.view)
				b.settled(v.view)
				b.accessible(fmt.Sprintf("%s, %s, %d px", v.hash, scheme, width))
			}
			b.eval(`document.querySelectorAll("main details").forEach(d => { d.open = true })`)
			b.accessible(fmt.Sprintf("with all open, %s, %d px", scheme, width))
			b.keys("?")
			b.await(`document.querySelector("#help").open`)
			b.accessible(fmt.Sprintf("the list of keys, %s, %d px", scheme, width))
			b.click("#help-close")
		}
	}
	b.mayFail(true)
	inAll := func(where string) {
		t.Helper()
		for _, scheme := range schemes {
			b.scheme(scheme)
			for _, width := range widths {
				b.size(width, 900)
				b.accessible(fmt.Sprintf("%s, %s, %d px", where, scheme, width))
			}
		}
	}
	b.goTo("#/", "now")
	s.server.Kill()
	b.await(`!document.querySelector("#trouble").hidden`)
	inAll("without NATS")
	w.Kill()
	b.await(`!document.querySelector("#banner").hidden`)
	b.goTo("#/customers?state=failed", "customers")
	b.await(`[...document.querySelectorAll(".problem")].some(e => !e.hidden)`)
	inAll("without a worker")
}
