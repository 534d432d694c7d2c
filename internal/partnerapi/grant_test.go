package partnerapi

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// TestGrantRequest checks the form and, with another library, the assertion.
func TestGrantRequest(t *testing.T) {
	t.Parallel()
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(signingKey())}))
	for name, key := range map[string]string{
		"PKCS#8":                       pemPKCS8(t),
		"PKCS#1":                       pkcs1,
		"literal line ends":            strings.ReplaceAll(pemPKCS8(t), "\n", `\n`),
		"literal CR LF":                strings.ReplaceAll(pemPKCS8(t), "\n", `\r\n`),
		"blank lines around, and CRLF": "\n\n" + strings.ReplaceAll(pemPKCS8(t), "\n", "\r\n") + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clk := newClock()
			forms := make(chan url.Values, 1)
			c, _ := tokenClient(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost || r.URL.RawQuery != "" || r.Header.Get("Authorization") != "" ||
					r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.UserAgent() != "agent/1" {
					t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
				}
				_ = r.ParseForm()
				forms <- r.PostForm
				fmt.Fprint(w, `{"access_token":"abc","scope":"bot partner"}`)
			}, clk.use, func(c *Config) {
				c.Secrets = func() (Secrets, error) { return Secrets{ClientSecret: clientSecret + "\n", PrivateKey: key}, nil }
				c.Scope, c.UserAgent = "partner bot", "agent/1"
			})
			if err := c.EnsureToken(t.Context()); err != nil {
				t.Fatal(err)
			}
			form := <-forms
			assertion := form.Get("assertion")
			form.Del("assertion")
			want := url.Values{
				"client_id": {clientID}, "client_secret": {clientSecret}, "scope": {"partner bot"},
				"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"},
			}
			if form.Encode() != want.Encode() {
				t.Errorf("form %v", form)
			}
			checkAssertion(t, assertion, clk.Now())
		})
	}
}

func checkAssertion(t *testing.T, assertion string, now time.Time) {
	t.Helper()
	if strings.Contains(assertion, "=") {
		t.Error("the assertion is padded")
	}
	signed, err := jose.ParseSignedCompact(assertion, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := signed.Verify(&signingKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"exp":%d,"iat":%d,"iss":%q,"sub":%q}`, now.Unix()-60+900, now.Unix()-60, clientID, account)
	if string(payload) != want {
		t.Errorf("claims %s, wanted %s", payload, want)
	}
	if typ := signed.Signatures[0].Header.ExtraHeaders["typ"]; typ != "JWT" {
		t.Errorf("typ %v", typ)
	}
}

// TestCredentialsTrouble names the setting, never the content.
func TestCredentialsTrouble(t *testing.T) {
	t.Parallel()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	ecKey := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	const content = "TopSecretContent"
	for name, tc := range map[string]struct {
		secrets Secrets
		err     error
		id      string
		want    string
	}{
		"no PEM":             {Secrets{ClientSecret: "sssss", PrivateKey: content}, nil, clientID, "LINEWORKS_PRIVATE_KEY"},
		"PEM without a key":  {Secrets{ClientSecret: "sssss", PrivateKey: "-----BEGIN PRIVATE KEY-----\nVG9wU2VjcmV0Q29udGVudA==\n-----END PRIVATE KEY-----"}, nil, clientID, "LINEWORKS_PRIVATE_KEY"},
		"no RSA":             {Secrets{ClientSecret: "sssss", PrivateKey: ecKey}, nil, clientID, "LINEWORKS_PRIVATE_KEY"},
		"nothing":            {Secrets{}, nil, "", "LINEWORKS_CLIENT_ID, LINEWORKS_CLIENT_SECRET, LINEWORKS_PRIVATE_KEY"},
		"file missing":       {Secrets{}, fmt.Errorf("read %s: %w", content, &fs.PathError{Op: "open", Path: "/run/key.pem", Err: fs.ErrNotExist}), clientID, "/run/key.pem: file does not exist"},
		"unreadable":         {Secrets{}, errors.New(content), clientID, "LINEWORKS_PRIVATE_KEY"},
		"odd ready-made one": {Secrets{AccessToken: content + " " + content}, nil, clientID, "LINEWORKS_ACCESS_TOKEN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, p := tokenClient(t, nil, func(c *Config) {
				c.Secrets = func() (Secrets, error) { return tc.secrets, tc.err }
				c.ClientID = tc.id
			})
			e := failed(t, c.EnsureToken(t.Context()), Token)
			if !e.Credentials || !strings.Contains(e.Trouble, tc.want) || p.fetches.Load() != 0 {
				t.Errorf("%+v", e)
			}
			if dump := fmt.Sprintf("%v %+v %v", e, *e, e.Unwrap()); strings.Contains(dump, content) || strings.Contains(dump, "VG9w") {
				t.Errorf("shows the content: %s", dump)
			}
		})
	}
}

// TestSecretsAreReadAtEachFetch: a rotated secret is used without a restart.
func TestSecretsAreReadAtEachFetch(t *testing.T) {
	t.Parallel()
	clk := newClock()
	reads := 0
	seen := make(chan string, 2)
	c, _ := tokenClient(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.FormValue("client_secret")
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "abc", "expires_in": 60})
	}, clk.use, func(c *Config) {
		key := pemPKCS8(t)
		c.Secrets = func() (Secrets, error) {
			reads++
			return Secrets{ClientSecret: fmt.Sprint("secret-", reads), PrivateKey: key}, nil
		}
	})
	for i := range 2 {
		if err := c.EnsureToken(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := <-seen, fmt.Sprint("secret-", i+1); got != want {
			t.Errorf("secret %q, wanted %q", got, want)
		}
		clk.add(time.Hour)
	}
}
