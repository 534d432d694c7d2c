package console

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Whatever others write is text in the page: it does nothing, and does not push aside what stands beside it.
func TestHostileStringsDoNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start("w1")
	js := s.stream()
	texts := []string{
		`<img src=x onerror="window.pwned=1">.example`, `"><script>window.pwned=1</script>`, `javascript:window.pwned=1//.example`,
		"\u202eelpmaxe.moc\u202c.example", "שלום-עולם.example", strings.Repeat("long", 60) + ".example", `' onmouseover='window.pwned=1' x='.example`,
		"{{constructor.constructor('window.pwned=1')()}}", "a\u0000b\u0007c.example", "%3Cimg%20src=x%3E.example", "😀😀.example", "&lt;b&gt;&amp;.example",
	}
	for n, text := range texts {
		if n%5 == 4 { // of ten customers in a row who are refused the worker would think that it is its own fault
			s.awaitRecord(8100+n, "failed")
			s.ready(8150+n, 1)
			s.awaitRecord(8150+n, "activated")
		}
		data, err := json.Marshal(map[string]any{"domainId": 8101 + n, "domain": text, "reference": text[:min(len(text), 190)]})
		if err != nil {
			t.Fatal(err)
		}
		s.tell("script", fmt.Sprintf(`{"domainId":%d,"operation":"activate","faults":["409:CONTRACT_ENDED*"]}`, 8101+n))
		if _, err := js.Publish(t.Context(), intake, data); err != nil {
			t.Fatal(err)
		}
	}
	b := open(t, w.console)
	b.awaitData(`[data-figure="failed"]`, "value", fmt.Sprint(len(texts)))
	harmless := func(where string) {
		t.Helper()
		if ask[bool](b, `window.pwned !== undefined || document.querySelector("main img, main script, main [onerror], main [onmouseover]") !== null || document.querySelector("a[href^='javascript:']") !== null`) {
			t.Errorf("%s: what somebody wrote has become part of the page", where)
		}
		for _, fault := range ask[[]string](b, outOfPlace) {
			t.Errorf("%s: %s", where, fault)
		}
	}
	for _, width := range []int{360, 1280} {
		b.size(width, 800)
		b.goTo("#/customers", "customers")
		b.await(fmt.Sprintf(`document.querySelectorAll("#customers tbody tr[data-customer]").length >= %d`, len(texts)))
		harmless(fmt.Sprintf("the list at %d px", width))
		b.goTo("#/replay?all-failed=true", "replay")
		b.await(fmt.Sprintf(`document.querySelectorAll("#replay-rows tr[data-customer]").length === %d`, len(texts)))
		harmless(fmt.Sprintf("the preview at %d px", width))
		for n, text := range texts {
			b.goTo(fmt.Sprintf("#/customers/%d", 8101+n), "customer")
			b.awaitData("main", "found", "true")
			b.eval(`document.querySelectorAll("main details").forEach(d => { d.open = true })`)
			b.await(`[...document.querySelectorAll("#timeline details[open] pre.json")].every(e => e.textContent !== "")`)
			harmless(fmt.Sprintf("customer %q at %d px", text, width))
		}
	}
	b.await(`document.querySelector("main").textContent.includes("<b>") === false`)
	// In addresses too, which the worker does not take.
	b.mayFail(true)
	for _, odd := range [][2]string{
		{"#/customers/<img src=x onerror=window.pwned=1>", "customer"},
		{"#/customers?id=<script>window.pwned=1</script>", "customers"},
		{"#/replay?id='\"><img src=x onerror=window.pwned=1>", "replay"},
		{"#/customers/../../x", "customer"},
		{"#/customers/%E0%A4%A", "customer"},
	} {
		b.goTo(odd[0], odd[1])
		b.await(`document.querySelector('.problem[data-problem="400"]:not([hidden])')`) // with what was asked for in it
		harmless(odd[0])
		b.goTo("#/%", "now")
	}
}
