package partnerapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// TestNothingConfidentialLeaves lets a partner repeat every secret that it was
// given wherever it can, and searches all that comes out.
func TestNothingConfidentialLeaves(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	secrets := []string{clientSecret, "aki.mori@mail.example", "090-5550-0142", "5550-0142"}
	for line := range strings.Lines(pemPKCS8(t)) {
		if !strings.HasPrefix(line, "-----") {
			secrets = append(secrets, strings.TrimSpace(line))
		}
	}
	gave := func(s string) string {
		mu.Lock()
		defer mu.Unlock()
		secrets = append(secrets, s)
		return s
	}
	// echo answers with all it has, in every member and header that is read.
	echo := func(w http.ResponseWriter, status int, said string) {
		w.Header().Set("X-Request-Id", said)
		w.Header().Set("Location", "https://evil.example/?"+said)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{
			"code": strings.TrimPrefix(said, "Bearer "), "error": said,
			"description": said + " aki.mori@mail.example 090-5550-0142 " + pemPKCS8(t), "message": said,
		})
	}
	core, logs := observer.New(zapcore.DebugLevel)
	var told hearsay
	tokens := 0
	var texts []string
	for _, authStatus := range []int{0, 307, 400, 429, 500} {
		for _, apiStatus := range []int{200, 307, 400, 401, 403, 429, 500, 999} {
			var p *partner
			p = newPartner(t, func(w http.ResponseWriter, r *http.Request) {
				if apiStatus == 999 { // garbage instead of HTTP
					conn, _, _ := w.(http.Hijacker).Hijack()
					_, _ = fmt.Fprintf(conn, "%s\r\n\r\n", r.Header.Get("Authorization"))
					_ = conn.Close()
					return
				}
				echo(w, apiStatus, r.Header.Get("Authorization"))
			}, func(w http.ResponseWriter, r *http.Request) {
				assertion := gave(r.FormValue("assertion"))
				if authStatus != 0 && p.fetches.Load() > 1 || authStatus == 307 {
					echo(w, authStatus, assertion+" "+r.FormValue("client_secret"))
					return
				}
				mu.Lock()
				tokens++
				mu.Unlock()
				fmt.Fprintf(w, `{"access_token":%q,"refresh_token":%q}`,
					gave(fmt.Sprintf("jp1AAAq7xZ+/%dabcdef==", tokens)), gave(fmt.Sprintf("jp1REFRESHxZ+/%dabcdef==", tokens)))
			})
			c := p.client(t, func(c *Config) { c.Log, c.Observer = zap.New(core), &told })
			_, errActivate := c.Activate(t.Context(), ourID, Call{})
			_, errCustomer := c.Customer(t.Context(), ourID, Call{})
			for _, err := range []error{errActivate, errCustomer, c.CanList(t.Context(), Call{})} {
				e, ok := errors.AsType[*Error](err)
				if !ok {
					t.Fatalf("%d %d: %v", authStatus, apiStatus, err)
				}
				texts = append(texts, fmt.Sprintf("%v | %+v | %v", e, *e, e.Unwrap()))
				if e.PartnerText != "" && strings.Contains(e.Error(), e.PartnerText) {
					t.Errorf("the error's text holds the partner's: %v", e)
				}
			}
		}
	}
	for _, entry := range logs.All() {
		texts = append(texts, fmt.Sprintf("%s %v", entry.Message, entry.ContextMap()))
	}
	texts = append(texts, told.all()...)
	all := strings.Join(texts, "\n")
	for _, s := range secrets {
		if i := strings.Index(all, s); i >= 0 {
			t.Errorf("%.20q… leaves: …%.200q", s, all[max(0, i-80):])
		}
	}
	if len(texts) < 120 || len(secrets) < 100 {
		t.Errorf("only %d texts and %d secrets were searched", len(texts), len(secrets))
	}
}
