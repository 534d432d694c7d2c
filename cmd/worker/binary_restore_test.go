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

	"activation-worker/internal/broker/brokertest"
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

// hear notes the subjects of what a stream takes from now on, also of what is erased later.
func (s *site) hear(stream string) *sync.Map {
	s.t.Helper()
	cons, err := s.js.OrderedConsumer(s.t.Context(), stream, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverNewPolicy})
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

// TestRestore: the ledger is restored from a backup, after which 200 more were activated, waiting, failed and forgotten.
func TestRestore(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	env := s.env(restoreEnv()...)
	invoke(t, "", env, "setup", "--with-intake", "--publish-stream", "CUSTOMER").want(t, exitDone)
	w := startWorker(t, env...)
	before := s.announceBatch(51700001, 40, 1)
	s.settle(before, env, w)
	s.awaitRead(w, 40)

	backedUpAt := s.serverNow()
	saved := brokertest.Backup(t, s.js.Conn(), "ACTIVATION")

	after := s.announceBatch(51700101, 200, 5)
	s.settle(after, env, w)
	s.awaitRead(w, 240)
	// Who waited or had failed when the backup was made is activated after it, and one who was active is forgotten.
	for _, id := range before.waiting {
		s.partner.SetDNS(id, true)
	}
	s.awaitAll(before.waiting, events.Activated, w)
	invoke(t, "", env, about("replay", before.failed, "--why", "renewed", "--rate", "100/s")...).want(t, exitDone)
	s.awaitAll(before.failed, events.Activated, w)
	gone := before.activated[:2]
	before.activated = before.activated[2:]
	invoke(t, "", env, about("forget", gone, "--why", "erasure request")...).want(t, exitDone)
	list := invoke(t, "", env, "list", "--state", "forgotten", "-o", "json").want(t, exitDone)
	file := filepath.Join(t.TempDir(), "forgotten.jsonl")
	if err := os.WriteFile(file, []byte(list.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	forgotten := append(append(before.forgotten, after.forgotten...), gone...)
	published := s.published("CUSTOMER")
	w.stop()

	for _, stream := range []string{"ACTIVATION", "ACTIVATION_WORK", "ACTIVATION_REJECTED", events.QuotaStream(bucket)} {
		if err := s.js.DeleteStream(t.Context(), stream); err != nil {
			t.Fatal(err)
		}
	}
	invoke(t, "", env, "setup", "--hold-publish").want(t, exitDone, "CUSTOMER", "held")
	heard := s.hear("CUSTOMER")
	brokertest.Restore(t, s.js.Conn(), "ACTIVATION", saved)
	invoke(t, "", env, "setup", "--accept-ledger", "--rewind-intake", backedUpAt.Add(-time.Minute).Format(time.RFC3339), "--hold-publish").want(t, exitDone)

	// First who was forgotten: a worker without credentials calls nobody, and carries out what it is asked for.
	w = startWorker(t, bare(env)...)
	w.awaitCheck("credentials", false)
	invoke(t, "", env, "forget", "--file", file, "--unknown-too", "--why", "forgotten before the restore").want(t, exitDone)
	w.stop()
	invoke(t, "", env, "setup").want(t, exitDone, "CUSTOMER source")
	w = startWorker(t, env...)
	s.awaitRead(w, 240)
	s.awaitAll(before.activated, events.Activated, w)
	s.awaitAll(after.activated, events.Activated, w)
	s.awaitAll(before.waiting, events.Activated, w)
	s.awaitAll(after.failed, events.Failed, w)
	for _, id := range after.waiting {
		if r := s.await(id, events.Deferred, w); r.Reason == events.Backlog {
			eventually(t, workTimeout, func() bool { return s.newest(id).Reason == events.DNSUnverified })
		}
	}
	invoke(t, "", env, "replay", "--all-failed", "--why", "some may be active since the backup", "--rate", "100/s").want(t, exitDone)
	s.awaitAll(before.failed, events.Activated, w)

	const newcomer = 51700901
	s.customer(newcomer)
	s.await(newcomer, events.Activated, w)
	// A waiting one goes on.
	s.partner.SetDNS(after.waiting[0], true)
	s.await(after.waiting[0], events.Activated, w)
	w.stop()

	j := s.partner.Journal()
	for _, breach := range j.Check() {
		t.Error(breach)
	}
	active := map[int64]bool{}
	for _, c := range j.Calls {
		if c.Op == simulator.OpActivate && active[c.DomainID] {
			t.Errorf("%d was active when it was activated again", c.DomainID)
		}
		active[c.DomainID] = active[c.DomainID] || c.Applied
	}
	now := s.published("CUSTOMER")
	for _, id := range forgotten {
		if r := s.newest(id); r == nil || r.State != events.Forgotten {
			t.Errorf("%d was forgotten and is %+v", id, r)
		}
		subject := events.PublishedSubject(fmt.Sprint(id))
		if _, told := heard.Load(subject); told || now[subject] != 0 {
			t.Errorf("%d was forgotten and is published: %t, %d times now", id, told, now[subject])
		}
	}
	for subject := range published {
		if now[subject] == 0 {
			t.Errorf("%s is not published any more", subject)
		}
	}
	for _, id := range append(after.waiting[:1], newcomer) {
		if now[events.PublishedSubject(fmt.Sprint(id))] != 1 {
			t.Errorf("%d is not published", id)
		}
	}
	invoke(t, "", s.env("WORKER_SWEEP_INTERVAL=1s"), "doctor", "--audit").want(t, exitDone)
}
