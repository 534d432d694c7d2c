package console

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

// behind serves a console under a path of another server, as a reverse proxy does, and returns the page's address there. Such a
// proxy takes the path away before it asks, or leaves it (stripped or not).
func behind(t testing.TB, console, prefix string, stripped bool) string {
	t.Helper()
	target, err := url.Parse(console)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
		if stripped {
			r.Out.URL.Path = "/" + strings.TrimPrefix(r.In.URL.Path, prefix)
		}
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, prefix) {
			http.Error(w, "nothing of the console's is here", http.StatusNotFound)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections() // the page's stream has no end
		server.Close()
	})
	return server.URL + prefix
}
