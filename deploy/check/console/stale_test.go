package console

import (
	"fmt"
	"syscall"
	"testing"
)

// Whoever looks at old figures is told, until they are right again; nothing has to be loaded anew.
func TestAPageWithoutWorkerSaysSo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start("w1")
	s.ready(7101, 1)
	b := open(t, w.console)
	b.awaitData(`[data-figure="activated-today"]`, "value", "1")
	b.awaitData("#live", "live", "fresh")
	b.eval(`window.sameDocument = true`)
	b.mayFail(true)
	for n, trouble := range []struct {
		name            string
		begins, repairs func()
	}{
		{"killed", w.Kill, func() { w.again() }},
		{"stands still", func() { w.Signal(syscall.SIGSTOP) }, func() { w.Signal(syscall.SIGCONT) }},
		{"ends in order", func() { w.Stop() }, func() { w.again() }},
	} {
		trouble.begins()
		b.await(`!document.querySelector("#banner").hidden && document.querySelector("#banner").innerText.length > 20`)
		b.awaitData("#live", "live", "stale")
		if since := ask[float64](b, `Date.now() - new Date(document.querySelector("#banner").dataset.since)`); !(since >= 0 && since < 120_000) {
			t.Errorf("%s: the banner says that the worker was heard %g ms ago", trouble.name, since)
		}
		for _, width := range []int{360, 1280} {
			b.size(width, 900)
			for _, fault := range ask[[]string](b, outOfPlace) {
				t.Errorf("%s, with the banner at %d px: %s", trouble.name, width, fault)
			}
		}
		// What was known stays to be read, and other views can be gone to.
		b.awaitData(`[data-figure="activated-today"]`, "value", fmt.Sprint(n+1))
		b.goTo("#/customers", "customers")
		b.await(`!document.querySelector("#banner").hidden`)
		b.goTo("#/", "now")
		trouble.repairs()
		b.await(`document.querySelector("#banner").hidden`)
		b.awaitData("#live", "live", "fresh")
		s.ready(7102+n, 1)
		b.awaitData(`[data-figure="activated-today"]`, "value", fmt.Sprint(n+2))
		b.goTo("#/customers", "customers")
		b.await(fmt.Sprintf(`document.querySelector('#customers [data-customer="%d"]').dataset.state === "activated"`, 7102+n))
		b.await(`![...document.querySelectorAll(".problem")].some(e => !e.hidden)`)
		b.goTo("#/", "now")
	}
	if !ask[bool](b, "window.sameDocument === true") {
		t.Error("the page was loaded anew")
	}
}
