package console

import (
	"context"
	"io/fs"
	"net/http"
	"time"

	"go.uber.org/zap"
)

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

// ListenBriefly is Listen for a server that gives a request so long to come, and an answer to go.
func ListenBriefly(ctx context.Context, h http.Handler, within time.Duration, log *zap.Logger) (*Server, error) {
	return listen(ctx, "WORKER_CONSOLE_ADDR", "127.0.0.1:0", h, log, bounds{within, within, within, within})
}

// Pace is how often and how long things are done; what is zero is as usual.
type Pace struct{ Look, Beat, Send, Wait, Read, Replay time.Duration }

// PageAt is Page at another pace.
func PageAt(o PageOptions, speed Pace) http.Handler {
	to := usualPace
	for at, d := range map[*time.Duration]time.Duration{
		&to.look: speed.Look, &to.beat: speed.Beat, &to.send: speed.Send, &to.wait: speed.Wait, &to.read: speed.Read, &to.replay: speed.Replay,
	} {
		if d != 0 {
			*at = d
		}
	}
	return newPage(o, to)
}

// Assets are what the page has, by their paths.
func Assets() (map[string][]byte, error) {
	all, _, err := pageFiles()
	contents := map[string][]byte{}
	for name, a := range all {
		contents[name] = a.content
	}
	return contents, err
}

// AssetsOf are the types of a page with other files.
func AssetsOf(files fs.FS) (kinds map[string]string, depth int, err error) {
	all, depth, err := assets(files)
	kinds = map[string]string{}
	for name, a := range all {
		kinds[name] = a.kind
	}
	return kinds, depth, err
}
