package partnerapi

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
)

// TestAnAnswerCutOffAnywhere: the connection is closed after each number of bytes of an answer. What was asked is done only where
// both fields have come whole; before, it is unclear, and never a plain no.
func TestAnAnswerCutOffAnywhere(t *testing.T) {
	t.Parallel()
	whole := answer200(activeObject)
	certain := strings.Index(whole, `true`) + len(`true`)
	var cut atomic.Int64
	base := rawPartner(t, func(_ context.Context, conn net.Conn) {
		_, _ = io.WriteString(conn, whole[:cut.Load()])
	})
	c := clientAt(t, base)
	for n := range len(whole) + 1 {
		cut.Store(int64(n))
		got, err := c.Activate(t.Context(), ourID, Call{})
		if n >= certain {
			if err != nil || !got.Active || (got.Object == nil) != (n < len(whole)) {
				t.Errorf("cut after %d of %d bytes: %+v, %v", n, len(whole), got, err)
			}
			continue
		}
		if e := failed(t, err, Unclear); !e.MaybeApplied() || e.Sent != 1 || e.Trouble == "" {
			t.Errorf("cut after %d bytes: %+v", n, e)
		}
		_, err = c.Customer(t.Context(), ourID, Call{})
		failed(t, err, Unclear)
	}
}

// TestAnIDCutOffIsNobodys: what is left of another customer's id may look like ours.
func TestAnIDCutOffIsNobodys(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		fmt.Sprintf(`{"enableActiveDomain":true,"domainId":%d`, ourID),
		fmt.Sprintf("\xef\xbb\xbf"+`{"enableActiveDomain":true,"domainId":%d`, ourID),
		fmt.Sprintf(`{"enableActiveDomain":true,"domainId":"%d`, ourID),
	} {
		head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body)+50)
		c := clientAt(t, rawPartner(t, func(_ context.Context, conn net.Conn) { _, _ = io.WriteString(conn, head+body) }))
		got, err := c.Activate(t.Context(), ourID, Call{})
		if err == nil {
			t.Errorf("%q is taken for ours: %+v", body, got)
			continue
		}
		failed(t, err, Unclear)
	}
}

// TestATokenCutOffAnywhere: half a token is none, and no call is made with it.
func TestATokenCutOffAnywhere(t *testing.T) {
	t.Parallel()
	whole := answer200(`{"access_token":"jp1AAABq7xZ+f/rEsh8Qm==","token_type":"Bearer","expires_in":"86400","scope":"partner"}`)
	var cut atomic.Int64
	base := rawPartner(t, func(_ context.Context, conn net.Conn) { _, _ = io.WriteString(conn, whole[:cut.Load()]) })
	for n := range len(whole) {
		cut.Store(int64(n))
		c := newPartner(t, nil, nil).client(t, func(cfg *Config) { cfg.TokenURL = base + "/token" })
		if e := failed(t, c.EnsureToken(t.Context()), Token); e.Credentials {
			t.Fatalf("cut after %d of %d bytes: %+v", n, len(whole), e)
		}
	}
}
