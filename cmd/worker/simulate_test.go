package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"activation-worker/internal/partnerapi/simulator"
)

// simulated is a running worker simulate.
type simulated struct {
	t        *testing.T
	settings map[string]string
	client   *http.Client
	stop     func() error
}

// simulate runs the command on a free port until the test or stop ends it.
func simulate(t *testing.T, wantSettings int, args ...string) *simulated {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	cmd := simulateCommand()
	cmd.SetArgs(append([]string{"--listen", "127.0.0.1:0"}, args...))
	cmd.SetOut(writer)
	cmd.SetErr(io.Discard)
	ended := make(chan error, 1)
	go func() {
		err := cmd.ExecuteContext(ctx)
		_ = writer.CloseWithError(errors.Join(io.EOF, err))
		ended <- err
	}()
	s := &simulated{t: t, settings: map[string]string{}, client: &http.Client{Timeout: 10 * time.Second}}
	stopped := false
	s.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		if err := s.stop(); err != nil {
			t.Errorf("simulate ended with %v", err)
		}
	})
	lines := bufio.NewScanner(reader)
	for len(s.settings) < wantSettings && lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "=")
		s.settings[name] = value
	}
	if len(s.settings) != wantSettings {
		t.Fatalf("printed %d settings, want %d: %v", len(s.settings), wantSettings, lines.Err())
	}
	return s
}

// activate calls the partner as a worker with the printed settings would, and returns the answer's body.
func (s *simulated) activate(domainID string) string {
	s.t.Helper()
	pem, err := os.ReadFile(s.settings["LINEWORKS_PRIVATE_KEY_FILE"])
	if err != nil {
		s.t.Fatal(err)
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM(pem)
	if err != nil {
		s.t.Fatal(err)
	}
	now := time.Now().Unix()
	assertion, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": s.settings["LINEWORKS_CLIENT_ID"], "sub": s.settings["LINEWORKS_SERVICE_ACCOUNT"], "iat": now - 60, "exp": now + 60,
	}).SignedString(key)
	if err != nil {
		s.t.Fatal(err)
	}
	answer := s.post(s.settings["LINEWORKS_TOKEN_URL"], "", url.Values{
		"assertion": {assertion}, "grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "scope": {"partner"},
		"client_id": {s.settings["LINEWORKS_CLIENT_ID"]}, "client_secret": {s.settings["LINEWORKS_CLIENT_SECRET"]},
	})
	_, rest, _ := strings.Cut(answer, `"access_token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	return s.post(s.settings["LINEWORKS_API_URL"]+"/partners/customers/"+domainID+"/activate", token, nil)
}

func (s *simulated) post(address, token string, form url.Values) string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	if token == "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		s.t.Fatal(err)
	}
	return string(body)
}

func TestSimulate(t *testing.T) {
	t.Parallel()
	s := simulate(t, 6)
	if got := s.activate("12345"); !strings.Contains(got, `"enableActiveDomain":true`) {
		t.Errorf("activate answered %q", got)
	}
	keyFile := s.settings["LINEWORKS_PRIVATE_KEY_FILE"]
	if info, err := os.Stat(keyFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v; want mode 0600", info, err)
	}
	if err := s.stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	if _, err := os.Stat(filepath.Dir(keyFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the temporary directory is left: %v", err)
	}
}

func TestSimulateTLSFileAndFaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	customers := filepath.Join(dir, "customers.json")
	if err := os.WriteFile(customers, []byte(`[{"domainId":31,"terms":true}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(dir, "it's kept")
	args := []string{
		"--tls", "--dir", kept, "--from-file", customers, "--customers", "5", "--auto=false", "--unknown", "dns-missing=409:NO_RECORD",
		"--fault-rate", "1", "--faults", "activate@null-fields",
	}
	s := simulate(t, 7, args...)
	unquote := func(word string) string { return strings.ReplaceAll(strings.Trim(word, "'"), `'\''`, "'") }
	authority, err := os.ReadFile(unquote(s.settings["LINEWORKS_CA"]))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	s.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	s.settings["LINEWORKS_PRIVATE_KEY_FILE"] = unquote(s.settings["LINEWORKS_PRIVATE_KEY_FILE"])
	for id, want := range map[string]string{"31": "NO_RECORD", "12345": "ACCESS_DENIED"} {
		if got := s.activate(id); !strings.Contains(got, want) {
			t.Errorf("activate of %s answered %q, want %s", id, got, want)
		}
	}
	if err := s.stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	again := simulate(t, 7, args...)
	if again.settings["LINEWORKS_CLIENT_SECRET"] != s.settings["LINEWORKS_CLIENT_SECRET"] {
		t.Error("the credentials of the directory were not used again")
	}
}

func TestSimulateDNS(t *testing.T) {
	t.Parallel()
	s := simulate(t, 7, "--dns", "127.0.0.1:0")
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, s.settings["WORKER_DNS_RESOLVERS"])
	}}
	_, rest, _ := strings.Cut(s.activate("12345"), `"domain":"`)
	domain, _, _ := strings.Cut(rest, `"`)
	if got, err := resolver.LookupTXT(t.Context(), domain+"."); err != nil || len(got) != 1 || !strings.HasPrefix(got[0], "works-verify=") {
		t.Errorf("TXT of %q: %q, %v", domain, got, err)
	}
	if err := s.stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	cmd := simulateCommand()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	dir := t.TempDir()
	earlier := filepath.Join(dir, environmentFile)
	if err := os.WriteFile(earlier, []byte("LINEWORKS_API_URL=of an earlier run\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.SetArgs([]string{"--listen", "127.0.0.1:0", "--dir", dir, "--dns", "256.0.0.1:0"})
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "--dns") {
		t.Errorf("got %v, want one that names --dns", err)
	}
	if _, err := os.Stat(earlier); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the settings of an earlier run are there, and nobody listens: %v", err)
	}
}

