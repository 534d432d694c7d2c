package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

const (
	hidden = "(hidden)"

	// secretLimit is far above any key and keeps a wrongly named file out of memory.
	secretLimit = 1 << 20
)

// Secret is a value that is never shown, given as text or as the name of a file that holds it. The zero value is not
// set. Formatting, JSON, YAML and logging show "(hidden)".
type Secret struct {
	// A function, because fmt shows what stands in unexported fields without asking String, but of a function never
	// more than the address.
	read func() (string, error)
}

// SecretOf returns a secret with a known value.
func SecretOf(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{func() (string, error) { return trimLineEnd(text), nil }}
}

// SecretFile returns a secret that a file holds. The key is the setting that errors name; the path is not in them, as
// people do put the secret itself where its file should be named.
func SecretFile(key, path string) Secret {
	if path == "" {
		return Secret{}
	}
	return Secret{func() (string, error) {
		text, err := readSecret(path)
		if err != nil {
			return "", fmt.Errorf("%s: %w; the file must be readable and hold the secret alone", key, err)
		}
		return text, nil
	}}
}

// Set tells whether a value or a file was given. A file is not looked at.
func (s Secret) Set() bool { return s.read != nil }

// Read returns the value, without one final line end. A file is read anew each time, so that a rotated secret is
// found without a restart. A secret that is not set is the empty text; an empty file is an error.
func (s Secret) Read() (string, error) {
	if s.read == nil {
		return "", nil
	}
	return s.read()
}

func readSecret(path string) (string, error) {
	b, err := readAtMost(path, secretLimit)
	if err != nil {
		return "", err
	}
	text := trimLineEnd(string(b))
	if text == "" {
		return "", errors.New("the file is empty")
	}
	return text, nil
}

// readAtMost returns a file's content, or an error where it is longer than so many bytes. No error has the path.
func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { _ = f.Close() }() // only read
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("the file is larger than %d bytes", limit)
	}
	return b, nil
}

// withoutPath keeps what happened and drops which file it happened to.
func withoutPath(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", pe.Op, pe.Err)
	}
	return err
}

func trimLineEnd(s string) string {
	return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
}

// String hides the value.
func (s Secret) String() string { return hidden }

// GoString hides the value from %#v.
func (s Secret) GoString() string { return hidden }

// MarshalText hides the value from JSON, YAML and structured logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
