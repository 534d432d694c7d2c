package console

import (
	"strings"
	"testing"
)

// Who waits for DNS is told what to publish, in a form that can be copied; once it is there the page says so, and turns active by itself.
func TestADNSWaiterShowsItsRecordsAndTurnsActive(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start("w1", "WORKER_DNS_SCHEDULE=watch=1s/1s,call=1h,visible=3s/3s")
	s.lacksDNS(7002, "hinode.example")
	b := newTab(t, w.console)
	b.load("#/customers/7002")
	b.awaitData("#customer-state", "reason", "dns_unverified")
	b.await(`!document.querySelector("#dns").hidden && document.querySelectorAll('[data-dns-record="wanted"]').length === 2`)
	for _, record := range []string{"TXT", "CNAME"} {
		b.await(`[...document.querySelectorAll('[data-dns-record="wanted"]')].some(e => e.innerText.includes("` + record + `") && e.dataset.matches === "false")`)
	}
	copies := ask[[][2]string](b, `[...document.querySelectorAll('[data-dns-record="wanted"] [data-copies]')].map(e => [e.dataset.copies, e.dataset.copy])`)
	if len(copies) != 6 {
		t.Fatalf("there are %d copy buttons, want name, value and zone line of two records: %q", len(copies), copies)
	}
	shown := b.text("#dns")
	for n, c := range copies {
		b.eval(`navigator.clipboard.writeText("nothing yet")`)
		b.eval(`[...document.querySelectorAll('[data-dns-record="wanted"] [data-copies]')][` + string(rune('0'+n)) + `].setAttribute("id", "pressed")`)
		b.click("#pressed")
		b.awaitData("#pressed", "copied", "true")
		if got := ask[string](b, "navigator.clipboard.readText()"); got != c[1] {
			t.Errorf("the clipboard has %q after %s was copied, want %q", got, c[0], c[1])
		}
		b.eval(`document.querySelector("#pressed").removeAttribute("id")`)
		if c[0] != "zone" && !strings.Contains(shown, c[1]) {
			t.Errorf("the page does not show the %s that it copies, %q, but %s", c[0], c[1], shown)
		}
		if !strings.Contains(c[1], "hinode.example") && c[0] != "value" {
			t.Errorf("the %s to copy is %q", c[0], c[1])
		}
	}

	// The partner needs two looks more than everybody else.
	s.tell("script", `{"domainId":7002,"operation":"activate","faults":["400:INVALID_PARAMETER*1"]}`)
	s.tell("state", `{"domainId":7002,"dns":true}`)
	b.await(`[...document.querySelectorAll('[data-dns-record="wanted"]')].every(e => e.dataset.matches === "true")`)
	b.awaitData("#customer-state", "state", "activated")
	b.await(`document.querySelector("#dns").hidden`)
}

// Who has published something else sees what it is, and who saw it.
func TestADNSWaiterSeesWhatIsThereInstead(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start("w1")
	s.tell("script", `{"domainId":7003,"operation":"activate","faults":["400:INVALID_PARAMETER*"]}`)
	s.customer(`{"domainId":7003,"domain":"wrong.example","terms":true,"dns":true,"dnsRecords":"wrong"}`)
	s.command("submit", "7003", "--domain", "wrong.example")
	b := newTab(t, w.console)
	b.load("#/customers/7003")
	b.await(`document.querySelectorAll('[data-dns-record="seen"][data-matches="false"]').length === 2`)
	b.await(`document.querySelectorAll('[data-dns-record="wanted"][data-matches="false"]').length === 2`)
	b.says(`[data-dns-record="seen"]`, "seen by")
	b.says(`[data-dns-record="wanted"]`, "not visible")
}