func TestSimulateUsage(t *testing.T) {
	t.Parallel()
	for flag, args := range map[string][]string{
		"--fault-rate": {"--fault-rate", "1.5"},
		"--faults":     {"--fault-rate", "0.5", "--faults", "lots"},
		"--rate":       {"--rate=-1"},
		"--unknown":    {"--unknown", "dns=400"},
		"--from-file":  {"--from-file", filepath.Join(t.TempDir(), "none.json")},
	} {
		cmd := simulateCommand()
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetArgs(append([]string{"--listen", "127.0.0.1:0"}, args...))
		if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), flag) || !errors.As(err, new(usageError)) {
			t.Errorf("%v: got %v, want a usage error that names %s", args, err, flag)
		}
	}
	cmd := simulateCommand()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs([]string{"--listen", "256.0.0.1:0"})
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("got %v, want one that names --listen", err)
	}
}

func TestShellWord(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"/tmp/a-b": "/tmp/a-b", "a b": "'a b'", "it's": `'it'\''s'`} {
		if got := shellWord(text); got != want {
			t.Errorf("%q becomes %s, want %s", text, got, want)
		}
	}
	if got := reachable("http://[::]:8090"); got != "http://127.0.0.1:8090" {
		t.Errorf("all addresses are reached by %s", got)
	}
}

func TestSimulateHelpNamesFaults(t *testing.T) {
	t.Parallel()
	if long := simulateCommand().Long; !strings.Contains(long, string(simulator.ResetBefore)) {
		t.Error("the help lacks the faults")
	}
}

// A name to listen on is one that others ask by: the certificate has it.
func TestCertificateHosts(t *testing.T) {
	t.Parallel()
	loopback := []string{"localhost", "127.0.0.1", "::1"}
	for _, c := range []struct {
		asked, address string
		more           []string
	}{
		{"127.0.0.1:0", "127.0.0.1:8090", nil},
		{":8090", "[::]:8090", nil},
		{"localhost:0", "127.0.0.1:8090", nil},
		{"simulator:8090", "172.20.0.5:8090", []string{"simulator", "172.20.0.5"}},
		{"192.0.2.1:8090", "192.0.2.1:8090", []string{"192.0.2.1"}},
	} {
		if got, want := certificateHosts(c.asked, c.address), slices.Concat(loopback, c.more); !slices.Equal(got, want) {
			t.Errorf("listening on %s at %s: %q, want %q", c.asked, c.address, got, want)
		}
	}
}
