package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
	"activation-worker/internal/operator"
	"activation-worker/internal/partnerapi/simulator"
)

// users is a server's configuration: root may do everything, the worker everything but what is denied.
func users(denied string) brokertest.Option {
	return brokertest.WithConfig(fmt.Sprintf(`authorization { users: [
		{ user: root, password: r }
		{ user: worker, password: w, permissions: { publish: { allow: [">"], deny: [%s] } } }
	] }
	no_auth_user: root`, denied))
}

// TestPermissionsAreWithdrawnUnderTheWorker: what is missing is named, nobody is lost or called twice, and all goes on
// when it is granted.
func TestPermissionsAreWithdrawnUnderTheWorker(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		denied string
		check  string // that says so
		says   string
	}{
		"records":         {`"activation.customer.>"`, "nats", "publish on activation.customer.>"},
		"timers":          {`"activation.timer.>"`, "nats", "publish on activation.timer.>"},
		"rejections":      {`"activation.rejected.>"`, "nats", "publish on activation.rejected.>"},
		"acknowledgments": {`"$JS.ACK.>"`, "nats", "publish on $JS.ACK.SIGNUP.activator.>"},
		"the API":         {`"$JS.API.>"`, "streams", "$JS.API."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, users(""))
			invoke(t, "", s.env(), "setup", "--with-intake").want(t, exitDone)
			w := startWorker(t, s.env("NATS_USER=worker", "NATS_PASSWORD=w", "WORKER_SWEEP_INTERVAL=2s", "WORKER_BACKOFF=transient=2s,unknown_outcome=1s")...)
			s.customer(51200001)
			s.await(51200001, events.Activated, w)
			s.awaitRead(w, 1)

			s.nats.Reload(users(c.denied))
			s.customer(51200002)
			s.partner.Script(51200003, simulator.OpActivate, "307-none") // wants a timer
			s.customer(51200003)
			s.announce(`{}`)
			w.awaitCheck(c.check, false, c.says)
			if got := w.livez(); got != 200 {
				t.Errorf("/livez is %d, want 200", got)
			}
			s.nats.Reload(users(""))
			s.await(51200002, events.Activated, w)
			s.await(51200003, events.Activated, w)
			if !eventually(t, workTimeout, func() bool { return s.lastSequence("ACTIVATION_REJECTED") == 1 }) {
				t.Errorf("%d rejections, want 1", s.lastSequence("ACTIVATION_REJECTED"))
			}
			s.awaitAllRead(w)
			if !eventually(t, workTimeout, func() bool {
				r, err := w.Readyz("exclude=nats")
				return err == nil && r.Ready
			}) {
				t.Errorf("the worker is not ready; it said:\n%s", w.stderr.tail())
			}
			// nats itself is OK again when a refusal has not been met for a while.
			for _, breach := range s.partner.Journal().Check() {
				t.Error(breach)
			}
			for id := int64(51200001); id <= 51200003; id++ {
				if got := s.partner.Journal().Customers[id].Applied; got != 1 {
					t.Errorf("%d was activated %d times", id, got)
				}
			}
			if said := strings.Count(w.stderr.String(), "nats refuses what the worker needs"); said > 12 {
				t.Errorf("what is denied was logged %d times", said)
			}
			w.stop()
		})
	}
}

// awaitAllRead waits until nothing of the intake is unread or in hand. What was not acknowledged comes again after half a lease.
func (s *site) awaitAllRead(w *proc) {
	s.t.Helper()
	if !eventually(s.t, time.Minute, func() bool {
		info := s.consumer("SIGNUP", events.ConsumerActivator)
		return info != nil && info.NumPending == 0 && info.NumAckPending == 0
	}) {
		s.t.Fatalf("the intake is not read: %+v; the worker said:\n%s", s.consumer("SIGNUP", events.ConsumerActivator), w.stderr.tail())
	}
}

