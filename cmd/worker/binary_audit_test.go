package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"activation-worker/internal/audit"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
)

// TestBinaryAudit audits as a user who may only read, before and after somebody has written by hand.
func TestBinaryAudit(t *testing.T) {
	t.Parallel()
	s := newSite(t, brokertest.WithConfig(`authorization { users: [
		{ user: root, password: r }
		{ user: auditor, password: a, permissions: { publish: { allow: [
			"$JS.API.INFO", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.MSG.GET.*", "$JS.API.CONSUMER.INFO.>",
			"$JS.API.CONSUMER.CREATE.>", "$JS.API.CONSUMER.MSG.NEXT.>", "$JS.API.CONSUMER.DELETE.>"
		] } } }
	] }
	no_auth_user: root`))
	auditor := s.env(noWatch, "NATS_USER=auditor", "NATS_PASSWORD=a")
	invoke(t, "", auditor, "doctor", "--audit").want(t, exitFailed, "stream not found")
	invoke(t, "", s.env(), "setup", "--with-intake").want(t, exitDone)
	invoke(t, "", auditor, "doctor", "--audit").want(t, exitDone, "0 records of 0 customers", "none")
	w := startWorker(t, s.env(noWatch)...)
	for id := int64(51200001); id <= 51200003; id++ {
		s.customer(id)
		s.await(id, events.Activated, w)
	}
	w.stop()
	before := fmt.Sprint(s.lastSequence("ACTIVATION"), s.lastSequence("ACTIVATION_WORK"), s.lastSequence("ACTIVATION_REJECTED"), s.lastSequence("SIGNUP"))
	var report audit.Report
	said := invoke(t, "", auditor, "doctor", "--audit", "-o", "json")
	said.want(t, exitDone)
	if err := json.Unmarshal([]byte(said.stdout), &report); err != nil {
		t.Fatal(err)
	}
	if report.Ledger.States[events.Activated] != 3 || report.Intake.Read != 3 || report.Breached != 0 {
		t.Errorf("it reports %+v", report)
	}
	if after := fmt.Sprint(s.lastSequence("ACTIVATION"), s.lastSequence("ACTIVATION_WORK"), s.lastSequence("ACTIVATION_REJECTED"), s.lastSequence("SIGNUP")); after != before {
		t.Errorf("the streams are at %s, and were at %s", after, before)
	}
	for _, stream := range []string{"ACTIVATION", "ACTIVATION_REJECTED", "SIGNUP"} {
		st, err := s.js.Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		for info := range st.ListConsumers(t.Context()).Info() {
			if info.Name != events.ConsumerActivator {
				t.Errorf("stream %s still has consumer %s", stream, info.Name)
			}
		}
	}

	s.store(&events.Record{State: events.Started, DomainID: 51200001, Round: 1, Attempt: 2, Worker: "by hand", LeaseExpiresAt: time.Now().Add(time.Hour)})
	invoke(t, "", auditor, "doctor", "--audit").want(t, exitDrift, "3 customers", "chain  1:", "51200001", "over record 0", "to do: find out who else may publish")
	invoke(t, "", auditor, "doctor", "--audit", "-o", "json").want(t, exitDrift, `"rule":"chain"`, `"domainId":51200001`)
}
