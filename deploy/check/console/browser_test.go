package console

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"activation-worker/deploy/check/deploytest"
)

func TestMain(m *testing.M) {
	status := deploytest.Main(m)
	chromium.stop()
	os.Exit(status)
}

// chromium is one browser for all tests of the package: each of them would take seconds to start its own.
var chromium sharedBrowser

type sharedBrowser struct {
	once    sync.Once
	context context.Context
	end     []func()
	said    deploytest.Output
	err     error
}

// start starts the browser if nobody has, and returns the context from which tabs are made.
func (b *sharedBrowser) start(t testing.TB) context.Context {
	t.Helper()
	b.once.Do(func() { b.err = b.launch() })
	if b.err != nil {
		t.Fatalf("starting Chromium: %v; it said:\n%s", b.err, b.said.String())
	}
	return b.context
}

func (b *sharedBrowser) launch() error {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return fmt.Errorf("%w; .ci/run console installs it", err)
	}
	// A home of its own: what a browser leaves there goes with it.
	home, err := os.MkdirTemp("", "console-check-")
	if err != nil {
		return err
	}
	b.end = append(b.end, func() { _ = os.RemoveAll(home) })
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.CombinedOutput(&b.said), chromedp.UserDataDir(home+"/profile"),
		chromedp.NoInheritEnv, chromedp.Env("HOME="+home, "TMPDIR="+home, "PATH="+os.Getenv("PATH"), "TZ="+zone(time.Now()), "LANG=C.UTF-8"),
		chromedp.WSURLReadTimeout(deploytest.Limit), // a busy machine takes more than the usual 20 s to start it
		chromedp.NoSandbox,                          // it wants more of the kernel than a container gives to root; the only pages are ours
		// Nothing but this machine: what the browser itself would ask for has no address.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("no-proxy-server", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-domain-reliability", true),
		chromedp.Flag("hide-scrollbars", false), chromedp.Flag("disable-gpu", true), chromedp.Flag("lang", "en-US"),
	)
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	b.end = append(b.end, end)
	b.context, end = chromedp.NewContext(allocator)
	b.end = append(b.end, end)
	return chromedp.Do(b.context)
}

// zone is the browser's, one that is neither UTC nor near its midnight: the figures of today would begin anew during a test.
func zone(now time.Time) string {
	if hour := now.UTC().Hour(); hour >= 12 && hour < 18 {
		return "America/New_York" // from 7 to 14 o'clock
	}
	return "Asia/Tokyo" // from 3 to 21 o'clock
}

// stop ends the browser and removes its profile.
func (b *sharedBrowser) stop() {
	for len(b.end) > 0 {
		last := len(b.end) - 1
		b.end[last]()
		b.end = b.end[:last]
	}
}
