package powercut

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// file is an open file of the directory.
type file struct {
	node  *node
	path  string
	flags int
}

// call is a system call under way that is of interest.
type call struct {
	nr    uint64
	args  [6]uint64
	began Moment
	step  int    // of the trace, -1: not on the directory
	path  string // relative to the directory; "" if elsewhere
	to    string // of a rename
	data  []byte // of a write
	at    int64  // of a write
	file  *file
}

// syscallInfo is struct ptrace_syscall_info of Linux 5.3 and later, the same on every architecture.
type syscallInfo struct {
	op   uint8
	_    [3]uint8
	_    uint32 // architecture
	_, _ uint64 // instruction and stack pointer
	nr   uint64 // at an exit: the result
	args [6]uint64
	_    uint64
}

const (
	getSyscallInfo = 0x420e // PTRACE_GET_SYSCALL_INFO
	infoEntry      = 1
	infoExit       = 2
	mostPath       = 4096
	mostWrite      = 64 << 20
	cwd            = unix.AT_FDCWD
)

// syscall looks at a call's beginning or end.
func (w *watch) syscall(tid int, t *thread) {
	var info syscallInfo
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, getSyscallInfo, uintptr(tid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0); errno != 0 {
		if errno != unix.ESRCH {
			w.fault("reading a call of thread %d: %w", tid, errno)
		}
		return
	}
	switch info.op {
	case infoEntry:
		t.call = w.begins(info.nr, info.args)
	case infoExit:
		if t.call != nil {
			w.ends(t.call, int64(info.nr))
			t.call = nil
		}
	}
}

// begins looks at a call before it is carried out; nil where it is of no interest.
func (w *watch) begins(nr uint64, args [6]uint64) *call {
	c := &call{nr: nr, args: args, step: -1, file: w.open[int(int32(args[0]))]}
	p := portable(nr, args)
	switch p.kind {
	case "":
		return nil
	case "open", "mkdir", "unlink", "truncate", "rename", "link":
		c.path = w.path(p.dir, p.path)
		if p.to != 0 {
			c.to = w.path(p.toDir, p.to)
		}
		if c.path == "" && c.to == "" {
			return nil
		}
	case "close":
		// Not at its end: by then another thread may have got the same number.
		delete(w.open, int(int32(args[0])))
		return nil
	case "write":
		c.data = w.written(p, args)
		if c.file == nil {
			w.trace.Sent = append(w.trace.Sent, Sent{Began: w.moment(), FD: int(args[0]), Data: c.data})
			return nil
		}
		c.at = w.offset(p, args, c.file)
	case "sendfile", "copy":
		if to := w.open[int(int32(args[p.out]))]; to != nil {
			w.fault("%s into %s cannot be followed", p.kind, to.path)
		}
		return nil
	case "map":
		if f := w.open[int(int32(args[4]))]; f != nil && args[2]&unix.PROT_WRITE != 0 && args[3]&unix.MAP_SHARED != 0 {
			w.fault("a writable map of %s cannot be followed", f.path)
		}
		return nil
	case "ring":
		w.fault("io_uring cannot be followed")
		return nil
	default: // sync, cut, allocate, dup
		if c.file == nil {
			return nil
		}
	}
	if c.file != nil && c.path == "" && c.to == "" {
		c.path = c.file.path
	}
	c.began = w.moment()
	if p.kind == "open" && args[p.flags]&(unix.O_CREAT|unix.O_TRUNC) == 0 {
		return c // reads, or opens to sync
	}
	c.step = len(w.trace.Steps)
	w.trace.Steps = append(w.trace.Steps, Step{Began: c.began, Ended: never, Call: p.kind, Path: c.path, To: c.to})
	w.cutNow()
	return c
}

