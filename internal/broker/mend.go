package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"
)

const (
	mendEvery = 2 * time.Second
	// mendFirst is how long a server that was started again must write before all is well. Each that fails again within
	// mendCalm doubles this: one bad file on a disk that takes data otherwise must not make it start all day.
	mendFirst, mendCalm = 5 * time.Second, time.Minute
	// mendRoom is how much must be free before a server whose disk was full is started again.
	mendRoom = 32 << 20
	// probeSize is what is written to try; more than a stream that was refused has left in its file.
	probeSize = 8 << 20
	probeName = "probe-*"
)

// Mend starts the server again when it has stopped to write, which a full or failing disk makes it do for good, and
// when the disk takes data again. A start that fails is tried again. It returns when ctx ends; call it once, before
// Shutdown.
func (e *Embedded) Mend(ctx context.Context) {
	h := healer{Embedded: e, now: time.Now}
	tick := time.NewTicker(mendEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		h.look(ctx)
	}
}

// healer is what Mend knows from one look to the next.
type healer struct {
	*Embedded
	now  func() time.Time
	down error         // why there is no server: it was stopped, and did not start again
	sick bool          // it was seen that it does not write
	last time.Time     // when it was started again
	wait time.Duration // not before this after last is it well, or started once more
}

func (h *healer) look(ctx context.Context) {
	if h.down == nil {
		why := h.stopped()
		if why == "" {
			h.well()
			return
		}
		h.fails()
		if h.setFault(fmt.Sprintf("the embedded NATS server cannot write in WORKER_DATA_DIR (%s): %s; make room there: it is started again by itself", h.options.Dir, why)) {
			h.options.Log.Error("the embedded NATS server has stopped to write, waiting until its disk takes data", zap.String("because", why), zap.String("dir", h.options.Dir))
		}
		if h.rests() {
			return
		}
		if err := takesData(h.options.Dir); err != nil {
			h.options.Log.Debug("the data directory takes no data yet", zap.Error(err))
			return
		}
		h.halt() // not earlier: what it has can be read
	}
	if err := h.again(ctx); err != nil {
		if h.down == nil || h.down.Error() != err.Error() {
			h.options.Log.Error("the embedded NATS server does not start again, tried again and again", zap.Error(err))
		}
		h.down = err
		h.setFault(fmt.Sprintf("the embedded NATS server was stopped because it could not write in WORKER_DATA_DIR (%s), and does not start: %s; it is tried again by itself", h.options.Dir, err))
		return
	}
	h.down, h.sick, h.last = nil, false, h.now()
	h.setFault(fmt.Sprintf("the embedded NATS server could not write in WORKER_DATA_DIR (%s) and was started again; it is well if it writes for %s", h.options.Dir, h.wait))
	h.options.Log.Warn("the embedded NATS server was started again after its disk had failed")
}

// fails notes that the server does not write, and how soon that is after it was started again.
func (h *healer) fails() {
	switch soon := h.now().Sub(h.last) < mendCalm; {
	case h.sick:
		return
	case soon:
		h.wait = min(2*h.wait, mendCalm)
	default:
		h.wait = mendFirst
	}
	h.sick = true
}

func (h *healer) rests() bool { return h.now().Sub(h.last) < h.wait }

// well takes the fault away when the server has gone on for long enough.
func (h *healer) well() {
	if h.Fault() != "" && !h.rests() {
		h.setFault("")
		h.options.Log.Info("the embedded NATS server writes again")
	}
}

// stopped is why the server does not write any more, empty where it does.
func (e *Embedded) stopped() string {
	if why := e.log.failing(); why != "" {
		return why
	}
	if !e.running().JetStreamEnabled() {
		return "it has switched JetStream off, see the log"
	}
	return ""
}

// again starts a server in place of one that was halted, and leaves none where that fails.
func (h *healer) again(ctx context.Context) error {
	if err := portFree(ctx, h.host, h.port); err != nil {
		return err
	}
	err := h.start(ctx)
	if err != nil {
		h.halt()
	}
	return err
}

// takesData tries whether a directory has room, and writes.
func takesData(dir string) error {
	free, err := FreeDisk(dir)
	if err != nil {
		return err
	}
	if free < mendRoom {
		return fmt.Errorf("%d bytes are free in %s, wanted %d", free, dir, mendRoom)
	}
	f, err := os.CreateTemp(dir, probeName)
	if err != nil {
		return err
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}()
	if err := writeProbe(f); err != nil {
		return err
	}
	return f.Sync()
}

// writeProbe writes what no file system can make smaller.
func writeProbe(w io.Writer) error {
	data := make([]byte, probeSize)
	_, _ = rand.Read(data) // never fails
	_, err := w.Write(data)
	return err
}

// removeProbes removes what a process has left that was killed while it tried.
func removeProbes(dir string) error {
	left, err := fs.Glob(os.DirFS(dir), probeName)
	for _, name := range left {
		err = errors.Join(err, os.Remove(filepath.Join(dir, name)))
	}
	return err
}

// Fault is why the server does not work now, empty where it does.
func (e *Embedded) Fault() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fault
}

// setFault sets the fault, with the reason of today, and reports whether there was none before.
func (e *Embedded) setFault(fault string) (news bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	news = e.fault == "" && fault != ""
	e.fault = fault
	return news
}
