package broker_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
)

func TestPlanAndApplyOnAnEmptyServer(t *testing.T) {
	t.Parallel()
	js := serve(t)
	drifts, err := broker.Plan(t.Context(), js, layout(foreign))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, d := range drifts {
		lines = append(lines, d.String())
		if want := !strings.HasSuffix(d.Object, "SIGNUP") || strings.HasPrefix(d.Object, "consumer"); d.Fixable != want {
			t.Errorf("fixable %v: %s", d.Fixable, d)
		}
	}
	want := `stream ACTIVATION is missing, must be there
stream ACTIVATION_REJECTED is missing, must be there
stream ACTIVATION_WORK is missing, must be there
stream KV_ACTIVATION_QUOTA is missing, must be there
consumer due on ACTIVATION_WORK is missing, must be there
consumer redo on ACTIVATION_WORK is missing, must be there
consumer requests on ACTIVATION_WORK is missing, must be there
stream SIGNUP is missing, must be there (the signup pipeline creates it, or ` + "`worker setup --with-intake`" + `)
consumer activator on SIGNUP is missing, must be there`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("plan is\n%s\nwant\n%s", got, want)
	}

	changes, err := broker.Apply(t.Context(), js, layout(foreign))
	if !errors.Is(err, broker.ErrIntakeMissing) || len(changes) != 7 {
		t.Errorf("without an intake: %v %v", changes, err)
	}
	changes, err = broker.Apply(t.Context(), js, layout())
	if err != nil || len(changes) != 2 || changes[0].String() != "stream SIGNUP: missing → created" {
		t.Errorf("with an intake: %v %v", changes, err)
	}
	if changes, err := broker.Apply(t.Context(), js, layout()); err != nil || len(changes) != 0 {
		t.Errorf("again: %v %v", changes, err)
	}
}

func TestApplyUpdatesAndKeepsDeliveryState(t *testing.T) {
	t.Parallel()
	js := serve(t)
	ensure(t, js, layout())
	publish(t, js, "signup.terms.accepted", 5)
	c, err := js.Consumer(t.Context(), "SIGNUP", "activator")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		m, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if err := m.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	changed := layout(func(l *broker.Layout) {
		l.MaxBytes, l.AckWait, l.MaxAckPending, l.IntakeSubject = 128<<20, 10*time.Second, 4000, "signup.terms.*"
	})
	err = broker.Ensure(t.Context(), js, changed)
	wantDrifts(t, err, "filter")
	changes, err := broker.Apply(t.Context(), js, changed)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, c := range changes {
		lines = append(lines, c.String())
	}
	want := `stream ACTIVATION max bytes: 67108864 → 134217728
consumer due on ACTIVATION_WORK ack wait: 30s → 10s
consumer due on ACTIVATION_WORK max ack pending: 1000 → 4000 or more
consumer redo on ACTIVATION_WORK ack wait: 30s → 10s
consumer redo on ACTIVATION_WORK max ack pending: 1000 → 4000 or more
consumer requests on ACTIVATION_WORK ack wait: 30s → 10s
consumer requests on ACTIVATION_WORK max ack pending: 1000 → 4000 or more
consumer activator on SIGNUP filter: signup.terms.accepted → signup.terms.*
consumer activator on SIGNUP ack wait: 30s → 10s
consumer activator on SIGNUP max ack pending: 1000 → 4000 or more`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("changes are\n%s\nwant\n%s", got, want)
	}
	if got := pending(t, js); got != 3 {
		t.Errorf("%d messages wait, want 3 of 5", got)
	}
	if c := consumerConfig(t, js, "SIGNUP", "activator"); c.AckWait != 10*time.Second || c.FilterSubject != "signup.terms.*" {
		t.Errorf("consumer is %+v", c)
	}
}

