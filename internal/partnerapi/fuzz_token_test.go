package partnerapi

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func mustBase(f *testing.F, raw string) *url.URL {
	f.Helper()
	u, err := checkURL(settingAPIURL, raw)
	if err != nil {
		f.Fatal(err)
	}
	return u
}

// roundTrip is a transport in one function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// FuzzTokenAnswer: the token endpoint's answer gives the token that encoding/json reads there, with a sensible end, or an error
// without a secret, which blames the credentials only where the answer does.
func FuzzTokenAnswer(f *testing.F) {
	needSeeds(f, "FuzzTokenAnswer")
	const assertion = "eyJhbGciOiJSUzI1NiJ9.c2lnbmVk.c2lnbmF0dXJl"
	now := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, status int, contentType, date, body string) {
		asked := 0
		tok := newTokens(Config{
			Observer: nobody{},
			TokenURL: "https://auth.worksmobile.com/oauth2/v2.0/token", ClientID: clientID, Scope: "partner", Timeout: time.Minute,
			Now: func() time.Time { return now },
		}, roundTrip(func(r *http.Request) (*http.Response, error) {
			asked++
			if r.URL.Host != "auth.worksmobile.com" {
				t.Errorf("asked %s", r.URL)
			}
			return &http.Response{
				StatusCode: status, Request: r, Body: io.NopCloser(strings.NewReader(body)),
				Header: http.Header{"Content-Type": {contentType}, "Date": {date}, "Location": {"https://evil.example/"}},
			}, nil
		}))
		defer tok.close()
		tok.vault.hold("client_secret", clientSecret)
		tok.vault.hold("assertion", assertion)
		got, fail, again := tok.exchange(context.Background(), clientSecret, assertion)
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		var said map[string]any
		_ = json.NewDecoder(strings.NewReader(strings.TrimPrefix(body, "\ufeff"))).Decode(&said)
		written, _ := said["access_token"].(string)
		if fail == nil {
			if status/100 != 2 || got.value != written || !headerSafe(got.value) || got.fixed || again {
				t.Errorf("status %d and %q give the token %+v", status, body, got)
			}
			if life := got.expires.Sub(now); life < time.Second || life > longestLife || got.renewAt.Before(now) || got.renewAt.After(got.expires) {
				t.Errorf("the token lasts %v and is renewed after %v", life, got.renewAt.Sub(now))
			}
			if scope, _ := said["scope"].(string); strings.Trim(scope, " ,") != "" && !slices.Contains(strings.FieldsFunc(scope, func(r rune) bool { return r == ' ' || r == ',' }), "partner") {
				t.Errorf("granted for %q", scope)
			}
			return
		}
		secrets := []string{clientSecret, assertion}
		for _, name := range []string{"access_token", "refresh_token"} {
			if s, _ := said[name].(string); len(s) >= window {
				secrets = append(secrets, s)
			}
		}
		checkRecordable(t, fail, secrets...)
		if fail.Kind != Token || fail.Op != OpToken || fail.Status != status || again && !fail.Credentials {
			t.Errorf("the failure is %+v", fail)
		}
		if _, lasting := lastingCodes[fail.Code]; fail.Credentials && status/100 != 4 && !lasting && fail.Code != "99" && fail.Code != "invalid_grant" && status/100 != 2 {
			t.Errorf("status %d, code %q is blamed on the credentials", status, fail.Code)
		}
		if text := fail.Error(); len(text) > 600 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("the error reads %q", text)
		}
	})
}

// FuzzPrivateKey: a key is an RSA key that signs an assertion which its public half confirms, or an error that shows nothing of it.
func FuzzPrivateKey(f *testing.F) {
	whole := pemPKCS8(f)
	f.Add(whole)
	f.Add(strings.ReplaceAll(whole, "\n", `\n`))
	f.Add(strings.ReplaceAll(whole, "\n", `\r\n`) + "  ")
	f.Add("comment\n" + whole + whole)
	f.Add(strings.ReplaceAll(whole, "PRIVATE", "PUBLIC"))
	f.Add(whole[:len(whole)/2])
	f.Add(string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(signingKey())})))
	f.Add(string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte("x")})))
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(curve)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	f.Add("")
	f.Add("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----")
	now := time.Now()
	tok := newTokens(Config{Observer: nobody{}, ClientID: clientID, ServiceAccount: account, Now: func() time.Time { return now }}, nil)
	f.Cleanup(tok.close)
	_, none := tok.sign("")
	f.Fuzz(func(t *testing.T, text string) {
		key := unfold(text)
		assertion, fail := tok.sign(key)
		if fail != nil {
			if !fail.Credentials || fail.Op != OpToken || assertion != "" {
				t.Errorf("the failure is %+v", fail)
			}
			if text := fail.Error(); text != none.Error() && text != "partner token: "+settingKey+" cannot sign: make a new key in the Developer Console" {
				t.Errorf("the error depends on the key: %q", text)
			}
			return
		}
		block, _ := pem.Decode([]byte(key))
		if block == nil {
			t.Fatalf("signed with what is no PEM: %q", key)
		}
		signer, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			other, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				t.Fatalf("signed with what is no key: %v", err)
			}
			signer, _ = other.(*rsa.PrivateKey)
		}
		claims := jwt.MapClaims{}
		if _, err := jwt.ParseWithClaims(assertion, claims, func(*jwt.Token) (any, error) { return &signer.PublicKey, nil }, jwt.WithValidMethods([]string{"RS256"})); err != nil {
			t.Fatalf("the assertion is not confirmed: %v", err)
		}
		if claims["iss"] != clientID || claims["sub"] != account || len(claims) != 4 {
			t.Errorf("claims %v", claims)
		}
	})
}
