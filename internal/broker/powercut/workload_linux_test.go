package powercut_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/broker/powercut"
)

const (
	writers   = 3  // at once, each with customers of its own
	customers = 20 // of each writer
	history   = 16 // records that the ledger keeps of a subject

	// The smallest ledger, whose blocks are of 32 KiB: the run fills several.
	ledgerBytes = 127_000
)

var testLayout = broker.Layout{WithIntake: true, MaxBytes: ledgerBytes}

// stored is a message that the server has acknowledged.
type stored struct {
	stream   string
	sequence uint64
	subject  string
	data     string
	acked    powercut.Moment // the acknowledgement was on its way
	gone     powercut.Moment // from here on it may have been removed, by order; 0: never
}

// run is what happened to a server until its power was cut.
type run struct {
	trace  *powercut.Trace
	ready  powercut.Moment // streams and consumers were there
	stored []*stored
	said   map[string]bool // data of every message sent
	before int             // of stored, how many were there before the trace
	unread map[uint64]bool // sequences of announcements that the consumer never acknowledged
}

// work runs a server of a kind under the worker's kind of load, in an empty directory or, settled, in one in which the
// streams and some messages have long been on the disk, and kills it.
func work(t *testing.T, kind string, settled bool) *run {
	t.Helper()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	p := &pipeline{run: &run{said: map[string]bool{}, unread: map[uint64]bool{}}}
	if settled {
		p.settle(t, data)
	}
	recording, url, kill := record(t, kind, data)
	nc, js := brokertest.Connect(t, url, nats.UserInfo("activation", "pw"), nats.NoReconnect())
	if err := broker.Ensure(t.Context(), js, testLayout); err != nil {
		t.Fatal(err)
	}
	calls := recording.Calls()
	p.js = js
	p.all(t, writers)
	nc.Close()
	kill()
	var err error
	p.trace, err = recording.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if !settled {
		p.ready = p.trace.Steps[calls-1].Ended
	}
	p.acknowledged(t)
	p.replaced()

	// The trace explains every byte that is really there, but for calls that the kill came between.
	again := filepath.Join(dir, "again")
	restore(t, p.trace, again, p.trace.Last, powercut.Model{}, 0)
	between := map[string]bool{}
	for _, s := range p.trace.Steps {
		if s.Ended > p.trace.Last {
			between["/"+s.Path], between["/"+s.To] = true, true
		}
	}
	same(t, data, again, between)
	return p.run
}

// settle lets a server write a little and stop in order; what it leaves counts as on the disk.
func (p *pipeline) settle(t *testing.T, data string) {
	t.Helper()
	e, err := broker.StartEmbedded(t.Context(), broker.EmbeddedOptions{Dir: data, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Shutdown()
	nc, js := brokertest.Connect(t, e.URL())
	defer nc.Close()
	if err := broker.Ensure(t.Context(), js, testLayout); err != nil {
		t.Fatal(err)
	}
	p.js = js
	p.all(t, 1)
	p.before = len(p.stored)
}

// record starts a server of a kind under watch.
func record(t *testing.T, kind, data string) (r *powercut.Recording, url string, kill func()) {
	t.Helper()
	address := filepath.Join(t.TempDir(), "url")
	cmd := serverCommand(t, kind, data, address)
	r, err := powercut.Record(cmd, data)
	if err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		<-r.Done()
	})
	t.Cleanup(kill)
	return r, awaitURL(t, r, address), kill
}

func awaitURL(t *testing.T, r *powercut.Recording, file string) string {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		url, _ := os.ReadFile(file)
		if len(url) > 0 {
			return string(url)
		}
		select {
		case <-r.Done():
			_, err := r.Wait()
			t.Fatalf("the server has ended: %v", err)
		case <-tick.C:
		}
	}
}

// pipeline writes as the signup pipeline and the worker do.
type pipeline struct {
	*run
	js jetstream.JetStream
	mu sync.Mutex
}

