package console

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"activation-worker/deploy/check/deploytest"
)

// tab is a tab of the browser that shows the console, with storage and clipboard rights of its own. What it asks of the network
// and what the browser complains about is noted, and checked at the end.
type tab struct {
	t    testing.TB
	ctx  context.Context
	base string // the page's address, with a slash at its end
	notes
}

// open opens the page in a new tab of 1280 × 900, and waits until it has its first figures.
func open(t testing.TB, base string) *tab {
	t.Helper()
	b := newTab(t, base)
	b.load("")
	return b
}

// newTab opens a tab that is empty yet.
func newTab(t testing.TB, base string) *tab {
	t.Helper()
	b := &tab{t: t, base: base}
	b.prepare()
	t.Cleanup(b.judge)
	return b
}

func (b *tab) prepare() {
	b.t.Helper()
	b.allowed = b.base
	var end context.CancelFunc
	b.ctx, end = chromedp.NewContext(chromium.start(b.t), chromedp.WithNewBrowserContext(), chromedp.WithListener(b.note))
	b.t.Cleanup(end)
	if err := chromedp.Do(b.ctx); err != nil { // the tab lives as long as the context of its first step
		b.t.Fatalf("opening a tab: %v", err)
	}
	b.do(call(network.Enable, network.EnableParams{}), call(audits.Enable, struct{}{}),
		call(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}))
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		_, err := chromedp.CallBrowser(b.ctx, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: name}, Setting: browser.PermissionSettingGranted,
			Origin: strings.TrimSuffix(b.base, "/"), BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
		})
		if err != nil {
			b.t.Fatalf("granting %s: %v", name, err)
		}
	}
	b.size(1280, 900)
}

// load loads the page anew, at a hash.
func (b *tab) load(hash string) {
	b.t.Helper()
	b.navigate(hash)
	b.await(`document.documentElement.dataset.ready === "true"`)
}

func (b *tab) navigate(hash string) {
	b.t.Helper()
	b.do(chromedp.Navigate("about:blank"), chromedp.Navigate(b.base+hash))
}

// size sets how much of the page is seen, and waits until the page has made room.
func (b *tab) size(width, height int) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(int64(width), int64(height)))
	b.painted()
}

// painted waits until what is there has been painted, and what watches its size has been told.
func (b *tab) painted() {
	b.t.Helper()
	b.eval(`await new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))`)
}

// scheme sets whether the reader's system is light or dark.
func (b *tab) scheme(name string) {
	b.t.Helper()
	b.do(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}}))
	b.painted()
}

// zone sets the time zone of the reader's system.
func (b *tab) zone(name string) {
	b.t.Helper()
	b.do(call(emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: name}))
}

// goTo follows a link to a view of the page, without loading it anew.
func (b *tab) goTo(hash, view string) {
	b.t.Helper()
	b.eval(fmt.Sprintf("location.hash = %q", hash))
	b.view(view)
}

// view waits until a view is shown.
func (b *tab) view(name string) {
	b.t.Helper()
	b.await(fmt.Sprintf(`document.querySelector("main").dataset.view === %q`, name))
}

// do does something in the tab, within the limit of all that is waited for.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, deploytest.Limit)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%v\n%s", err, b.state())
	}
}

// eval evaluates an expression that may be a promise, and drops what it is.
func (b *tab) eval(expression string) {
	b.t.Helper()
	ask[any](b, "(async () => { "+expression+"; return true })()")
}

// ask is what an expression is, or the promise that it is.
func ask[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := try[T](b, expression)
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", expression, err, b.state())
	}
	return value
}

func try[T any](b *tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, deploytest.Limit)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// await waits until an expression is true. One that throws is not true yet.
func (b *tab) await(expression string) {
	b.t.Helper()
	b.awaitWithin(deploytest.Limit, expression)
}

func (b *tab) awaitWithin(limit time.Duration, expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var failed error
	for {
		var so bool
		so, failed = try[bool](b, "Boolean("+expression+")")
		if failed == nil && so {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.t.Fatalf("not so within %s: %s (%v)\n%s", limit, expression, failed, b.state())
		}
	}
}

// click clicks on the first element of a CSS selector, as a mouse does: at its middle, once it is in view.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.await(fmt.Sprintf(`document.querySelector(%q).getClientRects().length > 0`, selector))
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// keys presses keys, wherever the focus is. A key that the page takes for itself writes nothing, as with a real keyboard; with
// chromedp's own way of two events it would.
func (b *tab) keys(keys string, modifiers ...kb.Modifier) {
	b.t.Helper()
	for _, r := range keys {
		for _, event := range kb.Encode(r) {
			switch event.Type {
			case kb.KeyChar:
				continue
			case kb.KeyDown:
				event.Type = input.DispatchKeyEventTypeKeyDown
				if unicode.IsPrint(r) || r == rune(kb.Enter[0]) {
					event.Text = string(r)
				}
			}
			for _, m := range modifiers {
				event.Modifiers |= int64(m)
			}
			b.do(call(input.DispatchKeyEvent, *event))
		}
	}
}

// text is what an element says, white space as one blank.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return strings.Join(strings.Fields(ask[string](b, fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector))), " ")
}

// says waits until an element's text has a part.
func (b *tab) says(selector, part string) {
	b.t.Helper()
	b.await(fmt.Sprintf(`document.querySelector(%q).innerText.replace(/\s+/g, " ").includes(%q)`, selector, part))
}

// data is an attribute data-… of an element, as JavaScript names it.
func (b *tab) data(selector, name string) string {
	b.t.Helper()
	return ask[string](b, fmt.Sprintf(`document.querySelector(%q)?.dataset[%q] ?? ""`, selector, name))
}

// awaitData waits until an attribute data-… has a value.
func (b *tab) awaitData(selector, name, want string) {
	b.t.Helper()
	b.await(fmt.Sprintf(`document.querySelector(%q).dataset[%q] === %q`, selector, name, want))
}

// state is what a failed test says of the tab.
func (b *tab) state() string {
	text, err := try[string](b, `location.href + "\nfocus: " + (document.activeElement?.outerHTML ?? "").slice(0, 200) + "\n" + document.body.innerText.replace(/\n+/g, "\n").slice(0, 4000)`)
	if err != nil {
		return fmt.Sprintf("the tab shows nothing: %v", err)
	}
	return fmt.Sprintf("the tab shows %s\nthe browser noted: %q", text, b.faults())
}
