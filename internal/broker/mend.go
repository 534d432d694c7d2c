package broker

import (
	"context"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
)

const (
	mendEvery = 2 * time.Second
	// mendRoom is how much must be free before a server whose disk was full is started again.
	mendRoom = 32 << 20
	// probeSize is what is written to try; more than a stream that was refused has left in its file.
	probeSize = 8 << 20
)

// Mend starts the server again when it has stopped to write, which a full or failing disk makes it do for good, and
// when the disk takes data again. It returns when ctx ends; call it once, before Shutdown.
func (e *Embedded) Mend(ctx context.Context) {
	tick := time.NewTicker(mendEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if why := e.stopped(); why != "" {
			e.mend(ctx, why)
		}
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

func (e *Embedded) mend(ctx context.Context, why string) {
	news := e.setFault(fmt.Sprintf("the embedded NATS server cannot write in WORKER_DATA_DIR (%s): %s; make room there: it is started again by itself", e.options.Dir, why))
	if news != "" {
		e.options.Log.Error("the embedded NATS server has stopped to write, waiting until its disk takes data", zap.String("because", why), zap.String("dir", e.options.Dir))
	}
	if err := takesData(e.options.Dir); err != nil {
		e.options.Log.Debug("the data directory takes no data yet", zap.Error(err))
		return
	}
	was := e.running()
	was.Shutdown()
	was.WaitForShutdown()
	if err := e.start(ctx); err != nil {
		e.options.Log.Error("the embedded NATS server does not start again, tried again and again", zap.Error(err))
		return
	}
	e.setFault("")
	e.options.Log.Warn("the embedded NATS server was started again after its disk had failed")
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
	f, err := os.CreateTemp(dir, "probe-")
	if err != nil {
		return err
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}()
	if _, err := f.Write(make([]byte, probeSize)); err != nil {
		return err
	}
	return f.Sync()
}

// Fault is why the server does not work now, empty where it does.
func (e *Embedded) Fault() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fault
}

// setFault returns the fault where that is news.
func (e *Embedded) setFault(fault string) (news string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if (e.fault == "") == (fault == "") {
		return ""
	}
	e.fault = fault
	return fault
}
