package console

import "testing"

// An answer that never comes, as after a laptop's sleep, is not waited for without end, and an answer to an earlier question is not shown.
func TestAnswersThatDoNotCome(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start("w1")
	s.refused(8651, 2)
	b := open(t, w.console)
	b.awaitData(`[data-figure="failed"]`, "value", "2")
	b.awaitData(`[data-figure="activated-today"]`, "value", "0")
	b.eval(`
		const fetches = window.fetch, timeout = AbortSignal.timeout
		AbortSignal.timeout = ms => timeout.call(AbortSignal, ms / 20)
		window.answers = true
		window.fetch = (url, more) => answers ? fetches(url, more) : new Promise((_, fail) => more.signal.addEventListener("abort", () => fail(more.signal.reason)))
		answers = false`)
	b.zone("Pacific/Kiritimati") // where it is another day: no figure is of today
	b.await(`!("value" in document.querySelector('[data-figure="activated-today"]').dataset)`)
	b.goTo("#/customers", "customers")
	b.await(`document.querySelector('.problem[data-problem="0"]:not([hidden])')`)
	b.eval(`answers = true`)
	b.await(`document.querySelectorAll("#customers tbody tr[data-customer]").length === 2 && document.querySelector(".problem").hidden`)
	b.goTo("#/", "now")
	b.awaitData(`[data-figure="activated-today"]`, "value", "0")

	// The preview of everybody is on its way when the form is emptied.
	b.eval(`
		const fetches = window.fetch
		window.fetch = async (url, more) => {
			if (!String(url).startsWith("api/replay")) return fetches(url, more)
			await new Promise(f => { window.letGo = f })
			const answer = await fetches(url, more)
			const text = await answer.text()
			answer.text = async () => { setTimeout(() => { window.answered = true }); return text }
			return answer
		}`)
	b.goTo("#/replay?all-failed=true", "replay")
	b.await(`window.letGo`)
	b.goTo("#/replay", "replay")
	b.await(`!document.querySelector("#replay-all-failed").checked`)
	b.eval(`letGo()`)
	b.await(`window.answered`)
	if !ask[bool](b, `document.querySelector("#replay-result").hidden`) {
		t.Error("the answer to another question is shown")
	}
}
