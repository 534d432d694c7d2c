package console_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"activation-worker/internal/console"
)

// heard is an event, and when it came.
type heard struct {
	now console.Now
	at  time.Time
}

// listenTo reads the live events of a server until they end, which closes the channel.
func listenTo(t *testing.T, addr string) <-chan heard {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	fmt.Fprint(conn, "GET /console/api/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
	events := make(chan heard, 100)
	go func() {
		defer close(events)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return // seen by who waits for an event
		}
		defer answer.Body.Close()
		if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/event-stream" || !strings.HasPrefix(answer.Header.Get("Cache-Control"), "no-store") {
			t.Errorf("%d %v", answer.StatusCode, answer.Header)
		}
		lines := bufio.NewScanner(answer.Body)
		lines.Buffer(nil, 16<<20)
		var seen []string
		for lines.Scan() {
			if line := lines.Text(); line != "" {
				seen = append(seen, line)
				continue
			}
			if len(seen) == 1 && seen[0] == "retry: 1000" {
				seen = nil
				continue
			}
			var h heard
			if len(seen) != 2 || seen[0] != "event: now" || !strings.HasPrefix(seen[1], "data: {") || json.Unmarshal([]byte(seen[1][len("data: "):]), &h.now) != nil {
				t.Errorf("an event reads %q", seen)
			}
			h.at, seen = time.Now(), nil
			events <- h
		}
	}()
	return events
}

// next is the next event, which must come soon.
func next(t *testing.T, events <-chan heard) heard {
	t.Helper()
	select {
	case h, ok := <-events:
		if ok {
			return h
		}
		t.Fatal("the events have ended")
	case <-time.After(10 * time.Second):
		t.Fatal("no event comes")
	}
	return heard{}
}

func TestLiveEvents(t *testing.T) {
	t.Parallel()
	from := &source{}
	from.becomes(console.Now{Sequence: 1, Worker: "a\nb\r\u2028</script>"})
	began := time.Now()
	events := listenTo(t, openPage(t, from).Addr())
	first := next(t, events)
	if took := first.at.Sub(began); first.now.Sequence != 1 || first.now.Worker != "a\nb\r\u2028</script>" || took > time.Second {
		t.Errorf("after %v: %+v", took, first.now)
	}
	changed := time.Now()
	from.becomes(console.Now{Sequence: 2})
	second := next(t, events)
	if took := second.at.Sub(changed); second.now.Sequence != 2 || took > time.Second {
		t.Errorf("after %v: %+v", took, second.now)
	}
	// Nothing happens, and that is said too.
	third := next(t, events)
	if quiet := third.at.Sub(second.at); third.now.Sequence != 2 || quiet < time.Second || quiet > 2200*time.Millisecond {
		t.Errorf("after %v: %+v", quiet, third.now)
	}
	if looks, most := from.looked(), int(time.Since(began)/(500*time.Millisecond))+1; looks > most {
		t.Errorf("looked %d times, want at most %d", looks, most)
	}
}

// Where the next look would be too late for a sign of life, it is given now.
func TestSignOfLifeBetweenLooks(t *testing.T) {
	t.Parallel()
	events := listenTo(t, open(t, console.PageAt(options(t, &source{}), console.Pace{Look: 2 * time.Second, Beat: 3 * time.Second})).Addr())
	first := next(t, events)
	if quiet := next(t, events).at.Sub(first.at); quiet > 3*time.Second {
		t.Errorf("nothing was said for %v", quiet)
	}
}

// A list without entries is one too, as deep as it may stand; a median that is not known is null.
func TestNoListIsNull(t *testing.T) {
	t.Parallel()
	shared := []console.Window{{}}
	from := &source{}
	from.becomes(console.Now{Quota: &console.Quota{Windows: shared}, Partner: console.Partner{Pause: &console.Pause{}}})
	s := openPage(t, from)
	conn := dial(t, s)
	fmt.Fprint(conn, "GET /api/live HTTP/1.0\r\nHost: localhost\r\n\r\n")
	stream := bufio.NewReader(conn)
	for line, err := "", error(nil); !strings.HasPrefix(line, "data: "); line, err = stream.ReadString('\n') {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, "null") {
			t.Error(line)
		}
	}
	if shared[0].Operations != nil {
		t.Error("what is the source's own was changed")
	}
	for _, path := range []string{"/api/activations", "/api/customers", "/api/customers/5", "/api/replay?rejected=true"} {
		answer := raw(t, s, http.MethodGet, path)
		body := strings.ReplaceAll(strings.ReplaceAll(answer.body, `"median":[null]`, ""), `"totalMedian":null,"totalP90":null`, "")
		if answer.status != 200 || strings.Contains(body, "null") || !strings.Contains(body, "[]") {
			t.Errorf("%s: %d %s", path, answer.status, answer.body)
		}
	}
}

// The server's time for an answer is not meant for one that goes on.
func TestLiveOutlastsTheServersLimits(t *testing.T) {
	t.Parallel()
	const limit = 200 * time.Millisecond
	s, err := console.ListenBriefly(t.Context(), console.PageAt(options(t, &source{}), console.Pace{Look: 10 * time.Millisecond, Beat: 50 * time.Millisecond}), limit, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	events := listenTo(t, s.Addr())
	first := next(t, events)
	for next(t, events).at.Sub(first.at) < 5*limit {
	}
}

func TestCloseEndsLiveStreams(t *testing.T) {
	t.Parallel()
	s := openPage(t, &source{})
	var streams []<-chan heard
	for range 20 {
		streams = append(streams, listenTo(t, s.Addr()))
	}
	for _, events := range streams {
		next(t, events)
	}
	before := time.Now()
	s.Close()
	for _, events := range streams {
		for range events {
		}
	}
	if took := time.Since(before); took > 900*time.Millisecond { // by themselves, not by the end of the grace
		t.Errorf("closing took %v", took)
	}
}
