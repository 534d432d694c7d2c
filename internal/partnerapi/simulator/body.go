package simulator

import (
	"bytes"
	"compress/gzip"
)

// byteRules are the faults in the bytes and the head of an answer.
func byteRules() []rule {
	return []rule{
		{name: "text-plain", help: "Content-Type is text/plain", set: encoded(false, func(a *answer) { a.header["Content-Type"] = []string{"text/plain"} })},
		{name: "no-type", help: "there is no Content-Type", set: encoded(false, func(a *answer) { a.header["Content-Type"] = nil })},
		{name: "bom", help: "a byte order mark before the JSON", set: encoded(false, func(a *answer) { a.body = append([]byte("\ufeff"), a.body...) })},
		{name: "gzip", help: "compressed, asked for or not", set: encoded(false, compress)},
		{name: "trailing", help: "more after the JSON", set: encoded(false, func(a *answer) { a.body = append(a.body, "\n<!-- served by edge 7 -->{"...) })},
		{name: "half-json", help: "the JSON ends early, in an answer that is whole", set: encoded(true, func(a *answer) { a.body = a.body[:len(a.body)*2/3] })},
		{name: "not-json", help: "a body that is no JSON", set: encoded(true, func(a *answer) { a.body = []byte("OK") })},
		{name: "array", help: "the object stands in an array", set: encoded(true, func(a *answer) {
			a.body = append(append([]byte("["), a.body...), ']')
		})},
		{name: "html", help: "200 with a page", set: encoded(true, func(a *answer) {
			a.header["Content-Type"], a.body = []string{"text/html"}, []byte("<!DOCTYPE html><html><body>Maintenance</body></html>")
		})},
		{name: "no-body", help: "200 and no body", set: encoded(true, func(a *answer) { a.header["Content-Type"], a.body = nil, nil })},
		{name: "no-rate-headers", help: "the rate limit headers are missing", set: func(p *plan, _ string) error {
			p.bare = true
			return nil
		}},
		{name: "more-remaining", help: "more seems to remain than before", set: encoded(false, func(a *answer) {
			spelled := map[string][]string(a.header) // the partner's spelling is not Go's
			if limit, ok := spelled["rateLimit-limit"]; ok {
				spelled["rateLimit-remaining"] = limit
			}
		})},
	}
}

// encoded is a fault in the bytes; a blind one makes unreadable what the answer tells.
func encoded(blind bool, how func(*answer)) func(*plan, string) error {
	return func(p *plan, _ string) error {
		p.bytes, p.blind = append(p.bytes, how), p.blind || blind
		return nil
	}
}

func compress(a *answer) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(a.body) // a bytes.Buffer never fails
	_ = w.Close()
	a.header["Content-Encoding"], a.body = []string{"gzip"}, b.Bytes()
}
