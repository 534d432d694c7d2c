package main

import (
	"maps"
	"sync"
	"time"

	"activation-worker/internal/console"
)

const (
	// searchShare is how many times as long as a search took its answer is good for.
	searchShare  = 10
	searchesKept = 100
	// rejectionsTime bounds the reading of rejections for the page, which somebody waits for.
	rejectionsTime = 2 * time.Second
)

// searches are the last answers about customers without a record, each of which has taken the reading of much: who has the page of one open asks
// for it each second. The zero value is ready, and safe for concurrent use.
type searches struct {
	mu   sync.Mutex
	last map[int64]search
}

type search struct {
	found console.Customer
	until time.Time
}

func (s *searches) recall(domainID int64, now time.Time) (found console.Customer, good bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.last[domainID]
	return was.found, now.Before(was.until)
}

func (s *searches) keep(domainID int64, found console.Customer, began, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.last, func(_ int64, was search) bool { return !now.Before(was.until) })
	if s.last == nil || len(s.last) >= searchesKept {
		s.last = map[int64]search{}
	}
	s.last[domainID] = search{found, now.Add(searchShare * now.Sub(began))}
}
