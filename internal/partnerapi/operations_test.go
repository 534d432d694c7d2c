package partnerapi

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestActivateSendsWhatThePartnerAsksFor(t *testing.T) {
	t.Parallel()
	c, p := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != ourPath+"/activate" || r.Host == "" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		if r.Header.Get("Content-Length") != "0" || r.ContentLength != 0 || r.Header.Get("Content-Type") != "" {
			t.Errorf("body announced: length %q type %q", r.Header.Get("Content-Length"), r.Header.Get("Content-Type"))
		}
		if got := r.Header.Get("Authorization"); got != "Bearer "+issued(1) {
			t.Errorf("Authorization %q", got)
		}
		if r.Header.Get("Accept") != "application/json" || r.UserAgent() != defaultAgent || r.ProtoMajor != 1 {
			t.Errorf("headers %v, protocol %s", r.Header, r.Proto)
		}
		w.Header().Set("X-Request-Id", "r-1")
		_, _ = w.Write([]byte(activeObject + "\n"))
	})
	started := 0
	got, err := c.Activate(t.Context(), ourID, Call{Starting: func() bool { started++; return true }})
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Object) != activeObject || !got.Active || got.Domain != "hinode-foods.example" ||
		got.PartnershipStatus != "TRANSFER_READY" || got.RequestID != "r-1" || got.Sent != 1 {
		t.Errorf("customer %+v, object %s", got, got.Object)
	}
	if started != 1 || p.requests.Load() != 1 {
		t.Errorf("started %d, arrived %d", started, p.requests.Load())
	}
}

func zipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}

// TestActivateReadsOddAnswers: what counts are our domainId and
// enableActiveDomain true, in a 2xx, at the top level.
func TestActivateReadsOddAnswers(t *testing.T) {
	t.Parallel()
	const payload = 4096
	long := `{"domainId":51200931,"memo":"` + strings.Repeat("x", payload) + `","enableActiveDomain":true}`
	deep := `{"domainId":51200931,"enableActiveDomain":true,"x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`
	huge := `{"domainId":51200931,"enableActiveDomain":true,"x":"` + strings.Repeat("y", 9<<20) + `"}`
	for name, tc := range map[string]struct {
		status  int
		body    string
		object  string // what is kept
		omitted int    // or the size of what is not
		altered bool
		trouble string // or the reason why it is unclear
	}{
		"plain":                        {200, activeObject, activeObject, 0, false, ""},
		"201":                          {201, activeObject, activeObject, 0, false, ""},
		"byte order mark":              {200, "\xef\xbb\xbf" + activeObject, activeObject, 0, false, ""},
		"gzip":                         {200, zipped(activeObject), activeObject, 0, false, ""},
		"spaced, numbers not rounded":  {200, ` { "domainId" : 51200931 , "n": 12345678901234567890.10, "enableActiveDomain":true } `, `{ "domainId" : 51200931 , "n": 12345678901234567890.10, "enableActiveDomain":true }`, 0, false, ""},
		"id as a string":               {200, `{"domainId":"51200931","enableActiveDomain":true}`, `{"domainId":"51200931","enableActiveDomain":true}`, 0, false, ""},
		"nulls":                        {200, `{"domainId":51200931,"enableActiveDomain":true,"domain":null,"administrator":null,"partnership":null}`, `{"domainId":51200931,"enableActiveDomain":true,"domain":null,"administrator":null,"partnership":null}`, 0, false, ""},
		"agreeing duplicates":          {200, `{"domainId":51200931,"domainId":"51200931","enableActiveDomain":true,"enableActiveDomain":true}`, `{"domainId":51200931,"domainId":"51200931","enableActiveDomain":true,"enableActiveDomain":true}`, 0, false, ""},
		"invalid UTF-8":                {200, "{\"domainId\":51200931,\"memo\":\"a\xffb\",\"enableActiveDomain\":true}", "{\"domainId\":51200931,\"memo\":\"a\uFFFDb\",\"enableActiveDomain\":true}", 0, true, ""},
		"too long to keep":             {200, long, "", len(long), false, ""},
		"too long after the repair":    {200, `{"domainId":51200931,"enableActiveDomain":true,"m":"` + strings.Repeat("a\xff", 2000) + `"}`, "", 54 + 4000, false, ""},
		"deeper than JSON may be here": {200, deep, "", len(deep), false, ""},
		"longer than is read":          {200, huge, "", 8 << 20, false, ""},
		"zipped bomb":                  {200, zipped(huge), "", 8 << 20, false, ""},
		"cut off after both fields":    {200, `{"domainId":51200931,"enableActiveDomain":true,"com`, "", 51, false, ""},
		"trailing data":                {200, `{"domainId":51200931,"enableActiveDomain":true} {"domainId":1}`, "", 62, false, ""},

		"shown not active":              {200, `{"domainId":51200931,"enableActiveDomain":false}`, "", 0, false, "not active"},
		"active is a string":            {200, `{"domainId":51200931,"enableActiveDomain":"true"}`, "", 0, false, "not active"},
		"active is missing":             {200, `{"domainId":51200931}`, "", 0, false, "not active"},
		"another customer":              {200, `{"domainId":51200932,"enableActiveDomain":true}`, "", 0, false, "another customer"},
		"id with a fraction":            {200, `{"domainId":51200931.0,"enableActiveDomain":true}`, "", 0, false, "another customer"},
		"id with an exponent":           {200, `{"domainId":51200931e0,"enableActiveDomain":true}`, "", 0, false, "another customer"},
		"id that a float would round":   {200, `{"domainId":51200931.00000000000000001,"enableActiveDomain":true}`, "", 0, false, "another customer"},
		"fields inside another object":  {200, `{"customer":{"domainId":51200931,"enableActiveDomain":true}}`, "", 0, false, "no customer object"},
		"fields inside an array":        {200, `[{"domainId":51200931,"enableActiveDomain":true}]`, "", 0, false, "no customer object"},
		"fields of another spelling":    {200, `{"DomainID":51200931,"enableactivedomain":true}`, "", 0, false, "no customer object"},
		"ids that contradict":           {200, `{"domainId":51200931,"domainId":7,"enableActiveDomain":true}`, "", 0, false, "contradicts"},
		"states that contradict":        {200, `{"domainId":51200931,"enableActiveDomain":true,"enableActiveDomain":false}`, "", 0, false, "contradicts"},
		"cut off before the state":      {200, `{"domainId":51200931,"enableActiveDo`, "", 0, false, "cut off"},
		"cut off in the state":          {200, `{"domainId":51200931,"enableActiveDomain":tru`, "", 0, false, "cut off"},
		"broken gzip":                   {200, "\x1f\x8bnothing", "", 0, false, "no customer object"},
		"HTML":                          {200, "<html>Hello</html>", "", 0, false, "no customer object"},
		"empty":                         {200, "", "", 0, false, "no customer object"},
		"202 without body":              {202, "", "", 0, false, "no customer object"},
		"204":                           {204, "", "", 0, false, "no customer object"},
		"error body under 200":          {200, `{"code":200,"description":"success"}`, "", 0, false, "no customer object"},
		"500 though it looks like done": {500, activeObject, "", 0, false, "may have carried"},
		"503 empty":                     {503, "", "", 0, false, "may have carried"},
		"502 with HTML":                 {502, "<html>Bad gateway</html>", "", 0, false, "may have carried"},
		"600":                           {600, "", "", 0, false, "may have carried"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.body))
			}, func(c *Config) { c.MaxPayload = payload }, readyMade("ready"))
			got, err := c.Activate(t.Context(), ourID, Call{})
			if tc.trouble != "" {
				e := failed(t, err, Unclear)
				if !strings.Contains(e.Trouble, tc.trouble) || !e.MaybeApplied() || e.Status != tc.status || e.Sent != 1 {
					t.Fatalf("%+v, wanted trouble %q", e, tc.trouble)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if string(got.Object) != tc.object || got.Omitted != tc.omitted || got.Altered != tc.altered || !got.Active {
				t.Errorf("object %.200q omitted %d altered %v active %v", got.Object, got.Omitted, got.Altered, got.Active)
			}
		})
	}
}

