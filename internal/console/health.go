// Package console serves what people and probes look at over HTTP: whether the process
// lives and whether it is ready. It decides nothing; the checks come from the parts.
package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Check is one thing that must hold for the worker to be ready.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"` // what is, and where it does not hold what to do
	// For is the check that this one fails for alone, if any: where that one is left out, this one is no failure either.
	For string `json:"-"`
}

const (
	checkTimeout  = 3 * time.Second
	shutdownGrace = time.Second
)

// Handler serves /livez, which is 200 while the process works, and /readyz, which is 200
// or 503 with {"ready":bool,"checks":[{"name","ok","detail"}]}; ?exclude=a,b leaves
// checks out, and what fails for them alone.
func Handler(checks func(context.Context) []Check) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]bool{"alive": true})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
		defer cancel()
		excluded := strings.Split(strings.Join(r.URL.Query()["exclude"], ","), ",")
		body := struct {
			Ready  bool    `json:"ready"`
			Checks []Check `json:"checks"`
		}{Ready: true, Checks: []Check{}}
		for _, c := range checks(ctx) {
			if slices.Contains(excluded, c.Name) {
				continue
			}
			body.Ready = body.Ready && (c.OK || c.For != "" && slices.Contains(excluded, c.For))
			body.Checks = append(body.Checks, c)
		}
		status := http.StatusOK
		if !body.Ready {
			status = http.StatusServiceUnavailable
		}
		answer(w, status, body)
	})
	return mux
}

func answer(w http.ResponseWriter, status int, body any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(body) // the caller has gone: nobody to tell
}

// Server is an HTTP server that is listening.
type Server struct {
	http *http.Server
	addr net.Addr
	done chan struct{}
}

// Listen serves h at an address until Close. The error names the setting.
func Listen(ctx context.Context, setting, addr string, h http.Handler, log *zap.Logger) (*Server, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot listen on %s: %w", setting, addr, err)
	}
	s := &Server{
		http: &http.Server{
			Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
			WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
			ErrorLog: zap.NewStdLog(log.Named("http")),
		},
		addr: l.Addr(), done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("http server ended", zap.Error(err))
		}
	}()
	return s, nil
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
