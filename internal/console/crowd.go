package console

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// crowd keeps a server's connections few. A probe opens a connection and has its answer in a moment; who is there for
// the longest is idle, slow, or up to no good. So a new one is let in, and the oldest has to go.
type crowd struct {
	most int

	mu   sync.Mutex
	open *list.List // of net.Conn, the oldest first
	at   map[net.Conn]*list.Element
}

func newCrowd(most int) *crowd {
	return &crowd{most: most, open: list.New(), at: map[net.Conn]*list.Element{}}
}

// watch is told by the server what becomes of each connection.
func (c *crowd) watch(conn net.Conn, state http.ConnState) {
	if state == http.StateActive || state == http.StateIdle {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.at[conn] = c.open.PushBack(conn)
		if c.open.Len() > c.most {
			_ = c.leave(c.open.Front()).Close() // the server notices, and tells us again
		}
	case http.StateClosed, http.StateHijacked:
		if e := c.at[conn]; e != nil {
			c.leave(e)
		}
	}
}

// leave takes out a connection.
func (c *crowd) leave(e *list.Element) net.Conn {
	conn, _ := c.open.Remove(e).(net.Conn)
	delete(c.at, conn)
	return conn
}
