package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// restoreEnv are a worker's settings where customers' DNS is looked at often, and forced calls are soon.
func restoreEnv(more ...string) []string {
	return settings([]string{"WORKER_DNS_SCHEDULE=watch=1s/1s,call=1h", "WORKER_BACKOFF=transient=1h,unknown_outcome=1s", "WORKER_SWEEP_INTERVAL=3s"}, more)
}

// bare are settings without the partner's: a worker that starts with them takes no work, and carries out what operators ask for.
func bare(env []string) []string {
	var rest []string
	for _, e := range env {
		if !strings.HasPrefix(e, "LINEWORKS_CLIENT") && !strings.HasPrefix(e, "LINEWORKS_SERVICE") && !strings.HasPrefix(e, "LINEWORKS_PRIVATE") {
			rest = append(rest, e)
		}
	}
	return rest
}

// batch is who is announced for a test of a restore, by what becomes of them.
type batch struct {
	activated, waiting, failed, forgotten []int64
}

// announceBatch announces customers: of each ten, six are activated, one waits for its DNS records, one is refused for
// some time, and two are activated and then forgotten.
func (s *site) announceBatch(first int64, count, refusals int) (c batch) {
	s.t.Helper()
	for i := range count {
		id := first + int64(i)
		customer := simulator.Customer{DomainID: id, Domain: fmt.Sprintf("team-%d.example", id), Terms: true, DNS: true}
		switch i % 10 {
		case 6:
			c.waiting, customer.DNS = append(c.waiting, id), false
		case 7:
			c.failed = append(c.failed, id)
			no := simulator.Fault(fmt.Sprintf("400:NO_%d", id)) // the same for many would be nobody's fault
			s.partner.Script(id, simulator.OpActivate, slices.Repeat([]simulator.Fault{no}, refusals)...)
		case 8, 9:
			c.forgotten = append(c.forgotten, id)
		default:
			c.activated = append(c.activated, id)
		}
		s.partner.Add(customer)
		s.announce(fmt.Sprintf(`{"domainId":%d}`, id))
	}
	return c
}

// settle waits until all have become what they become, and forgets who is to be forgotten.
func (s *site) settle(c batch, env []string, w *proc) {
	s.t.Helper()
	s.awaitAll(c.activated, events.Activated, w)
	s.awaitAll(c.waiting, events.Deferred, w)
	s.awaitAll(c.failed, events.Failed, w)
	s.awaitAll(c.forgotten, events.Activated, w)
	invoke(s.t, "", env, about("forget", c.forgotten, "--why", "erasure request")...).want(s.t, exitDone)
	s.awaitAll(c.forgotten, events.Forgotten, w)
}

func (s *site) awaitAll(ids []int64, state events.State, w *proc) {
	s.t.Helper()
	for _, id := range ids {
		s.await(id, state, w)
	}
}

// about is a command about some customers.
func about(verb string, ids []int64, flags ...string) []string {
	args := []string{verb}
	for _, id := range ids {
		args = append(args, strconv.FormatInt(id, 10))
	}
	return append(args, flags...)
}

// published are the customers whom a stream of activated events tells, each with how often.
func (s *site) published(stream string) map[string]int {
	s.t.Helper()
	st, err := s.js.Stream(s.t.Context(), stream)
	if err != nil {
		s.t.Fatal(err)
	}
	info, err := st.Info(s.t.Context(), jetstream.WithSubjectFilter(">"))
	if err != nil {
		s.t.Fatal(err)
	}
	times := map[string]int{}
	for subject, n := range info.State.Subjects {
		times[subject] = int(n)
	}
	return times
}

// awaitPublished waits until some are published.
func (s *site) awaitPublished(stream string, ids ...int64) {
	s.t.Helper()
	var missing []int64
	if !eventually(s.t, workTimeout, func() bool {
		published := s.published(stream)
		missing = slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return published[events.PublishedSubject(fmt.Sprint(id))] == 1 })
		return len(missing) == 0
	}) {
		s.t.Fatalf("not published once: %v", missing)
	}
}

// hear notes the subjects of what a stream takes from a sequence on, also of what is erased later.
func (s *site) hear(stream string, from uint64) *sync.Map {
	s.t.Helper()
	cons, err := s.js.OrderedConsumer(s.t.Context(), stream, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from})
	if err != nil {
		s.t.Fatal(err)
	}
	var heard sync.Map
	hearing, err := cons.Consume(func(m jetstream.Msg) { heard.Store(m.Subject(), true) })
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		hearing.Stop()
		<-hearing.Closed()
	})
	return &heard
}

// serverNow is the time by the server's clock.
func (s *site) serverNow() time.Time {
	s.t.Helper()
	st, err := s.js.Stream(s.t.Context(), "SIGNUP")
	if err != nil {
		s.t.Fatal(err)
	}
	return st.CachedInfo().TimeStamp
}

// calledOnce checks that nobody was activated who was active.
func (s *site) calledOnce() {
	s.t.Helper()
	j := s.partner.Journal()
	for _, breach := range j.Check() {
		s.t.Error(breach)
	}
	active := map[int64]bool{}
	for _, c := range j.Calls {
		if c.Op == simulator.OpActivate && active[c.DomainID] {
			s.t.Errorf("%d was active when it was activated again", c.DomainID)
		}
		active[c.DomainID] = active[c.DomainID] || c.Applied
	}
}

// listFile writes a file for one test.
func listFile(t *testing.T, text string) (name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
