package partnerapi

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// errorShape is all that a failed call says: of the partner's own words only a code.
var errorShape = regexp.MustCompile(`^partner [a-z_]+( of customer 51200931)?: [a-z ]+(: HTTP \d{3}( [A-Za-z0-9_.-]{1,64})?)?(: [ -~]{1,200})?$`)

// script is a partner on the other end of a pipe: it reads a request and says the same bytes to each, whatever they are.
type script struct {
	answer []byte
	wg     sync.WaitGroup

	mu     sync.Mutex
	dialed []string
	asked  []*http.Request
}

func (s *script) dial(_ context.Context, _, address string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	s.mu.Lock()
	s.dialed = append(s.dialed, address)
	s.mu.Unlock()
	s.wg.Go(func() {
		defer func() { _ = theirs.Close() }()
		req, err := http.ReadRequest(bufio.NewReader(theirs))
		if err != nil {
			return
		}
		s.mu.Lock()
		s.asked = append(s.asked, req)
		s.mu.Unlock()
		_, _ = theirs.Write(s.answer)
	})
	return ours, nil
}

// FuzzExchange: whatever bytes a partner answers with, a call ends in a customer that the answer really shows or in one typed
// error: bounded, fit to be recorded, without a secret, and clear only where the status is.
func FuzzExchange(f *testing.F) {
	needSeeds(f, "FuzzExchange")
	const bearer = "eyJ0b2tlbiI6InNlY3JldCJ9"
	f.Fuzz(func(t *testing.T, raw []byte, op uint8) {
		s := &script{answer: raw}
		c, err := New(Config{
			APIURL: "http://127.0.0.1:9/v1.0", TokenURL: "http://127.0.0.1:9/token", MaxPayload: 512, Timeout: 5 * time.Second,
			Secrets: func() (Secrets, error) { return Secrets{AccessToken: bearer}, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		c.transport.DialContext = s.dial
		var got Customer
		switch op % 4 {
		case 0:
			got, err = c.Activate(t.Context(), ourID, Call{})
		case 1:
			got, err = c.Customer(t.Context(), ourID, Call{})
		case 2:
			_, err = c.UpgradeDomain(t.Context(), ourID, Call{})
		default:
			err = c.CanList(t.Context(), Call{})
		}
		c.Close()
		s.wg.Wait()
		for _, address := range s.dialed {
			host, _, err := net.SplitHostPort(address)
			if err != nil || host != "127.0.0.1" && host != "::1" && !strings.EqualFold(host, "localhost") && !net.ParseIP(host).IsLoopback() {
				t.Errorf("dialed %s", address)
			}
		}
		if len(s.asked) > 1+maxRedirects {
			t.Errorf("%d requests", len(s.asked))
		}
		if err == nil {
			if op%4 < 2 {
				checkShown(t, got, raw, op%4 == 0)
				checkCount(t, got.Sent, len(s.asked))
			}
			return
		}
		e := failedAtAll(t, err)
		if text := e.Error(); !errorShape.MatchString(text) || strings.Contains(text, bearer) {
			t.Errorf("the error reads %q", text)
		}
		if e.MaybeApplied() && op%4 != 0 {
			t.Error("only an activate can have been applied")
		}
		if class := e.Status / 100; e.Kind == Refused && class != 4 || e.Kind == Unclear && class == 4 || e.Kind == Redirect && class != 3 {
			t.Errorf("status %d is %s", e.Status, e.Kind)
		}
		checkCount(t, e.Sent, len(s.asked))
		checkRecordable(t, e, bearer)
	})
}

// checkCount: no request that the partner has read goes uncounted. One whose connection was found closed is counted too.
func checkCount(t *testing.T, counted, read int) {
	t.Helper()
	if counted < read || counted > 2*(1+maxRedirects) {
		t.Errorf("%d requests counted, the partner has read %d", counted, read)
	}
}

// checkShown: a success is about our customer. The body may be encoded in ways that only the transport knows, so that the digits
// are looked for in what was kept.
func checkShown(t *testing.T, c Customer, raw []byte, activated bool) {
	t.Helper()
	if activated && !c.Active {
		t.Errorf("activated, but not active: %q", raw)
	}
	if (c.Object == nil) != (c.Omitted > 0) || len(c.Object) > 512 || c.Omitted > maxBody {
		t.Errorf("kept %q, omitted %d", c.Object, c.Omitted)
	}
	if c.Object == nil {
		return
	}
	var shown struct {
		ID     json.RawMessage `json:"domainId"`
		Active any             `json:"enableActiveDomain"`
	}
	if err := json.Unmarshal(c.Object, &shown); err != nil || c.Active && !strings.Contains(string(c.Object), "true") {
		t.Errorf("kept %q, error %v", c.Object, err)
	}
}

func failedAtAll(t *testing.T, err error) *Error {
	t.Helper()
	e, ok := err.(*Error) //nolint:errorlint // the methods promise this type itself
	if !ok {
		t.Fatalf("error %v is a %T", err, err)
	}
	return e
}

// checkRecordable: what an error carries can stand in a record.
func checkRecordable(t *testing.T, e *Error, secrets ...string) {
	t.Helper()
	if e.Code != "" && !codePattern.MatchString(e.Code) {
		t.Errorf("code %q", e.Code)
	}
	if len(e.PartnerText) > maxPartnerText || !utf8.ValidString(e.PartnerText) || strings.ContainsFunc(e.PartnerText, unicode.IsControl) ||
		digitRun.MatchString(e.PartnerText) || mailAddress.MatchString(e.PartnerText) {
		t.Errorf("partner's text %q", e.PartnerText)
	}
	if len(e.RequestID) > maxRequestIDBytes || strings.ContainsFunc(e.RequestID, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("request id %q", e.RequestID)
	}
	if e.RetryAfter < -1 || e.RetryAfter > maxRetryAfter {
		t.Errorf("retry after %v", e.RetryAfter)
	}
	for _, secret := range secrets {
		if strings.Contains(e.Error()+"\n"+e.Code+"\n"+e.PartnerText+"\n"+e.RequestID, secret) {
			t.Errorf("a secret is in %+v", e)
		}
	}
}

// FuzzHeaders: a wait is within the hour, at least what a plain number of seconds asks for, and there only if a header asks for one;
// each rate header is a number as written or none.
func FuzzHeaders(f *testing.F) {
	for _, h := range [][6]string{
		{"30", "", "240", "0", "17", "240"},
		{"Fri, 20 Nov 2026 09:01:00 GMT", "Fri, 20 Nov 2026 09:00:00 GMT", "60", "12", "59", "48"},
		{"Fri, 20 Nov 2026 09:01:00 GMT", "yesterday", "", "", "3601", ""},
		{"5", "", "240", "0", "17", "240"},
		{"3600", "", " 240 ", "+7", "0x10", "1e3"},
		{"-1", "", "2147483648", "-0", "٣", "99999999999999999999"},
		{"Friday, 20-Nov-26 09:00:30 GMT", "", "240;w=60", "1_000", "", "\x00"},
	} {
		f.Add(429, h[0], h[1], h[2], h[3], h[4], h[5], "x-request-id", "req-"+h[2])
		f.Add(503, h[0], h[1], h[2], h[3], h[4], h[5], "X-B3-TraceId", "a b\x7f\u00e9"+clientSecret)
	}
	var v vault
	v.hold("client_secret", clientSecret)
	now := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, status int, retryAfter, date, limit, remaining, reset, used, idName, id string) {
		h := http.Header{}
		for name, value := range map[string]string{
			"Retry-After": retryAfter, "Date": date, "rateLimit-limit": limit, "rateLimit-remaining": remaining,
			"rateLimit-reset": reset, "rateLimit-used": used, idName: id,
		} {
			h.Set(name, value)
		}
		e := &Error{}
		e.fill(&answer{status: status, header: h, at: now}, &v)
		checkRecordable(t, e, clientSecret)
		asked := h.Get("Retry-After") != "" || status == http.StatusTooManyRequests && h.Get("rateLimit-reset") != ""
		if e.RetryAfter >= 0 && !asked {
			t.Errorf("wait %v that nobody asked for", e.RetryAfter)
		}
		for header, counts := range map[string]bool{"Retry-After": true, "rateLimit-reset": status == http.StatusTooManyRequests} {
			if n, err := strconv.Atoi(h.Get(header)); err == nil && counts && n >= 0 && n <= 3600 && e.RetryAfter < time.Duration(n)*time.Second {
				t.Errorf("%s asks for %d s, waited are %v", header, n, e.RetryAfter)
			}
		}
	})
}

// FuzzLocation: the token goes by https to the API's own host and port or to one of the partner's by 443, and nowhere else; from a
// loopback API to loopback alone.
func FuzzLocation(f *testing.F) {
	for _, location := range []string{
		"https://jp1.worksapis.com/v1.0/partners", "https://www.worksapis.com.evil.example/", "https://evil.example/?.worksapis.com",
		"https://evil.example#.worksapis.com", "https://user@jp1.worksapis.com/", "https://jp1.worksapis.com@evil.example/", "//kr1.worksapis.com/x", "/else?a=b#c",
		"http://jp1.worksapis.com/", "https://jp1.worksapis.com:8443/", "https://jp1.worksapis.com:443/", "https://evil.example\\.worksapis.com/",
		"https://ⓦ.worksapis.com/", "https://evil.example%2f.worksapis.com/", "https://[::1]/", "http://127.0.0.1:8080/", "http://localhost.evil.example/",
		"http://127.0.0.1.evil.example/", "http://[::ffff:127.0.0.1]:1/", "file:///etc/passwd", "https:jp1.worksapis.com", "https://.worksapis.com/", "https://EVIL.worksAPIs.com:/",
	} {
		f.Add(location, true)
		f.Add(location, false)
	}
	remote, loopback := mustBase(f, "https://www.worksapis.com/v1.0"), mustBase(f, "http://127.0.0.1:8080/v1.0")
	f.Fuzz(func(t *testing.T, location string, local bool) {
		api := remote
		if local {
			api = loopback
		}
		to, why := nextHop(api, api, http.StatusPermanentRedirect, http.Header{"Location": {location}})
		if (to == nil) == (why == "") {
			t.Fatalf("leads to %v, because %q", to, why)
		}
		if to == nil {
			if strings.ContainsFunc(why, func(r rune) bool { return r < ' ' || r > '~' }) || len(why) > 200 {
				t.Errorf("the reason reads %q", why)
			}
			return
		}
		// What net/http dials is Host, so this is what has to be right.
		host, port := strings.ToLower(to.Host), ""
		if h, p, err := net.SplitHostPort(host); err == nil {
			host, port = h, p
		}
		host = strings.Trim(host, "[]")
		switch {
		case to.User != nil || to.Fragment != "" || to.Opaque != "":
			t.Errorf("%q leads to %#v", location, to)
		case local && host != "localhost" && !net.ParseIP(host).IsLoopback():
			t.Errorf("%q leads from loopback to %s", location, to.Host)
		case !local && (to.Scheme != "https" || port != "" && port != "443" || !strings.HasSuffix(host, ".worksapis.com") || strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789.-") != ""):
			t.Errorf("%q leads to %s://%s", location, to.Scheme, to.Host)
		}
	})
}

// FuzzDNSValues: what is read of the records to set agrees with encoding/json, and is fit to be asked and shown.
func FuzzDNSValues(f *testing.F) {
	for _, body := range []string{
		`{"domain":"hinode.example","isActiveDomain":false,"cnameHost":"wm4f1c","cnameTarget":"verify.works.example","txtHost":"@","txtToken":"works-verify=7Qm2"}`,
		`{"txtHost":null,"txtToken":"","isActiveDomain":"true"}`, `{"txtToken":["a"],"cnameTarget":{"a":1}}`, `{"txtToken":"a` + "\x00" + `b"}`, `{"txtToken":"\u0000\n"}`,
		`{"domain":"a","domain":"b"}`, `[]`, `{"domain":"a"} trailing`, `{"isActiveDomain":true`, "\xef\xbb\xbf{}", `{"txtToken":"` + strings.Repeat("x", maxDNSText) + `"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, ok := readDNSValues(body)
		texts := map[string]string{
			"domain": got.Domain, "cnameHost": got.CNAMEHost, "cnameTarget": got.CNAMETarget, "txtHost": got.TXTHost, "txtToken": got.TXTToken,
		}
		for name, s := range texts {
			if len(s) > maxDNSText || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
				t.Errorf("%s is %q", name, s)
			}
		}
		var want map[string]any
		dec := json.NewDecoder(strings.NewReader(strings.TrimPrefix(string(body), "\ufeff")))
		err := dec.Decode(&want)
		if ok != (err == nil && want != nil) {
			t.Fatalf("read: %v, encoding/json: %v of %q", ok, err, body)
		}
		if !ok {
			return
		}
		for name, s := range texts {
			if full, _ := want[name].(string); s != "" && s != full {
				t.Errorf("%s is %q, want %q", name, s, full)
			}
		}
		if got.IsActiveDomain != (want["isActiveDomain"] == true) {
			t.Errorf("active %v, want %v", got.IsActiveDomain, want["isActiveDomain"])
		}
	})
}

// FuzzBody: nothing is read beyond the limit, however it is packed, and an error is there when something is missing.
func FuzzBody(f *testing.F) {
	needSeeds(f, "FuzzBody")
	f.Fuzz(func(t *testing.T, body []byte, cut uint16) {
		const limit = 300
		sent := body[:min(len(body), int(cut))]
		got, err := readBody(strings.NewReader(string(sent)), limit, int64(len(sent)))
		packed := strings.HasPrefix(string(sent), "\x1f\x8b")
		switch {
		case len(got) > limit:
			t.Errorf("%d bytes are read, the limit is %d", len(got), limit)
		case !packed && !slices.Equal(got, sent[:min(len(sent), limit)]):
			t.Errorf("read %q of %q", got, sent)
		case !packed && (err == nil) != (len(sent) <= limit):
			t.Errorf("error %v for %d bytes", err, len(sent))
		case err != nil && err != io.ErrUnexpectedEOF && len(err.Error()) > 100: //nolint:errorlint // only its text matters
			t.Errorf("the error reads %q", err)
		}
	})
}
