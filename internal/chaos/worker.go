package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	lease   = 11 * time.Second
	timeout = 1 * time.Second // of a request to the partner
	// stopLimit is how long a worker may take to stop when it is asked to.
	stopLimit = timeout + 10*time.Second
	// settling is the least time between an unclear request and the next one: longer than anything on its way is held up.
	settling = "3s/4s"
)

// worker is one of the fleet: one process after the other. Each has an id of its own, as in a fleet whose supervisor makes
// a new one in place of one that died.
type worker struct {
	fleet  *fleet
	number int // from 1

	mu     sync.Mutex
	proc   *proc
	starts int
	spec   Start
}

// fleet is what the workers have in common.
type fleet struct {
	site    *site
	binary  string
	env     []string // the partner's settings and the like, without what is each one's own
	tags    bool     // the binary understands FAULTS_…
	workers [workerCount]*worker
	notes   *notes

	watching sync.WaitGroup
}

// run starts it, in place of the process before, and watches over it: as any supervisor would, it starts another when it ends by itself.
func (w *worker) run(ctx context.Context, spec Start) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.begin(ctx, spec)
}

func (w *worker) begin(ctx context.Context, spec Start) error {
	f, i := w.fleet, w.number-1
	w.starts++
	w.spec = spec
	id := fmt.Sprintf("w%d-%d", w.number, w.starts)
	env := append([]string{
		"WORKER_ID=" + id,
		"WORKER_HTTP_ADDR=" + f.site.probes[i],
		"NATS_URL=nats://" + strings.Join(f.site.toNode[i][:], ",nats://"),
		"LINEWORKS_API_URL=http://" + f.site.toPartner[i] + apiPath,
		"LINEWORKS_TOKEN_URL=http://" + f.site.toPartner[i] + tokenPath,
	}, f.env...)
	if f.tags {
		env = append(env, "FAULTS_CLOCK="+spec.Clock.String(), fmt.Sprintf("FAULTS_RECORD_VERSION=%d", spec.Version))
		if spec.Point != "" {
			env = append(env, "FAULTS_KILL="+spec.Point)
		}
	}
	p, err := launch(id, f.site.logFile(fmt.Sprintf("worker-%d", w.number)), env, f.binary, "run")
	if err != nil {
		return err
	}
	w.proc = p
	f.watching.Go(func() { w.watch(ctx, p, spec) })
	return nil
}

// watch replaces a process that has ended by itself.
func (w *worker) watch(ctx context.Context, p *proc, spec Start) {
	select {
	case <-p.ended:
	case <-ctx.Done():
		return
	}
	if p.expected.Load() {
		return
	}
	if spec.Point != "" && p.killedItself() {
		w.fleet.notes.count(selfKilled)
	} else {
		// Whatever is away, a worker waits for it: here no end is in order that nobody asked for.
		w.fleet.notes.breach("%s ended by itself: %s", p.name, p.how())
	}
	if !pause(ctx, 500*ms) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.proc != p || p.expected.Load() {
		return
	}
	spec.Point = ""
	if err := w.begin(ctx, spec); err != nil {
		w.fleet.notes.add("%v", err)
	}
}

// selfKilled is what a worker does that passes the point of its FAULTS_KILL.
const selfKilled = "worker killed itself at its point"

// kill ends it with SIGKILL.
func (w *worker) kill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proc.kill()
}

// stop asks it to stop and waits for that.
func (w *worker) stop(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.proc
	p.expected.Store(true)
	if p.over() {
		return
	}
	began := time.Now()
	if err := p.signal(syscall.SIGTERM); err != nil {
		w.fleet.notes.add("%v", err)
	}
	switch {
	case !p.wait(ctx, stopLimit+4*time.Second): // four for a busy machine
		if ctx.Err() == nil {
			w.fleet.notes.breach("%s has not stopped %s after SIGTERM", p.name, time.Since(began).Round(ms))
		}
		p.kill()
	case p.cmd.ProcessState.ExitCode() != 0:
		w.fleet.notes.breach("%s, told to stop, ended with %s", p.name, p.how())
	}
}

// freeze stops it where it stands for so long.
func (w *worker) freeze(ctx context.Context, d time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.proc.signal(syscall.SIGSTOP)
	pause(ctx, d)
	if again := w.proc.signal(syscall.SIGCONT); err == nil {
		err = again
	}
	return err
}
