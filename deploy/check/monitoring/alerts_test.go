package monitoring

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"activation-worker/deploy/check/deploytest"
)

// scenes are the plays, by the end of the job's name: how many replicas each has, and what happens.
var scenes = map[string]struct {
	replicas int
	play     func(*scene)
}{
	"":             {1, dashboardIsFilled},
	"-stopped":     {1, workersStop},
	"-credentials": {1, credentialsAreRefused},
	"-partner":     {1, partnerGoesAway},
	"-everybody":   {1, everybodyIsRefused},
	"-outcomes":    {1, customersFail},
	"-ledger":      {1, ledgerFills},
	"-records":     {1, recordsAreNewer},
	"-replicas":    {2, replicasAreLost},
	"-intake":      {1, intakeIsBehind},
	"-sweep":       {1, sweepsFail},
}

// TestAlertsOnRealWorkers provokes each alert of the rules, all scenes at once under one Prometheus, and has each end.
func TestAlertsOnRealWorkers(t *testing.T) {
	t.Parallel()
	ports := deploytest.FreePorts(t, 4+4*len(scenes)) // all at once, so that all differ
	address := func() string {
		port := ports[0]
		ports = ports[1:]
		return fmt.Sprintf("127.0.0.1:%d", port)
	}
	audit := filepath.Join(t.TempDir(), "metrics")
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, audit) }))
	t.Cleanup(host.Close)
	jobs := map[string][]string{"node": {strings.TrimPrefix(host.URL, "http://")}}
	good := newPartner(t, address())
	good.start(t)
	seen := &fired{names: map[string]bool{}}
	var all []*scene
	for end, of := range scenes {
		s := &scene{fired: seen, job: "activation-worker" + end, nats: address(), dir: t.TempDir(), partner: good, own: address()}
		for range of.replicas {
			s.http = append(s.http, address())
		}
		jobs[s.job] = s.http
		all = append(all, s)
	}
	machine := &scene{fired: seen, job: "node", nats: address(), dir: t.TempDir(), partner: good, http: []string{address()}}
	p := startPrometheus(t, address(), jobs)
	played := 0
	for _, s := range append(all, machine) {
		t.Run(s.job, func(t *testing.T) {
			played++ // before it waits for the others
			t.Parallel()
			s.t, s.prometheus = t, p
			if s == machine {
				auditIsBroken(s, audit)
				return
			}
			scenes[strings.TrimPrefix(s.job, "activation-worker")].play(s)
		})
	}
	t.Cleanup(func() { // when all have played
		if played <= len(scenes) || t.Failed() {
			return
		}
		for _, r := range shippedRules(t) {
			if r.Alert != "" && !seen.names[r.Alert] {
				t.Errorf("no scene has provoked %s", r.Alert)
			}
		}
	})
}

func workersStop(s *scene) {
	worker := s.start()
	s.well()
	worker.Stop()
	s.alerts("ActivationNoWorkerPulling")
	s.only("ActivationNoWorkerPulling")
	s.start()
	s.well()
}

func credentialsAreRefused(s *scene) {
	none := []string{"LINEWORKS_CLIENT_ID=", "LINEWORKS_CLIENT_SECRET=", "LINEWORKS_SERVICE_ACCOUNT=", "LINEWORKS_PRIVATE_KEY_FILE="}
	worker := s.start(none...)
	s.alerts("ActivationCredentialsRefused")
	s.holds(`activation_paused{job="$job",reason="no_credentials"} == 1`)
	worker.Stop()

	right := ""
	for _, setting := range s.partner.env {
		if secret, ok := strings.CutPrefix(setting, "LINEWORKS_CLIENT_SECRET="); ok {
			right = secret
		}
	}
	file := filepath.Join(s.t.TempDir(), "client-secret")
	write(s.t, file, []byte("wrong"))
	s.start("LINEWORKS_CLIENT_SECRET=", "LINEWORKS_CLIENT_SECRET_FILE="+file)
	s.holds(`activation_paused{job="$job",reason="credentials_refused"} == 1`)
	s.alerts("ActivationCredentialsRefused")
	write(s.t, file, []byte(right)) // as the runbook says, without a restart
	s.well()
}

func partnerGoesAway(s *scene) {
	s.partner = newPartner(s.t, s.own)
	simulator := s.partner.start(s.t)
	s.start()
	s.well()
	s.submit(100, 3)
	s.holds(`activation_outcomes_total{job="$job",outcome="activated",via="activate"} == 3`)
	simulator.Stop()
	s.submit(200, 15)
	s.alerts("ActivationPartnerDown")
	s.only("ActivationPartnerDown")
	s.partner.start(s.t)
	s.well()
}

func everybodyIsRefused(s *scene) {
	s.partner = newPartner(s.t, s.own)
	s.partner.start(s.t, "--auto=false")
	s.start()
	s.well()
	s.submit(300, 12)                      // whom the partner does not know
	s.alerts("ActivationEverybodyRefused") // the code of that no has a ticket of its own for a while
	s.only("ActivationEverybodyRefused", "ActivationUnknownCode")
	for id := 400; id < 412; id++ {
		s.partner.tell(s.t, "customers", fmt.Sprintf(`{"domainId":%d,"terms":true}`, id))
	}
	s.submit(400, 12)
	s.well()
}

