package partnerapi

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	maxBody      = 8 << 20  // of a 2xx, decompressed
	maxErrorBody = 64 << 10 // of any other answer, and of the token endpoint
)

var errTooLong = errors.New("longer than is read")

// answer is what came back on one request.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	bodyErr error     // the body broke off, or is longer than is read
	at      time.Time // our wall clock when it was there
	sent    int       // requests of the call written so far
	limits  Limits    // what its headers say of them
}

// readAnswer reads resp up to its limit and closes it. It does not fail: an
// answer whose body broke off still has its status, which may decide alone.
func readAnswer(resp *http.Response) *answer {
	limit := int64(maxErrorBody)
	if resp.StatusCode/100 == 2 {
		limit = maxBody
	}
	body, err := readBody(resp.Body, limit, resp.ContentLength)
	_ = resp.Body.Close()
	return &answer{status: resp.StatusCode, header: resp.Header, body: body, bodyErr: err}
}

// readBody reads at most limit bytes, before and after decompression. A body is
// gzip if it begins so: some gateways compress unasked, some only claim to. The
// length that was announced, -1 for none, only spares making room again and again.
func readBody(r io.Reader, limit, announced int64) ([]byte, error) {
	in := bufio.NewReaderSize(io.LimitReader(r, limit+1), bytes.MinRead)
	var src io.Reader = in
	if magic, _ := in.Peek(2); string(magic) == "\x1f\x8b" {
		unzipped, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		src = unzipped
	}
	var body bytes.Buffer
	body.Grow(int(min(max(announced, 0), maxErrorBody)) + bytes.MinRead)
	_, err := body.ReadFrom(io.LimitReader(src, limit+1))
	if int64(body.Len()) > limit {
		return body.Bytes()[:limit], errTooLong
	}
	return body.Bytes(), err
}
