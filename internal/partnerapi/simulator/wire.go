package simulator

import (
	"crypto/tls"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
)

// wire is how an answer goes out.
type wire int

const (
	wireWhole       wire = iota
	wireResetBefore      // reset, nothing read or done
	wireLost             // reset instead of an answer
	wireResetMid         // reset within the head of the answer
	wireCut              // closed in the middle of the body
	wireSilence          // the head, then nothing
	wireMute             // nothing
)

// perform carries a request out, unless its plan says otherwise, and answers it.
func (s *Simulator) perform(w http.ResponseWriter, req *request) {
	p := req.plan
	if p.wire == wireResetBefore {
		s.finish(req, 0, ToldNothing, true)
		reset(w, "")
		return
	}
	body, err := readBody(req.Request)
	latency := s.opts.Latency
	if req.op == OpToken {
		latency = 0
	}
	// The caller may leave meanwhile: the partner does not notice, and carries on.
	if err != nil || !s.wait(latency+p.late.pick(req.draw), nil) {
		s.finish(req, 0, ToldNothing, true)
		panic(http.ErrAbortHandler)
	}
	req.body = body
	if len(p.before) > 0 {
		s.meet(req.id)
	}
	for _, change := range p.before {
		change(s, req)
	}
	var a answer
	if p.instead == nil || p.applied {
		a = req.handle(s, req)
	}
	if p.instead != nil {
		a = p.instead(req)
	}
	if !s.wait(p.slow.pick(req.draw), req.Context().Done()) {
		s.finish(req, a.status, ToldNothing, true)
		panic(http.ErrAbortHandler)
	}
	s.send(w, req, a)
}

// send renders an answer and lets it go out, whole or not.
func (s *Simulator) send(w http.ResponseWriter, req *request, a answer) {
	told := s.render(req, &a)
	whole := len(a.body)
	if req.plan.wire == wireCut {
		whole = max(whole, 2)
	}
	header := w.Header()
	maps.Copy(header, a.header)
	if a.status != http.StatusNoContent {
		header["Content-Length"] = []string{strconv.Itoa(whole)}
	}
	controller := http.NewResponseController(w)
	switch req.plan.wire {
	case wireLost, wireResetMid:
		s.finish(req, a.status, ToldNothing, true)
		begun := ""
		if req.plan.wire == wireResetMid {
			begun = "HTTP/1.1 " + strconv.Itoa(a.status) + " " + http.StatusText(a.status) + "\r\nContent-Type: application/json\r\n"
		}
		reset(w, begun)
	case wireCut:
		s.finish(req, a.status, ToldNothing, true)
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = controller.Flush()
		panic(http.ErrAbortHandler)
	case wireSilence, wireMute:
		if req.plan.wire == wireSilence {
			w.WriteHeader(a.status)
			_ = controller.Flush()
		}
		s.wait(longest, req.Context().Done())
		s.finish(req, a.status, ToldNothing, true)
		panic(http.ErrAbortHandler)
	default:
		s.finish(req, a.status, told, false)
		w.WriteHeader(a.status)
		_, err := w.Write(a.body)
		if err == nil {
			err = controller.Flush()
		}
		if err != nil || req.Context().Err() != nil {
			s.mu.Lock()
			s.journal.lost(req.call)
			s.mu.Unlock()
		}
	}
}

// render encodes the answer's object with the faults of the plan, and returns what it then tells of the customer asked for.
func (s *Simulator) render(req *request, a *answer) Told {
	if a.header == nil {
		a.header = http.Header{}
	}
	told := ToldNothing
	if a.object != nil {
		for _, change := range req.plan.data {
			a.object = change(a.object)
		}
		if a.customer && !req.plan.blind {
			told = ToldInactive
			for _, f := range a.object {
				if f.name == "enableActiveDomain" && f.value == true {
					told = ToldActive
				}
			}
		}
		a.body = a.object.encode(nil)
	}
	redirect := a.status >= 300 && a.status < 400
	if !req.plan.bare && !redirect && (a.status < 400 || !s.opts.Unknown.BareErrors) {
		req.rate.set(a.header, s.opts.Unknown.UsedHeader)
	}
	for _, change := range req.plan.bytes {
		change(a)
	}
	return told
}

// finish notes the end of a request. It comes before the answer goes out: the caller's next request must find this one done.
func (s *Simulator) finish(req *request, status int, told Told, lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if req.op != OpToken {
		s.quota.underWay--
	}
	s.journal.end(req.call, req.op, req.id, s.now(), status, told)
	if lost {
		s.journal.lost(req.call)
	}
}

// reset breaks the connection so that the caller sees "connection reset", after some bytes perhaps.
func reset(w http.ResponseWriter, begun string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_, _ = io.WriteString(conn, begun)
	if encrypted, ok := conn.(*tls.Conn); ok {
		conn = encrypted.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
