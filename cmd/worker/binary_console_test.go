package main

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"activation-worker/internal/console"
	"activation-worker/internal/partnerapi/simulator"
)

// TestBinaryServesThePage apart from the probes, to who asks for it by a name of its own, and not longer than the worker lives.
func TestBinaryServesThePage(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	w := startWorker(t, s.env("WORKER_CONSOLE_HOSTS=console.example.net")...)
	w.AwaitReady(startTimeout)
	l := lookAt(t, w.Console())
	status, header, body := l.get("", nil)
	if status != http.StatusOK || !strings.Contains(body, "<!doctype html>") || !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("the page is %d with %v:\n%s", status, header, body)
	}
	for path, want := range map[string]int{
		"api/customers": http.StatusOK, "prefix/api/customers/51200001": http.StatusOK, "api/activations?span=1h": http.StatusOK,
		"api/replay?all-failed=true": http.StatusOK, "livez": http.StatusNotFound, "metrics": http.StatusNotFound,
		"api/customers?moon=full": http.StatusBadRequest, "api/replay": http.StatusBadRequest, "api/replay?reason=moon": http.StatusBadRequest,
		"api/customers?state=lost": http.StatusBadRequest, "api/customers/x": http.StatusBadRequest,
	} {
		if status, _, body := l.get(path, nil); status != want {
			t.Errorf("%s is %d, want %d: %s", path, status, want, body)
		}
	}
	if _, _, body := lookAt(t, "http://"+w.Probes()+"/").get("api/customers", nil); strings.Contains(body, "total") {
		t.Errorf("the probes' server has the page: %s", body)
	}
	for host, want := range map[string]int{"evil.example": http.StatusMisdirectedRequest, "console.example.net": http.StatusOK} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := l.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("asked for as %s: status %d, want %d", host, resp.StatusCode, want)
		}
	}
	live := l.live() // who reads does not keep the worker
	await(t, live, "anything", func(console.Now) bool { return true })
	began := time.Now()
	w.stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("with a reader the worker took %s to stop", took)
	}
}

// TestBinaryWithoutThePage: there is none where none is wanted, and no worker where it cannot be served as said. Where nothing was said a
// worker works without: it is the second on its machine, or its probes have been there since before there was a page.
func TestBinaryWithoutThePage(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	invoke(t, "", s.env("WORKER_CONSOLE_ADDR="+taken), "run").want(t, exitFailed, "WORKER_CONSOLE_ADDR", taken, "address already in use")
	w := startWorker(t, s.env("WORKER_CONSOLE_ADDR=off")...)
	w.AwaitReady(startTimeout)
	w.stop()
	if strings.Contains(w.stderr.String(), "console") {
		t.Errorf("a page is spoken of:\n%s", w.stderr.tail())
	}

	usualConsole()
	w = startWorker(t, slices.DeleteFunc(s.env(), func(v string) bool { return strings.HasPrefix(v, "WORKER_CONSOLE_ADDR=") })...)
	w.AwaitReady(startTimeout)
	w.stop()
	if !strings.Contains(w.stderr.String(), "no console is served: set WORKER_CONSOLE_ADDR") {
		t.Errorf("nothing is said of the page:\n%s", w.stderr.tail())
	}
}

