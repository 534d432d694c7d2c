package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

const keyFirstID = 51_330_001

// secretFiles are credentials that a worker reads from files, as a secret store mounts them.
type secretFiles struct {
	t   *testing.T
	dir string
}

// env names the files in place of the values.
func (f secretFiles) env(c simulator.Credentials) []string {
	f.write("secret", c.ClientSecret)
	f.write("key", c.PrivateKeyPEM)
	return []string{
		"LINEWORKS_CLIENT_SECRET_FILE=" + filepath.Join(f.dir, "secret"), "LINEWORKS_PRIVATE_KEY_FILE=" + filepath.Join(f.dir, "key"),
		"LINEWORKS_CLIENT_SECRET=", "LINEWORKS_PRIVATE_KEY=",
	}
}

// write replaces a file as a whole.
func (f secretFiles) write(name, value string) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path+".new", []byte(value), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		f.t.Fatal(err)
	}
}

// crowd adds customers with consecutive ids, who can all be activated, and announces them.
func (s *site) crowd(first int64, count int) {
	s.t.Helper()
	for id := first; id < first+int64(count); id++ {
		s.customer(id)
	}
}

// TestARevokedKeyPausesAndNobodyPays: the service account's key is revoked in the middle of a thousand announcements, and
// a good one is put into the file later.
func TestARevokedKeyPausesAndNobodyPays(t *testing.T) {
	t.Parallel()
	const perSecond, concurrency = 30, 4
	customers := size(1000, 300)
	s := newSetUpSite(t)
	files := secretFiles{t, t.TempDir()}
	good := s.partner.Credentials()
	other, err := simulator.New(simulator.Options{}) // for a key that the partner does not know
	if err != nil {
		t.Fatal(err)
	}
	view := viewLedger(t, s.js)
	w := startWorker(t, s.env(append(files.env(good), "WORKER_LOG_LEVEL=info", fmt.Sprintf("LINEWORKS_CONCURRENCY=%d", concurrency),
		// A burst of all of them would be within the peak.
		fmt.Sprintf("LINEWORKS_RATE=%d/m", 60*perSecond), "WORKER_BACKOFF=partner_unavailable=1s")...)...)
	w.AwaitReady(startTimeout)
	s.crowd(keyFirstID, customers)

	view.awaitIn(time.Minute, customers/2, events.Activated, "")
	files.write("key", other.Credentials().PrivateKeyPEM)
	s.partner.RevokeTokens()
	w.awaitCheck("credentials", false, "LINEWORKS_PRIVATE_KEY")
	w.awaitCheck("intake", false, "credentials_refused")
	awaitIntake(t, view, events.SubjectIntakePaused)
	before := view.in(events.Activated, "")
	if before >= customers*9/10 {
		t.Fatalf("%d of %d were activated before the pause: nothing is left to show", before, customers)
	}

	files.write("key", good.PrivateKeyPEM)
	restored, fetches := time.Now(), s.partner.Journal().TokenRequests
	awaitIntake(t, view, events.SubjectIntakeResumed)
	resumed, j := time.Now(), s.partner.Journal()
	// One that was under way is refused, twice since it is signed afresh, and the next is good.
	if n := j.TokenRequests - fetches; n > 3 {
		t.Errorf("%d token requests from the good key to the end of the pause, want those of one probe", n)
	}
	w.awaitCheck("credentials", true)
	view.awaitIn(2*time.Minute, customers, events.Activated, "")
	w.stop()
	view.catchUp(t.Context())

	for id, family := range view.families {
		for _, r := range family {
			if r.State == events.Failed || r.Attempt > 1 || r.Round > 1 {
				t.Errorf("customer %d was %s %s in attempt %d, round %d", id, r.State, r.Reason, r.Attempt, r.Round)
			}
		}
	}
	j = s.partner.Journal()
	after := simulator.Journal{Calls: slices.DeleteFunc(slices.Clone(j.Calls), func(c simulator.Call) bool { return c.At.Before(resumed) })}
	earlier := simulator.Journal{Calls: slices.DeleteFunc(slices.Clone(j.Calls), func(c simulator.Call) bool { return !c.At.Before(restored) })}
	// Leaves are given evenly; what is on its way may bunch up.
	for _, op := range []simulator.Operation{simulator.OpActivate, simulator.OpCustomer} {
		if peak := after.Peak(op, time.Second); peak > perSecond+1+concurrency {
			t.Errorf("%d %s calls within a second after the pause, want at most %d", peak, op, perSecond+1+concurrency)
		}
	}
	if was, is := earlier.Peak("", time.Second), after.Peak("", time.Second); is > was {
		t.Errorf("%d calls within a second after the pause, %d before: a stampede", is, was)
	}
	for _, breach := range j.Check() {
		t.Errorf("the partner saw: %s", breach)
	}
	t.Logf("%d activated before the pause, most calls in a second %d; resumed %s after the good key; then most calls in a second %d",
		before, earlier.Peak("", time.Second), resumed.Sub(restored), after.Peak("", time.Second))
}

