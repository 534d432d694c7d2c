package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"activation-worker/internal/console"
	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// newCrowdedSite is a site with a customer of every kind, and a worker that has them all behind it.
func newCrowdedSite(t *testing.T) (s *site, w *proc, ids []int64) {
	t.Helper()
	s = newSetUpSite(t)
	env := s.env("WORKER_ID=one", "WORKER_BACKOFF=transient=1h,terms_pending=1h,unknown_outcome=10s/1h", "LINEWORKS_TIMEOUT=9s", "WORKER_LEASE=30s", "WORKER_RECORD_PARTNER_TEXT=all")
	w = startWorker(t, env...)
	w.AwaitReady(startTimeout)
	kinds := []struct {
		customer simulator.Customer
		fault    simulator.Fault
		state    events.State
		reason   events.Reason
	}{
		{simulator.Customer{Terms: true, DNS: true}, "", events.Activated, ""},
		{simulator.Customer{Terms: true, DNS: true, Active: true}, "400:ALREADY_ACTIVE", events.Activated, ""},
		{simulator.Customer{Terms: true, DNS: true}, "307-none", events.Deferred, events.Transient},
		{simulator.Customer{Terms: true, DNS: true}, "409:CONTRACT_ENDED", events.Failed, events.Refused},
		{simulator.Customer{Terms: true, DNS: true}, "400:japanese", events.Failed, events.Refused},
		{simulator.Customer{Domain: "tsukimi.example", Terms: true}, "", events.Deferred, events.DNSUnverified},
		{simulator.Customer{DNS: true}, "", events.Deferred, events.TermsPending},
		{simulator.Customer{Terms: true, DNS: true}, "500*", events.Deferred, events.UnknownOutcome},
	}
	for i, k := range kinds {
		k.customer.DomainID = 51200001 + int64(i)
		s.partner.Add(k.customer)
		if k.fault != "" {
			s.partner.Script(k.customer.DomainID, simulator.OpActivate, k.fault)
		}
		s.announce(fmt.Sprintf(`{"domainId":%d,"domain":"shop-%d.example","reference":"order <%d>"}`, k.customer.DomainID, i, i))
		ids = append(ids, k.customer.DomainID)
	}
	for i, k := range kinds {
		if r := s.await(ids[i], k.state, w); r.Reason != k.reason {
			t.Fatalf("customer %d is %s for %q, want %q", ids[i], r.State, r.Reason, k.reason)
		}
	}
	s.customer(51200101)
	s.await(51200101, events.Activated, w)
	invoke(t, "", s.env(), "forget", "51200101", "--why", "Yamada Taro asked").want(t, exitDone)
	invoke(t, "", s.env(), "cancel", "51200003", "--why", "Yamada Taro asked").want(t, exitDone)
	return s, w, append(ids, 51200101)
}

// TestBinaryPageAgrees: lists and customers are those of the command line, also after a restart, and on another replica.
func TestBinaryPageAgrees(t *testing.T) {
	t.Parallel()
	s, first, ids := newCrowdedSite(t)
	s.announce(`{"domainId":51200201.0}`)
	first.awaitSaid("announcement rejected")
	second := startWorker(t, s.env("WORKER_ID=two", "WORKER_BACKOFF=transient=1h,terms_pending=1h,unknown_outcome=10s/1h", "WORKER_RECORD_PARTNER_TEXT=all")...)
	second.AwaitReady(startTimeout)
	agrees := func(who string, w *proc) {
		t.Helper()
		l := lookAt(t, w.Console())
		await(t, l.live(), who+" and the other at work", func(now console.Now) bool { return now.Known && now.Lag == 0 && len(now.Replicas) == 2 })
		s.agree(who, l)
		for _, id := range append(ids, 51200201, 51200202) {
			s.agreeOn(who, l, id)
		}
		s.tellsNothing(who, l)
	}
	agrees("the first", first)
	agrees("the second", second)
	first.stop()
	again := startWorker(t, s.env("WORKER_ID=again", noWatch)...)
	again.AwaitReady(startTimeout)
	agrees("the first, restarted", again)
	again.stop()
	second.stop()
}

