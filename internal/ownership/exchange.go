package ownership

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

const (
	edns0Size = 1232             // bytes that pass everywhere without fragments
	readSize  = 4096             // for servers that send more all the same
	patience  = time.Second      // before a question is sent once more
	forced    = time.Millisecond // the least time that a server gets
)

// What a server can do instead of answering, beside what the network does.
var (
	errLame       = errors.New("is not authoritative")
	errReferral   = errors.New("does not look up for others")
	errUnreadable = errors.New("sent something else than an answer")
)

// rcodeError is an answer that says only that there is none.
type rcodeError int

func (e rcodeError) Error() string {
	if text, ok := dns.RcodeToString[int(e)]; ok {
		return text
	}
	return fmt.Sprintf("RCODE %d", int(e))
}

// question is what is asked, and whether it goes to a server that has to know by itself.
type question struct {
	name   string // as in [Record]
	kind   uint16
	direct bool
}

// ask puts a question to servers in their order until one gives a usable answer; existing or not, both is one. Each gets its share
// of the time that ctx leaves. The error says for each server why not.
func ask(ctx context.Context, servers []string, q question) (*dns.Msg, error) {
	deadline, _ := ctx.Deadline()
	var failures []string
	for i, server := range servers {
		share := max(time.Until(deadline)/time.Duration(len(servers)-i), forced)
		answer, err := askOne(ctx, share, server, q)
		if err == nil {
			return answer, nil
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, context.Canceled
		}
		failures = append(failures, server+" "+reason(err))
	}
	return nil, errors.New(strings.Join(failures, ", "))
}

func askOne(ctx context.Context, share time.Duration, server string, q question) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, share)
	defer cancel()
	query := new(dns.Msg).SetQuestion(dns.Fqdn(q.name), q.kind) // with a random id
	query.RecursionDesired = !q.direct
	query.SetEdns0(edns0Size, false)
	answer, err := overUDP(ctx, server, query)
	if err == nil && answer.Truncated {
		answer, err = overTCP(ctx, server, query)
	}
	if err != nil {
		return nil, err
	}
	return answer, usable(answer, q.direct)
}

// overUDP sends a query, and once more when there is no answer for a while. The repeat does without EDNS0, which some servers and
// firewalls do not bear. What does not belong to the query is passed over: the true answer may still come.
func overUDP(ctx context.Context, server string, query *dns.Msg) (*dns.Msg, error) {
	conn, err := dial(ctx, "udp", server)
	if err != nil {
		return nil, err
	}
	defer conn.hangUp()
	if err := conn.WriteMsg(query); err != nil {
		return nil, err
	}
	plain := query.Copy()
	plain.Extra = nil
	last, _ := ctx.Deadline()
	limit := time.Now().Add(min(time.Until(last)/2, patience))
	for repeated := false; ; {
		if err := conn.SetReadDeadline(limit); err != nil {
			return nil, err
		}
		packet, err := conn.ReadMsgHeader(nil)
		timedOut := errors.Is(err, os.ErrDeadlineExceeded)
		if err != nil && !errors.Is(err, dns.ErrShortRead) && (repeated || !timedOut) {
			return nil, err
		}
		answer, belongs := read(query, packet)
		unversed := belongs && (answer.Rcode == dns.RcodeFormatError || answer.Rcode == dns.RcodeNotImplemented)
		if belongs && (repeated || !unversed) {
			return answer, nil
		}
		if timedOut || unversed {
			repeated, limit = true, last
			if err := conn.WriteMsg(plain); err != nil {
				return nil, err
			}
		}
	}
}

func overTCP(ctx context.Context, server string, query *dns.Msg) (*dns.Msg, error) {
	conn, err := dial(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	defer conn.hangUp()
	last, _ := ctx.Deadline()
	if err := conn.SetDeadline(last); err != nil {
		return nil, err
	}
	if err := conn.WriteMsg(query); err != nil {
		return nil, err
	}
	packet, err := conn.ReadMsgHeader(nil)
	if err != nil {
		return nil, err
	}
	answer, belongs := read(query, packet)
	if !belongs || answer.Truncated {
		return nil, errUnreadable
	}
	return answer, nil
}

// line is a connection that ends with its context.
type line struct {
	dns.Conn
	stop func() bool
}

func dial(ctx context.Context, network, server string) (*line, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	l := &line{Conn: dns.Conn{Conn: conn, UDPSize: readSize}}
	l.stop = context.AfterFunc(ctx, l.close)
	return l, nil
}

// close can say nothing that matters: whatever was to be read has been read.
func (l *line) close() { _ = l.Conn.Close() }

func (l *line) hangUp() {
	l.stop()
	l.close()
}

// read makes a message of a packet, and tells whether it belongs to the query: an answer with its id, to its question. One that says
// that the query could not be read may lack the question; one that was cut off may be unreadable from there on.
func read(query *dns.Msg, packet []byte) (answer *dns.Msg, belongs bool) {
	answer = new(dns.Msg)
	err := answer.Unpack(packet)
	if !answer.Response || answer.Id != query.Id || answer.Opcode != dns.OpcodeQuery {
		return nil, false
	}
	if err != nil {
		return answer, answer.Truncated
	}
	if len(answer.Question) == 0 {
		return answer, answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError
	}
	asked, got := query.Question[0], answer.Question[0]
	return answer, len(answer.Question) == 1 && got.Qtype == asked.Qtype && got.Qclass == asked.Qclass && strings.EqualFold(got.Name, asked.Name)
}

// usable tells whether an answer says something about the name: what it holds, or that there is nothing.
func usable(answer *dns.Msg, direct bool) error {
	switch {
	case answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError:
		return rcodeError(answer.Rcode)
	case direct && !answer.Authoritative:
		return errLame
	case answer.Rcode == dns.RcodeSuccess && len(answer.Answer) == 0 && has(answer.Ns, dns.TypeNS) && !has(answer.Ns, dns.TypeSOA):
		return errReferral
	}
	return nil
}

func has(records []dns.RR, kind uint16) bool {
	for _, rr := range records {
		if rr.Header().Rrtype == kind {
			return true
		}
	}
	return false
}

// reason says in a few words why a server gave no answer, the same ones each time: no ports, no times.
func reason(err error) string {
	for _, known := range []error{errLame, errReferral, errUnreadable} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if code, ok := errors.AsType[rcodeError](err); ok {
		return code.Error()
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	var timeout net.Error
	switch {
	// A context that ends closes the connection.
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, net.ErrClosed), errors.As(err, &timeout) && timeout.Timeout():
		return "timed out"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "hung up"
	}
	return "could not be asked"
}