// oldNATS greets every client as a server of a version that is too old.
func oldNATS(t *testing.T, version string) (url string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var open []net.Conn
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			serving.Go(func() { greet(conn, version) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	return "nats://" + l.Addr().String()
}

func greet(conn net.Conn, version string) {
	if _, err := fmt.Fprintf(conn, `INFO {"server_id":"X","version":%q,"headers":true,"max_payload":1048576,"proto":1}`+"\r\n", version); err != nil {
		return
	}
	inbox := "" // the subscription to which answers go
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		var err error
		switch words := strings.Fields(lines.Text()); {
		case len(words) == 0:
		case words[0] == "PING":
			_, err = conn.Write([]byte("PONG\r\n"))
		case words[0] == "SUB":
			inbox = words[len(words)-1]
		case words[0] == "PUB" && len(words) == 4: // a request, which nobody answers
			const nobody = "NATS/1.0 503\r\n\r\n"
			_, err = fmt.Fprintf(conn, "HMSG %s %s %d %d\r\n%s\r\n", words[2], inbox, len(nobody), len(nobody), nobody)
		}
		if err != nil {
			return
		}
	}
}

// TestAnOldServerIsNamed: without message schedules nobody would be woken.
func TestAnOldServerIsNamed(t *testing.T) {
	t.Parallel()
	url := oldNATS(t, "2.11.4")
	env := []string{"NATS_URL=" + url, noWatch, "WORKER_HTTP_ADDR=127.0.0.1:0", "WORKER_CONSOLE_ADDR=127.0.0.1:0"}
	for _, command := range []string{"run", "setup"} {
		invoke(t, "", env, command).want(t, exitFailed, "2.11.4", "2.12 or newer", "update the server")
	}
	checks := examined(t, invoke(t, "", env, "doctor", "-o", "json").want(t, exitDrift))
	wantCheck(t, checks, "streams", operator.Fail, "2.11.4", "2.12 or newer")
}

// TestASimulatorsLedgerIsNoRealPartners: what a simulator has activated, nobody has, and the other way round.
func TestASimulatorsLedgerIsNoRealPartners(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	c := s.partner.Credentials()
	// The defaults are the real partner's addresses; no request leaves the machine.
	actual := []string{
		"NATS_URL=" + s.nats.URL(), "WORKER_HTTP_ADDR=127.0.0.1:0", "WORKER_CONSOLE_ADDR=127.0.0.1:0", noWatch,
		"LINEWORKS_CLIENT_ID=" + c.ClientID, "LINEWORKS_CLIENT_SECRET=" + c.ClientSecret, "LINEWORKS_SERVICE_ACCOUNT=" + c.ServiceAccount, "LINEWORKS_PRIVATE_KEY=" + c.PrivateKeyPEM,
		"HTTPS_PROXY=http://" + freePort(t),
	}
	for _, command := range []string{"run", "setup"} {
		invoke(t, "", actual, command).want(t, exitFailed, "records the customers of partner API host 127.0.0.1", "www.worksapis.com", "--rebind-partner", "WORKER_STREAM")
	}
	checks := examined(t, invoke(t, "", actual, "doctor", "-o", "json").want(t, exitDrift))
	wantCheck(t, checks, "streams", operator.Fail, "host 127.0.0.1", "www.worksapis.com", "--rebind-partner")
	if calls := s.partner.Journal().Calls; len(calls) != 0 {
		t.Errorf("%d requests to the partner", len(calls))
	}
}

// TestTheLedgerIsReboundUnderTheWorker: a worker with the credentials of the tenant before takes nothing more, until the
// ledger is its own again.
func TestTheLedgerIsReboundUnderTheWorker(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	w := startWorker(t, s.env()...)
	s.customer(51200001)
	s.await(51200001, events.Activated, w)
	ours := s.partner
	s.partner = newPartner(t, simulator.Options{ServiceAccount: "sim02.serviceaccount@hoshi-partners"})
	invoke(t, "", s.env(), "setup", "--rebind-partner").want(t, exitDone, "hoshi-partners")
	s.partner = ours
	w.awaitCheck("streams", false, "hoshi-partners", "--rebind-partner")
	checks := examined(t, invoke(t, "", s.env(noWatch), "doctor", "-o", "json").want(t, exitDrift))
	wantCheck(t, checks, "streams", operator.Fail, "hoshi-partners", "--rebind-partner")
	s.customer(51200002)
	pause(t.Context(), time.Second) // enough for a call, if one were made
	if got := s.calls(51200002); got != 0 {
		t.Errorf("%d calls on another tenant's ledger", got)
	}
	invoke(t, "", s.env(), "setup", "--rebind-partner").want(t, exitDone)
	s.await(51200002, events.Activated, w)
	w.AwaitReady(startTimeout)
	s.once(t, 51200001, 51200002)
	w.stop()
}

// TestTwoWorkersHaveOneID: it is only a name. Claims are told apart by tokens, and a log says that it is given twice.
func TestTwoWorkersHaveOneID(t *testing.T) {
	t.Parallel()
	const first, customers = 51200001, 80
	s := newSetUpSite(t)
	env := s.env("WORKER_ID=twin", "LINEWORKS_CONCURRENCY=5", "WORKER_BACKOFF=transient=1s,unknown_outcome=1s", "WORKER_SWEEP_INTERVAL=1s", "WORKER_LOG_LEVEL=info")
	s.partner.answerAfter(50 * time.Millisecond)
	workers := []*proc{startWorker(t, env...), startWorker(t, env...)}
	for _, w := range workers {
		w.AwaitReady(startTimeout)
	}
	pause(t.Context(), 6*time.Second) // claims before may be of the time before a restart
	for id := int64(first); id < first+customers; id++ {
		s.customer(id)
		if id%4 == 0 {
			s.partner.Script(id, simulator.OpActivate, "307-none")
		} else {
			s.announce(fmt.Sprintf(`{"domainId":%d,"reference":"again"}`, id))
		}
	}
	for id := int64(first); id < first+customers; id++ {
		s.await(id, events.Activated, workers[0])
	}
	for _, breach := range s.partner.Journal().Check() {
		t.Error(breach)
	}
	for id := int64(first); id < first+customers; id++ {
		if got := s.partner.Journal().Customers[id].Applied; got != 1 {
			t.Errorf("%d was activated %d times", id, got)
		}
	}
	said := 0
	for _, w := range workers {
		n := strings.Count(w.stderr.String(), "another worker has the same WORKER_ID")
		if said += n; n > 1 {
			t.Errorf("it was logged %d times", n)
		}
		if strings.Contains(w.stderr.String(), "sweep failed") {
			t.Error("the two were in each other's way when they swept")
		}
		w.stop()
	}
	if said == 0 {
		t.Error("nobody has noticed that the id was given twice")
	}
}

// TestAWorkerThatStartsAgainIsNoTwin: what it has claimed before it was killed bears its id too.
func TestAWorkerThatStartsAgainIsNoTwin(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	env := s.env("WORKER_ID=again", "WORKER_BACKOFF=unknown_outcome=1s")
	w := startWorker(t, env...)
	w.AwaitReady(startTimeout)
	s.partner.hold(51200001, heldUndone)
	s.customer(51200001)
	<-s.partner.held
	w.Kill()
	w = startWorker(t, env...)
	s.await(51200001, events.Activated, w)
	if strings.Contains(w.stderr.String(), "same WORKER_ID") {
		t.Error("a worker takes its own life before for another worker")
	}
	w.stop()
}