func TestCustomerMayBeInactive(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body   string
		active bool
		kind   Kind
	}{
		"active":                   {activeObject, true, ""},
		"inactive":                 {`{"domainId":51200931,"enableActiveDomain":false}`, false, ""},
		"does not say":             {`{"domainId":51200931}`, false, ""},
		"another customer":         {`{"domainId":5,"enableActiveDomain":false}`, false, Unclear},
		"cut off before the state": {`{"domainId":51200931,"com`, false, Unclear},
		"cut off before the status of a customer who waits for the terms": {
			`{"domainId":51200931,"enableActiveDomain":false,"partnership":{"sta`, false, Unclear,
		},
		"contradicts itself": {`{"domainId":51200931,"enableActiveDomain":true,"enableActiveDomain":false}`, false, Unclear},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != ourPath {
					t.Errorf("%s %s", r.Method, r.URL)
				}
				_, _ = w.Write([]byte(tc.body))
			}, readyMade("ready"))
			got, err := c.Customer(t.Context(), ourID, Call{})
			if tc.kind != "" {
				if e := failed(t, err, tc.kind); e.MaybeApplied() {
					t.Error("a look-up applies nothing")
				}
				return
			}
			if err != nil || got.Active != tc.active || string(got.Object) != tc.body {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// TestScanNamesWhatItShows: members and their members, nothing deeper.
func TestScanNamesWhatItShows(t *testing.T) {
	t.Parallel()
	var got []string
	whole := ourScan([]byte(`{"a":1,"b":{"c":"x","d":{"e":1,"c":2}},"f":[{"g":1},"h"],"i":null} trailing`), func(name string, value any) {
		got = append(got, fmt.Sprint(name, "=", value))
	})
	if want := "a=1 b={ b.c=x b.d={ f=[ i=<nil>"; strings.Join(got, " ") != want || !whole {
		t.Errorf("%v, to its end: %v", got, whole)
	}
}

func TestReadBodyHoldsNoMoreThanItsLimit(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"plain": strings.Repeat("x", 1<<20), "zipped": zipped(strings.Repeat("x", 1<<20))} {
		for announced, most := range map[int64]int{-1: 1 << 14, 1 << 10: 1 << 14, 1 << 40: 2 * maxErrorBody} {
			got, err := readBody(strings.NewReader(body), 1<<10, announced)
			if len(got) != 1<<10 || cap(got) > most || !errors.Is(err, errTooLong) {
				t.Errorf("%s, %d announced: %d bytes, room for %d, %v", name, announced, len(got), cap(got), err)
			}
		}
	}
}

