package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var date = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)

func TestAnArchiveDependsOnWhatIsInItAlone(t *testing.T) {
	t.Parallel()
	files := []file{{name: "worker", content: []byte("program"), executable: true}, {name: "README.md", content: []byte("read")}, {name: "completions/_worker"}}
	backwards := slices.Clone(files)
	slices.Reverse(backwards)
	var made [][]byte
	for i, order := range [][]file{files, backwards} {
		path := filepath.Join(t.TempDir(), fmt.Sprintf("%d.tar.gz", i))
		if err := writeArchive(path, "worker_1", order, date.In(time.FixedZone("JST", 9*3600))); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, data)
	}
	if !bytes.Equal(made[0], made[1]) {
		t.Error("the order in which files are named, or the name of the archive, changes its bytes")
	}

	zipped, err := gzip.NewReader(bytes.NewReader(made[0]))
	if err != nil {
		t.Fatal(err)
	}
	if !zipped.ModTime.IsZero() || zipped.Name != "" {
		t.Errorf("the head of the compressed file says %v %q", zipped.ModTime, zipped.Name)
	}
	var got []string
	for archive := tar.NewReader(zipped); ; {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %o %d:%d%s%s %s", head.Name, head.Mode, head.Uid, head.Gid, head.Uname, head.Gname, head.ModTime.UTC().Format(time.RFC3339)))
	}
	want := []string{
		"worker_1/README.md 644 0:0 2026-03-02T09:00:00Z", "worker_1/completions/_worker 644 0:0 2026-03-02T09:00:00Z", "worker_1/worker 755 0:0 2026-03-02T09:00:00Z",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the archive has\n%q\nwant\n%q", got, want)
	}
}

func TestSumsAreThoseOfSHA256Sum(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, name := range []string{"b", "a"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeSums(folder); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(folder, sumsName))
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if want := empty + "  a\n" + empty + "  b\n"; err != nil || string(got) != want {
		t.Errorf("got %s, error %v, want %s", got, err, want)
	}
}

func TestReleaseWantsToKnowWhatItStamps(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"-version", "1", "-commit", "c", "-date", "0", "-out", filepath.Join(t.TempDir(), "x")}, {"-version", "1", "-commit", "c", "-date", "1", "-out", t.TempDir()}} {
		if err := run(args); err == nil {
			t.Errorf("release %q does something", args)
		}
	}
}