// ends notes what a call has done.
func (w *watch) ends(c *call, result int64) {
	now := w.moment()
	if c.step >= 0 {
		w.trace.Steps[c.step].Ended = now
	}
	if result < 0 {
		return
	}
	t, p := w.trace, portable(c.nr, c.args)
	switch p.kind {
	case "open":
		w.opened(c, int(result), int(c.args[p.flags]), now)
	case "write":
		if result > 0 {
			n, synced := c.file.node, c.file.flags&(unix.O_SYNC|unix.O_DSYNC) != 0
			n.wrote(change{began: c.began, ended: now, at: c.at, data: c.data[:result], synced: synced})
			if synced {
				n.syncs = append(n.syncs, syncing{c.began, now, true})
			}
		}
	case "sync":
		c.file.node.syncs = append(c.file.node.syncs, syncing{c.began, now, false})
	case "cut":
		c.file.node.wrote(change{began: c.began, ended: now, at: int64(c.args[1])})
	case "mkdir":
		t.made(c.path, t.newNode(true), now)
	case "unlink":
		t.removed(c.path, now)
	case "rename":
		if c.path == "" || c.to == "" {
			w.fault("a rename across the edge of the directory, %q to %q, cannot be followed", c.path, c.to)
			return
		}
		t.renamed(c.path, c.to, now)
	default:
		w.fault("%s of %s cannot be followed", p.kind, c.path)
	}
}

func (w *watch) opened(c *call, fd, flags int, now Moment) {
	n := w.trace.find(c.path)
	switch {
	case n == nil && flags&unix.O_CREAT == 0:
		w.fault("%s was opened and had not been seen", c.path)
		return
	case n == nil:
		n = w.trace.newNode(false)
		w.trace.made(c.path, n, now)
	case flags&unix.O_TRUNC != 0:
		n.wrote(change{began: c.began, ended: now})
	}
	w.open[fd] = &file{node: n, path: c.path, flags: flags}
}

// path reads a path of the process and returns it relative to the directory; "" if it lies elsewhere.
func (w *watch) path(dir, address uint64) string {
	text := w.memory(address, mostPath)
	text, _, _ = bytes.Cut(text, []byte{0})
	path := string(text)
	if !filepath.IsAbs(path) {
		if fd := int(int32(dir)); fd != cwd {
			if f := w.open[fd]; f != nil {
				return filepath.Join(f.path, path)
			}
			return "" // below a directory that is not ours
		}
		here, err := os.Readlink("/proc/" + strconv.Itoa(w.pid) + "/cwd")
		if err != nil {
			w.fault("the process's working directory: %w", err)
		}
		path = filepath.Join(here, path)
	}
	rel, ok := w.trace.within(filepath.Clean(path))
	if !ok {
		return ""
	}
	return rel
}

// memory reads up to most bytes of the process, fewer where its memory ends.
func (w *watch) memory(address, most uint64) []byte {
	if most == 0 {
		return nil
	}
	buf := make([]byte, most)
	first := min(most, 4096-address%4096) // a part is read whole or not at all, and the next page may not exist
	remote := []unix.RemoteIovec{{Base: uintptr(address), Len: int(first)}, {Base: uintptr(address + first), Len: int(most - first)}}
	n, err := unix.ProcessVMReadv(w.pid, []unix.Iovec{{Base: unsafe.SliceData(buf), Len: most}}, remote, 0)
	if err != nil {
		w.fault("reading %d bytes of the process: %w", most, err)
	}
	return buf[:max(n, 0)]
}

// written are the bytes of a write.
func (w *watch) written(p portableCall, args [6]uint64) []byte {
	if !p.vector {
		return w.memory(args[1], min(args[2], mostWrite))
	}
	var all []byte
	vector := w.memory(args[1], 16*args[2])
	for ; len(vector) >= 16; vector = vector[16:] {
		all = append(all, w.memory(binary.NativeEndian.Uint64(vector), binary.NativeEndian.Uint64(vector[8:]))...)
	}
	return all
}

// offset is where a write goes.
func (w *watch) offset(p portableCall, args [6]uint64, f *file) int64 {
	switch {
	case f.flags&unix.O_APPEND != 0:
		return f.node.size
	case p.positioned:
		return int64(args[3])
	}
	info, err := os.ReadFile("/proc/" + strconv.Itoa(w.pid) + "/fdinfo/" + strconv.Itoa(int(args[0])))
	_, text, _ := strings.Cut(string(info), "pos:")
	text, _, _ = strings.Cut(text, "\n")
	at, parsed := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || parsed != nil {
		w.fault("where a write to %s goes: %w", f.path, err)
	}
	return at
}