func TestUpgradeDomainAndList(t *testing.T) {
	t.Parallel()
	c, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.String() {
		case ourPath + "/upgrade-domain":
			_, _ = w.Write([]byte(`{"domain":"a.example","isActiveDomain":false,"cnameHost":"wm4","cnameTarget":"v.example","txtHost":"@","txtToken":"works-verify=7","mxRecordValue":{"priority10":"mx"},"x":null}`))
		case "/v1.0/partners/customers/2/upgrade-domain":
			_, _ = w.Write([]byte(`{"domain":null,"cnameHost":7}`))
		case "/v1.0/partners/customers/3/upgrade-domain":
			_, _ = w.Write([]byte(`{"domain":"a.exa`))
		case "/v1.0/partners/customers?count=1":
			_, _ = w.Write([]byte(`{"customers":[],"responseMetaData":{}}`))
		default:
			t.Errorf("asked for %s", r.URL)
		}
	}, readyMade("ready"))
	got, err := c.UpgradeDomain(t.Context(), ourID, Call{})
	if want := (DNSValues{"a.example", false, "wm4", "v.example", "@", "works-verify=7"}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := c.UpgradeDomain(t.Context(), 2, Call{}); err != nil || got != (DNSValues{}) {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = c.UpgradeDomain(t.Context(), 3, Call{})
	failed(t, err, Unclear)
	if err := c.CanList(t.Context(), Call{}); err != nil {
		t.Error(err)
	}
	c, _ = answering(t, reply(200, "<html>portal</html>"), readyMade("ready"))
	failed(t, c.CanList(t.Context(), Call{}), Unclear)
}

// TestAnswersThatBreakOff: what came before the break counts.
func TestAnswersThatBreakOff(t *testing.T) {
	t.Parallel()
	begin := func(w http.ResponseWriter, body string) {
		w.WriteHeader(200)
		_, _ = w.Write([]byte(body))
		w.(http.Flusher).Flush()
	}
	for name, tc := range map[string]struct {
		handle  http.HandlerFunc
		success bool
	}{
		"silence": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, false},
		"headers, then silence": {func(w http.ResponseWriter, r *http.Request) {
			begin(w, "")
			<-r.Context().Done()
		}, false},
		"both fields, then silence": {func(w http.ResponseWriter, r *http.Request) {
			begin(w, strings.TrimSuffix(activeObject, "}"))
			<-r.Context().Done()
		}, true},
		"both fields, then reset": {func(w http.ResponseWriter, _ *http.Request) {
			begin(w, activeObject)
			panic(http.ErrAbortHandler)
		}, true},
		"reset before the answer": {func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}, false},
		"no HTTP": {func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			_, _ = fmt.Fprint(conn, "SSH-2.0 mori@mail.example\r\n")
			_ = conn.Close()
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := answering(t, tc.handle, readyMade("ready"), within(300*time.Millisecond))
			got, err := c.Activate(t.Context(), ourID, Call{})
			if tc.success {
				if err != nil || got.Omitted == 0 || !got.Active {
					t.Errorf("%+v, %v", got, err)
				}
				return
			}
			e := failed(t, err, Unclear)
			if !e.MaybeApplied() || e.Sent != 1 || e.Trouble == "" || strings.Contains(e.Error(), "mori") {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestRefusalNeedsNoBody(t *testing.T) {
	t.Parallel()
	c, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(400)
		_, _ = w.Write([]byte(`{"code":"INVALID_PARAMETER","x":"` + strings.Repeat("x", 100<<10)))
	}, readyMade("ready"))
	_, err := c.Activate(t.Context(), ourID, Call{})
	e := failed(t, err, Refused)
	if e.Status != 400 || e.Code != "INVALID_PARAMETER" || e.MaybeApplied() || e.RetryAfter != -1 {
		t.Errorf("%+v", e)
	}
	if want := "partner activate of customer 51200931: refused: HTTP 400 INVALID_PARAMETER: the partner said a definite no"; e.Error() != want {
		t.Errorf("text %q", e.Error())
	}
}
