package main

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"activation-worker/internal/console"
	"activation-worker/internal/events"
)

// TestBinaryPageChangesNothing: not a message is written by all that can be asked for, the preview of a replay included.
func TestBinaryPageChangesNothing(t *testing.T) {
	t.Parallel()
	s, w, ids := newCrowdedSite(t)
	w.stop()
	w = startWorker(t, s.env(noWatch, "WORKER_BACKOFF=transient=1h,terms_pending=1h,unknown_outcome=1h")...)
	w.AwaitReady(startTimeout)
	l := lookAt(t, w.Console())
	await(t, l.live(), "the count", func(now console.Now) bool { return now.Known })
	var before map[string]uint64
	if !eventually(t, workTimeout, func() bool { // the quota of who has begun settles
		was := before
		before = s.sequences()
		delete(before, "KV_ACTIVATION_QUOTA")
		return was != nil && maps.Equal(was, before)
	}) {
		t.Fatal("the streams do not come to rest")
	}
	var preview console.Replay
	for _, id := range ids {
		l.customer(id)
		l.get("api/replay?id="+fmt.Sprint(id), &preview)
	}
	for _, query := range []string{"all-failed=true", "reason=refused&code=CONTRACT_ENDED&since=24h&rate=60/m", "rejected=true"} {
		if status, _, body := l.get("api/replay?"+query, &preview); status != 200 || !preview.Complete {
			t.Errorf("replay of %s: %d, %s", query, status, body)
		}
	}
	for _, span := range []string{"1h", "24h", "7d"} {
		l.get("api/activations?span="+span, nil)
	}
	for _, query := range []string{"", "state=failed&reason=refused", "id=512", "since=1h", "state=unknown"} {
		l.customers(query)
	}
	after := s.sequences()
	delete(after, "KV_ACTIVATION_QUOTA")
	if !maps.Equal(before, after) {
		t.Errorf("the streams were at %v and are at %v", before, after)
	}
	s.previewsAgree(l)
	w.stop()
}

// previewsAgree compares the page's previews with those of the command line that they name.
func (s *site) previewsAgree(l *looking) {
	t := s.t
	t.Helper()
	for query, command := range map[string]string{
		"all-failed=true":                                       "worker replay --all-failed",
		"id=51200004&id=51200001&rate=1/m":                      "worker replay 51200004 51200001 --rate 1/m",
		"reason=refused&code=CONTRACT_ENDED&since=24h&until=2s": "worker replay --reason refused --code CONTRACT_ENDED --since 24h --until 2s",
		"rejected=true":                                         "worker replay --rejected",
	} {
		var preview console.Replay
		l.get("api/replay?"+query, &preview)
		if got := strings.Join(preview.Command, " "); got != command {
			t.Errorf("%s is %q, want %q", query, got, command)
			continue
		}
		said := invoke(t, "", s.env(), append(preview.Command[1:], "--dry-run")...).want(t, exitDone)
		takes, _, _ := strings.Cut(preview.Takes, ";")
		if !strings.Contains(said.stderr, takes) || len(preview.Rows) != strings.Count(said.stdout, "\n") {
			t.Errorf("%s: the page says %+v, the command\n%s%s", query, preview, said.stdout, said.stderr)
		}
	}
}

// TestBinaryPageAndHostileRecords: what others could have written into the ledger is shown as the text that it is, or not at all.
func TestBinaryPageAndHostileRecords(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	const odd, foreign, bad = 9007199254740993, 51200002, 51200003
	evil := "<script>alert(1)</script>\u202e\x1b[2J\"'&"
	s.store(&events.Record{
		State: events.Deferred, DomainID: odd, Domain: evil, Reference: evil, Reason: events.DNSUnverified, NextAttemptAt: time.Now().Add(time.Hour),
		Cause: &events.Cause{Code: "A", Description: evil, PartnerText: "the partner's own words"},
		DNS:   &events.DNS{Wanted: []events.DNSRecord{{Type: "TXT", Name: "a\n@ IN A 1.2.3.4", Value: evil + `") ; x`}}},
	})
	lay := func(subject, data string) {
		t.Helper()
		if _, err := s.js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: []byte(data)}); err != nil {
			t.Fatal(err)
		}
	}
	lay(fmt.Sprintf("activation.customer.%d.suspended", foreign), `{"data":{"customer":{"name":"Yamada"}}}`)
	lay(fmt.Sprintf("activation.customer.%d.failed", bad), `no event of Yamada`)
	w := startWorker(t, s.env(noWatch, "WORKER_RECORD_PARTNER_TEXT=all")...)
	l := lookAt(t, w.Console())
	await(t, l.live(), "the count", func(now console.Now) bool { return now.Known && countOf(now.Counts, "deferred", "dns_unverified") == 1 })
	page := l.customers("")
	if page.Total != 3 || len(page.Rows) != 3 {
		t.Errorf("the list is %+v", page)
	}
	c := l.customer(odd)
	if c.DomainID != fmt.Sprint(int64(odd)) || strings.ContainsAny(c.Domain, "\x1b\u202e") || !strings.Contains(c.Domain, "<script>") || c.DNS.Wanted[0].Value != evil+`") ; x` {
		t.Errorf("customer %d is %+v", int64(odd), c)
	}
	if zone := c.DNS.Wanted[0].Zone; strings.ContainsAny(zone, "\n\x1b") || !strings.Contains(zone, `a\010\@`) {
		t.Errorf("as a line of a zone file: %q", zone)
	}
	if !strings.Contains(string(c.Timeline[0].Event), `"domainId":9007199254740993`) {
		t.Errorf("the number has changed: %s", c.Timeline[0].Event)
	}
	for _, id := range []int64{foreign, bad} {
		if c := l.customer(id); !c.Found || c.State != "unknown" || !strings.Contains(c.Is, "newer version") {
			t.Errorf("customer %d is %+v", id, c)
		}
	}
	without(t, "the page", l.all(), []string{"own words", "Yamada", "\x1b"})
	w.stop()
}
