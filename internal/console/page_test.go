package console_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"activation-worker/internal/console"
)

func wantError(t *testing.T, what string, answer reply, status int, says string) {
	t.Helper()
	var body struct{ Error string }
	if err := json.Unmarshal([]byte(answer.body), &body); err != nil || answer.status != status || body.Error == "" || !strings.Contains(body.Error, says) {
		t.Errorf("%s: %d %s, %v; want %d and an error with %q", what, answer.status, answer.body, err, status, says)
	}
	if got := answer.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("%s: an error of type %q", what, got)
	}
}

func index(t *testing.T) string {
	t.Helper()
	all, err := console.Assets()
	if err != nil || len(all["index.html"]) == 0 {
		t.Fatalf("there is no page: %v", err)
	}
	return string(all["index.html"])
}

func TestPathsOfThePage(t *testing.T) {
	t.Parallel()
	from := &source{}
	s := openPage(t, from)
	page := index(t)
	for target, want := range map[string]struct {
		status int
		what   string // the page; or where it says that the page is; or an error
	}{
		"/":                                  {200, page},
		"/index.html":                        {200, page},
		"/?a=b":                              {200, page},
		"/console/":                          {200, page},
		"/a/b/c/index.html":                  {200, page},
		"//":                                 {200, page},
		"/%2f/":                              {200, page},
		"/../":                               {200, page},
		"/..%2f/":                            {200, page},
		"http://localhost":                   {200, page},
		"/console":                           {307, "./console/"},
		"/a/b":                               {307, "./b/"},
		"/console?x=1&y=%2f":                 {307, "./console/?x=1&y=%2f"},
		"//evil":                             {307, "./evil/"},
		"///evil":                            {307, "./evil/"},
		"/http:evil":                         {307, "./http:evil/"},
		"/api":                               {307, "./api/"},
		"//evil.example":                     {404, "nothing"},
		"/nothing.js":                        {404, "nothing"},
		"/page/index.htm":                    {404, "nothing"},
		"/page.go":                           {404, "nothing"},
		"/..":                                {404, "nothing"},
		"/%2e%2e":                            {404, "nothing"},
		"/../../etc/passwd%00.html":          {404, "nothing"},
		"/%2e%2e%2findex.html":               {404, "nothing"},
		"/..%5cindex.html":                   {404, "nothing"},
		`/\evil`:                             {404, "nothing"},
		"/%5cevil":                           {404, "nothing"},
		"/index%2ehtml":                      {404, "nothing"},
		"/livez":                             {404, "WORKER_HTTP_ADDR"},
		"/prefix/metrics":                    {404, "WORKER_HTTP_ADDR"},
		"/api/nothing":                       {404, "nothing"},
		"/api/index.html":                    {404, "nothing"},
		"/api/activations%2f":                {404, "nothing"},
		"/api/live.js":                       {404, "nothing"},
		"/api/customers/":                    {400, "domain id"},
		"/api/customers/x":                   {400, "domain id"},
		"/api/customers/%31":                 {400, "domain id"},
		"/api/customers/0":                   {400, "domain id"},
		"/api/customers/007":                 {400, "domain id"},
		"/api/customers/+7":                  {400, "domain id"},
		"/api/customers/-7":                  {400, "domain id"},
		"/api/customers/9223372036854775808": {400, "domain id"},
		"/xapi/customers/5":                  {307, "./5/"},
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			answer := raw(t, s, http.MethodGet, target)
			switch want.status {
			case 200:
				if answer.status != 200 || answer.body != want.what {
					t.Errorf("%d %s", answer.status, answer.body)
				}
			case 307:
				if answer.status != 307 || answer.header.Get("Location") != want.what {
					t.Errorf("%d, to %q", answer.status, answer.header.Get("Location"))
				}
			default:
				wantError(t, target, answer, want.status, want.what)
			}
		})
	}
}

// Whether a proxy takes its prefix away or not.
func TestPrefixes(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "/console", "/a/b", "/api", "/api/customers", "/%C3%A9", "//x"} {
		from := &source{}
		s := openPage(t, from)
		for path, want := range map[string]any{
			"/api/activations?midnight=1": nil, "/api/customers": console.Filter{Limit: 50}, "/api/customers/9223372036854775807": int64(1<<63 - 1), "/api/replay?rejected=true": console.Selection{Rejected: true},
		} {
			answer := raw(t, s, http.MethodGet, prefix+path)
			if got := from.last(); want != nil && (answer.status != 200 || !equal(got, want)) {
				t.Errorf("%s%s: %d %s, asked %+v", prefix, path, answer.status, answer.body, got)
			}
			if want == nil {
				wantError(t, prefix+path, answer, 400, "midnight")
			}
		}
	}
}

func equal(a, b any) bool {
	one, err := json.Marshal(a)
	other, err2 := json.Marshal(b)
	return err == nil && err2 == nil && string(one) == string(other)
}

