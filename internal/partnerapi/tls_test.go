package partnerapi

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
)

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{key: ecKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test's authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// sign makes a certificate for this machine, changed by mod.
func (a authority) sign(t *testing.T, mod func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key := ecKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if mod != nil {
		mod(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestTLSIsNeverWeakened: nothing is written to a partner, nor to its token endpoint, that does not prove who it is by TLS 1.2 or
// newer, and what is wrong is said.
func TestTLSIsNeverWeakened(t *testing.T) {
	t.Parallel()
	ours, strange := newAuthority(t), newAuthority(t)
	good := ours.sign(t, nil)
	only := func(version uint16) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{good}, MinVersion: version, MaxVersion: version}
	}
	with := func(cert tls.Certificate) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	for name, tc := range map[string]struct {
		server *tls.Config
		says   string // empty: it is good
	}{
		"TLS 1.3":                  {only(tls.VersionTLS13), ""},
		"TLS 1.2":                  {only(tls.VersionTLS12), ""},
		"TLS 1.1":                  {only(tls.VersionTLS11), "TLS 1.2 or newer"},
		"TLS 1.0":                  {only(tls.VersionTLS10), "TLS 1.2 or newer"},
		"signed by nobody we know": {with(strange.sign(t, nil)), "not trusted: check LINEWORKS_CA"},
		"expired":                  {with(ours.sign(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })), "has ended or does not hold yet: check this machine's clock"},
		"not valid yet": {with(ours.sign(t, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
		})), "has ended or does not hold yet"},
		"another host's":    {with(ours.sign(t, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"www.worksapis.com"} })), "another host's: check the URL"},
		"not a server's":    {with(ours.sign(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })), "not trusted"},
		"nothing in common": {&tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}}, "no TLS could be agreed on"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(reply(200, strings.Replace(activeObject, "{", `{"access_token":"abc",`, 1)))
			server.TLS, server.Config.ErrorLog = tc.server, zap.NewStdLog(zap.NewNop())
			server.StartTLS()
			t.Cleanup(server.Close)
			p := newPartner(t, nil, nil)
			trusting := func(c *Config) { c.Roots = ours.pool() }
			c := p.client(t, readyMade("ready"), trusting, func(c *Config) { c.APIURL = server.URL })
			_, err := c.Activate(t.Context(), ourID, Call{})
			token := p.client(t, trusting, func(c *Config) { c.TokenURL = server.URL }).EnsureToken(t.Context())
			if tc.says == "" {
				if err != nil || token != nil {
					t.Errorf("refused: %v; %v", err, token)
				}
				return
			}
			if e := failed(t, err, NotSent); e.Sent != 0 || e.MaybeApplied() || !strings.Contains(e.Error(), tc.says) {
				t.Errorf("it says %q, want %q", e.Error(), tc.says)
			}
			if e := failed(t, token, Token); e.Credentials || !strings.Contains(e.Error(), tc.says) {
				t.Errorf("of the token endpoint it says %q, want %q", e.Error(), tc.says)
			}
		})
	}
}

// TestAServerThatAnswersWithAnOldVersion: unlike Go's, many servers do not refuse but choose the version that they know.
func TestAServerThatAnswersWithAnOldVersion(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wrote atomic.Int64 // bytes from the client after its hello
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		hello := make([]byte, 5)
		if _, err := io.ReadFull(conn, hello); err != nil {
			return
		}
		_, _ = io.CopyN(io.Discard, conn, int64(hello[3])<<8|int64(hello[4]))
		// ServerHello of TLS 1.1: version, random, no session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
		body := append([]byte{0x03, 0x02}, make([]byte, 32)...)
		body = append(body, 0, 0x00, 0x2f, 0)
		message := append([]byte{0x02, 0, 0, byte(len(body))}, body...)
		_, _ = conn.Write(append([]byte{0x16, 0x03, 0x02, 0, byte(len(message))}, message...))
		n, _ := io.Copy(io.Discard, conn)
		wrote.Store(n)
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	p := newPartner(t, nil, nil)
	c := p.client(t, readyMade("ready"), func(c *Config) { c.APIURL = "https://" + l.Addr().String() })
	_, err = c.Activate(t.Context(), ourID, Call{})
	if e := failed(t, err, NotSent); e.Sent != 0 || !strings.Contains(e.Error(), "TLS 1.2 or newer") {
		t.Errorf("it says %q", e.Error())
	}
	<-done
	if n := wrote.Load(); n > 16 { // an alert
		t.Errorf("%d bytes were written after an old version was chosen", n)
	}
}

// TestNobodySkipsVerification reads the product's source: no TLS configuration turns the checks off or goes below TLS 1.2.
func TestNobodySkipsVerification(t *testing.T) {
	t.Parallel()
	files, configurations := 0, 0
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		configurations += strings.Count(string(source), "tls.Config{")
		for _, word := range []string{"Insecure" + "SkipVerify", "VersionTLS10", "VersionTLS11", "VersionSSL30", "nats." + "Secure("} {
			if strings.Contains(string(source), word) {
				t.Errorf("%s has %s", path, word)
			}
		}
		return nil
	})
	if err != nil || files < 100 || configurations == 0 {
		t.Errorf("%d files with %d TLS configurations were read: %v", files, configurations, err)
	}
}
