package console

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"activation-worker/deploy/check/deploytest"
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
	w := s.start("worker-1", "LINEWORKS_RATE=240/m", "LINEWORKS_SUSTAINED_RATE=120/m", "LINEWORKS_CONCURRENCY=3", "WORKER_DNS_SCHEDULE=watch=1m/30m")
	other := s.start("worker-2", "LINEWORKS_RATE=240/m", "LINEWORKS_SUSTAINED_RATE=120/m", "LINEWORKS_CONCURRENCY=3", "WORKER_DNS_SCHEDULE=watch=1m/30m")
	b := open(t, w.console)
	came := s.lively(lives)
	b.awaitWithin(5*time.Minute, fmt.Sprintf(`Number(document.querySelector('[data-figure="activated-today"]').dataset.value) >= %d`, came/2))
	b.await(`document.querySelector('[data-count="deferred/dns_unverified"]').dataset.value !== "0"`)
	waiter := ask[string](b, `fetch("api/customers?reason=dns_unverified&limit=1").then(r => r.json()).then(r => r.rows[0].domainId)`)
	for _, picture := range []struct {
		name, scheme, hash, view string
		width, height            int
	}{
		{"now", "light", "#/", "now", 1440, 1000},
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
	_ = other
}

const pictureAtMost = 200_000 // bytes: it is part of every clone of the repository

// picture writes what the tab shows to a file, and checks that it is neither empty nor large.
func (b *tab) picture(file string, width int) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, deploytest.Limit)
	defer cancel()
	data, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatalf("taking %s: %v", file, err)
	}
	shown, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		b.t.Fatalf("%s: %v", file, err)
	}
	if got := shown.Bounds().Dx(); got != width || len(data) > pictureAtMost || colours(shown) < 40 {
		b.t.Errorf("%s is %d px wide, want %d, has %d bytes, at most %d, and %d colours", file, got, width, len(data), pictureAtMost, colours(shown))
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func colours(i image.Image) int {
	found := map[[3]uint32]bool{}
	for y := i.Bounds().Min.Y; y < i.Bounds().Max.Y; y += 3 {
		for x := i.Bounds().Min.X; x < i.Bounds().Max.X; x += 3 {
			r, g, b, _ := i.At(x, y).RGBA()
			found[[3]uint32{r, g, b}] = true
		}
	}
	return len(found)
}
