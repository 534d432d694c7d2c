package console

import "testing"

// What stands in the address may be anything. The view says what is wrong with it, shows nobody in place of those asked for, and the others
// still work.
func TestOddAddresses(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start("w1")
	s.refused(8601, 2)
	b := open(t, w.console)
	b.awaitData(`[data-figure="failed"]`, "value", "2")
	b.mayFail(true)
	for _, odd := range []struct{ hash, view, so string }{
		{"#/customers?since=99999999999999h", "customers", `document.querySelector("#since").value === ""`},
		{"#/customers?until=%2B275760-09-13T00:00:00Z", "customers", `document.querySelector("#until").value === ""`},
		{"#/customers?since=-271821-04-20T00:00:00Z", "customers", `document.querySelector("#since").value === ""`},
		{"#/customers?state=constructor", "customers", `/constructor\s*0$/.test(document.querySelector('[data-choice="state/constructor"]').parentElement.innerText)`},
		{"#/customers?reason=toString", "customers", `document.querySelector('[data-choice="reason/toString"]').parentElement.innerText.startsWith("toString")`},
		{"#/customers/..", "customer", `document.querySelector("#customer-is").innerText === "There is nothing to show of ..."`},
		{"#/customers/.", "customer", `document.querySelector("#customer-is").innerText.startsWith("There is nothing")`},
		{"#/customers/99999999999999999999", "customer", `document.querySelector("#customer-is").innerText.startsWith("There is nothing")`},
		{"#/customers/%E2%80%AE4711", "customer", `document.querySelector("main .about").innerText.startsWith("\\u202e4711")`},
		{"#/replay?id=x&reason=constructor", "replay", `document.querySelector("#replay-result").hidden`},
	} {
		b.goTo("#/customers", "customers")
		b.await(`document.querySelectorAll("#customers tbody tr[data-customer]").length === 2`)
		b.goTo(odd.hash, odd.view)
		b.await(`document.querySelector('.problem[data-problem="400"]:not([hidden])')`)
		b.await(odd.so)
		if ask[bool](b, `document.querySelector("tr[data-customer]") !== null || document.querySelector("main").innerText.includes("Asking")`) {
			t.Errorf("%s shows customers, or goes on asking:\n%s", odd.hash, b.text("main"))
		}
		b.goTo("#/", "now")
		b.awaitData(`[data-figure="failed"]`, "value", "2")
	}
}
