package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"activation-worker/internal/console"
)

// Console is the address of the page, ending in a slash.
func (p *proc) Console() string {
	p.t.Helper()
	return p.logged("console")
}

// looking is somebody who looks at a worker's page, and all that was said to them.
type looking struct {
	t     testing.TB
	url   string
	http  *http.Client
	mu    sync.Mutex
	heard strings.Builder // guarded by mu
}

func lookAt(t testing.TB, url string) *looking {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &looking{t: t, url: url, http: &http.Client{Transport: transport, Timeout: startTimeout}}
}

// get asks for something of the page; into may be nil.
func (l *looking) get(path string, into any) (status int, header http.Header, body string) {
	l.t.Helper()
	req, err := http.NewRequestWithContext(l.t.Context(), http.MethodGet, l.url+path, http.NoBody)
	if err != nil {
		l.t.Fatal(err)
	}
	resp, err := l.http.Do(req)
	if err != nil {
		l.t.Fatalf("%s: %v", path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		l.t.Fatalf("%s: %v", path, err)
	}
	l.note(string(text))
	if into != nil && resp.StatusCode == http.StatusOK {
		dec := json.NewDecoder(strings.NewReader(string(text)))
		dec.DisallowUnknownFields()
		if err := dec.Decode(into); err != nil {
			l.t.Errorf("%s answers %s: %v", path, text, err)
		}
	}
	return resp.StatusCode, resp.Header, string(text)
}

func (l *looking) note(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard.WriteString(text + "\n")
}

func (l *looking) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard.String()
}

// customer asks for one, which must be there.
func (l *looking) customer(id int64) (c console.Customer) {
	l.t.Helper()
	if status, _, body := l.get(fmt.Sprintf("api/customers/%d", id), &c); status != http.StatusOK {
		l.t.Errorf("customer %d: status %d, %s", id, status, body)
	}
	return c
}

// customers asks for a page of the list.
func (l *looking) customers(query string) (c console.Customers) {
	l.t.Helper()
	if status, _, body := l.get("api/customers?"+query, &c); status != http.StatusOK {
		l.t.Errorf("customers of %s: status %d, %s", query, status, body)
	}
	return c
}

// live follows the page's events until the test ends; each comes with when it was heard.
func (l *looking) live() <-chan console.Now {
	l.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url+"api/live", http.NoBody)
	if err != nil {
		l.t.Fatal(err)
	}
	transport := &http.Transport{}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		l.t.Fatalf("live events: %v", err)
	}
	events := make(chan console.Now)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(events)
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				continue
			}
			l.note(data)
			var now console.Now
			if err := json.Unmarshal([]byte(data), &now); err != nil {
				l.t.Errorf("a live event is %s: %v", data, err)
			}
			select {
			case events <- now:
			case <-ctx.Done():
				return
			}
		}
	}()
	l.t.Cleanup(func() {
		cancel()
		<-ended
		transport.CloseIdleConnections()
	})
	return events
}

// await follows live events until one is as wanted.
func await(t testing.TB, events <-chan console.Now, what string, wanted func(console.Now) bool) console.Now {
	t.Helper()
	limit := time.NewTimer(workTimeout)
	defer limit.Stop()
	var last console.Now
	for {
		select {
		case now, open := <-events:
			if !open {
				t.Fatalf("%s: the events have ended; the last was %+v", what, last)
			}
			if last = now; wanted(now) {
				return now
			}
		case <-limit.C:
			t.Fatalf("%s is not told of; the last event was %+v", what, last)
		}
	}
}

// countOf is how many a page says are in a state.
func countOf(counts []console.Count, state, reason string) int {
	i := slices.IndexFunc(counts, func(c console.Count) bool { return c.State == state && c.Reason == reason })
	if i < 0 {
		return -1
	}
	return counts[i].Count
}

// sequences are the last ones of all streams.
func (s *site) sequences() map[string]uint64 {
	s.t.Helper()
	last := map[string]uint64{}
	for info := range s.js.ListStreams(s.t.Context()).Info() {
		last[info.Config.Name] = info.State.LastSeq
	}
	if len(last) == 0 {
		s.t.Fatal("there are no streams")
	}
	return last
}

// setTo is the value of a setting, NAME=value; of one given twice the last counts.
func setTo(env []string, name string) (value string) {
	for _, setting := range env {
		if v, ok := strings.CutPrefix(setting, name+"="); ok {
			value = v
		}
	}
	return value
}
