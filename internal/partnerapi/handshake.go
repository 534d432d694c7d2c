package partnerapi

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http/httptrace"
	"sync/atomic"
)

var errHandshake = errors.New("the TLS handshake failed")

// handshake notes whether TLS failed on the way to a connection. Of many such failures, a server that is too old among
// them, the transport returns errors that have no type to tell them by.
type handshake struct{ failed atomic.Bool }

// watch returns a context for the transport that reports to h.
func (h *handshake) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{TLSHandshakeDone: h.done})
}

// done is what a trace calls; of other goroutines too.
func (h *handshake) done(_ tls.ConnectionState, err error) {
	if err != nil {
		h.failed.Store(true)
	}
}

// mark adds to the transport's error that it is one of TLS.
func (h *handshake) mark(err error) error {
	if h.failed.Load() {
		return errors.Join(errHandshake, err)
	}
	return err
}
