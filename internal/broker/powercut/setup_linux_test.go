package powercut_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/broker/powercut"
)

// setup makes streams and consumers, has one announcement handled, and changes the ledger; the last is returned as from when.
func setup(t *testing.T, kind string) (r *run, changed powercut.Moment) {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	recording, url, kill := record(t, kind, data)
	nc, js := brokertest.Connect(t, url)
	if err := broker.Ensure(t.Context(), js, testLayout); err != nil {
		t.Fatal(err)
	}
	ready := recording.Calls()
	for _, subject := range []string{"signup.terms.accepted", "activation.customer.1.started"} {
		if _, err := js.Publish(t.Context(), subject, []byte("1")); err != nil {
			t.Fatal(err)
		}
	}
	written := recording.Calls()
	if _, err := broker.Apply(t.Context(), js, larger()); err != nil {
		t.Fatal(err)
	}
	nc.Close()
	kill()
	trace, err := recording.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return &run{trace: trace, ready: trace.Steps[ready-1].Ended}, trace.Steps[written-1].Ended
}

func larger() broker.Layout {
	l := testLayout
	l.MaxBytes *= 2
	return l
}

// setUpAgain starts the server on what a cut has left, makes what is missing, and starts it once more. It returns what is wrong.
func (r *run) setUpAgain(t *testing.T, dir string, cut, changed powercut.Moment) (wrong []string) {
	t.Helper()
	for again := range 2 {
		e, err := broker.StartEmbedded(t.Context(), broker.EmbeddedOptions{Dir: dir, Listen: "127.0.0.1:0"})
		if err != nil {
			return append(wrong, err.Error())
		}
		nc, js := brokertest.Connect(t, e.URL())
		if again > 0 || cut >= r.ready {
			wrong = append(wrong, missing(t, js)...)
		}
		if cut >= changed {
			for _, stream := range []string{"SIGNUP", "ACTIVATION"} {
				if _, err := read(t.Context(), js, stream); err != nil {
					wrong = append(wrong, err.Error())
				}
			}
		}
		if err := broker.Ensure(t.Context(), js, testLayout); err != nil {
			wrong = append(wrong, err.Error())
		}
		nc.Close()
		e.Shutdown()
	}
	return wrong
}

// missing names what is not there, of whatever size.
func missing(t *testing.T, js jetstream.JetStream) (names []string) {
	t.Helper()
	drift, err := broker.Plan(t.Context(), js, testLayout)
	if err != nil {
		return []string{err.Error()}
	}
	for _, d := range drift {
		if d.Is == "missing" {
			names = append(names, d.String())
		}
	}
	return names
}
