package main

import (
	"bytes"
	"encoding/base64"
	little "encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"activation-worker/internal/partnerapi/simulator"
)

// What the echoing partner says of every customer: whose it is, and words by which its text is found again.
const (
	echoWords   = "so says the echo"
	echoCompany = "Xylophon Hisho"
	echoName    = "Quendolin"
	echoMail    = "quendolin@xylophon.example"
	echoPhone   = "090-7741-9983"
)

// echoing is a partner that repeats whatever it was given, as it came and encoded, in every place that is read: to each customer by the
// last digit of its id in another way. Look-ups and good tokens come from a simulator.
type echoing struct {
	*simulator.Simulator
	refuse atomic.Bool // tokens
}

// echoes puts an echoing partner before the site's.
func (s *site) echoes() *echoing {
	s.t.Helper()
	e := &echoing{Simulator: s.partner.Simulator}
	server := httptest.NewServer(e)
	s.t.Cleanup(server.Close)
	s.partner.url = server.URL
	return e
}

func (e *echoing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	switch form, _ := url.ParseQuery(string(body)); {
	case r.URL.Path == simulator.TokenPath && e.refuse.Load():
		repeat(w, http.StatusBadRequest, form.Get("assertion"), form.Get("client_secret"))
	case strings.HasSuffix(r.URL.Path, "/activate"):
		e.activate(w, r)
	default:
		e.Simulator.ServeHTTP(w, r)
	}
}

// activate answers in the way that the last digit of the customer's id names.
func (e *echoing) activate(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	path := strings.TrimSuffix(r.URL.Path, "/activate")
	switch digit := path[len(path)-1]; digit {
	case '0': // activated, and something follows that nobody asked for
		seen := httptest.NewRecorder()
		e.Simulator.ServeHTTP(seen, r)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%sHTTP/1.1 200 OK\r\nX-A: %s %s %s\r\n\r\n", seen.Body.Len(), seen.Body, token, echoName, echoMail)
	case '1':
		_, _ = fmt.Fprintf(w, "%s %s %s", token, echoName, echoMail)
	case '2':
		w.Header().Set("Location", "https://"+echoName+":"+url.QueryEscape(token)+"@evil.example/?"+url.QueryEscape(token))
		w.WriteHeader(http.StatusTemporaryRedirect)
	case '3':
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = fmt.Fprintf(conn, "%s %s\r\n", token, echoName)
		_ = conn.Close()
	case '4':
		repeat(w, http.StatusInternalServerError, token)
	case '5':
		repeat(w, http.StatusForbidden, token)
	case '6':
		w.Header().Set("Retry-After", "1")
		repeat(w, http.StatusTooManyRequests, token)
	default:
		repeat(w, http.StatusBadRequest, token)
	}
}

// repeat is an error body and headers that hold secrets in all their forms and somebody's personal data.
func repeat(w http.ResponseWriter, status int, secrets ...string) {
	var said []string
	for _, s := range secrets {
		said = append(said, forms(s)...)
	}
	text := fmt.Sprintf("%s %s of %s %s %s: ", echoWords, echoName, echoCompany, echoMail, echoPhone)
	w.Header().Set("X-Request-Id", echoMail)
	w.Header().Set("X-Trace", secrets[0])
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{
		"code": secrets[0], "error": strings.Trim(base64.RawURLEncoding.EncodeToString([]byte(secrets[0])), "=")[:40],
		"description": text + strings.Join(said, " "), "message": echoMail,
	})
}

// forms are the ways in which a secret may come out.
func forms(secret string) []string {
	quoted := strconv.Quote(secret)
	all := []string{secret, url.QueryEscape(secret), strings.ReplaceAll(secret, "/", `\/`), quoted[1 : len(quoted)-1]}
	for skip := range min(3, len(secret)) {
		rest := secret[skip:]
		all = append(all, base64.StdEncoding.EncodeToString([]byte(rest[:len(rest)/3*3])), base64.URLEncoding.EncodeToString([]byte(rest[:len(rest)/3*3])))
	}
	return all
}

// words are the numbers by which a stack dump would show parts of a secret: arguments and registers, eight bytes each.
func words(secret string) (all []string) {
	for i := 0; i+8 <= len(secret); i++ {
		all = append(all, fmt.Sprintf("0x%x", little.LittleEndian.Uint64([]byte(secret[i:i+8]))))
	}
	return all
}

// hidden fails if a text holds a secret or a part of one, in any form, or a dump a number that is a part of one.
func hidden(t *testing.T, what, text string, secrets []string) {
	t.Helper()
	const part = 16
	parts := map[string]bool{}
	for i := 0; i+part <= len(text); i++ {
		parts[text[i:i+part]] = true
	}
	for n, secret := range secrets {
		for _, form := range forms(secret) {
			if len(form) < part && strings.Contains(text, form) {
				t.Errorf("%s holds secret %d", what, n)
			}
			for i := 0; i+part <= len(form); i++ {
				if parts[form[i:i+part]] {
					t.Errorf("%s holds %d bytes of secret %d: %.4s…", what, part, n, form[i:])
					return
				}
			}
		}
		if strings.Contains(text, "goroutine ") {
			without(t, what+" (as a number)", text, words(secret))
		}
	}
}
