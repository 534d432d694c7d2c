package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nkeys"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/console"
	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

const hiddenFirstID = 51_420_000

// TestBinaryHidesWhatThePartnerRepeats leads a worker through a partner that repeats all it knows, with each WORKER_RECORD_PARTNER_TEXT, with
// a log level of error that SIGUSR1 makes debug, and ends it with a stack dump. Secrets, addresses and numbers come out nowhere; the
// partner's words where they are wanted.
func TestBinaryHidesWhatThePartnerRepeats(t *testing.T) {
	t.Parallel()
	for setting, wanted := range map[string]struct{ ledger, log bool }{
		"off": {false, false}, "ledger": {true, false}, "all": {true, true},
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			s := newSetUpSite(t)
			e := s.echoes()
			env := s.env("WORKER_RECORD_PARTNER_TEXT="+setting, "WORKER_LOG_LEVEL=error", "WORKER_LOG_FORMAT=console", "WORKER_HTTP_ADDR="+freePort(t), "WORKER_CONSOLE_ADDR="+freePort(t), "GOTRACEBACK=all",
				"WORKER_BACKOFF=transient=1s,unknown_outcome=1s,partner_unavailable=1s,customer_not_found=1s")
			w := startWorker(t, env...)
			watching := startBinary(t, env, "watch", "-o", "json")
			page := lookAt(t, "http://"+setTo(env, "WORKER_CONSOLE_ADDR")+"/")
			w.AwaitReady(startTimeout)
			w.signal(syscall.SIGUSR1)
			w.awaitSaid("log level changed")
			for id := int64(hiddenFirstID); id < hiddenFirstID+10; id++ {
				s.partner.Add(simulator.Customer{
					DomainID: id, Domain: fmt.Sprintf("c%d.by-works.com", id), CompanyName: echoCompany, Terms: true, DNS: true,
					Administrator: simulator.Administrator{LastName: echoName, ID: "admin", PrivateEmail: echoMail, Cellphone: echoPhone},
				})
				s.announce(fmt.Sprintf(`{"domainId":%d}`, id))
			}
			s.await(hiddenFirstID, events.Activated, w)
			s.await(hiddenFirstID+9, events.Failed, w)
			if !eventually(t, workTimeout, func() bool {
				for id := int64(hiddenFirstID); id < hiddenFirstID+10; id++ {
					if r := s.newest(id); r == nil || r.State == events.Started {
						return false
					}
				}
				return true
			}) {
				t.Fatalf("not every customer has an answer; the worker said:\n%s", w.stderr.tail())
			}
			e.refuse.Store(true)
			s.partner.RevokeTokens()
			s.announce(fmt.Sprintf(`{"domainId":%d}`, hiddenFirstID+19))
			w.awaitCheck("credentials", false, "LINEWORKS_")

			var told strings.Builder
			ready, err := w.Readyz("")
			fmt.Fprintf(&told, "%+v %v\n", ready, err)
			for _, args := range [][]string{
				{"status", fmt.Sprint(hiddenFirstID + 4)},
				{"status", fmt.Sprint(hiddenFirstID + 9), "-o", "json"},
				{"list"},
				{"list", "-o", "json"},
				{"doctor"},
				{"doctor", "-o", "json"},
				{"run", "--print-config"},
				{"setup", "--check"},
			} {
				r := invoke(t, "", env, args...)
				told.WriteString(r.stdout + r.stderr)
			}
			await(t, page.live(), "the pause", func(now console.Now) bool { return now.Known && now.Partner.Pause != nil })
			for id := int64(hiddenFirstID); id < hiddenFirstID+20; id++ {
				page.customer(id)
			}
			page.customers("")
			page.get("api/replay?all-failed=true", nil)
			watching.Kill()
			w.signal(syscall.SIGQUIT)
			if code := w.Wait(workTimeout); code == exitDone || !strings.Contains(w.stderr.String(), "goroutine ") {
				t.Errorf("there is no stack dump, exit status %d", code)
			}

			secrets := s.partner.Journal().Secrets()
			personal := []string{echoMail, strings.ReplaceAll(echoMail, "@", "%40"), echoPhone, "090-7741", "7741-9983"}
			log := w.stdout.String() + w.stderr.String()
			for what, text := range map[string]string{"the log": log, "a command": told.String(), "worker watch": watching.stdout.String() + watching.stderr.String(), "the page": page.all()} {
				hidden(t, what, text, secrets)
				without(t, what, text, personal)
			}
			without(t, "the page", page.all(), []string{echoName, echoCompany, echoWords})
			if !wanted.log {
				without(t, "the log", log, []string{echoName, echoCompany, echoWords})
			}
			if got := strings.Contains(log, echoWords); got != wanted.log {
				t.Errorf("the partner's words are in the log: %t", got)
			}
			kept := false
			for _, stream := range []string{"ACTIVATION", "ACTIVATION_REJECTED", "ACTIVATION_WORK", "KV_ACTIVATION_QUOTA"} {
				for _, m := range s.messages(stream) {
					text := string(m.Data)
					if strings.HasSuffix(m.Subject, "."+string(events.Activated)) {
						text = withoutObject(t, m.Data)
					}
					hidden(t, m.Subject, text, secrets)
					without(t, m.Subject, text, personal)
					kept = kept || strings.Contains(text, echoWords)
				}
			}
			if kept != wanted.ledger {
				t.Errorf("the partner's words are in the ledger: %t", kept)
			}
		})
	}
}

