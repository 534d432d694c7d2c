package simulator

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"sync"
)

// Credentials are those of the one app and its service account.
type Credentials struct {
	ClientID       string
	ClientSecret   string
	ServiceAccount string // with its part after the @
	PrivateKeyPEM  string // PKCS#8, RSA
}

// Credentials returns what a client needs to get a token.
func (s *Simulator) Credentials() Credentials { return s.creds }

// testKey is made once a process: RSA keys are slow to make, and tests set up many simulators.
var testKey = sync.OnceValues(NewKey)

// TestKey returns a key for [Options.Key] that is the same for the whole process.
func TestKey() (*rsa.PrivateKey, error) { return testKey() }

// NewKey makes a service account's key as the partner's console does: RSA, 2048 bits.
func NewKey() (*rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make a service account's key: %w", err)
	}
	return key, nil
}

// ParseKey reads a key as [Credentials] carry it. The error never shows any of the text.
func ParseKey(text []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("read a service account's key: it is not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read a service account's key: it is not PKCS#8")
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("read a service account's key: it is %T, not RSA", parsed)
	}
	return key, nil
}

// newCredentials completes what the options leave out.
func newCredentials(o Options) (Credentials, *rsa.PublicKey, error) {
	key := o.Key
	if key == nil {
		var err error
		if key, err = NewKey(); err != nil {
			return Credentials{}, nil, err
		}
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Credentials{}, nil, fmt.Errorf("encode a service account's key: %w", err)
	}
	c := Credentials{
		ClientID:       orElse(o.ClientID, "SimulatedClient01"),
		ClientSecret:   orElse(o.ClientSecret, "sim_"+randomText(15)),
		ServiceAccount: orElse(o.ServiceAccount, "sim01.serviceaccount@minato-systems"),
		PrivateKeyPEM:  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	}
	return c, &key.PublicKey, nil
}

// keyLine is one line from the middle of a key: it betrays the key even where line ends were escaped.
func keyLine(pemText string) string {
	lines := strings.Split(pemText, "\n")
	return lines[len(lines)/2]
}

// randomText returns n random bytes as letters, digits, - and _.
func randomText(n int) string { return base64.RawURLEncoding.EncodeToString(randomBytes(n)) }

// randomToken looks like the partner's opaque tokens: base64 in which + / and = do occur.
func randomToken() string {
	return "jp1AAAB" + base64.StdEncoding.EncodeToString(randomBytes(42)) + "+/" + base64.StdEncoding.EncodeToString(randomBytes(40))
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, by its documentation
	return b
}

func orElse(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
