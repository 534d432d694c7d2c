package console

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"activation-worker/deploy/check/deploytest"
)

// axeSource is axe-core as .ci/run console installs it.
var axeSource = sync.OnceValues(func() (string, error) {
	path := os.Getenv("AXE_CORE")
	if path == "" {
		return "", fmt.Errorf("AXE_CORE is not set: copy package.json and package-lock.json of deploy/check/console into a directory, " +
			"run npm ci --ignore-scripts there, and set AXE_CORE to its node_modules/axe-core/axe.min.js; .ci/run console does it all")
	}
	text, err := os.ReadFile(path)
	return string(text), err
})

// finding is a rule of axe's that the page does not keep.
type finding struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML, FailureSummary string
		Target               []any
	}
}

func (f finding) String() string {
	text := fmt.Sprintf("%s (%s): %s", f.ID, f.Impact, f.Help)
	for i, n := range f.Nodes {
		if i == 4 {
			return text + fmt.Sprintf("\n\tand at %d places more", len(f.Nodes)-i)
		}
		text += fmt.Sprintf("\n\t%v %.200s\n\t\t%s", n.Target, n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", " "))
	}
	return text
}

// accessible asks axe-core about what the tab shows, by all of its rules, best practice included. It runs beside the page's own script, in
// a world of its own: the page does not see it.
func (b *tab) accessible(where string) {
	b.t.Helper()
	for _, f := range b.breaches(where) {
		b.t.Errorf("%s: axe-core finds %s", where, f)
	}
}

func (b *tab) breaches(where string) []finding {
	b.t.Helper()
	source, err := axeSource()
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.ctx, deploytest.Limit)
	defer cancel()
	text, err := chromedp.Run(ctx, func(ctx context.Context, target *chromedp.Target) (string, error) {
		tree, err := cdp.Call(ctx, target, page.GetFrameTree, cdp.Empty{})
		if err != nil {
			return "", err
		}
		world, err := cdp.Call(ctx, target, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: tree.FrameTree.Frame.ID, WorldName: "axe"})
		if err != nil {
			return "", err
		}
		if _, err := evaluateIn(ctx, target, world.ExecutionContextID, source+"; true"); err != nil {
			return "", fmt.Errorf("loading axe-core: %w", err)
		}
		return evaluateIn(ctx, target, world.ExecutionContextID, `axe.run(document, {resultTypes: ["violations"], elementRef: false})
			.then(r => JSON.stringify({violations: r.violations, passes: r.passes.length}))`)
	})
	if err != nil {
		b.t.Fatalf("%s: axe-core: %v", where, err)
	}
	var found struct {
		Violations []finding
		Passes     int
	}
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		b.t.Fatal(err)
	}
	if found.Passes < 10 {
		b.t.Fatalf("%s: axe-core had only %d rules to say yes to; is there a page?\n%s", where, found.Passes, b.state())
	}
	return found.Violations
}

// evaluateIn evaluates in one of the tab's worlds, and returns a text or nothing.
func evaluateIn(ctx context.Context, target *chromedp.Target, world runtime.ExecutionContextID, expression string) (string, error) {
	yes := true
	value, err := cdp.Call(ctx, target, runtime.Evaluate, runtime.EvaluateParams{Expression: expression, ContextID: world, AwaitPromise: &yes, ReturnByValue: &yes})
	if err != nil {
		return "", err
	}
	if value.ExceptionDetails != nil {
		return "", &chromedp.ExceptionError{ExceptionDetails: value.ExceptionDetails}
	}
	var text string
	_ = json.Unmarshal(value.Result.Value, &text) // the source's own value is no text
	return text, nil
}
