package broker_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
)

// sums makes the streams and consumers in an embedded server, stops it, and returns its store and the files of its sums.
func sums(t *testing.T) (store string, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	e := embed(t, broker.EmbeddedOptions{Dir: dir})
	nc, js := brokertest.Connect(t, e.URL())
	ensure(t, js, layout())
	nc.Close()
	e.Shutdown()
	store, files = filepath.Join(dir, "jetstream"), map[string]string{}
	err := filepath.WalkDir(store, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "meta.sum" {
			content, err := os.ReadFile(path)
			files[path] = string(content)
			return err
		}
		return err
	})
	if err != nil || len(files) < 8 {
		t.Fatalf("%d sums of four streams and four consumers: %v", len(files), err)
	}
	return store, files
}

// TestMendSums writes each sum that a cut has kept from being written, as the server itself would have.
func TestMendSums(t *testing.T) {
	t.Parallel()
	long, soon := time.Unix(1e9, 0), time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		change func(file string) error
		mends  bool
	}{
		"as the server left them": {func(string) error { return nil }, false},
		"not there":               {os.Remove, true},
		"of an earlier meta.inf": {func(file string) error {
			if err := os.WriteFile(file, []byte("0123456789abcdef"), 0o600); err != nil {
				return err
			}
			return os.Chtimes(file, long, long)
		}, true},
		"damaged later": {func(file string) error {
			if err := os.WriteFile(file, []byte("0123456789abcdef"), 0o600); err != nil {
				return err
			}
			return os.Chtimes(file, soon, soon)
		}, false},
		"right, and old in a copy": {func(file string) error { return os.Chtimes(file, long, long) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, files := sums(t)
			for file := range files {
				if err := c.change(file); err != nil {
					t.Fatal(err)
				}
			}
			mended, err := broker.MendSums(store)
			if err != nil || c.mends != (len(mended) == len(files)) || !c.mends && len(mended) > 0 {
				t.Errorf("mended %q of %d, %v; want all: %t", mended, len(files), err, c.mends)
			}
			if c.mends && !slices.Contains(mended, "ACTIVATION_WORK/due") {
				t.Errorf("%q does not name the consumer due", mended)
			}
			for file, want := range files {
				if is, _ := os.ReadFile(file); c.mends && string(is) != want {
					t.Errorf("%s is %q, and the server wrote %q", file, is, want)
				}
			}
		})
	}
}

// TestMendSumsKeepsTheOldSum: what it takes for a cut may be damage, where a copy has lost the times. The server starts
// with what is kept.
func TestMendSumsKeepsTheOldSum(t *testing.T) {
	t.Parallel()
	store, files := sums(t)
	for file := range files {
		inf := filepath.Join(filepath.Dir(file), "meta.inf")
		content, err := os.ReadFile(inf)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(inf, append(content, ' '), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, time.Unix(1e9, 0), time.Unix(1e9, 0)); err != nil {
			t.Fatal(err)
		}
	}
	log, logs := watchLog()
	e := embed(t, broker.EmbeddedOptions{Dir: filepath.Dir(store), Log: log})
	for file, sum := range files {
		if kept, err := os.ReadFile(file + ".bak"); err != nil || string(kept) != sum {
			t.Errorf("kept is %q, want %q (%v)", kept, sum, err)
		}
	}
	if n := logged(logs, "kept as meta.sum.bak"); n != len(files) || logs.FilterLevelExact(zap.WarnLevel).Len() != n {
		t.Errorf("%d of %d logged: %v", n, len(files), logs.FilterLevelExact(zap.WarnLevel).All())
	}
	_, js := brokertest.Connect(t, e.URL())
	consumerConfig(t, js, "ACTIVATION_WORK", "due")
}

// TestMendSumsLeavesTheRest has nothing to do with a store that is new, and lets the server say what is wrong with others.
func TestMendSumsLeavesTheRest(t *testing.T) {
	t.Parallel()
	store, files := sums(t)
	for file := range files {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(file), "meta.inf"), []byte(`{"name":`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{store, filepath.Join(t.TempDir(), "none")} {
		if mended, err := broker.MendSums(dir); err != nil || len(mended) > 0 {
			t.Errorf("mended %q, %v", mended, err)
		}
	}
}
