package console

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/memory"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/nats-io/nats.go/jetstream"
)

// soakDefault is enough to see that the test works; SOAK=30m sees what grows slowly.
const soakDefault = 20 * time.Second

// What may be added in the whole time, however long. Who is new is remembered with some ten bytes, in the worker alone.
const (
	heapMayGrow      = 4e6 // bytes, after a collection
	nodesMayGrow     = 800
	listenersMayGrow = 60
	workerMayGrow    = 24e6 // bytes resident: the collector's ups and downs
)

// Fifty events a second, for as long as one likes, grow neither the page that stands on the figures, nor one that wanders through all
// views, nor the worker.
func TestALongRunGrowsNothing(t *testing.T) {
	t.Parallel()
	lasts, err := time.ParseDuration(cmp.Or(os.Getenv("SOAK"), soakDefault.String()))
	if err != nil {
		t.Fatalf("SOAK: %v", err)
	}
	s := newSite(t)
	w := s.start("w1", "GOMEMLIMIT=256MiB")
	for id := soakRefused; id < soakRefused+soakPool; id++ {
		s.tell("script", fmt.Sprintf(`{"domainId":%d,"operation":"activate","faults":["409:CONTRACT_ENDED*"]}`, id))
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- feed(ctx, s.stream()) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("announcing customers: %v", err)
		}
	})
	stands, wanders := open(t, w.console), open(t, w.console)
	stands.awaitWithin(2*time.Minute, fmt.Sprintf(`Number(document.querySelector('[data-count="failed/refused"]').dataset.value) === %d`, soakPool))
	wander := func() {
		for _, v := range []struct{ hash, view string }{
			{"#/customers", "customers"},
			{fmt.Sprintf("#/customers/%d", soakRefused+1), "customer"},
			{"#/replay?reason=refused", "replay"},
			{"#/", "now"},
		} {
			wanders.goTo(v.hash, v.view)
			wanders.settled(v.view)
		}
	}
	for range 5 { // the first rounds fill what stays
		wander()
	}
	measured := map[string]*series{}
	note := func(what string, value float64) {
		if measured[what] == nil {
			measured[what] = &series{}
		}
		measured[what].add(time.Now(), value)
	}
	began, first := time.Now(), s.last()[ledger]
	for tick := time.NewTicker(max(time.Second, lasts/60)); time.Since(began) < lasts; <-tick.C {
		wander()
		for name, b := range map[string]*tab{"the page on the figures": stands, "the page that wanders": wanders} {
			heap, nodes, listeners := b.weight()
			note(name+": heap", heap)
			note(name+": nodes", nodes)
			note(name+": listeners", listeners)
		}
		note("the worker: resident", resident(t, w.ID()))
	}
	took := time.Since(began)
	rate := float64(s.last()[ledger]-first) / took.Seconds()
	t.Logf("%.0f events a second for %s", rate, took.Round(time.Second))
	if rate < 15 { // fifty on a machine that has time
		t.Errorf("there were %.0f events a second only", rate)
	}
	for what, values := range measured {
		limit := map[string]float64{"heap": heapMayGrow, "nodes": nodesMayGrow, "listeners": listenersMayGrow, "resident": workerMayGrow}[kind.FindString(what)]
		t.Logf("%s: %.0f at first, %.0f at last, %+.0f by the straight line through %d values", what, values.first(), values.last(), values.grows(), len(values.values))
		if values.grows() > limit {
			t.Errorf("%s grows by %.0f in %s, at most %.0f are fair", what, values.grows(), took.Round(time.Second), limit)
		}
	}
}

var kind = regexp.MustCompile(`\w+$`)

const (
	soakRefused = 8_200_001 // domain id of the first customer of those who are refused again and again
	soakPool    = 200
	soakReady   = 8_300_001 // of those who are activated, each once
)

// feed announces 25 customers a second, each of which makes two events: three who are refused for each who is activated.
func feed(ctx context.Context, js jetstream.JetStream) error {
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		id := soakRefused + (n-n/4)%soakPool
		if n%4 == 3 {
			id = soakReady + n/4
		}
		if _, err := js.PublishAsync(intake, fmt.Appendf(nil, `{"domainId":%d,"reference":"soak-%d"}`, id, n)); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// weight is what a page holds after a collection of its garbage.
func (b *tab) weight() (heap, nodes, listeners float64) {
	b.t.Helper()
	type counts struct{ heap, nodes, listeners float64 }
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	got, err := chromedp.Run(ctx, func(ctx context.Context, target *chromedp.Target) (counts, error) {
		if _, err := cdp.Call(ctx, target, heapprofiler.CollectGarbage, cdp.Empty{}); err != nil {
			return counts{}, err
		}
		usage, err := cdp.Call(ctx, target, runtime.GetHeapUsage, cdp.Empty{})
		if err != nil {
			return counts{}, err
		}
		dom, err := cdp.Call(ctx, target, memory.GetDOMCounters, cdp.Empty{})
		return counts{usage.UsedSize + usage.EmbedderHeapUsedSize + usage.BackingStorageSize, float64(dom.Nodes), float64(dom.JsEventListeners)}, err
	})
	if err != nil {
		b.t.Fatalf("weighing the page: %v", err)
	}
	return got.heap, got.nodes, got.listeners
}

var residentLine = regexp.MustCompile(`RssAnon:\s+(\d+) kB`)

// resident is the memory of a process that stands in RAM and is no file's.
func resident(t testing.TB, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	found := residentLine.FindSubmatch(text)
	if found == nil {
		t.Fatalf("no RssAnon in the status of the worker: %s", text)
	}
	kb, _ := strconv.ParseFloat(string(found[1]), 64) // digits
	return kb * 1024
}
