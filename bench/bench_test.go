package main

import (
	"bufio"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRatioIsOfTheSameRound(t *testing.T) {
	t.Parallel()
	of := []result{{perSecond: 50}, {perSecond: 10}, {perSecond: 60}}
	against := []result{{perSecond: 100}, {perSecond: 20}, {perSecond: 100}}
	if got := ratio(of, against, perSecondOf); got != 0.5 {
		t.Errorf("the ratio is %v, want 0.5: the second round was slow for both", got)
	}
	if got := ratio(of, nil, perSecondOf); got != 0 {
		t.Errorf("against nothing it is %v", got)
	}
	if got := median([]int{4, 1, 3, 2}); got != 2 {
		t.Errorf("the median is %d, want 2", got)
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	var all []time.Duration
	for i := range 1000 {
		all = append(all, time.Duration(i))
	}
	for q, want := range map[float64]time.Duration{0.5: 500, 0.99: 990, 1: 999} {
		if got := quantile(all, q); got != want {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
}

// TestPartnerAnswersRequests: over one connection, bodies passed over.
func TestPartnerAnswersRequests(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	said, say := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- servePartner(ctx, nil, say)
		_ = say.Close()
	}()
	line, err := bufio.NewReader(said).ReadString('\n')
	address, found := strings.CutPrefix(strings.TrimSpace(line), "listens ")
	if err != nil || !found {
		t.Fatalf("it says %q, %v", line, err)
	}
	client := newClient("http://"+address+"/v1.0", 1)
	for id := range int64(3) {
		body, err := client.activate(t.Context(), id+7)
		var customer struct {
			DomainID int64 `json:"domainId"`
			Active   bool  `json:"enableActiveDomain"`
		}
		if err != nil || json.Unmarshal(body, &customer) != nil || customer.DomainID != id+7 || !customer.Active {
			t.Errorf("it answers %s, %v", body, err)
		}
	}
	client.http.CloseIdleConnections()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v", err)
	}
}

func TestRequestsAreReadToTheirEnd(t *testing.T) {
	t.Parallel()
	in := bufio.NewReader(strings.NewReader(
		"POST /v1.0/partners/customers/12/activate HTTP/1.1\r\nHost: x\r\ncontent-length: 5\r\n\r\nGET /GET /v1.0/partners/customers/13 HTTP/1.1\r\nHost: x\r\n\r\n"))
	for _, want := range []int64{12, 13} {
		if id, err := readRequest(in); err != nil || id != want {
			t.Errorf("the request is about %d, %v; want %d", id, err, want)
		}
	}
	if _, err := readRequest(in); !errors.Is(err, io.EOF) {
		t.Errorf("after the last comes %v", err)
	}
}

// sampled are findings of one small round.
func sampled(t *testing.T) *findings {
	t.Helper()
	o, err := parse([]string{"-rounds", "1"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	f := &findings{o: o, machine: "a machine", day: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), runs: map[plan][]result{}, publish: map[way][]result{}}
	for _, p := range plans(o) {
		r := result{perSecond: 10_000, cpu: 50 * time.Microsecond, serverCPU: 20 * time.Microsecond, memory: 16 << 20}
		if p.subject == "worker" {
			r.perSecond, r.cpu = 7_500, 60*time.Microsecond
		}
		if p.latency {
			r = result{took: []time.Duration{time.Millisecond, 2 * time.Millisecond}}
		}
		f.runs[p] = []result{r}
	}
	for _, w := range waysToPublish() {
		f.publish[w] = []result{{perSecond: 40_000, cpu: 15 * time.Microsecond}}
	}
	return f
}

func TestResultsAreWrittenBetweenTheirMarkers(t *testing.T) {
	t.Parallel()
	f := sampled(t)
	f.o.results = filepath.Join(t.TempDir(), "performance.md")
	if err := os.WriteFile(f.o.results, []byte("before\n"+beginMark+"old\n"+endMark+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // over results of its own, too
		if err := f.write(); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(f.o.results)
	text := string(raw)
	if err != nil || !strings.HasPrefix(text, "before\n"+beginMark) || !strings.HasSuffix(text, endMark+"after\n") || strings.Contains(text, "old") {
		t.Fatalf("the document is %s, %v", text, err)
	}
	for _, want := range []string{"| 1 | 0 ms | worker | 7500 | 0.75 | 60 µs | 1.20 | 20 µs | 16 MB |", "| worker | 2 ms | 2 ms | 0 ms |", "| 2 | 7500 | 1.00 | 60 µs |", "a machine"} {
		if !strings.Contains(text, want) {
			t.Errorf("the document lacks %q:\n%s", want, text)
		}
	}
	if err := os.WriteFile(f.o.results, []byte("no markers"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.write(); err == nil {
		t.Error("a document without markers was written over")
	}
}

func TestPlotsAreXML(t *testing.T) {
	t.Parallel()
	f := sampled(t)
	for _, p := range []plot{f.latencyPlot(), f.scalingPlot(), {title: "nothing"}} {
		in := xml.NewDecoder(strings.NewReader(p.svg()))
		for {
			if _, err := in.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Errorf("%s: %v", p.title, err)
				break
			}
		}
		for _, s := range p.series {
			if !strings.Contains(p.svg(), ">"+s.name+"<") {
				t.Errorf("%s does not name %s", p.title, s.name)
			}
		}
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	for args, good := range map[string]bool{
		"": true, "-quick": true, "-workers -": true, "-nodes 1": true, "-subjects bare,worker": true,
		"-nodes x": false, "-subjects other": false, "-delays 5": false, "-events 1": false, "more": false,
	} {
		if _, err := parse(strings.Fields(args), io.Discard); (err == nil) != good {
			t.Errorf("%q: %v", args, err)
		}
	}
}
