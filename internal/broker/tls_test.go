package broker_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"testing"
	"time"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
)

// certificate makes a certificate that signs itself, for both ends of a connection, and returns its files.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		write(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}

func TestConnectWithCertificates(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	otherCert, otherKey := certificate(t)
	s := brokertest.Start(t, brokertest.WithConfig(
		fmt.Sprintf(`tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }`, cert, key, cert)))
	nc, js, err := broker.ConnectOnce(t.Context(), broker.Options{URL: s.URL(), CA: cert, Cert: cert, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ensure(t, js, layout())

	for name, o := range map[string]broker.Options{
		"unknown server": {CA: otherCert, Cert: cert, Key: key},
		"unknown client": {CA: cert, Cert: otherCert, Key: otherKey},
		"no certificate": {CA: cert},
	} {
		o.URL = s.URL()
		_, _, err := broker.ConnectOnce(t.Context(), o)
		if err == nil {
			t.Errorf("%s: connects", name)
			continue
		}
		wantError(t, err, "NATS_CA")
	}
}
