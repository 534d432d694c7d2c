package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

const (
	dnsFirstID = 51_320_001
	dnsWatch   = 3 * time.Second
	// dnsMargin is what may pass beyond a watch interval: two timers fire on the way, for the look and for the attempt.
	dnsMargin = 2 * punctual
)

// TestRecordsThatAppearAreCalledAboutOnce: each customer sets its TXT record, its CNAME record or both while the worker waits.
func TestRecordsThatAppearAreCalledAboutOnce(t *testing.T) {
	t.Parallel()
	customers := size(200, 60)
	s := newSetUpSite(t)
	view := viewLedger(t, s.js)
	w := startWorker(t, s.env("WORKER_LOG_LEVEL=info",
		fmt.Sprintf("WORKER_DNS_SCHEDULE=watch=%s/%[1]s,call=1h,visible=1s/2s", dnsWatch))...)
	w.AwaitReady(startTimeout)
	for i, id := 0, int64(dnsFirstID); i < customers; i, id = i+1, id+1 {
		s.partner.Add(simulator.Customer{
			DomainID: id, Domain: fmt.Sprintf("shop-%d.example", id), Terms: true,
			DNSRecords: []string{simulator.DNSTXT, simulator.DNSCNAME, simulator.DNSBoth}[i%3],
		})
		s.announce(fmt.Sprintf(`{"domainId":%d}`, id))
	}
	view.awaitIn(time.Minute, customers, events.Deferred, events.DNSUnverified)

	// Everybody is looked at in vain at least once; then the records appear over some watch intervals.
	pause(t.Context(), dnsWatch+punctual/2)
	appeared := map[int64]time.Time{}
	for id := int64(dnsFirstID); id < dnsFirstID+int64(customers); id++ {
		appeared[id] = time.Now()
		s.partner.SetDNS(id, true)
		pause(t.Context(), 2*dnsWatch/time.Duration(customers))
	}
	view.awaitIn(time.Minute, customers, events.Activated, "")
	cons, err := s.js.Consumer(t.Context(), events.StreamsOf(events.DefaultStream).Work, events.ConsumerDue)
	if err != nil {
		t.Fatal(err)
	}
	// Two wake-ups of each have found or called something.
	if looks := int(cons.CachedInfo().Delivered.Consumer) - 2*customers; looks < customers {
		t.Errorf("%d looks in vain at %d customers: the watch has watched nothing", looks, customers)
	} else {
		t.Logf("about %d looks in vain at %d customers", looks, customers)
	}
	w.stop()
	view.catchUp(t.Context())

	var waits []time.Duration
	calls, j := 0, s.partner.Journal()
	want := []string{"started", "deferred(dns_unverified)", "deferred(dns_unverified)", "started", "activated"}
	for id, at := range appeared {
		calls += j.Customers[id].Activates
		if got := view.states(id); !slices.Equal(got, want) {
			t.Errorf("customer %d: %v, want %v", id, got, want)
			continue
		}
		family := view.families[id]
		wait := family[4].at.Sub(at)
		waits = append(waits, wait)
		if wait > dnsWatch+dnsMargin {
			t.Errorf("customer %d was activated %s after its records appeared, want within %s", id, wait, dnsWatch+dnsMargin)
		}
		if first := family[2].DNS; first == nil || len(first.Seen) == 0 || first.Seen[0].Resolver == "" {
			t.Errorf("customer %d: what was seen is not recorded: %+v", id, first)
		}
	}
	if mean := float64(calls) / float64(customers); mean > 2.05 {
		t.Errorf("%.3f activate calls a customer, want at most 2.05", mean)
	}
	for _, breach := range j.Check() {
		t.Errorf("the partner saw: %s", breach)
	}
	slices.Sort(waits)
	if len(waits) > 0 {
		t.Logf("%d customers, %.3f activate calls each; activated after visibility: median %s, 95%% within %s, all within %s; watch interval %s",
			customers, float64(calls)/float64(customers), waits[len(waits)/2], waits[len(waits)*95/100], waits[len(waits)-1], dnsWatch)
	}
}