func customersFail(s *scene) {
	s.start()
	s.well()
	s.partner.tell(s.t, "customers", `{"domainId":600,"domain":"kogane.by-works.com","terms":true}`) // has nothing to prove, so a no is a no
	s.partner.tell(s.t, "script", `{"domainId":600,"operation":"activate","faults":["400:NOBODY_KNOWS"]}`)
	s.submit(600, 1)
	s.publish("signup.terms.accepted", "this is no announcement")
	for _, a := range s.alerts("ActivationAnnouncementRejected", "ActivationCustomerFailed", "ActivationUnknownCode") {
		for name, want := range map[string]string{"reason": "refused", "operation": "activate", "status": "400", "severity": "ticket"} {
			if got := a.Labels[name]; got != "" && got != want {
				s.t.Errorf("%s has %s=%q, want %q", a.Labels["alertname"], name, got, want)
			}
		}
	}
	s.well() // the next hour has none
}

func ledgerFills(s *scene) {
	s.start()
	s.well()
	s.submit(700, 30)
	s.holds(`activation_customers{job="$job",state="activated"} == 30`)
	s.holds(`activation_stream_messages{job="$job",stream="ledger"} >= 60`)
	found, err := s.prometheus.ask(s.t.Context(), fmt.Sprintf("max(activation_stream_bytes{job=%q,stream=\"ledger\"})", s.job))
	if err != nil || len(found) == 0 {
		s.t.Fatalf("the ledger's size: %v, %v", found, err)
	}
	bytes, _ := found[0].latest()
	s.command("setup", "--with-intake", "--stream-max-bytes", fmt.Sprint(math.Floor(bytes/0.85)))
	s.alerts("ActivationLedgerFilling")
	s.only("ActivationLedgerFilling")
	s.command("setup", "--with-intake", "--stream-max-bytes", "1GiB") // as the runbook says, without a restart
	s.well()
}

// newerRecord is one whose major version this binary does not know, and knownRecord one that it knows.
const (
	knownRecord = `{"specversion":"1.0","id":"800-0-activated","source":"/lineworks/activation","type":"customer.activated","subject":"800",` +
		`"time":"2026-03-02T09:00:02Z","dataschema":"urn:activation-worker:customer.activated/v1","datacontenttype":"application/json",` +
		`"data":{"domainId":800,"round":1,"attempt":1,"event":{"id":"/signup A-1","stream":"SIGNUP","streamCreated":"2026-02-01T08:00:00Z","sequence":7,"storedAt":"2026-03-02T09:00:00.9Z"},` +
		`"trigger":{"kind":"terms_accepted","id":"/signup A-1"},"acceptedAt":"2026-03-02T09:00:00Z","seen":{},"waived":0,"calls":1,"unsettled":false,` +
		`"via":"activate","activatedAt":"2026-03-02T09:00:02Z","customer":{"domainId":800,"enableActiveDomain":true}}}`
	contentType = "Content-Type:application/cloudevents+json"
)

func recordsAreNewer(s *scene) {
	worker := s.start()
	s.well()
	s.publish("activation.customer.800.activated", strings.ReplaceAll(knownRecord, "/v1", "/v2"), "-H", contentType)
	s.submit(800, 1)
	s.alerts("ActivationRecordsUnknown")
	s.only("ActivationRecordsUnknown")
	// What a newer version, run here in between, might have left.
	s.publish("activation.customer.800.activated", knownRecord, "-H", contentType)
	worker.Stop()
	s.start()
	s.well()
}

func replicasAreLost(s *scene) {
	second := deploytest.Command{Path: deploytest.Worker(s.t), Args: []string{"run"}, Env: s.settings(1, "NATS_URL=nats://"+s.nats)}
	b := deploytest.Start(s.t, second) // NATS is not there yet
	s.alerts("ActivationCensusMissing", "ActivationNoWorkerPulling")
	s.start()
	s.holds(`min(instance:activation_working:min{job="$job"}) == 1`)
	s.well()
	b.Stop()
	if a := s.alerts("ActivationReplicaIdle"); a[0].Labels["instance"] != s.http[1] {
		s.t.Errorf("replica %s is said to be idle, want %s", a[0].Labels["instance"], s.http[1])
	}
	s.only("ActivationReplicaIdle")
	deploytest.Start(s.t, second)
	s.well()
}

func intakeIsBehind(s *scene) {
	worker := s.start("LINEWORKS_RATE=6/m")
	s.well()
	s.submit(900, 60)
	s.alerts("ActivationIntakeBehind")
	s.only("ActivationIntakeBehind")
	worker.Stop()
	s.start() // as fast as it may
	s.well()
}

func sweepsFail(s *scene) {
	worker := s.start("WORKER_SWEEP_INTERVAL=1h") // there is none within the test
	s.alerts("ActivationSweepStale")
	worker.Stop()
	s.start()
	s.well()
}

// auditIsBroken has the audit run, and not run, and find somebody whom no worker has activated. file is what is scraped.
func auditIsBroken(s *scene, file string) {
	s.start()
	audit := func(want int) {
		s.t.Helper()
		_, said, status := deploytest.Run(s.t, deploytest.Command{Path: deploytest.Worker(s.t), Args: []string{"doctor", "--audit", "--metrics", file}, Env: s.settings(0)})
		if status != want {
			s.t.Fatalf("worker doctor --audit: exit status %d, want %d; it said:\n%s", status, want, said)
		}
	}
	deploytest.AwaitStatus(s.t, "http://"+s.http[0]+"/readyz", http.StatusOK, s.worker)
	audit(0)
	s.alerts("ActivationAuditStale") // two days are 20 s here
	audit(0)
	s.alerts()
	s.publish("activation.customer.800.activated", knownRecord, "-H", contentType)
	audit(3)
	s.alerts("ActivationAuditBreach")
	deploytest.Must(s.t, deploytest.Command{Path: deploytest.Tool(s.t, "nats"), Env: []string{"HOME=" + s.t.TempDir()}, Args: []string{
		"--server", s.nats, "stream", "purge", "ACTIVATION", "--subject", "activation.customer.800.activated", "--force",
	}})
	audit(0)
	s.alerts()
}