// What Apply cannot change it lists, and it still does the rest.
func TestApplyDoesWhatItCan(t *testing.T) {
	t.Parallel()
	js := serve(t)
	bad := ledgerWith(func(c *jetstream.StreamConfig) { c.Storage, c.MaxAge = jetstream.MemoryStorage, time.Hour })
	if _, err := js.CreateStream(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	changes, err := broker.Apply(t.Context(), js, layout())
	wantDrifts(t, err, "storage")
	wantError(t, err, "storage is memory, must be file", "WORKER_STREAM")
	if len(changes) != 9 || changes[0].String() != "stream ACTIVATION max age: 1h0m0s → none" {
		t.Errorf("changes %v", changes)
	}
}

func TestApplyWithoutPermissionListsIt(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t, limited(`"$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.INFO.*.*", "$JS.API.STREAM.CREATE.*"`))
	_, js := brokertest.Connect(t, s.URL(), natsUser("w"))
	changes, err := broker.Apply(t.Context(), js, layout())
	wantDrifts(t, err, "permission", "permission", "permission", "permission")
	wantError(t, err, "$JS.API.CONSUMER.CREATE.ACTIVATION_WORK.due", "$JS.API.CONSUMER.CREATE.ACTIVATION_WORK.redo",
		"$JS.API.CONSUMER.CREATE.ACTIVATION_WORK.requests", "$JS.API.STREAM.MSG.GET.SIGNUP")
	if len(changes) != 5 {
		t.Errorf("changes %v, want five streams made", changes)
	}
}

func TestBinding(t *testing.T) {
	t.Parallel()
	ours := broker.Binding{Host: "www.worksapis.com", Tenant: "reseller.example"}
	token := broker.Binding{Host: "www.worksapis.com"}
	other := broker.Binding{Host: "www.worksapis.com", Tenant: "other.example"}
	simulated := broker.Binding{Host: "127.0.0.1:9000", Tenant: "reseller.example"}
	none := broker.Binding{}
	for name, c := range map[string]struct {
		first, later broker.Binding
		refused      bool
		want         broker.Binding
	}{
		"no credentials at first":      {first: none, later: ours, want: ours},
		"no credentials later":         {first: ours, later: none, want: ours},
		"the same":                     {first: ours, later: ours, want: ours},
		"same host in capitals":        {first: ours, later: broker.Binding{Host: "WWW.worksapis.com", Tenant: "reseller.example"}, want: ours},
		"another tenant":               {first: ours, later: other, refused: true, want: ours},
		"another host":                 {first: ours, later: simulated, refused: true, want: ours},
		"token after account":          {first: ours, later: token, want: ours},
		"account after token":          {first: token, later: ours, want: ours},
		"token of another host":        {first: ours, later: broker.Binding{Host: "127.0.0.1:9000"}, refused: true, want: ours},
		"account of another host":      {first: token, later: simulated, refused: true, want: token},
		"token after token, same host": {first: token, later: token, want: token},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			js := serve(t)
			with := func(b broker.Binding) broker.Layout { return layout(func(l *broker.Layout) { l.Binding = b }) }
			ensure(t, js, with(c.first))
			foreignKey(t, js)

			err := broker.Ensure(t.Context(), js, with(c.later))
			if _, refused := errors.AsType[*broker.BindingError](err); refused != c.refused || !refused && err != nil {
				t.Fatalf("error %v, want refused %v", err, c.refused)
			}
			wantBinding(t, js, c.want)
			if !c.refused {
				return
			}
			wantError(t, err, c.first.String(), c.later.String(), "worker setup --rebind-partner", "LINEWORKS_SERVICE_ACCOUNT")
			larger := with(c.later)
			larger.MaxBytes *= 2
			if changes, err := broker.Apply(t.Context(), js, larger); err == nil || len(changes) != 0 {
				t.Errorf("apply goes on with another's credentials: %v %v", changes, err)
			}
			drifts, err := broker.Plan(t.Context(), js, with(c.later))
			if err != nil || len(drifts) != 1 || drifts[0].Setting != "partner" || drifts[0].Fixable {
				t.Errorf("plan: %v %v", drifts, err)
			}
			if _, err := broker.Rebind(t.Context(), js, with(none)); err == nil {
				t.Error("rebinds to nobody")
			}
			if _, err := broker.Rebind(t.Context(), js, with(c.later)); err != nil {
				t.Fatal(err)
			}
			ensure(t, js, with(c.later))
			wantBinding(t, js, c.later)
		})
	}
}

// foreignKey adds metadata of somebody else.
func foreignKey(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	c := streamConfig(t, js, "ACTIVATION")
	c.Metadata["team"] = "billing"
	if _, err := js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func wantBinding(t *testing.T, js jetstream.JetStream, want broker.Binding) {
	t.Helper()
	m := streamConfig(t, js, "ACTIVATION").Metadata
	got := broker.Binding{Host: m["activation-partner-host"], Tenant: m["activation-partner-tenant"]}
	if got != want {
		t.Errorf("bound to %v, want %v", got, want)
	}
	if m["team"] != "billing" || m["_nats.level"] == "" {
		t.Errorf("foreign metadata is gone: %v", m)
	}
}
