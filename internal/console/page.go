package console

import (
	"io/fs"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"
)

// PageOptions are what the page is made of.
type PageOptions struct {
	Source Source
	// Addr is where the page listens, host:port as it was set; its host may be asked for, and so may Hosts.
	Addr  string
	Hosts []string
	// States and Reasons are all that there are.
	States, Reasons []string
	Log             *zap.Logger
}

// pace is how often and how long things are done.
type pace struct {
	look         time.Duration // between two looks at [Source.Now], whoever reads
	beat         time.Duration // a live reader hears something at least so often
	send         time.Duration // within which a reader takes a message
	wait         time.Duration // for a turn
	read, replay time.Duration // of one answer
}

var usualPace = pace{
	look: 500 * time.Millisecond, beat: 2 * time.Second, send: 5 * time.Second,
	wait: time.Second, read: 5 * time.Second, replay: 10 * time.Second,
}

// page serves the page and what it asks for.
type page struct {
	source          Source
	states, reasons []string
	pace            pace
	troubles        *troubles

	assets map[string]asset
	depth  int // of their paths
	calls  map[string]call
	now    *present
	reads  turns
}

// Page serves the page of how things stand, its files, and below api/ what it asks for, all relative to any path: a proxy
// may serve it under a prefix and take that away or not. It only reads.
func Page(o PageOptions) http.Handler { return newPage(o, usualPace) }

func newPage(o PageOptions, speed pace) http.Handler {
	p := &page{
		source: o.Source, states: o.States, reasons: o.Reasons, pace: speed, reads: newTurns(4),
		troubles: &troubles{log: o.Log.Named("page"), told: map[string]string{}},
	}
	p.now = newPresent(p.currently, speed.look)
	var err error
	if p.assets, p.depth, err = pageFiles(); err != nil {
		panic(err) // of what is built in
	}
	p.calls = map[string]call{
		"activations": {p.activations, p.reads, speed.read},
		"customers":   {p.customers, p.reads, speed.read},
		"replay":      {p.replay, newTurns(1), speed.replay},
	}
	return hostsOf(o.Addr, o.Hosts).only(readOnly(http.HandlerFunc(p.route)))
}

func pageFiles() (map[string]asset, int, error) {
	below, err := fs.Sub(files, "page")
	if err != nil {
		return nil, 0, err
	}
	return assets(below)
}

// route goes by the end of the path. Where it is escaped it is left so: nothing that we have is.
func (p *page) route(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.EscapedPath(), "/")
	before, last := parts[:len(parts)-1], parts[len(parts)-1]
	switch {
	case endsIn(before, "api", "customers"):
		p.api(w, r, "customer", call{p.customer(last), p.reads, p.pace.read})
	case last == "":
		p.assets[index].serve(w, r)
	case endsIn(before, "api") && last == "live":
		p.ownOnly(w, r, p.live)
	case endsIn(before, "api"):
		c, known := p.calls[last]
		if !known {
			notFound(w, "")
			return
		}
		p.api(w, r, last, c)
	default:
		p.file(w, r, parts)
	}
}

func endsIn(parts []string, end ...string) bool {
	return strings.HasSuffix("/"+strings.Join(parts, "/"), "/"+strings.Join(end, "/"))
}

// elsewhere are paths of the probes' server, asked for at the wrong address. Who is sent on to the page takes it for a yes.
var elsewhere = map[string]bool{"livez": true, "readyz": true, "healthz": true, "metrics": true}

// file serves a file of the page. What looks like none is the page without its final slash: it is said relatively where it
// is, as only the browser knows the whole path. The way begins with ./, so that nothing in it is taken for a host.
func (p *page) file(w http.ResponseWriter, r *http.Request, parts []string) {
	for n := min(p.depth, len(parts)); n > 0; n-- {
		if a, ok := p.assets[strings.Join(parts[len(parts)-n:], "/")]; ok {
			a.serve(w, r)
			return
		}
	}
	last := parts[len(parts)-1]
	if elsewhere[last] {
		notFound(w, "; probes and metrics are at WORKER_HTTP_ADDR")
		return
	}
	if strings.ContainsAny(last, `.%\`) {
		notFound(w, "")
		return
	}
	to := "./" + last + "/"
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusTemporaryRedirect)
}

func notFound(w http.ResponseWriter, more string) {
	answer(w, http.StatusNotFound, sorry{"there is nothing at this path" + more})
}

// sorry is the body of every answer that is none.
type sorry struct {
	Error string `json:"error"`
}

// ownOnly serves what is asked for by the page, or by a person. What another site's page asks for it cannot read; it need
// not be worked for either.
func (p *page) ownOnly(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
	if from := r.Header.Get("Sec-Fetch-Site"); from != "" && from != "same-origin" && from != "none" {
		answer(w, http.StatusForbidden, sorry{"only the page itself may ask for this, and your browser says that another site does"})
		return
	}
	serve(w, r)
}