// TestBinaryHidesItsOwnSecrets: those by which it comes to NATS, good and refused, and to the partner through a proxy, in what it logs
// at debug level, in a stack dump, and in what commands say. Where others can read one, that is said without failing.
func TestBinaryHidesItsOwnSecrets(t *testing.T) {
	t.Parallel()
	const good, bad, exposed = "Zk8-good-passw0rd/+", "Zk8-refused-passw0rd/+", "not only its owner has rights"
	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	seed := func() (public, secret string) {
		pair, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		public, _ = pair.PublicKey()
		text, _ := pair.Seed()
		return public, string(text)
	}
	public, goodSeed := seed()
	_, badSeed := seed()
	inURL := strings.NewReplacer("/", "%2F", "+", "%2B")
	creds := fmt.Sprintf("-----BEGIN NATS USER JWT-----\n%s\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n", strings.Repeat("ey1", 20), badSeed)
	users := fmt.Sprintf(`authorization { users: [ { user: u, password: %q }, { nkey: %q } ] }`, good, public)
	token := fmt.Sprintf(`authorization { token: %q }`, good)
	for name, tc := range map[string]struct {
		server string
		env    func(host string) []string
		secret string
		warns  string // at the start, and by doctor
		in     bool   // it gets in
	}{
		"a password":                {users, func(string) []string { return []string{"NATS_USER=u", "NATS_PASSWORD=" + good} }, good, "", true},
		"a password in a file":      {users, func(string) []string { return []string{"NATS_USER=u", "NATS_PASSWORD_FILE=" + file(good)} }, good, "NATS_PASSWORD_FILE", true},
		"a password in the URL":     {users, func(h string) []string { return []string{"NATS_URL=nats://u:" + inURL.Replace(good) + "@" + h} }, good, "", true},
		"a refused password in URL": {users, func(h string) []string { return []string{"NATS_URL=nats://u:" + inURL.Replace(bad) + "@" + h} }, bad, "", false},
		"a refused password":        {users, func(string) []string { return []string{"NATS_USER=u", "NATS_PASSWORD=" + bad} }, bad, "", false},
		"a token":                   {token, func(string) []string { return []string{"NATS_TOKEN=" + good} }, good, "", true},
		"a refused token":           {token, func(string) []string { return []string{"NATS_TOKEN_FILE=" + file(bad)} }, bad, "NATS_TOKEN_FILE", false},
		"a seed":                    {users, func(string) []string { return []string{"NATS_NKEY=" + file(goodSeed)} }, goodSeed, "NATS_NKEY", true},
		"a refused seed":            {users, func(string) []string { return []string{"NATS_NKEY=" + file(badSeed)} }, badSeed, "NATS_NKEY", false},
		"refused credentials":       {users, func(string) []string { return []string{"NATS_CREDS=" + file(creds)} }, badSeed, "NATS_CREDS", false},
		"a proxy's password": {users, func(string) []string {
			return []string{
				"NATS_USER=u", "NATS_PASSWORD=" + good, "LINEWORKS_API_URL=https://partner.invalid/v1.0", "LINEWORKS_TOKEN_URL=https://auth.partner.invalid/token",
				"HTTPS_PROXY=http://p:" + inURL.Replace(bad) + "@" + refusingProxy(t, bad),
			}
		}, bad, "", true},
		"a proxy that is none": {users, func(string) []string {
			return []string{
				"NATS_USER=u", "NATS_PASSWORD=" + good, "LINEWORKS_API_URL=https://partner.invalid/v1.0", "LINEWORKS_TOKEN_URL=https://auth.partner.invalid/token",
				"HTTPS_PROXY=http://p:" + bad + "@%zz:1",
			}
		}, bad, "", true},
		"the partner's key and secret in files": {users, func(string) []string {
			key, err := simulator.TestKey()
			if err != nil {
				t.Fatal(err)
			}
			sim, err := simulator.New(simulator.Options{Key: key})
			if err != nil {
				t.Fatal(err)
			}
			return []string{
				"NATS_USER=u", "NATS_PASSWORD=" + good, "LINEWORKS_CLIENT_SECRET=", "LINEWORKS_PRIVATE_KEY=",
				"LINEWORKS_CLIENT_SECRET_FILE=" + file(bad), "LINEWORKS_PRIVATE_KEY_FILE=" + file(sim.Credentials().PrivateKeyPEM),
			}
		}, bad, "LINEWORKS_PRIVATE_KEY_FILE", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := brokertest.Start(t, brokertest.WithConfig(tc.server))
			p := newPartner(t, simulator.Options{})
			env := settings(p.env(), []string{
				"NATS_URL=" + server.URL(), "WORKER_HTTP_ADDR=127.0.0.1:0", "WORKER_CONSOLE_ADDR=127.0.0.1:0", "WORKER_LOG_LEVEL=debug", "GOTRACEBACK=system", "LINEWORKS_TIMEOUT=2s", "WORKER_LEASE=12s", "WORKER_STREAM_MAX_BYTES=1GiB",
			}, tc.env(strings.TrimPrefix(server.URL(), "nats://")))
			secrets := append(p.Journal().Secrets(), tc.secret, good)
			if tc.in {
				r := invoke(t, "", env, "setup", "--with-intake")
				hidden(t, "setup", r.stdout+r.stderr, secrets)
				r.want(t, exitDone)
			}
			w := startWorker(t, env...)
			if tc.in {
				w.awaitSaid("worker started")
				w.awaitCheck("nats", true)
				if strings.Contains(strings.Join(env, " "), "HTTPS_PROXY") {
					w.awaitSaid("no access token")
				}
			} else {
				w.awaitSaid("nats refuses our credentials")
				w.awaitCheck("nats", false)
			}
			ready, err := w.Readyz("")
			hidden(t, "/readyz", fmt.Sprintf("%+v %v", ready, err), secrets)
			for _, args := range [][]string{
				{"doctor"}, {"doctor", "-o", "json"}, {"status", "51200001"}, {"list"}, {"run", "--print-config"}, {"setup", "--check"}, {"submit", "x"},
			} {
				r := invoke(t, "", env, args...)
				hidden(t, "worker "+args[0], r.stdout+r.stderr, secrets)
				if args[0] == "doctor" && tc.warns != "" {
					r.want(t, exitDrift, tc.warns, exposed)
				}
			}
			arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", w.cmd.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			hidden(t, "the process's arguments", string(arguments), secrets)
			w.signal(syscall.SIGABRT)
			if code := w.Wait(workTimeout); code == exitDone {
				t.Errorf("exit status %d", code)
			}
			log := w.stdout.String() + w.stderr.String()
			if !strings.Contains(log, "goroutine ") {
				t.Errorf("the log has no stack dump:\n%s", w.stderr.tail())
			}
			if strings.Contains(log, exposed) != (tc.warns != "") || !strings.Contains(log, tc.warns) {
				t.Errorf("it does not warn of %q, or of something else:\n%s", tc.warns, w.stderr.tail())
			}
			hidden(t, "the log", log, secrets)
		})
	}
}

// refusingProxy answers every request with 407 and the password it got, in the status line too.
func refusingProxy(t *testing.T, password string) (address string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 407 wrong is %s\r\nX-Said: %s\r\n\r\n%s", password, password, password)
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}
