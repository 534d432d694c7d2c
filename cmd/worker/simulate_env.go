package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"activation-worker/internal/partnerapi/simulator"
)

// keptFiles are the files of worker simulate that a worker is pointed to, and its DNS server.
type keptFiles struct {
	key       string
	authority string // empty without --tls
	resolver  string // empty without --dns
}

// keepCredentials puts the simulator's key and client secret into a directory, or takes those of an earlier run from there.
func keepCredentials(dir string, options *simulator.Options) (keptFiles, error) {
	keyFile, secretFile := filepath.Join(dir, "private-key.pem"), filepath.Join(dir, "client-secret")
	key, err := os.ReadFile(keyFile)
	if err == nil {
		if options.Key, err = simulator.ParseKey(key); err != nil {
			return keptFiles{}, fmt.Errorf("%s: %w; remove the file to have a new one made", keyFile, err)
		}
		secret, err := os.ReadFile(secretFile)
		if err != nil {
			return keptFiles{}, fmt.Errorf("read the client secret that belongs to the key: %w; remove %s to have new ones made", err, keyFile)
		}
		options.ClientSecret = strings.TrimSpace(string(secret))
		return keptFiles{key: keyFile}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return keptFiles{}, fmt.Errorf("read the private key: %w", err)
	}
	fresh, err := simulator.New(simulator.Options{})
	if err != nil {
		return keptFiles{}, err
	}
	made := fresh.Credentials()
	if options.Key, err = simulator.ParseKey([]byte(made.PrivateKeyPEM)); err != nil {
		return keptFiles{}, err
	}
	options.ClientSecret = made.ClientSecret
	// The secret first: a key without one could not be used by the next run.
	if err := os.WriteFile(secretFile, []byte(made.ClientSecret+"\n"), 0o600); err != nil {
		return keptFiles{}, fmt.Errorf("keep the client secret: %w", err)
	}
	if err := os.WriteFile(keyFile, []byte(made.PrivateKeyPEM), 0o600); err != nil {
		return keptFiles{}, fmt.Errorf("keep the private key: %w", err)
	}
	return keptFiles{key: keyFile}, nil
}

// environmentFile is there when the simulator listens.
const environmentFile = "simulator.env"

// printEnvironment tells a worker's settings, on stdout and in a file for a shell to source.
func printEnvironment(stdout io.Writer, dir, base string, creds simulator.Credentials, kept keptFiles) error {
	api, token := simulator.URLs(reachable(base))
	settings := [][2]string{
		{"LINEWORKS_API_URL", api},
		{"LINEWORKS_TOKEN_URL", token},
		{"LINEWORKS_CLIENT_ID", creds.ClientID},
		{"LINEWORKS_CLIENT_SECRET", creds.ClientSecret},
		{"LINEWORKS_SERVICE_ACCOUNT", creds.ServiceAccount},
		{"LINEWORKS_PRIVATE_KEY_FILE", kept.key},
	}
	if kept.authority != "" {
		settings = append(settings, [2]string{"LINEWORKS_CA", kept.authority})
	}
	if kept.resolver != "" {
		_, resolver, _ := strings.Cut(reachable("dns://"+kept.resolver), "://")
		settings = append(settings, [2]string{"WORKER_DNS_RESOLVERS", resolver})
	}
	var lines strings.Builder
	for _, one := range settings {
		lines.WriteString(one[0] + "=" + shellWord(one[1]) + "\n")
	}
	if err := os.WriteFile(filepath.Join(dir, environmentFile), []byte(lines.String()), 0o600); err != nil {
		return fmt.Errorf("keep the settings: %w", err)
	}
	if _, err := io.WriteString(stdout, lines.String()); err != nil {
		return fmt.Errorf("print the settings: %w", err)
	}
	return nil
}

// reachable replaces an address that stands for all of a machine's by the loopback one.
func reachable(base string) string {
	scheme, address, _ := strings.Cut(base, "://")
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	return scheme + "://" + address
}

// shellWord quotes what a shell would not take as one word.
func shellWord(text string) string {
	special := func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("@%+=:,./_-", r)
	}
	if !strings.ContainsFunc(text, special) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
