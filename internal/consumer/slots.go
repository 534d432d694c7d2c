package consumer

import (
	"context"
	"sync"
)

// slots bound what is handled at once. Their goroutines stay for the next message: one that is made for each would grow its stack
// anew every time.
type slots struct {
	taken   chan struct{}
	work    chan func()
	running sync.WaitGroup
}

func newSlots(most int) *slots {
	return &slots{taken: make(chan struct{}, most), work: make(chan func())}
}

// enter waits for a free one, and reports whether it is ours.
func (s *slots) enter(ctx context.Context) bool {
	select {
	case s.taken <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *slots) leave()    { <-s.taken }
func (s *slots) free() int { return cap(s.taken) - len(s.taken) }

// do has something done that leaves its slot in the end.
func (s *slots) do(what func()) {
	select {
	case s.work <- what:
	default: // nobody is idle
		s.running.Go(func() {
			what()
			for next := range s.work {
				next()
			}
		})
	}
}

// close waits for what is being done. Nothing may be begun any more.
func (s *slots) close() {
	close(s.work)
	s.running.Wait()
}
