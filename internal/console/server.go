package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
)

// bounds of what clients may take. Requests are small and answered in a moment; handlers that need longer set their own deadlines.
type bounds struct {
	header, read, write, idle time.Duration
}

var usualBounds = bounds{
	header: 5 * time.Second,
	read:   10 * time.Second,
	write:  10 * time.Second, // longer than checkTimeout
	idle:   time.Minute,
}

const (
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
	return listen(ctx, setting, addr, h, log, usualBounds)
}

func listen(ctx context.Context, setting, addr string, h http.Handler, log *zap.Logger, b bounds) (*Server, error) {
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
	closing := make(chan struct{})
	s := &Server{
		http: &http.Server{
			Handler: guarded(h), ReadHeaderTimeout: b.header, ReadTimeout: b.read,
			WriteTimeout: b.write, IdleTimeout: b.idle, MaxHeaderBytes: headerBytes,
			ConnState: visitors.watch, DisableGeneralOptionsHandler: true,
			BaseContext: func(net.Listener) context.Context {
				return context.WithValue(context.WithoutCancel(ctx), closingKey{}, closing)
			},
			ErrorLog: trouble,
		},
		crowd: visitors, addr: l.Addr(), done: make(chan struct{}),
	}
	s.http.RegisterOnShutdown(sync.OnceFunc(func() { close(closing) }))
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("http server ended", zap.Error(err))
		}
	}()
	return s, nil
}

// closingKey is the key, in the contexts of a server's requests, of a channel that is closed when the server begins to close.
type closingKey struct{}

// closing is for an answer that has no end of its own. One that has is given a moment.
func closing(r *http.Request) <-chan struct{} {
	begun, _ := r.Context().Value(closingKey{}).(chan struct{})
	return begun
}

// guarded tells browsers to make nothing of what is served: no page of another site shows it in a frame, guesses at its
// type or keeps it.
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
		h.ServeHTTP(w, r)
	})
}

// readOnly serves what is only read.
func readOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
