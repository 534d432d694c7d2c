package console

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"activation-worker/deploy/check/deploytest"
)

// badPage breaks what the tests of the console are to see broken.
const badPage = `<!doctype html><html lang="en" data-ready="true"><title>Bad</title><link rel="icon" href="data:,"><link rel="stylesheet" href="bad.css">
<main><h1>Bad</h1><p class="pale">Hardly to be read</p><a href="#x">there</a> <button>ok</button><img src="x.png">
<ul><li>one</ul><table><tr><th scope="col">a<tr><td>b</table></main><script src="bad.js"></script>`

// What nobody would notice must be noticed here: requests to others, breaches of the policy, errors, and what axe-core has rules about.
func TestABadPageIsSeenToBeBad(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src *; require-trusted-types-for 'script'")
		switch r.URL.Path {
		case "/bad.css":
			w.Header().Set("Content-Type", "text/css")
			fmt.Fprint(w, `.pale { color: #bbb; background: #fff }`)
		case "/bad.js":
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprintf(w, `fetch(%q, {mode: "no-cors"}); console.error("it says so"); setTimeout(() => { throw new Error("thrown") });
				try { document.querySelector("p").innerHTML = "<b>b</b>" } catch {}
				document.querySelector("main").append(Object.assign(new Image(), {src: "/y.png"}))`, other.URL)
		default:
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, badPage)
		}
	}))
	t.Cleanup(server.Close)
	b := &tab{t: t, base: server.URL + "/"}
	b.prepare()
	b.load("")
	for _, want := range []string{"request to " + other.URL, "console.error: \"it says so\"", "thrown", "policy: require-trusted-types-for", "policy: img-src"} {
		if !deploytest.Eventually(t, func() bool { return strings.Contains(strings.Join(b.faults(), "\n"), want) }) {
			t.Errorf("not noted: %s; but %q", want, b.faults())
		}
	}
	var rules []string
	for _, f := range b.breaches("the bad page") {
		rules = append(rules, f.ID)
	}
	for _, want := range []string{"color-contrast", "image-alt"} {
		if !slices.Contains(rules, want) {
			t.Errorf("axe-core does not find %s but %q", want, rules)
		}
	}
}
