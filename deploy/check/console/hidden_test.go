package console

import (
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/page"
)

// behindAnother makes the tab one that was opened behind another: the page is told that it is hidden. Its lines to the worker are kept in window.lines.
const behindAnother = `(() => {
	let hidden = true
	Object.defineProperty(document, "hidden", {get: () => hidden})
	window.look = yes => { hidden = !yes; document.dispatchEvent(new Event("visibilitychange")) }
	const lines = window.lines = []
	window.EventSource = class extends EventSource { constructor(...all) { super(...all); lines.push(this) } }
})()`

const noLine = `lines.every(l => l.readyState === EventSource.CLOSED)`

// A browser has six connections for one site. Tabs that nobody looks at hold none of them, and who comes back is not told that all is well
// before the worker has been heard.
func TestATabBehindHoldsNoLine(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start("w1")
	b := newTab(t, w.console)
	b.do(call(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: behindAnother}))
	b.navigate("#/customers/7201")
	b.view("customer")
	b.painted()
	if asked := strings.Join(b.requests(), "\n"); !ask[bool](b, "lines.length === 0") || strings.Contains(asked, "/api/") {
		t.Errorf("a page that nobody has looked at has asked the worker:\n%s", asked)
	}
	b.eval("look(true)")
	b.await(`document.documentElement.dataset.ready === "true"`)
	b.awaitData("main", "found", "false")
	b.eval("look(false)")
	b.await(noLine)

	b.mayFail(true)
	b.eval("look(true)")
	b.await("!(" + noLine + ")")
	w.Signal(syscall.SIGSTOP)
	b.await(`!document.querySelector("#banner").hidden`)
	b.eval("look(false)")
	b.await(noLine)
	if ask[bool](b, `(look(true), document.querySelector("#banner").hidden || document.querySelector("#live").dataset.live !== "stale")`) {
		t.Error("the banner has gone though the worker was not heard")
	}
	w.Signal(syscall.SIGCONT)
	b.await(`document.querySelector("#banner").hidden`)
}

// A clock that is set back does not hide that the worker is silent.
func TestAClockSetBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start("w1")
	b := open(t, w.console)
	b.mayFail(true)
	w.Signal(syscall.SIGSTOP)
	b.eval(`const real = Date.now; Date.now = () => real() - 3600e3`)
	b.await(`!document.querySelector("#banner").hidden`)
	w.Signal(syscall.SIGCONT)
	b.await(`document.querySelector("#banner").hidden`)
}
