package console

import "time"

// Limits are the bounds of what a client may take.
type Limits struct {
	ReadHeader, Read, Write, Idle time.Duration
	HeaderBytes                   int
}

// Limits shows what would take long to wait for.
func (s *Server) Limits() Limits {
	return Limits{s.http.ReadHeaderTimeout, s.http.ReadTimeout, s.http.WriteTimeout, s.http.IdleTimeout, s.http.MaxHeaderBytes}
}

// Open is how many connections there are.
func (s *Server) Open() int {
	s.crowd.mu.Lock()
	defer s.crowd.mu.Unlock()
	return s.crowd.open.Len()
}
