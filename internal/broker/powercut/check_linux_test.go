package powercut_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/powercut"
)

func draw(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 5)) }

// verdict is what a server that starts again has kept.
type verdict struct {
	acked  int      // messages acknowledged before the cut, and not to be removed
	lost   int      // of these
	timers int      // of the lost, those that the sweep makes anew
	faults []string // everything that breaks a promise, the first losses among it
}

func (v *verdict) fault(format string, a ...any) {
	v.faults = append(v.faults, fmt.Sprintf(format, a...))
}

// restart starts the embedded server on what a cut has left and asks it for everything.
// With twice, it does so again after an orderly stop.
func (r *run) restart(t *testing.T, dir string, cut powercut.Moment, twice bool) *verdict {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	v := &verdict{}
	for _, again := range starts(twice) {
		e, err := broker.StartEmbedded(ctx, broker.EmbeddedOptions{Dir: dir, Listen: "127.0.0.1:0"})
		if err != nil {
			v.fault("the server does not start: %v", err)
			return v
		}
		err = r.inspect(ctx, e.URL(), cut, v, again)
		e.Shutdown()
		if err != nil {
			v.fault("%v", err)
		}
		if len(v.faults) > 0 {
			return v
		}
	}
	return v
}

func starts(twice bool) []bool {
	if twice {
		return []bool{false, true}
	}
	return []bool{false}
}

func (r *run) inspect(ctx context.Context, url string, cut powercut.Moment, v *verdict, again bool) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	if cut >= r.ready {
		drift, err := broker.Plan(ctx, js, testLayout)
		if err != nil {
			return fmt.Errorf("streams and consumers: %w", err)
		}
		for _, d := range drift {
			v.fault("%s", d)
		}
	}
	kept := map[string]map[uint64]*nats.Msg{}
	for _, stream := range []string{"SIGNUP", "ACTIVATION", "ACTIVATION_WORK"} {
		kept[stream], err = read(ctx, js, stream)
		if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("reading %s: %w", stream, err)
		}
	}
	*v = verdict{faults: v.faults}
	newest := r.losses(cut, kept, v)
	r.chain(cut, kept["ACTIVATION"], v)
	if again || len(v.faults) > 0 || cut < r.ready {
		return nil
	}
	r.unreadLeft(ctx, js, cut, v)
	return r.goOn(ctx, js, kept["ACTIVATION"], newest, v)
}

// read returns everything in a stream.
func read(ctx context.Context, js jetstream.JetStream, stream string) (map[uint64]*nats.Msg, error) {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	kept := map[uint64]*nats.Msg{}
	state := s.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq && seq > 0; seq++ {
		m, err := s.GetMsg(ctx, seq)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
		case err != nil:
			return nil, err
		default:
			kept[seq] = &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}
		}
	}
	return kept, nil
}

// losses holds what is kept against what was acknowledged, and returns the newest acknowledged sequence of the ledger.
func (r *run) losses(cut powercut.Moment, kept map[string]map[uint64]*nats.Msg, v *verdict) (newest uint64) {
	for _, s := range r.stored {
		if s.acked > cut {
			continue
		}
		if s.stream == "ACTIVATION" {
			newest = max(newest, s.sequence)
		}
		m := kept[s.stream][s.sequence]
		switch {
		case m != nil && string(m.Data) == s.data:
			v.acked++
		case s.gone != 0 && s.gone <= cut && m == nil:
		case m == nil:
			v.acked++
			v.lost++
			if s.stream == "ACTIVATION_WORK" {
				v.timers++
			}
			if v.lost <= 3 {
				v.fault("lost: %s %d, %s", s.stream, s.sequence, s.subject)
			}
		default:
			v.fault("altered: %s %d, %s, is %q", s.stream, s.sequence, s.subject, m.Data)
		}
	}
	for stream, messages := range kept {
		for sequence, m := range messages {
			if !r.said[string(m.Data)] && !strings.HasPrefix(string(m.Data), "after ") {
				v.fault("made up: %s %d, %s, is %q", stream, sequence, m.Subject, m.Data)
			}
		}
	}
	return newest
}

// chain follows each family's compare-and-set sequences.
func (r *run) chain(cut powercut.Moment, ledger map[uint64]*nats.Msg, v *verdict) {
	removable := map[uint64]bool{0: true}
	for _, s := range r.stored {
		if s.stream == "ACTIVATION" && s.gone != 0 && s.gone <= cut {
			removable[s.sequence] = true
		}
	}
	for sequence, m := range ledger {
		expected, err := strconv.ParseUint(m.Header.Get(jetstream.ExpectedLastSubjSeqHeader), 10, 64)
		if err != nil || ledger[expected] == nil && !removable[expected] {
			v.fault("the chain is broken: %d, %s, follows %d, which is gone", sequence, m.Subject, expected)
		}
	}
}

// unreadLeft asks whether the consumer still owes what it never delivered to an end.
func (r *run) unreadLeft(ctx context.Context, js jetstream.JetStream, cut powercut.Moment, v *verdict) {
	owed, first := 0, uint64(1<<62)
	for _, s := range r.stored {
		if s.stream == "SIGNUP" && s.acked <= cut && r.unread[s.sequence] {
			owed++
			first = min(first, s.sequence)
		}
	}
	c, err := js.Consumer(ctx, "SIGNUP", "activator")
	if err != nil {
		v.fault("the consumer of the announcements: %v", err)
		return
	}
	info := c.CachedInfo()
	if owes := int(info.NumPending) + info.NumAckPending; owes < owed || info.AckFloor.Stream >= first {
		v.fault("the consumer owes %d announcements from %d on and should owe %d from %d on", owes, info.AckFloor.Stream, owed, first)
	}
}

// goOn writes on: the numbers go on after all that were ever given, and a compare-and-set knows what is kept.
func (r *run) goOn(ctx context.Context, js jetstream.JetStream, ledger map[uint64]*nats.Msg, newest uint64, v *verdict) error {
	last := uint64(0)
	for sequence := range ledger {
		last = max(last, sequence)
	}
	subject, family := "activation.customer.9999.started", "activation.customer.9999.*"
	var header nats.Header
	write := func(expected uint64) (*jetstream.PubAck, error) {
		header = nats.Header{
			jetstream.ExpectedLastSubjSeqHeader:           {strconv.FormatUint(expected, 10)},
			"Nats-Expected-Last-Subject-Sequence-Subject": {family},
		}
		return js.PublishMsg(ctx, &nats.Msg{Subject: subject, Header: header, Data: []byte("after " + subject)})
	}
	ack, err := write(0)
	if err != nil {
		return fmt.Errorf("a new claim after the cut: %w", err)
	}
	if ack.Sequence <= max(newest, last) {
		v.fault("the new record is number %d, and %d was given before", ack.Sequence, max(newest, last))
	}
	if last == 0 {
		return nil
	}
	parts := strings.Split(ledger[last].Subject, ".")
	family = strings.Join(parts[:3], ".") + ".*"
	subject = strings.Join(parts[:3], ".") + ".failed"
	if _, err := write(0); err == nil {
		v.fault("%s: a claim of a customer who has a record was taken", family)
	}
	if _, err := write(last); err != nil {
		v.fault("%s: a record after %d: %v", family, last, err)
	}
	return nil
}
