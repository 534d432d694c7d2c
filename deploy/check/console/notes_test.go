package console

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// notes are what was noted of a tab. They are safe for concurrent use.
type notes struct {
	mu      sync.Mutex
	allowed string // what all addresses begin with
	asked   []string
	wrong   []string
	outages bool // an answer may be missing or be 503: the worker is being stopped
}

// note is told all that happens in a tab.
func (n *notes) note(event any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		n.request(e.Request.URL)
	case *network.EventWebSocketCreated:
		n.request(e.URL)
	case *network.EventWebTransportCreated:
		n.request(e.URL)
	case *runtime.EventExceptionThrown:
		n.wrong = append(n.wrong, "exception: "+(&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			n.wrong = append(n.wrong, fmt.Sprintf("console.%s: %s", e.Type, texts(e.Args)))
		}
	case *log.EventEntryAdded:
		missing := e.Entry.Source == log.EntrySourceNetwork && n.outages
		if (e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning) && !missing {
			n.wrong = append(n.wrong, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *audits.EventIssueAdded:
		if details := e.Issue.Details.ContentSecurityPolicyIssueDetails; details != nil {
			n.wrong = append(n.wrong, fmt.Sprintf("breach of the policy: %s %s", details.ViolatedDirective, details.BlockedURL))
		}
	}
}

func (n *notes) request(url string) {
	n.asked = append(n.asked, url)
	if !strings.HasPrefix(url, n.allowed) && !strings.HasPrefix(url, "about:") && !strings.HasPrefix(url, "data:") {
		n.wrong = append(n.wrong, "request to "+url)
	}
}

func texts(args []*runtime.RemoteObject) string {
	var all []string
	for _, a := range args {
		all = append(all, string(a.Value)+a.Description)
	}
	return strings.Join(all, " ")
}

// mayFail sets whether answers may be missing from now on.
func (n *notes) mayFail(may bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.outages = may
}

// requests are the addresses that were asked for so far.
func (n *notes) requests() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.asked)
}

func (n *notes) faults() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.wrong)
}

// judge fails the test if the page asked others than its own origin, or the browser had to complain.
func (b *tab) judge() {
	for _, fault := range b.faults() {
		b.t.Errorf("in the browser: %s", fault)
	}
}

// call is a command of the protocol as a step.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, command, params)
		return chromedp.Void{}, err
	}
}