func (p *pipeline) all(t *testing.T, writers int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	errs := make(chan error, writers)
	for w := range writers {
		first := 1000*(w+1) + len(p.stored)
		go func() { errs <- p.write(ctx, first) }()
	}
	for range writers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

// write takes some customers through everything that can become of one.
func (p *pipeline) write(ctx context.Context, first int) error {
	intake, err := p.js.Consumer(ctx, "SIGNUP", "activator")
	if err != nil {
		return err
	}
	for i := range customers {
		id := strconv.Itoa(first + i)
		if _, err := p.send(ctx, "signup.terms.accepted", id, nil); err != nil {
			return err
		}
		read, err := intake.Next(jetstream.FetchMaxWait(5 * time.Second))
		if err != nil {
			return err
		}
		last, err := p.record(ctx, id, "started", 0, 100)
		if err != nil {
			return err
		}
		deferrals := i % 3
		if i == 5 {
			deferrals = history + 4
		}
		for range deferrals {
			at := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
			header := nats.Header{"Nats-Schedule": {"@at " + at}, "Nats-Schedule-Target": {"activation.due." + id}, "Nats-Rollup": {"sub"}}
			if _, err := p.send(ctx, "activation.timer."+id, id, header); err != nil {
				return err
			}
			if last, err = p.record(ctx, id, "deferred", last, 60); err != nil {
				return err
			}
		}
		if last, err = p.record(ctx, id, "activated", last, 700); err != nil {
			return err
		}
		if i%6 == 4 {
			if err := p.forget(ctx, id, last); err != nil {
				return err
			}
		}
		if i%4 == 1 {
			meta, err := read.Metadata()
			if err != nil {
				return err
			}
			p.mu.Lock()
			p.unread[meta.Sequence.Stream] = true
			p.mu.Unlock()
		} else if err := read.Ack(); err != nil {
			return err
		}
	}
	return nil
}

// record writes a state of a customer by compare-and-set.
func (p *pipeline) record(ctx context.Context, id, state string, last uint64, size int) (uint64, error) {
	return p.send(ctx, "activation.customer."+id+"."+state, strings.Repeat(".", size), nats.Header{
		jetstream.ExpectedLastSubjSeqHeader:           {strconv.FormatUint(last, 10)},
		"Nats-Expected-Last-Subject-Sequence-Subject": {"activation.customer." + id + ".*"},
	})
}

// forget erases a customer and ends with the record that says so.
func (p *pipeline) forget(ctx context.Context, id string, last uint64) error {
	last, err := p.record(ctx, id, "forgotten", last, 20)
	if err != nil {
		return err
	}
	ledger, err := p.js.Stream(ctx, "ACTIVATION")
	if err != nil {
		return err
	}
	return ledger.Purge(ctx, jetstream.WithPurgeSubject("activation.customer."+id+".*"), jetstream.WithPurgeSequence(last))
}

func (p *pipeline) send(ctx context.Context, subject, text string, header nats.Header) (uint64, error) {
	p.mu.Lock()
	data := fmt.Sprintf("%d %s %s", len(p.said), subject, text)
	p.said[data] = true
	p.mu.Unlock()
	ack, err := p.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Header: header, Data: []byte(data)})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", subject, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stored = append(p.stored, &stored{stream: ack.Stream, sequence: ack.Sequence, subject: subject, data: data})
	return ack.Sequence, nil
}

var pubAck = regexp.MustCompile(`\{"stream":"([A-Z_]+)",(?:"domain":"[^"]*",)?\s*"seq":(\d+)\}`)

// acknowledged finds in what the server sent when each acknowledgement went out.
func (r *run) acknowledged(t *testing.T) {
	t.Helper()
	type key struct {
		stream   string
		sequence string
	}
	at := map[key]powercut.Moment{}
	tail := map[int][]byte{}
	for _, s := range r.trace.Sent {
		text := slices.Concat(tail[s.FD], s.Data)
		for _, m := range pubAck.FindAllSubmatch(text, -1) {
			k := key{string(m[1]), string(m[2])}
			if _, known := at[k]; !known {
				at[k] = s.Began
			}
		}
		tail[s.FD] = bytes.Clone(text[max(0, len(text)-100):])
	}
	for _, s := range r.stored[r.before:] {
		s.acked = at[key{s.stream, strconv.FormatUint(s.sequence, 10)}]
		if s.acked == 0 {
			t.Fatalf("the acknowledgement of %s %d is not in the trace", s.stream, s.sequence)
		}
	}
}

// replaced notes from when on messages may have given way to others. Each customer has one writer, so that what it
// wrote later was sent after what it wrote before was acknowledged.
func (r *run) replaced() {
	families := map[string][]*stored{} // newest last
	for _, s := range r.stored {
		parts := strings.Split(s.subject, ".")
		family := s.stream + strings.Join(parts[:min(3, len(parts))], ".")
		older := families[family]
		families[family] = append(older, s)
		switch {
		case s.stream == "ACTIVATION_WORK" && len(older) > 0:
			older[len(older)-1].gone = max(1, older[len(older)-1].acked)
		case strings.HasSuffix(s.subject, ".forgotten"):
			for _, o := range older {
				o.gone = max(1, s.acked)
			}
		default:
			same := 0
			for i := len(older) - 1; i >= 0; i-- {
				if older[i].subject == s.subject && s.stream == "ACTIVATION" {
					if same++; same == history && older[i].gone == 0 {
						older[i].gone = max(1, older[len(older)-1].acked)
					}
				}
			}
		}
	}
}

// scratch is an empty directory for a restored store. In memory where there is such a place: syncing is not what is
// looked at any more, and takes most of the time.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "powercut-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func restore(t *testing.T, trace *powercut.Trace, to string, cut powercut.Moment, m powercut.Model, seed uint64) {
	t.Helper()
	if err := trace.Restore(to, cut, m, draw(seed)); err != nil {
		t.Fatal(err)
	}
}

// same compares two directories, but for some names.
func same(t *testing.T, is, wants string, but map[string]bool) {
	t.Helper()
	a, b := files(t, is), files(t, wants)
	for name := range but {
		delete(a, name)
		delete(b, name)
	}
	for name := range b {
		if _, there := a[name]; !there {
			t.Errorf("%s is in the trace and not on the disk", name)
		}
	}
	for name, content := range a {
		if other, there := b[name]; !there || other != content {
			t.Errorf("%s is not on the disk as the trace has it (there: %t, %d bytes for %d)", name, there, len(other), len(content))
		}
	}
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		content := []byte(nil)
		if !d.IsDir() {
			content, err = os.ReadFile(path)
		}
		all[strings.TrimPrefix(path, dir)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
