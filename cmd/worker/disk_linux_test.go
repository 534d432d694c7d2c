package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// disk is a place for the files of one process, which a test can fill: a small file system of its own where the system
// lets us mount one in a namespace, else a limit on the size of files.
type disk struct {
	t     testing.TB
	dir   string
	small bool // a file system of its own
	pid   int  // of who writes there
}

const diskSize = 96 << 20

// newDisk is a file system of its own, where it may be one.
func newDisk(t testing.TB, own bool) *disk {
	t.Helper()
	d := &disk{t: t, dir: filepath.Join(t.TempDir(), "disk")}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	try := exec.CommandContext(t.Context(), "true")
	d.mount(try)
	d.small = own && try.Run() == nil
	t.Logf("a file system of its own: %t", d.small)
	return d
}

// mount makes a command find the small file system at dir. Only it and its children see it, and it ends with them.
func (d *disk) mount(cmd *exec.Cmd) {
	cmd.Args = append([]string{"sh", "-c", fmt.Sprintf(`mount -t tmpfs -o size=%d none "$0" && exec "$@"`, diskSize), d.dir, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
}

// use lets a command write there; pid is known once it runs.
func (d *disk) use(cmd *exec.Cmd) {
	if d.small {
		d.mount(cmd)
	}
}

func (d *disk) filler() string {
	return filepath.Join("/proc", fmt.Sprint(d.pid), "root", d.dir, "filler")
}

// fill takes all room: from now on nothing can be written.
func (d *disk) fill() {
	d.t.Helper()
	if !d.small {
		d.limit(0)
		return
	}
	f, err := os.Create(d.filler())
	if err != nil {
		d.t.Fatalf("filling the disk: %v", err)
	}
	defer func() { _ = f.Close() }()
	for size := 1 << 20; size >= 1; {
		switch _, err := f.Write(make([]byte, size)); {
		case errors.Is(err, syscall.ENOSPC):
			size /= 4096
		case err != nil:
			d.t.Fatalf("filling the disk: %v", err)
		}
	}
}

// free gives the room back.
func (d *disk) free() {
	d.t.Helper()
	if !d.small {
		d.limit(unix.RLIM_INFINITY)
		return
	}
	if err := os.Remove(d.filler()); err != nil {
		d.t.Fatalf("making room on the disk: %v", err)
	}
}

// limit bounds the size of files that the process writes.
func (d *disk) limit(size uint64) {
	d.t.Helper()
	var was unix.Rlimit
	if err := unix.Prlimit(d.pid, unix.RLIMIT_FSIZE, nil, &was); err != nil {
		d.t.Fatalf("limiting the size of files: %v", err)
	}
	was.Cur = min(size, was.Max)
	if err := unix.Prlimit(d.pid, unix.RLIMIT_FSIZE, &was, nil); err != nil {
		d.t.Fatalf("limiting the size of files: %v", err)
	}
}

// natsProcess is a nats-server in a process of its own, with nothing that a configuration file would change.
type natsProcess struct {
	t    testing.TB
	path string
	args []string
	url  string
	cmd  *exec.Cmd
}

// newNATSProcess builds the server of the version that the worker embeds, and starts it.
func newNATSProcess(t testing.TB, config string) *natsProcess {
	t.Helper()
	dir := t.TempDir()
	n := &natsProcess{t: t, path: filepath.Join(dir, "nats-server"), url: "nats://" + freePort(t)}
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", n.path, "github.com/nats-io/nats-server/v2")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building nats-server: %v\n%s", err, out)
	}
	file := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf("listen: %q\njetstream { store_dir: %q }\n%s", strings.TrimPrefix(n.url, "nats://"), filepath.Join(dir, "store"), config)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	n.args = []string{"-c", file}
	n.start()
	t.Cleanup(n.kill)
	return n
}

func (n *natsProcess) start() {
	n.t.Helper()
	n.cmd = exec.Command(n.path, n.args...) // Cleanup ends it
	if err := n.cmd.Start(); err != nil {
		n.t.Fatalf("starting nats-server: %v", err)
	}
}

func (n *natsProcess) kill() {
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait()
}
