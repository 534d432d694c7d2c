package audit_test

import (
	"strings"
	"testing"
)

// TestMoreIsKeptThanBefore: after the limit was raised it is not known any more which records have made way.
func TestMoreIsKeptThanBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.customer().announce()
	for range 18 {
		c.slowDown()
	}
	w.acknowledge()
	w.calls = nil
	if r := w.audit(); r.Breached > 0 || len(r.Notes) > 0 {
		t.Fatalf("before: %+v, notes %q", r.Breaches, r.Notes)
	}
	stream, err := w.js.Stream(w.ctx(), w.layout.Streams.Ledger)
	w.must(err)
	config := stream.CachedInfo().Config
	config.MaxMsgsPerSubject = 32
	_, err = w.js.UpdateStream(w.ctx(), config)
	w.must(err)
	c.slowDown()
	r := w.audit()
	wantBreaches(t, r, nil)
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "1 customers miss old records") {
		t.Errorf("notes %q", r.Notes)
	}
}
