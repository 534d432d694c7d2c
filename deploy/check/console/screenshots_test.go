package console

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
)

// The pictures of docs/console. SCREENSHOTS names the directory to write them to, SCREENSHOTS_AFTER how long the site is to live before, so
// that the graphs have something to show:
//
//	SCREENSHOTS=$PWD/docs/console SCREENSHOTS_AFTER=15m go -C deploy/check test -count=1 -timeout 30m -run Screenshots ./console
//
// Otherwise they are looked at by nobody, but that they show something.
func TestScreenshots(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	lives, err := time.ParseDuration(cmp.Or(os.Getenv("SCREENSHOTS_AFTER"), "3s"))
	if err != nil {
		t.Fatalf("SCREENSHOTS_AFTER: %v", err)
	}
	s := newSite(t)
	earnest := []string{
		"LINEWORKS_RATE=240/m", "LINEWORKS_SUSTAINED_RATE=120/m", "LINEWORKS_CONCURRENCY=3", "WORKER_DNS_SCHEDULE=watch=1m/30m",
		"WORKER_BACKOFF=transient=5s/60s,terms_pending=1m/5m",
	}
	w := s.start("worker-1", earnest...)
	s.start("worker-2", earnest...)
	b := open(t, w.console)
	b.do(call(emulation.SetScrollbarsHidden, emulation.SetScrollbarsHiddenParams{Hidden: true}))
	came := s.lively(lives)
	b.awaitWithin(5*time.Minute, fmt.Sprintf(`Number(document.querySelector('[data-figure="activated-today"]').dataset.value) >= %d`, came/2))
	b.await(`document.querySelector('[data-count="deferred/dns_unverified"]').dataset.value !== "0"`)
	waiter := ask[string](b, `fetch("api/customers?reason=dns_unverified&limit=1").then(r => r.json()).then(r => r.rows[0].domainId)`)
	for _, picture := range []struct {
		name, scheme, hash, view string
		width, height            int
	}{
		{"now", "light", "#/", "now", 1600, 1080},
		{"customer", "light", "#/customers/" + waiter, "customer", 1280, 1000},
		{"customers", "dark", "#/customers", "customers", 1280, 900},
		{"narrow", "light", "#/", "now", 360, 780},
	} {
		b.scheme(picture.scheme)
		b.size(picture.width, picture.height)
		b.goTo(picture.hash, picture.view)
		b.settled(picture.view)
		b.await(`[...document.querySelectorAll("main canvas")].every(c => c.width > 0)`)
		b.eval(`document.activeElement.blur()`)
		b.painted()
		b.picture(filepath.Join(dir, picture.name+".png"), picture.width)
	}
}