// awaitIntake waits until the last that was said of the intake is this.
func awaitIntake(t *testing.T, v *ledgerView, subject string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), workTimeout)
	defer cancel()
	if !v.await(ctx, func() bool { return len(v.intake) > 0 && v.intake[len(v.intake)-1] == subject }) {
		t.Fatalf("the ledger does not end with %s but %v", subject, v.intake)
	}
}

// tenants are two partners at one address: whose secret a token was asked for with answers from then on.
type tenants struct {
	ours, theirs *simulator.Simulator
	foreign      atomic.Bool
}

func (p *tenants) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == simulator.TokenPath {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		form, _ := url.ParseQuery(string(body))
		p.foreign.Store(form.Get("client_secret") == p.theirs.Credentials().ClientSecret)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	if p.foreign.Load() {
		p.theirs.ServeHTTP(w, r)
		return
	}
	p.ours.ServeHTTP(w, r)
}

// TestAnotherTenantsSecretPausesBeforeItFailsThousands: it is good for a token, and no customer is found with it.
func TestAnotherTenantsSecretPausesBeforeItFailsThousands(t *testing.T) {
	t.Parallel()
	customers := size(1000, 300)
	s := newSetUpSite(t)
	foreign := newPartner(t, simulator.Options{})
	foreign.Add(simulator.Customer{DomainID: 1, Terms: true, DNS: true})
	both := httptest.NewServer(&tenants{ours: s.partner.Simulator, theirs: foreign.Simulator})
	t.Cleanup(both.Close)
	s.partner.url = both.URL
	files := secretFiles{t, t.TempDir()}
	view := viewLedger(t, s.js)
	w := startWorker(t, s.env(append(files.env(foreign.Credentials()), "WORKER_LOG_LEVEL=info",
		"WORKER_BACKOFF=partner_unavailable=1s,customer_not_found=2s/3s/5s")...)...)
	w.AwaitReady(startTimeout)
	s.crowd(keyFirstID, customers)

	w.awaitCheck("partner", false, "same no to every customer", "LINEWORKS_SERVICE_ACCOUNT")
	awaitIntake(t, view, events.SubjectIntakePaused)
	// A probe later nobody else is blamed, and nobody is given up.
	probes := foreign.Journal().Customers
	if !eventually(t, workTimeout, func() bool { return len(foreign.Journal().Customers) > len(probes) }) {
		t.Errorf("%d customers were asked for, and no probe has followed", len(probes))
	}
	blamed := view.in(events.Deferred, events.CustomerNotFound) + view.in(events.Failed, "")
	if blamed == 0 || blamed > 10 || view.in(events.Failed, "") > 0 {
		t.Errorf("%d customers are not found or refused, %d of them failed; want 1 to 10, and none", blamed, view.in(events.Failed, ""))
	}
	asked := len(foreign.Journal().Customers)
	if asked > 30 {
		t.Errorf("%d customers were asked for with a foreign key", asked)
	}

	files.write("secret", s.partner.Credentials().ClientSecret)
	foreign.RevokeTokens()
	view.awaitIn(2*time.Minute, customers, events.Activated, "")
	awaitIntake(t, view, events.SubjectIntakeResumed)
	w.awaitCheck("partner", true, "answers")
	w.stop()
	for _, breach := range s.partner.Journal().Check() {
		t.Errorf("the partner saw: %s", breach)
	}
	t.Logf("%d customers were asked for with a foreign secret, %d of them were blamed for it", asked, blamed)
}
