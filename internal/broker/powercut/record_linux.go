package powercut

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Recording is a command that runs under watch.
type Recording struct {
	trace  *Trace
	calls  atomic.Int64 // calls on the directory begun so far
	cutAt  atomic.Int64 // the call at whose beginning the process is killed; 0: none
	done   chan struct{}
	result error
}

// Record starts the command and watches what it and its threads do to root, which must exist and must not be written
// by others meanwhile; children of the command go unseen. The command's output must be files or buffers, its Wait and
// Process.Wait must not be called: [Recording.Wait] does that. cmd.Process is there for signals.
func Record(cmd *exec.Cmd, root string) (*Recording, error) {
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, err
	}
	trace, err := newTrace(root)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", root, err)
	}
	r := &Recording{trace: trace, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		defer close(r.done)
		// The kernel knows a tracer by its thread. The thread ends with the goroutine.
		runtime.LockOSThread()
		if cmd.SysProcAttr == nil {
			cmd.SysProcAttr = &syscall.SysProcAttr{}
		}
		cmd.SysProcAttr.Ptrace = true
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		w := &watch{Recording: r, pid: cmd.Process.Pid, threads: map[int]*thread{}, open: map[int]*file{}}
		err = forbidden(w.run())
		if err != nil {
			_ = unix.Kill(w.pid, unix.SIGKILL)
		}
		_ = cmd.Wait() // the process is reaped already; this waits for its output
		r.result = errors.Join(append([]error{err}, trace.faults...)...)
		trace.Last = w.now
	}()
	if err := <-started; err != nil {
		<-r.done
		return nil, forbidden(err)
	}
	return r, nil
}

// forbidden says what to do about an error of a machine that lets nobody trace.
func forbidden(err error) error {
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	return fmt.Errorf("%w: the server is traced here, and ptrace must be allowed: "+
		"a container wants a seccomp profile that has it or --cap-add SYS_PTRACE, a host kernel.yama.ptrace_scope below 3", err)
}

// Calls is how many calls on the directory have begun.
func (r *Recording) Calls() int { return int(r.calls.Load()) }

// CutAt kills the process, with SIGKILL, as the n-th call on the directory is about to be carried out. At once if it is past.
func (r *Recording) CutAt(n int) { r.cutAt.Store(int64(n)) }

// Done is closed when the process has ended.
func (r *Recording) Done() <-chan struct{} { return r.done }

// Wait waits for the end of the process. An error says that the trace is not to be trusted.
func (r *Recording) Wait() (*Trace, error) {
	<-r.done
	return r.trace, r.result
}

// watch is the tracer's side of a recording.
type watch struct {
	*Recording
	pid     int
	now     Moment
	threads map[int]*thread
	open    map[int]*file // by file descriptor; threads share them
	cut     bool
}

// thread of the process; call is what it is in.
type thread struct {
	call *call
	seen bool // its first stop has come
}

const options = unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE

// run follows the process to its end.
func (w *watch) run() error {
	var status unix.WaitStatus
	if _, err := unix.Wait4(w.pid, &status, unix.WALL, nil); err != nil {
		return fmt.Errorf("waiting for the start: %w", err)
	}
	if !status.Stopped() {
		return fmt.Errorf("the process ended before it began: status %x", status)
	}
	if err := unix.PtraceSetOptions(w.pid, options); err != nil {
		return fmt.Errorf("watching: %w", err)
	}
	w.threads[w.pid] = &thread{seen: true}
	for tid, signal := w.pid, 0; ; {
		// ESRCH: killed meanwhile; the next wait says so.
		if err := unix.PtraceSyscall(tid, signal); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("watching thread %d: %w", tid, err)
		}
		for {
			var err error
			// Of this thread's children only: those of the program around us are its own.
			tid, err = unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				return fmt.Errorf("waiting: %w", err)
			}
			if status.Stopped() {
				break
			}
			delete(w.threads, tid)
			if tid == w.pid {
				return nil
			}
		}
		signal = w.stopped(tid, status)
	}
}

// stopped looks at a thread that stands still and returns the signal to go on with.
func (w *watch) stopped(tid int, status unix.WaitStatus) int {
	t := w.threads[tid]
	if t == nil {
		t = &thread{}
		w.threads[tid] = t
	}
	switch signal := status.StopSignal(); {
	case signal == unix.SIGTRAP|0x80:
		w.syscall(tid, t)
		return 0
	case signal == unix.SIGSTOP && !t.seen: // how a new thread begins
		t.seen = true
		return 0
	case signal == unix.SIGTRAP: // an event such as clone
		return 0
	default:
		return int(signal)
	}
}

func (w *watch) fault(format string, a ...any) {
	w.trace.faults = append(w.trace.faults, fmt.Errorf(format, a...))
}

// moment is the next one.
func (w *watch) moment() Moment {
	w.now++
	return w.now
}

// cutNow kills the process where it stands if it is time.
func (w *watch) cutNow() {
	n := w.calls.Add(1)
	if at := w.cutAt.Load(); at > 0 && n >= at && !w.cut {
		w.cut = true
		_ = unix.Kill(w.pid, unix.SIGKILL)
	}
}
