package partnerapi

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// gate stands between a connection and the write of one request. The transport calls gotConn in the goroutine that
// sends, once the connection stands, and again if it means to use another one.
//
// It means to where nothing could be written to the first, which is welcome; but also
//   - with HTTP/1.1, for a GET on a connection that was kept and then closed before an answer came,
//   - with HTTP/2, for every method without a body, an activate too, on a stream that the server refused, ended with a
//     protocol error, or left out of its GOAWAY. A server, or what stands before it, may do so with a request that it has
//     carried out.
//
// Those are further requests of the transport's own making, and the gate forbids them.
type gate struct {
	ctx      context.Context
	cancel   context.CancelCauseFunc
	method   string
	now      func() time.Time
	deadline time.Time
	starting func() bool
	sent     int
	before   int // requests written before this one
	late     bool

	shared  bool        // the last connection is one of HTTP/2
	written atomic.Bool // to a connection of HTTP/2; by the goroutine that writes there
}

// gotConn lets the write begin or sees to it that none can. With HTTP/1.1 the connection is closed for that; one of
// HTTP/2 carries others' requests too, and there nothing is written for a context that has ended. Ending it keeps the
// transport from trying one connection after the other as well.
func (g *gate) gotConn(info httptrace.GotConnInfo) {
	g.shared = isHTTP2(info.Conn)
	again := g.written.Load() || !g.shared && g.sent > g.before && g.method == http.MethodGet
	if g.late = !again && !g.now().Before(g.deadline); !g.late && !again && g.ctx.Err() == nil {
		if g.late = g.starting != nil && !g.starting(); !g.late {
			g.sent++
			return
		}
	}
	if !g.shared {
		_ = info.Conn.Close()
	}
	if again {
		g.cancel(errAgain)
	} else {
		g.cancel(errLate)
	}
}

// wroteHeaders notes that the request, which is nothing but its head, may have reached the partner. With HTTP/1.1 the
// transport itself knows whether any byte was written, and calls this too early.
func (g *gate) wroteHeaders() {
	if g.shared {
		g.written.Store(true)
	}
}

func isHTTP2(conn net.Conn) bool {
	secured, ok := conn.(*tls.Conn)
	return ok && secured.ConnectionState().NegotiatedProtocol == "h2"
}
