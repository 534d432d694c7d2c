package console_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/zap"

	"activation-worker/internal/console"
)

// FuzzRequests: whatever stands for path and query, the answer is one of those that there are, nobody is sent to another host, and what
// the source is asked keeps within its limits.
func FuzzRequests(f *testing.F) {
	for _, target := range []string{
		"/", "//", "/console", "/console/", "//evil", `/\evil`, "/%2fevil", "/..;/", "/a/../b", "/http:", "/index.html", "/x.js", "/%", "*", "",
		"/api/activations", "/api/customers", "/api/customers/5", "/api/customers/", "/api/replay", "/api/live", "/p/api/live/", "/api/api",
	} {
		for _, query := range []string{
			"", "x", "span=7d&midnight=1772442000", "state=deferred&reason=refused&since=24h&until=1h", "since=2026-11-01T00:00:00Z&id=47&limit=200", "before=1772442000.5", "after=0.1&limit=1",
			"id=5&id=6&reason=a&code=B&rate=30/m&all-failed=true&rejected=true", "id=%0a", "a=%zz", ";", "limit=-0", "state=&state=",
		} {
			f.Add(target, query)
		}
	}
	from := &source{}
	page := console.Page(console.PageOptions{Source: from, States: []string{"deferred"}, Reasons: []string{"refused"}, Log: zap.NewNop()})
	f.Fuzz(func(t *testing.T, path, query string) {
		at, err := url.ParseRequestURI(path + "?" + query)
		if err != nil {
			return // the server has refused it
		}
		method := http.MethodGet
		if strings.HasSuffix(at.Path, "/live") {
			method = http.MethodHead // else it goes on
		}
		r := (&http.Request{Method: method, URL: at, Host: "localhost", Header: http.Header{}}).WithContext(t.Context())
		w := httptest.NewRecorder()
		page.ServeHTTP(w, r)
		switch w.Code {
		case 200:
		case 307:
			base := &url.URL{Scheme: "http", Host: "localhost", Path: at.Path, RawPath: at.RawPath}
			to, err := base.Parse(w.Header().Get("Location"))
			if err != nil || to.Host != "localhost" || to.Scheme != "http" || !strings.HasSuffix(to.Path, "/") || to.RawQuery != before(at.RawQuery, "#") {
				t.Errorf("from %q to %q: %v, %v", path, w.Header().Get("Location"), to, err)
			}
		case 400, 404:
			var body struct{ Error string }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Error == "" || len(body.Error) > 600 {
				t.Errorf("%d %q, %v", w.Code, w.Body, err)
			}
		default:
			t.Errorf("%d %q", w.Code, w.Body)
		}
		switch asked := from.last().(type) {
		case console.Filter:
			if asked.Limit < 1 || asked.Limit > 200 || len(asked.States) > 1 || len(asked.Reasons) > 1 || len(asked.IDPrefix) > 19 || asked.Before != nil && asked.After != nil {
				t.Errorf("%q asks for %+v", query, asked)
			}
		case int64:
			if asked <= 0 {
				t.Errorf("%q asks for %d", path, asked)
			}
		case console.Selection:
			if text := strings.Join(append(asked.IDs, asked.Reason, asked.Code, asked.Since, asked.Until, asked.Rate), " "); len(asked.IDs) > 200 || strings.ContainsAny(text, "\r\n\x00\x1b") {
				t.Errorf("%q asks for %+v", query, asked)
			}
		}
	})
}

// before is what comes before a mark, which no browser sends.
func before(text, mark string) string {
	text, _, _ = strings.Cut(text, mark)
	return text
}
