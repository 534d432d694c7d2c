package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// Bounds of what clients may take. Requests are small and answered in a moment, but for the checks of /readyz.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 10 * time.Second // longer than checkTimeout
	idleTimeout   = time.Minute
	headerBytes   = 16 << 10
	connections   = 100
	shutdownGrace = time.Second
)

// Server is an HTTP server that is listening.
type Server struct {
	http  *http.Server
	crowd *crowd
	addr  net.Addr
	done  chan struct{}
}

// Listen serves h at an address until Close. The error names the setting. Whatever clients do, there are at most a
// hundred connections, and a new one is served: it takes the place of the oldest.
func Listen(ctx context.Context, setting, addr string, h http.Handler, log *zap.Logger) (*Server, error) {
	trouble, err := zap.NewStdLogAt(log.Named("http"), zap.WarnLevel)
	if err != nil {
		return nil, fmt.Errorf("%s: its log: %w", setting, err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot listen on %s: %w", setting, addr, err)
	}
	visitors := newCrowd(connections)
	s := &Server{
		http: &http.Server{
			Handler: guarded(h), ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout,
			WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytes,
			ConnState: visitors.watch, DisableGeneralOptionsHandler: true,
			ErrorLog: trouble,
		},
		crowd: visitors, addr: l.Addr(), done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("http server ended", zap.Error(err))
		}
	}()
	return s, nil
}

// guarded serves what is only read, and tells browsers to make nothing of it: no page of another site shows it in a
// frame, guesses at its type or keeps it.
func guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Cache-Control":                "no-store",
			"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Referrer-Policy":              "no-referrer",
			"X-Content-Type-Options":       "nosniff",
			"X-Frame-Options":              "DENY",
		} {
			w.Header().Set(name, value)
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// Addr is where the server listens.
func (s *Server) Addr() string { return s.addr.String() }

// Close ends the server, giving running requests a moment.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	<-s.done
}
