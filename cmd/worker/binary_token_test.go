package main

import (
	"testing"
	"time"

	"activation-worker/internal/partnerapi/simulator"
)

// TestAnIdleWorkersTokenIsRenewed: nobody is waiting, and yet there is a token whenever somebody comes.
func TestAnIdleWorkersTokenIsRenewed(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	s.partner = newPartner(t, simulator.Options{TokenLifetime: 7 * time.Second})
	w := startWorker(t, s.env()...)
	w.AwaitReady(startTimeout)
	if !eventually(t, workTimeout, func() bool { return s.partner.Journal().Tokens >= 3 }) {
		t.Errorf("%d tokens", s.partner.Journal().Tokens)
	}
	if calls := s.partner.Journal().Calls; len(calls) != 0 {
		t.Errorf("they were for calls: %+v", calls)
	}
	w.stop()
}