// agree compares a page's list with worker list.
func (s *site) agree(who string, l *looking) {
	t := s.t
	t.Helper()
	listed := map[string]customerLine{}
	want := map[console.Count]int{}
	for line := range strings.Lines(invoke(t, "", s.env(), "list", "-o", "json").stdout) {
		var c customerLine
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		listed[strconv.FormatInt(c.DomainID, 10)] = c
		want[console.Count{State: string(c.State), Reason: string(c.Reason)}]++
	}
	var shown []console.Row
	all := len(listed)
	for query := "limit=2"; ; { // page by page
		page := l.customers(query)
		got := map[console.Count]int{}
		for _, c := range page.Counts {
			if c.Count > 0 {
				got[console.Count{State: c.State, Reason: c.Reason}] = c.Count
			}
		}
		if page.Total != all || page.Ahead != len(shown) || !maps.Equal(got, want) {
			t.Errorf("%s: of %s it counts %d, %d ahead, %v; want %d, %d, %v", who, query, page.Total, page.Ahead, got, all, len(shown), want)
		}
		if len(page.Rows) == 0 || len(shown) > all {
			break
		}
		shown = append(shown, page.Rows...)
		query = "limit=2&before=" + url.QueryEscape(page.Rows[len(page.Rows)-1].Cursor)
	}
	for _, row := range shown {
		c := listed[row.DomainID]
		same := console.Row{
			Cursor: row.Cursor, DomainID: strconv.FormatInt(c.DomainID, 10), Domain: c.Domain, Reference: c.Reference, State: string(c.State),
			Reason: string(c.Reason), Code: c.Code, Attempt: c.Attempt, Since: c.Since, NextAttemptAt: c.NextAttemptAt,
		}
		if !reflect.DeepEqual(row, same) {
			t.Errorf("%s has %+v, worker list %+v", who, row, same)
		}
		delete(listed, row.DomainID)
	}
	if len(listed) > 0 {
		t.Errorf("%s lacks %v", who, listed)
	}
}

// agreeOn compares the page of a customer with worker status.
func (s *site) agreeOn(who string, l *looking, id int64) {
	t := s.t
	t.Helper()
	c := l.customer(id)
	lines := strings.Split(strings.TrimSpace(invoke(t, "", s.env(), "status", fmt.Sprint(id), "-o", "json").want(t, exitDone).stdout), "\n")
	var is customerLine
	if err := json.Unmarshal([]byte(lines[0]), &is); err != nil {
		t.Fatal(err)
	}
	if c.DomainID != fmt.Sprint(id) || c.State != string(is.State) || c.Reason != string(is.Reason) || !c.Since.Equal(is.Since) || c.Found != (len(lines) > 1) || c.Domain != is.Domain {
		t.Errorf("%s shows %d as %+v, worker status as %s", who, id, c, lines[0])
	}
	table := invoke(t, "", s.env("COLUMNS=1000"), "status", fmt.Sprint(id)).stdout
	sentences := []string{c.Is, c.WhatToDo}
	if !c.Found {
		sentences = []string{strings.TrimPrefix(c.Is, "No record. "), c.Next}
	}
	for _, sentence := range sentences {
		if sentence == "" || !strings.Contains(table, strings.TrimPrefix(sentence, "To do: ")) {
			t.Errorf("%s says of %d %q, worker status does not:\n%s", who, id, sentence, table)
		}
	}
	if c.Reason == string(events.DNSUnverified) {
		for _, record := range c.DNS.Wanted {
			if !strings.Contains(strings.Join(strings.Fields(table), " "), record.Zone) {
				t.Errorf("%s wants %q, worker status does not:\n%s", who, record.Zone, table)
			}
		}
	}
	if c.Found && c.State != string(events.Forgotten) && (c.DNS != nil) != (is.Reason == events.DNSUnverified) || len(c.Timeline) != len(lines)-1 {
		t.Errorf("%s has %d events of %d and the records %+v; want %d", who, len(c.Timeline), id, c.DNS, len(lines)-1)
		return
	}
	for i, line := range slices.Backward(lines[1:]) {
		want, err := events.Impersonal([]byte(line))
		if got := c.Timeline[len(c.Timeline)-1-i].Event; err != nil || string(got) != string(want) {
			t.Errorf("%s: an event of %d is %s, want %s", who, id, got, want)
		}
	}
}

// tellsNothing holds all that somebody has heard against what nobody may hear.
func (s *site) tellsNothing(who string, l *looking) {
	t, ok := s.t.(*testing.T)
	if !ok {
		return
	}
	t.Helper()
	all := l.all()
	hidden(t, who, all, s.partner.Journal().Secrets())
	without(t, who, all, s.partner.Journal().PersonalData())
	without(t, who, all, []string{`"customer":`, "administrator", "partnerText", "Yamada", "customerAltered", "aki.mori", "5550-0142", "\u202e"})
	for id := int64(51200001); id < 51200102; id++ {
		if c, known := s.partner.Customer(id); known {
			without(t, who, all, []string{c.CompanyName, c.Administrator.LastName + c.Administrator.FirstName})
		}
	}
}
