package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"go.yaml.in/yaml/v3"
)

func TestSecretFileIsReadAnew(t *testing.T) {
	t.Parallel()
	path := write(t, "token", "first\r\n")
	s := mustLoad(t, nil, "NATS_TOKEN_FILE="+path).NATS.Token
	for _, step := range []struct{ content, want string }{{"first\r\n", "first"}, {"second\n\n", "second\n"}, {"third", "third"}} {
		if err := os.WriteFile(path, []byte(step.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Read(); err != nil || got != step.want {
			t.Errorf("read %q, %v; wanted %q", got, err, step.want)
		}
	}
}

func TestSecretFileThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ path, want string }{
		"gone":      {filepath.Join(t.TempDir(), "hunter2"), "NATS_TOKEN_FILE: open: no such file or directory"},
		"empty":     {write(t, "hunter2", "\n"), "NATS_TOKEN_FILE: the file is empty"},
		"too large": {write(t, "hunter2", strings.Repeat("x", secretLimit+1)), "NATS_TOKEN_FILE: the file is larger than 1048576 bytes"},
		"directory": {t.TempDir(), "NATS_TOKEN_FILE: read: is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := SecretFile("NATS_TOKEN_FILE", tt.path).Read()
			if err == nil || got != "" || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("read %q, %v; wanted %s", got, err, tt.want)
			}
		})
	}
}

func TestSecretThatIsNotSet(t *testing.T) {
	t.Parallel()
	for _, s := range []Secret{{}, SecretOf(""), SecretFile("K", "")} {
		if got, err := s.Read(); s.Set() || got != "" || err != nil {
			t.Errorf("set %v, read %q, %v", s.Set(), got, err)
		}
	}
	if !SecretOf("x").Set() || !SecretFile("K", "x").Set() {
		t.Error("a secret is not set")
	}
}

// holder keeps a secret where fmt cannot call its methods.
type holder struct{ s Secret }

func TestSecretIsNeverShown(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, nil, "NATS_TOKEN=hunter2", "LINEWORKS_ACCESS_TOKEN=hunter2")
	core, logs := observer.New(zapcore.DebugLevel)
	zap.New(core).Info("settings", zap.Any("nats", c.NATS), zap.Reflect("partner", c.Partner), zap.Stringer("token", c.NATS.Token))
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(map[string]any{"token": c.NATS.Token})
	if err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	if err := c.Print(&printed); err != nil {
		t.Fatal(err)
	}
	shown := []string{string(asJSON), string(asYAML), printed.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{c.NATS.Token, &c.NATS.Token, c.NATS, &c.NATS, holder{c.NATS.Token}, &holder{c.NATS.Token}} {
			shown = append(shown, fmt.Sprintf(verb, v))
		}
	}
	for _, entry := range logs.All() {
		line, err := zapcore.NewJSONEncoder(zapcore.EncoderConfig{}).EncodeEntry(entry.Entry, entry.Context)
		if err != nil {
			t.Fatal(err)
		}
		shown = append(shown, line.String())
	}
	for _, text := range shown {
		if strings.Contains(text, "hunter2") || strings.Contains(text, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("shows the secret: %s", text)
		}
	}
	if string(asYAML) != "token: (hidden)\n" {
		t.Errorf("YAML is %q", asYAML)
	}
}
