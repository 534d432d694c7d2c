package partnerapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// marker stands in whatever a wicked partner writes, and must not come out again.
const marker = "Xq7-mori-marker"

// most is what a client may be made to read at the very most: the longest body, the headers, and what sockets hold.
const most = 32 << 20

// wicked is a partner's answer, as bytes: head once, then again and again without an end, with a pause between.
type wicked struct {
	head, again string
	pause       time.Duration
	success     bool // it shows both fields before it gets wicked
}

// serve writes the answer until the client has gone, and counts.
func (w wicked) serve(ctx context.Context, conn net.Conn, wrote *atomic.Int64) {
	write := func(s string) bool {
		n, err := io.WriteString(conn, s)
		wrote.Add(int64(n))
		return err == nil
	}
	if !write(w.head) || w.again == "" {
		return
	}
	tick := time.NewTicker(max(w.pause, time.Microsecond))
	defer tick.Stop()
	for write(w.again) {
		if w.pause == 0 {
			if wrote.Load() > 4*most {
				return // enough to show that it is not bounded
			}
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func wickedAnswers() map[string]wicked {
	const (
		drip = 20 * time.Millisecond
		ok   = "HTTP/1.1 200 OK\r\n"
	)
	line := "X-" + marker + ": " + strings.Repeat("v", 1000) + "\r\n"
	chunked := ok + "Transfer-Encoding: chunked\r\n\r\n"
	inChunk := fmt.Sprintf("%x\r\n%s\r\n", len(activeObject), activeObject)
	open := `{"m":"` + marker
	deflated := strings.Repeat(zipped(strings.Repeat(" ", 1<<20)), 64)
	return map[string]wicked{
		"a status line without end":         {head: "HTTP/1.1 200 ", again: strings.Repeat("O", 1000)},
		"a status line byte by byte":        {head: "HTTP/1.1 200 ", again: "O", pause: drip},
		"headers without end":               {head: ok, again: line},
		"headers byte by byte":              {head: ok + "X-A: ", again: "b", pause: drip},
		"a header line at a time":           {head: ok, again: line, pause: drip},
		"one header without end":            {head: ok + "X-A: ", again: strings.Repeat("v", 1000)},
		"continuations of a header":         {head: ok + "X-A: b\r\n", again: " " + strings.Repeat("v", 1000) + "\r\n"},
		"early hints without end":           {again: "HTTP/1.1 103 Early Hints\r\nLink: <" + marker + ">\r\n\r\n"},
		"early hints now and then":          {again: "HTTP/1.1 103 Early Hints\r\n\r\n", pause: drip},
		"continue without end":              {again: "HTTP/1.1 100 Continue\r\n\r\n"},
		"another protocol":                  {head: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", again: marker + strings.Repeat("x", 1000)},
		"a body without end":                {head: ok + "\r\n" + open, again: strings.Repeat("x", 1000)},
		"a body byte by byte":               {head: ok + "Content-Length: 100000\r\n\r\n" + open, again: "x", pause: drip},
		"a body shorter than it says":       {head: ok + "Content-Length: 100000\r\n\r\n" + open},
		"a body longer than can be":         {head: ok + "Content-Length: 9223372036854775807\r\n\r\n" + open, again: strings.Repeat("x", 1000)},
		"an error without end":              {head: "HTTP/1.1 500 Oh\r\n\r\n" + open, again: strings.Repeat("x", 1000)},
		"a length below zero":               {head: ok + "Content-Length: -1\r\n\r\n" + activeObject},
		"two lengths":                       {head: ok + "Content-Length: 5\r\nContent-Length: 7\r\n\r\n" + activeObject},
		"chunks without end":                {head: chunked + "6\r\n" + `{"m":"` + "\r\n", again: "8\r\nxxxxxxxx\r\n"},
		"a chunk byte by byte":              {head: chunked + "fffff\r\n" + open, again: "x", pause: drip},
		"a chunk with no size":              {head: chunked + marker + "\r\n"},
		"a chunk larger than can be":        {head: chunked + "ffffffffffffffffff\r\n" + marker},
		"a chunk's extension without end":   {head: chunked + "5;x=", again: strings.Repeat("y", 1000)},
		"tiny chunks with long extensions":  {head: chunked, again: "1;" + strings.Repeat("y", 2000) + "\r\n \r\n"},
		"a chunk size with zeros before it": {head: chunked, again: "00000000000000000001\r\n \r\n", pause: drip},
		"trailers without end":              {head: chunked + inChunk + "0\r\n", again: line, success: true},
		"a coding that nobody knows":        {head: ok + "Transfer-Encoding: " + marker + "\r\n\r\n" + activeObject},
		"no HTTP":                           {head: "SSH-2.0-" + marker + "\r\n"},
		"no HTTP without end":               {again: strings.Repeat(marker, 100)},
		"HTTP/0.9":                          {head: activeObject},
		"HTTP/9":                            {head: "HTTP/9.9 200 OK\r\n\r\n" + activeObject, success: true}, // Go reads it as if it were ours; what it says counts
		"frames of HTTP/2":                  {head: "\x00\x00\x00\x04\x00\x00\x00\x00\x00", again: "\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08"},
		"a TLS alert":                       {head: "\x15\x03\x01\x00\x02\x02\x16"},
		"a status of four digits":           {head: "HTTP/1.1 2000 OK\r\n\r\n" + activeObject},
		"a status that is no number":        {head: "HTTP/1.1 OK 200\r\n\r\n" + activeObject},
		"NUL in a header":                   {head: ok + "X-A: a\x00b\r\nContent-Length: 2\r\n\r\n{}"},
		"a header without a name":           {head: ok + ": " + marker + "\r\n\r\n" + activeObject},
		"nothing":                           {},
		"NUL bytes":                         {head: answer200(strings.Repeat("\x00", 1000))},
		"a bomb in gzip":                    {head: answer200(deflated)},
		"gzip with a name without end":      {head: ok + "\r\n\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03", again: strings.Repeat("n", 1000)},
		"gzip after gzip without end":       {head: ok + "\r\n", again: zipped("")},
		"gzip that breaks off":              {head: answer200(zipped(activeObject)[:30])},
		"gzip by name alone":                {head: fmt.Sprintf("%sContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", ok, len(activeObject), activeObject), success: true},
		"a coding by name alone":            {head: fmt.Sprintf("%sContent-Encoding: br\r\nContent-Length: %d\r\n\r\n%s", ok, len(activeObject), activeObject), success: true},
		"an image by name alone":            {head: fmt.Sprintf("%sContent-Type: image/png; charset=\x80\r\nContent-Length: %d\r\n\r\n%s", ok, len(activeObject), activeObject), success: true},
		"UTF-16":                            {head: answer200("\xff\xfe{\x00\"\x00d\x00")},
		"a second answer nobody asked for":  {head: answer200(activeObject) + answer200(marker), success: true},
		"objects without end":               {head: ok + "\r\n", again: `{"a":`},
		"arrays without end":                {head: ok + "\r\n" + `{"domainId":51200931,"x":`, again: strings.Repeat("[", 1000)},
		"members without end":               {head: ok + "\r\n{" + `"enableActiveDomain":true`, again: `,"domainId":51200931`, success: true},
		"ids without end":                   {head: ok + "\r\n{" + `"domainId":51200932`, again: `,"domainId":51200931,"enableActiveDomain":true`},
		"a number without end":              {head: ok + "\r\n" + `{"domainId":51200931`, again: strings.Repeat("0", 1000)},
	}
}

// TestNoAnswerHoldsACallUp: whatever a partner writes, however fast or slowly, a call ends in its time with what is certain, has
// not read more than its share, and says nothing in the partner's words. Nor does it for its token endpoint.
func TestNoAnswerHoldsACallUp(t *testing.T) {
	t.Parallel()
	calls := []struct {
		op   Operation
		kind Kind
		call func(*Client) error
		use  func(base string) func(*Config)
	}{
		{OpActivate, Unclear, func(c *Client) error { _, err := c.Activate(t.Context(), ourID, Call{}); return err }, apiAt},
		{OpCustomer, Unclear, func(c *Client) error { _, err := c.Customer(t.Context(), ourID, Call{}); return err }, apiAt},
		{OpToken, Token, func(c *Client) error { return c.EnsureToken(t.Context()) }, tokensAt},
	}
	for name, answer := range wickedAnswers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calling sync.WaitGroup
			for _, one := range calls {
				var wrote atomic.Int64
				base := rawPartner(t, func(ctx context.Context, conn net.Conn) { answer.serve(ctx, conn, &wrote) })
				c := newPartner(t, nil, nil).client(t, one.use(base), within(wickedTimeout))
				calling.Go(func() {
					began := time.Now()
					err := one.call(c)
					if took := time.Since(began); took > wickedPatience {
						t.Errorf("%s took %v", one.op, took)
					}
					if n := wrote.Load(); n > most {
						t.Errorf("%s took %d bytes", one.op, n)
					}
					if answer.success && one.op != OpToken {
						if err != nil {
							t.Error(err)
						}
						return
					}
					e, ok := errors.AsType[*Error](err)
					if !ok || e.Kind != one.kind || e.Trouble == "" || e.Credentials || e.MaybeApplied() != (one.op == OpActivate) {
						t.Errorf("%s ends in %+v", one.op, err)
					} else if strings.Contains(fmt.Sprintf("%v %v", e, e.Unwrap()), marker) {
						t.Errorf("it says %v; %v", e, e.Unwrap())
					}
				})
			}
			calling.Wait()
		})
	}
}

const (
	wickedTimeout  = time.Second
	wickedPatience = 20 * wickedTimeout // the machine may be busy
)

func apiAt(base string) func(*Config) {
	return func(c *Config) {
		c.APIURL = base
		readyMade("ready")(c)
	}
}

func tokensAt(base string) func(*Config) { return func(c *Config) { c.TokenURL = base } }

// TestABombIsNotHeld: a body that unpacks to far more than is read costs no more memory than one that is as long as may be. Not
// parallel: it counts what the process allocates.
func TestABombIsNotHeld(t *testing.T) {
	bomb := strings.Repeat(zipped(strings.Repeat(" ", 1<<20)), 256)
	c := clientAt(t, rawPartner(t, func(_ context.Context, conn net.Conn) { _, _ = io.WriteString(conn, answer200(bomb)) }))
	allocated := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.TotalAlloc
	}
	before := allocated()
	_, err := c.Activate(t.Context(), ourID, Call{})
	failed(t, err, Unclear)
	if took := allocated() - before; took > 16*maxBody {
		t.Errorf("%d bytes of gzip made us allocate %d", len(bomb), took)
	}
}
