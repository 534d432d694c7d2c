package ledger_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// The data directory of last night is mounted by mistake, then the right one: "bring it back, then the worker goes on by itself".
func TestALedgerThatIsBroughtBackIsUsedAgain(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	nc, js := brokertest.Connect(t, s.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))
	layout := broker.Layout{Streams: events.StreamsOf("ACTIVATION"), IntakeStream: "SIGNUP", IntakeSubject: "signup.terms.accepted", WithIntake: true, MaxBytes: 1 << 28, AckWait: 30 * time.Second}
	if _, err := broker.Apply(t.Context(), js, layout); err != nil {
		t.Fatal(err)
	}
	var mark events.Mark
	look := func() {
		l := layout
		l.Ledger, l.Found = mark, func(m events.Mark) { mark = m }
		if err := broker.Ensure(t.Context(), js, l); err != nil {
			t.Error("ensure:", err)
		}
	}
	look()
	l := ledger.New(ledger.Options{Conn: nc, JetStream: js, Streams: layout.Streams, Source: source, Log: zap.NewNop(), Lease: time.Minute, Mark: func() events.Mark { return mark }})
	dir := filepath.Join(s.Dir(), "jetstream")
	connected := func() {
		eventually(t, func(context.Context) error {
			if !nc.IsConnected() {
				return errors.New("not connected")
			}
			return nil
		})
	}
	swap := func(keep, put string) {
		s.Stop()
		if err := os.Rename(dir, keep); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(dir, os.DirFS(put)); err != nil {
			t.Fatal(err)
		}
		s.Restart()
		connected()
		look()
	}
	claim(t, l, record(1, events.Started), 0)
	night, right, wrong := filepath.Join(t.TempDir(), "night"), filepath.Join(t.TempDir(), "right"), filepath.Join(t.TempDir(), "wrong")
	s.Stop()
	if err := os.CopyFS(night, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	s.Restart()
	connected()
	for id := int64(2); id <= 9; id++ {
		claim(t, l, record(id, events.Started), 0)
	}
	swap(right, night)
	if _, err := l.Claim(limited(t), record(10, events.Started), 0); !errors.Is(err, ledger.ErrLost) {
		t.Fatal("the wrong one:", err)
	}
	swap(wrong, right)
	if r, err := l.Load(limited(t), 9); err != nil || r == nil {
		t.Fatal("not the right one", r, err)
	}
	if err := l.Usable(limited(t)); err != nil {
		t.Error("the right one is back:", err)
	}
	if _, err := l.Claim(limited(t), record(11, events.Started), 0); err != nil {
		t.Error("the right one is back:", err)
	}
}