// TestBinaryPageWhileNATSIsAway: it says what is missing, as long as it is, from the first moment on.
func TestBinaryPageWhileNATSIsAway(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	s.nats.Stop()
	w := startWorker(t, s.env()...)
	l := lookAt(t, w.Console())
	live := l.live()
	away := func(now console.Now) bool {
		return !now.Ready && strings.HasPrefix(now.Trouble, "NATS is away: ") && !now.Partner.OK && now.Quota == nil && now.Rejected == nil && slices.ContainsFunc(now.Checks, func(c console.Check) bool { return c.Name == "nats" && !c.OK })
	}
	right := func(now console.Now) bool {
		return now.Ready && now.Known && now.Trouble == "" && now.Lag == 0 && now.Partner.OK && now.Rejected != nil && len(now.Replicas) == 1 && len(now.Consumers) == 4 && strings.Contains(now.Intake.Is, "taking work")
	}
	refused := func() {
		t.Helper()
		for _, path := range []string{"api/customers", "api/customers/51200001", "api/replay?all-failed=true"} {
			status, header, body := l.get(path, nil)
			if status != http.StatusServiceUnavailable || header.Get("Retry-After") != "1" || !strings.Contains(body, "NATS is away") {
				t.Errorf("%s is %d, %s", path, status, body)
			}
		}
		if status, _, body := l.get("api/activations?span=24h", &console.Activations{}); status != http.StatusOK {
			t.Errorf("activations are %d, %s", status, body)
		}
	}
	await(t, live, "that NATS is away", away)
	refused()
	s.nats.Restart()
	await(t, live, "that all is well", right)
	s.customer(51200001)
	s.announce(`{"domainID":51200002}`)
	await(t, live, "the customer, and what nobody can act on", func(now console.Now) bool {
		return countOf(now.Counts, "activated", "") == 1 && *now.Rejected == 1 && now.Quota != nil
	})
	s.nats.Stop()
	await(t, live, "that NATS is away again", away)
	refused()
	s.nats.Restart()
	now := await(t, live, "that all is well again", right)
	if countOf(now.Counts, "activated", "") != 1 || l.customer(51200001).State != "activated" || l.customers("").Total != 1 {
		t.Errorf("after NATS came back: %+v", now)
	}
	w.stop()
}

// TestBinaryPageIsLive: a customer goes from announced to activated before one's eyes, within about a second of its records.
func TestBinaryPageIsLive(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	w := startWorker(t, s.env()...)
	w.AwaitReady(startTimeout)
	l := lookAt(t, w.Console())
	live := l.live()
	const id, late = 51200001, 3 * time.Second
	s.partner.Add(simulator.Customer{DomainID: id, Terms: true, DNS: true})
	s.partner.Script(id, simulator.OpActivate, "slow=1500ms")
	s.announce(fmt.Sprintf(`{"domainId":%d}`, id))
	for _, state := range []string{"started", "activated"} {
		now := await(t, live, "that the customer is "+state, func(now console.Now) bool {
			return countOf(now.Counts, state, "") == 1 && len(now.Recent) > 0 && now.Recent[0].State == state
		})
		e := now.Recent[0]
		if after := time.Since(e.At); e.DomainID != fmt.Sprint(id) || after > late {
			t.Errorf("%s was told %s after it was stored: %+v", state, after, e)
		}
	}
	var a console.Activations
	if l.get(fmt.Sprintf("api/activations?span=1h&midnight=%d", time.Now().Add(-time.Hour).Unix()), &a); a.Total != 1 || a.Timed != 1 || a.TotalMedian == nil || a.Counts[len(a.Counts)-1]+a.Counts[len(a.Counts)-2] != 1 {
		t.Errorf("activations are %+v", a)
	}
	w.stop()
}

// TestBinaryPageTellsOfThePartner: a pause is told with its reason, and is part of the story when it is over.
func TestBinaryPageTellsOfThePartner(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	w := startWorker(t, s.env("WORKER_ID=one")...)
	w.AwaitReady(startTimeout)
	l := lookAt(t, w.Console())
	live := l.live()
	s.partner.SetCredentialsValid(false)
	s.partner.RevokeTokens()
	s.customer(51200001)
	now := await(t, live, "the pause", func(now console.Now) bool { return now.Partner.Pause != nil && len(now.Partner.Story) == 1 })
	if p := now.Partner.Pause; now.Partner.OK || p.Reason != "credentials_refused" || p.Worker != "one" || !strings.Contains(p.WhatToDo, "LINEWORKS_") {
		t.Errorf("the pause is %+v", now.Partner)
	}
	if c := l.customer(51200001); c.Found && c.But == "" || !c.Found && !strings.Contains(c.Next, "paused") {
		t.Errorf("the customer does not hear of it: %+v", c)
	}
	s.partner.SetCredentialsValid(true)
	now = await(t, live, "its end", func(now console.Now) bool { return now.Partner.OK && len(now.Partner.Story) == 2 })
	if story := now.Partner.Story; !story[0].Resumed || story[1].Resumed || story[1].Reason != "credentials_refused" {
		t.Errorf("the story is %+v", story)
	}
	w.stop()
}
