package metrics

import (
	"net/http"
	"testing"
	"time"
)

// hot are the observations that are made for each customer or request.
func hot() map[string]func(m *Metrics) {
	return map[string]func(m *Metrics){
		"Requested": func(m *Metrics) { m.Requested("activate", http.StatusOK, "ok", 137*time.Millisecond) },
		"Recorded":  func(m *Metrics) { m.Recorded("activated", "activate", "", 250*time.Millisecond, 3*time.Second) },
		"Waited":    func(m *Metrics) { m.Waited("fresh", 20*time.Millisecond) },
		"Woken":     func(m *Metrics) { m.Woken("due", 900*time.Millisecond) },
		"Looked":    func(m *Metrics) { m.Looked("missing") },
	}
}

func TestObservationsTakeNoMemory(t *testing.T) { //nolint:paralleltest // it counts the process's allocations
	m := New("", "", State{})
	for name, observe := range hot() {
		if n := testing.AllocsPerRun(1000, func() { observe(m) }); n > 0 {
			t.Errorf("%s makes %.1f allocations", name, n)
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	for name, observe := range hot() {
		b.Run(name, func(b *testing.B) {
			m := New("", "", State{})
			b.ReportAllocs()
			for b.Loop() {
				observe(m)
			}
		})
	}
}

func BenchmarkScrape(b *testing.B) {
	m := everything()
	b.ReportAllocs()
	for b.Loop() {
		scrape(b, m)
	}
}
