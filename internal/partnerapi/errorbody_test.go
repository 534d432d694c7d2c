package partnerapi

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
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
		"escaped address":   {`{"description":"aki.mori%40mail.example, aki.mori&#64;mail.example, aki.mori\\u0040mail.example"}`, "", "***, ***, ***"},
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

func TestRequestID(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	for k, v := range map[string]string{"Traceparent": "00-ab", "X-Works-Request-ID": "id\x00é" + strings.Repeat("z", 200)} {
		h.Set(k, v)
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

// TestEncodedSecretsAreMasked: whoever repeats a secret may have escaped or encoded it, alone or with what stood beside it.
func TestEncodedSecretsAreMasked(t *testing.T) {
	t.Parallel()
	token := "jp1AAABq7xZ+f/rEsh8Qm/+Lp0Vt/zX2cD9w=="
	jsonText := func(s string) string {
		return strings.NewReplacer("/", `\\/`, "=", `\\u003d`).Replace(s) // of a JSON text within a JSON text
	}
	for name, encode := range map[string]func(string) string{
		"escaped for a query": url.QueryEscape,
		"escaped for a path":  url.PathEscape,
		"escaped in small hex": func(s string) string {
			return strings.NewReplacer("%2B", "%2b", "%2F", "%2f", "%3D", "%3d").Replace(url.QueryEscape(s))
		},
		"escaped twice":          func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
		"escaped for HTML":       func(s string) string { return strings.NewReplacer("+", "&#43;", "=", "&#61;").Replace(s) },
		"escaped slashes":        func(s string) string { return strings.ReplaceAll(s, "/", `\\/`) },
		"escaped JSON":           jsonText,
		"base64":                 func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"base64 for URLs":        func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
		"base64 after one byte":  func(s string) string { return base64.StdEncoding.EncodeToString([]byte(":" + s)) },
		"base64 after two bytes": func(s string) string { return base64.StdEncoding.EncodeToString([]byte("::" + s)) },
		"basic authorization":    func(s string) string { return base64.StdEncoding.EncodeToString([]byte(clientID + ":" + s)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, secret := range []string{token, clientSecret} {
				var v vault
				v.hold("of a kind", secret)
				v.hold("of another", "jp1AAAAnother+/token/of+theirs==")
				e := &Error{}
				// Before and after the cut at 200 bytes, and across it.
				for _, before := range []int{0, 180, 199} {
					body := fmt.Sprintf(`{"code":%q,"description":"%s %s tail"}`, encode(secret), strings.Repeat("x", before), encode(secret))
					e.fill(&answer{status: 400, header: http.Header{"X-Request-Id": {encode(secret)}}, body: []byte(body)}, &v)
					if part := leak(e.Code+" "+e.RequestID+" "+e.PartnerText, encode(secret), encode(strings.Map(another, secret))); part != "" {
						t.Fatalf("%q of %q is in code %q, id %q, text %q", part, encode(secret), e.Code, e.RequestID, e.PartnerText)
					}
				}
			}
		})
	}
}

// another makes another secret of the same shape.
func another(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r ^ 1
	}
	return r
}

// leak is a part of an encoded secret that a text shows, and of which more than half is not the same in every secret.
func leak(text, encoded, other string) string {
	const size = 8
	for i := 0; i+size <= min(len(encoded), len(other)); i++ {
		differ := 0
		for j := range size {
			if encoded[i+j] != other[i+j] {
				differ++
			}
		}
		if part := encoded[i : i+size]; differ > size/2 && strings.Contains(text, part) {
			return part
		}
	}
	return ""
}

// TestARequestIDIsNobodysName: it is logged, so what is a person's is none.
func TestARequestIDIsNobodysName(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"aki.mori@mail.example":                    "",
		"aki.mori%40mail.example":                  "",
		"Mori Aki":                                 "",
		"ひので食品":                                    "",
		"0af7651916cd43dd8448eb211c80319c":         "0af7651916cd43dd8448eb211c80319c",
		"Root=1-67891233-abcdef012345678912345678": "Root=1-67891233-abcdef012345678912345678",
		"105445aa7843bc8bf206b120001000/0;o=1":     "105445aa7843bc8bf206b120001000/0;o=1",
	} {
		if got := requestIDOf(http.Header{"X-Request-Id": {value}}); got != want {
			t.Errorf("%q gives %q, want %q", value, got, want)
		}
	}
}
