package partnerapi

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestErrorBodies(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ body, code, text string }{
		"API":               {`{"code":"TOO_MANY_REQUESTS","description":"API rate limit exceeded"}`, "TOO_MANY_REQUESTS", "API rate limit exceeded"},
		"token endpoint":    {`{"error":"invalid_scope","error_description":"Request scope is not valid."}`, "invalid_scope", "Request scope is not valid."},
		"returnCode":        {`{"returnCode":"99","returnMessage":"UnexpectedError"}`, "99", "UnexpectedError"},
		"older gateway":     {`{"errorMessage":"Authentication failed","errorCode":"024","code":"UNAUTHORIZED"}`, "UNAUTHORIZED", "Authentication failed"},
		"older, message":    {`{"code":"NOT_FOUND","message":"Api not exists"}`, "NOT_FOUND", "Api not exists"},
		"code a number":     {`{"code":200,"description":"success"}`, "200", "success"},
		"errorCode alone":   {`{"errorCode":"024"}`, "024", ""},
		"cut off":           {`{"code":"NOT_FOUND","description":"Api n`, "NOT_FOUND", ""},
		"byte order mark":   {"\xef\xbb\xbf" + `{"code":"A"}`, "A", ""},
		"nulls":             {`{"code":null,"error":null,"description":null,"message":"m"}`, "", "m"},
		"no code":           {`{"code":"mori@mail.example","error":"has blank"}`, "", ""},
		"code too long":     {`{"code":"` + strings.Repeat("A", 65) + `"}`, "", ""},
		"code an object":    {`{"code":{"code":"X"},"error":"E"}`, "E", ""},
		"HTML":              {`<html><title>502</title></html>`, "", ""},
		"empty":             {``, "", ""},
		"an array":          {`[{"code":"A"}]`, "", ""},
		"invalid UTF-8":     {"{\"code\":\"A\",\"description\":\"x\xffy\"}", "A", "x\uFFFDy"},
		"control character": {`{"description":"DNS\u0000レコードが\r\n見つかり\u202eません"}`, "", "DNSレコードが  見つかりません"},
		"mail address":      {`{"description":"user aki.mori+x@mail.example unknown"}`, "", "user *** unknown"},
		"hidden address":    {`{"description":"user mori\u200b@\u0000mail.example"}`, "", "user ***"},
		"numbers":           {`{"description":"domain 51200931, tel 090-5550-0142, 99 left, ０９０５"}`, "", "domain ***, tel ***-***-***, 99 left, ***"},
		"secret":            {`{"description":"bad s3cr3tXyzA!"}`, "", "bad ***!"},
		"code is a secret":  {`{"code":"s3cr3tXyzA"}`, "", ""},
		"token, shortened":  {`{"description":"Malformed jp1AAABq7xZfresh (cut)"}`, "", "Malformed *** (cut)"},
		"token twice":       {`{"description":"jp1AAABq7xZfresh+/1w== jp1AAABq7xZfresh+/1w=="}`, "", "*** ***"},
		"token, escaped":    {`{"description":"jp1AAABq7xZfresh%2B%2F1w%3D%3D"}`, "", "***"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var v vault
			v.hold("client_secret", clientSecret)
			v.hold("access_token", issued(1))
			e := &Error{}
			e.fill(&answer{status: 400, body: []byte(tc.body)}, &v)
			if e.Code != tc.code || e.PartnerText != tc.text {
				t.Errorf("code %q text %q", e.Code, e.PartnerText)
			}
		})
	}
}

func TestPartnerTextIsCutAtARune(t *testing.T) {
	t.Parallel()
	var v vault
	got := v.partnerText("a" + strings.Repeat("語", 100))
	if len(got) != 199 || !utf8.ValidString(got) {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

func TestVaultForgetsOnlyTheOldest(t *testing.T) {
	t.Parallel()
	var v vault
	values := []string{"token-number-one", "token-number-two", "token-of-third", "token-of-fourth", "token-of-fifth"}
	for _, s := range values {
		v.hold("access_token", s)
		v.hold("access_token", s)
	}
	for i, s := range values {
		if masked := v.cut("<"+s+">") == "<***>"; masked != (i > 0) {
			t.Errorf("%s masked: %v", s, masked)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := newClock().Now()
	for name, tc := range map[string]struct {
		status  int
		headers map[string]string
		want    time.Duration
	}{
		"none on 429":                  {429, nil, -1},
		"reset":                        {429, map[string]string{"rateLimit-reset": "17"}, 17 * time.Second},
		"reset in capitals":            {429, map[string]string{"RATELIMIT-RESET": "61"}, 61 * time.Second},
		"reset 0":                      {429, map[string]string{"ratelimit-reset": "0"}, 0},
		"reset negative":               {429, map[string]string{"rateLimit-reset": "-5"}, -1},
		"reset text":                   {429, map[string]string{"rateLimit-reset": "soon"}, -1},
		"reset of an hour":             {429, map[string]string{"rateLimit-reset": "3600"}, time.Hour},
		"reset of more":                {429, map[string]string{"rateLimit-reset": "3601"}, -1},
		"reset a time, not seconds":    {429, map[string]string{"rateLimit-reset": "1795165200"}, -1},
		"reset on 400":                 {400, map[string]string{"rateLimit-reset": "17"}, -1},
		"Retry-After on 503":           {503, map[string]string{"Retry-After": "30"}, 30 * time.Second},
		"the larger":                   {429, map[string]string{"rateLimit-reset": "17", "Retry-After": "30"}, 30 * time.Second},
		"the larger, other way round":  {429, map[string]string{"rateLimit-reset": "40", "Retry-After": "30"}, 40 * time.Second},
		"absurd one does not hide one": {429, map[string]string{"rateLimit-reset": "40", "Retry-After": "99999"}, 40 * time.Second},
		"date":                         {503, map[string]string{"Retry-After": now.Add(90 * time.Second).Format(http.TimeFormat)}, 90 * time.Second},
		"date past":                    {503, map[string]string{"Retry-After": now.Add(-time.Second).Format(http.TimeFormat)}, -1},
		"date by their clock":          {503, map[string]string{"Retry-After": now.Add(700 * time.Second).Format(http.TimeFormat), "Date": now.Add(600 * time.Second).Format(http.TimeFormat)}, 100 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			for k, v := range tc.headers {
				h.Set(k, v)
			}
			if got := retryAfterOf(tc.status, h, now); got != tc.want {
				t.Errorf("%v, wanted %v", got, tc.want)
			}
		})
	}
}

func TestRateLimitAndRequestID(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	for k, v := range map[string]string{
		"rateLimit-limit": "240", "rateLimit-remaining": "many", "rateLimit-reset": "-1", "rateLimit-ssed": "3",
		"Traceparent": "00-ab", "X-Works-Request-ID": "id\x00é" + strings.Repeat("z", 200),
	} {
		h.Set(k, v)
	}
	if got, want := rateLimitOf(h), (RateLimit{Limit: 240, Remaining: -1, Reset: -1, Used: 3}); got != want {
		t.Errorf("%+v", got)
	}
	h.Set("rateLimit-used", "4")
	if got := rateLimitOf(h).Used; got != 4 {
		t.Errorf("used %d", got)
	}
	if got := requestIDOf(h); got != "id"+strings.Repeat("z", 126) {
		t.Errorf("request id %q", got)
	}
	h.Del("X-Works-Request-ID")
	if got := requestIDOf(h); got != "00-ab" {
		t.Errorf("request id %q", got)
	}
	if got := requestIDOf(http.Header{}); got != "" {
		t.Errorf("request id %q", got)
	}
}