func TestHeadersOfThePage(t *testing.T) {
	t.Parallel()
	s := openPage(t, &source{})
	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
		"frame-ancestors 'none'; require-trusted-types-for 'script'"
	const usual = "default-src 'none'; frame-ancestors 'none'"
	for target, want := range map[string][4]string{ // its type, policy, cache, opener policy
		"/":                {"text/html; charset=utf-8", policy, "no-cache", "same-origin"},
		"/x/index.html":    {"text/html; charset=utf-8", policy, "no-cache", "same-origin"},
		"/x":               {"", usual, "no-store", ""},
		"/x.js":            {"application/json", usual, "no-store", ""},
		"/api/customers":   {"application/json", usual, "no-store", ""},
		"/api/customers/0": {"application/json", usual, "no-store", ""},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			h := raw(t, s, method, target).header
			for i, name := range []string{"Content-Type", "Content-Security-Policy", "Cache-Control", "Cross-Origin-Opener-Policy"} {
				if got := h.Get(name); got != want[i] {
					t.Errorf("%s %s: %s is %q, want %q", method, target, name, got, want[i])
				}
			}
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin",
				"Access-Control-Allow-Origin": "", "Set-Cookie": "", "Server": "",
			} {
				if got := h.Get(name); got != want {
					t.Errorf("%s %s: %s is %q, want %q", method, target, name, got, want)
				}
			}
			if powers := h.Get("Permissions-Policy"); strings.HasPrefix(want[0], "text/html") != strings.Contains(powers, "camera=()") || strings.Contains(powers, "clipboard") {
				t.Errorf("%s %s: Permissions-Policy is %q; copying is wanted", method, target, powers)
			}
		}
	}
	tag := raw(t, s, http.MethodGet, "/").header.Get("ETag")
	if answer := raw(t, s, http.MethodGet, "/", "If-None-Match: "+tag); tag == "" || answer.status != 304 || answer.body != "" || answer.header.Get("Content-Security-Policy") != policy {
		t.Errorf("asked whether it is still %s: %d, %d bytes", tag, answer.status, len(answer.body))
	}
	if answer := raw(t, s, http.MethodGet, "/", `If-None-Match: "other"`); answer.status != 200 {
		t.Errorf("asked whether it is still what it never was: %d", answer.status)
	}
}

func TestPageIsOnlyRead(t *testing.T) {
	t.Parallel()
	from := &source{}
	s := openPage(t, from)
	for _, target := range []string{"/", "/index.html", "/api/live", "/api/customers", "/api/customers/5", "/api/replay", "/nothing"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodTrace, "PROPFIND", "get"} {
			answer := raw(t, s, method, target, "Origin: http://localhost", "Access-Control-Request-Method: POST")
			if answer.status != 405 || answer.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, allowed: %q", method, target, answer.status, answer.header.Get("Allow"))
			}
		}
	}
	if got := from.last(); got != nil {
		t.Errorf("asked for %+v", got)
	}
	for _, target := range []string{"/", "/api/customers", "/api/live"} {
		if answer := raw(t, s, http.MethodHead, target); answer.status != 200 || answer.body != "" {
			t.Errorf("HEAD %s: %d %s", target, answer.status, answer.body)
		}
	}
}

// A link on another site may lead to the page. What it shows is for nobody else's.
func TestOtherSites(t *testing.T) {
	t.Parallel()
	from := &source{}
	s := openPage(t, from)
	for site, own := range map[string]bool{"same-origin": true, "none": true, "same-site": false, "cross-site": false, "what": false} {
		for _, target := range []string{"/api/live", "/api/activations", "/api/customers", "/api/customers/5", "/api/replay?rejected=true"} {
			method := http.MethodGet
			if target == "/api/live" && own {
				method = http.MethodHead
			}
			answer := raw(t, s, method, target, "Sec-Fetch-Site: "+site, "Sec-Fetch-Mode: navigate")
			if own != (answer.status == 200) {
				t.Errorf("%s from %s: %d", target, site, answer.status)
			}
			if asked := from.last(); !own {
				wantError(t, target, answer, 403, "another site")
				if asked != nil {
					t.Errorf("asked for %+v", asked)
				}
			}
		}
		if answer := raw(t, s, http.MethodGet, "/prefix/", "Sec-Fetch-Site: "+site, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"); answer.status != 200 {
			t.Errorf("the page from %s: %d", site, answer.status)
		}
	}
}

func TestFilesOfThePage(t *testing.T) {
	t.Parallel()
	all, err := console.Assets()
	if err != nil {
		t.Fatal(err)
	}
	s := openPage(t, &source{})
	for name, content := range all {
		for _, prefix := range []string{"/", "/a/prefix/"} {
			if answer := raw(t, s, http.MethodGet, prefix+name); answer.status != 200 || answer.body != string(content) || answer.header.Get("ETag") == "" {
				t.Errorf("%s%s: %d, %d bytes of type %q", prefix, name, answer.status, len(answer.body), answer.header.Get("Content-Type"))
			}
		}
	}
	kinds, depth, err := console.AssetsOf(fstest.MapFS{"a.js": {}, "b/c/d.css": {}, "e.svg": {}, "b/LICENSE": {}})
	want := map[string]string{"a.js": "text/javascript; charset=utf-8", "b/c/d.css": "text/css; charset=utf-8", "e.svg": "image/svg+xml; charset=utf-8", "b/LICENSE": "text/plain; charset=utf-8"}
	if err != nil || depth != 3 || !maps.Equal(kinds, want) {
		t.Errorf("%v, %d, %v", slices.Sorted(maps.Keys(kinds)), depth, err)
	}
	if _, _, err := console.AssetsOf(fstest.MapFS{"a.exe": {}}); err == nil || !strings.Contains(err.Error(), "a.exe") {
		t.Errorf("a file without type: %v", err)
	}
}
