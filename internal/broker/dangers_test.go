package broker_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker"
)

func ledgerWith(mod func(*jetstream.StreamConfig)) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name: "ACTIVATION", Subjects: []string{"activation.customer.*.*", "activation.replay.*", "activation.intake.*"},
		Discard: jetstream.DiscardNew, MaxMsgsPerSubject: 16, DenyDelete: true, AllowDirect: true, MaxBytes: 64 << 20,
	}
	mod(&c)
	return c
}

func workWith(mod func(*jetstream.StreamConfig)) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name: "ACTIVATION_WORK", Subjects: []string{"activation.timer.*", "activation.due.*", "activation.redo.*", "activation.request.*.*.*"},
		Retention: jetstream.WorkQueuePolicy, MaxMsgsPerSubject: 1, AllowRollup: true, AllowMsgSchedules: true,
	}
	mod(&c)
	return c
}

func rejectedWith(mod func(*jetstream.StreamConfig)) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name: "ACTIVATION_REJECTED", Subjects: []string{"activation.rejected.*"}, MaxAge: 30 * 24 * time.Hour, MaxBytes: 1 << 30,
	}
	mod(&c)
	return c
}

func quotaWith(mod func(*jetstream.StreamConfig)) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name: "KV_ACTIVATION_QUOTA", Subjects: []string{"$KV.ACTIVATION_QUOTA.>"}, Discard: jetstream.DiscardNew,
		MaxMsgsPerSubject: 1, AllowRollup: true, DenyDelete: true, AllowDirect: true,
	}
	mod(&c)
	return c
}

// dangers are streams with which a worker must not run: each is refused with every setting that is wrong, and mended
// by Apply unless JetStream cannot change it.
var dangers = map[string]struct {
	config jetstream.StreamConfig
	wrong  []string
	stuck  bool // beyond Apply
}{
	"ledger in memory":            {ledgerWith(func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }), []string{"storage"}, true},
	"ledger discards old":         {ledgerWith(func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }), []string{"discard"}, false},
	"ledger discards per subject": {ledgerWith(func(c *jetstream.StreamConfig) { c.DiscardNewPerSubject = true }), []string{"discard new per subject"}, false},
	"ledger ages":                 {ledgerWith(func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }), []string{"max age"}, false},
	"ledger with message TTL":     {ledgerWith(func(c *jetstream.StreamConfig) { c.AllowMsgTTL = true }), []string{"message TTL"}, true},
	"ledger with roll-ups":        {ledgerWith(func(c *jetstream.StreamConfig) { c.AllowRollup = true }), []string{"roll-ups"}, false},
	"ledger with interest":        {ledgerWith(func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy }), []string{"retention"}, false},
	"ledger as work queue":        {ledgerWith(func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }), []string{"retention"}, true},
	"ledger with short history":   {ledgerWith(func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 15 }), []string{"history per subject"}, false},
	"ledger with a message limit": {ledgerWith(func(c *jetstream.StreamConfig) { c.MaxMsgs = 1000 }), []string{"max messages"}, false},
	"ledger with small messages":  {ledgerWith(func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1000 }), []string{"max message size"}, false},
	"ledger lacks a subject":      {ledgerWith(func(c *jetstream.StreamConfig) { c.Subjects = c.Subjects[1:] }), []string{"subjects"}, false},
	"ledger with narrow subjects": {ledgerWith(func(c *jetstream.StreamConfig) { c.Subjects[0] = "activation.customer.*.activated" }), []string{"subjects"}, false},
	"ledger is a mirror":          {ledgerWith(func(c *jetstream.StreamConfig) { c.Subjects, c.Mirror = nil, &jetstream.StreamSource{Name: "O"} }), []string{"subjects", "mirror"}, true},
	"ledger has sources":          {ledgerWith(func(c *jetstream.StreamConfig) { c.Sources = []*jetstream.StreamSource{{Name: "O"}} }), []string{"sources"}, false},
	"ledger transforms subjects": {ledgerWith(func(c *jetstream.StreamConfig) {
		c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: "activation.replay.*", Destination: "x.{{wildcard(1)}}"}
	}), []string{"subject transform"}, false},
	"ledger republishes": {ledgerWith(func(c *jetstream.StreamConfig) {
		c.RePublish = &jetstream.RePublish{Source: ">", Destination: "copy.>"}
	}), []string{"republish"}, false},
	"ledger does not acknowledge": {ledgerWith(func(c *jetstream.StreamConfig) { c.NoAck = true }), []string{"no ack"}, false},
	"ledger written later":        {ledgerWith(func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode }), []string{"persist mode"}, true},
	"ledger counts":               {ledgerWith(func(c *jetstream.StreamConfig) { c.Discard, c.AllowMsgCounter = jetstream.DiscardOld, true }), []string{"discard", "message counter"}, true},
	"ledger with schedules": {ledgerWith(func(c *jetstream.StreamConfig) {
		c.Discard, c.AllowRollup, c.AllowMsgSchedules = jetstream.DiscardOld, true, true
	}), []string{"discard", "roll-ups", "message schedules"}, true},
	"ledger with everything wrong": {ledgerWith(func(c *jetstream.StreamConfig) {
		c.Discard, c.MaxAge, c.MaxMsgs, c.AllowRollup = jetstream.DiscardOld, time.Hour, 5, true
	}), []string{"discard", "max age", "roll-ups", "max messages"}, false},
	"work without queue":        {workWith(func(c *jetstream.StreamConfig) { c.Retention = jetstream.LimitsPolicy }), []string{"retention"}, true},
	"work in memory":            {workWith(func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }), []string{"storage"}, true},
	"work without schedules":    {workWith(func(c *jetstream.StreamConfig) { c.AllowMsgSchedules, c.AllowRollup = false, false }), []string{"roll-ups", "message schedules"}, false},
	"work ages":                 {workWith(func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }), []string{"max age"}, false},
	"work keeps old timers":     {workWith(func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = -1 }), []string{"history per subject"}, false},
	"work with a message limit": {workWith(func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 }), []string{"max messages"}, false},
	"work lacks subjects":       {workWith(func(c *jetstream.StreamConfig) { c.Subjects = c.Subjects[:2] }), []string{"subjects"}, false},
	"rejected in memory":        {rejectedWith(func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }), []string{"storage"}, true},
	"rejected can be full":      {rejectedWith(func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardNew }), []string{"discard"}, false},
	"quota in memory":           {quotaWith(func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }), []string{"storage"}, true},
	"quota ages":                {quotaWith(func(c *jetstream.StreamConfig) { c.MaxAge = time.Minute }), []string{"max age"}, false},
	"quota with message TTL":    {quotaWith(func(c *jetstream.StreamConfig) { c.AllowMsgTTL = true }), []string{"message TTL"}, true},
	"quota of other keys":       {quotaWith(func(c *jetstream.StreamConfig) { c.Subjects = []string{"$KV.ACTIVATION_QUOTA.other"} }), []string{"subjects"}, false},
	"quota with a message limit": {
		quotaWith(func(c *jetstream.StreamConfig) { c.Discard, c.MaxMsgs = jetstream.DiscardOld, 1 }),
		[]string{"discard", "max messages"},
		false,
	},
	"quota republishes": {quotaWith(func(c *jetstream.StreamConfig) {
		c.RePublish = &jetstream.RePublish{Source: ">", Destination: "copy.>"}
	}), []string{"republish"}, false},
}

func TestDangerousStreamsAreRefusedAndMended(t *testing.T) {
	t.Parallel()
	for name, danger := range dangers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			js := serve(t)
			if _, err := js.CreateStream(t.Context(), danger.config); err != nil {
				t.Fatalf("the server does not make such a stream: %v", err)
			}
			err := broker.Ensure(t.Context(), js, layout())
			wantDrifts(t, err, danger.wrong...)
			wantError(t, err, "stream "+danger.config.Name, "worker setup")

			_, err = broker.Apply(t.Context(), js, layout())
			if danger.stuck {
				if err == nil {
					t.Fatal("Apply claims to have mended what JetStream cannot change")
				}
				return
			}
			if err != nil {
				t.Fatalf("apply: %v", err)
			}
			ensure(t, js, layout())
			if drifts, err := broker.Plan(t.Context(), js, layout()); err != nil || len(drifts) != 0 {
				t.Errorf("still differs: %v %v", drifts, err)
			}
		})
	}
}

func TestSealedLedgerIsRefused(t *testing.T) {
	t.Parallel()
	js := serve(t)
	c := ledgerWith(func(*jetstream.StreamConfig) {})
	if _, err := js.CreateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	c.Sealed = true
	if _, err := js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	wantDrifts(t, broker.Ensure(t.Context(), js, layout()), "sealed")
}

func TestDangerousConsumersAreRefusedAndMended(t *testing.T) {
	t.Parallel()
	for name, danger := range map[string]struct {
		mod   func(*jetstream.ConsumerConfig)
		wrong []string
		stuck bool
	}{
		"gives up":     {func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 5 }, []string{"max deliver"}, false},
		"backs off":    {func(c *jetstream.ConsumerConfig) { c.MaxDeliver, c.BackOff = 5, []time.Duration{time.Second} }, []string{"max deliver", "back-off"}, false},
		"other filter": {func(c *jetstream.ConsumerConfig) { c.FilterSubject = "activation.redo.*" }, []string{"filter", "filter"}, false},
		"two filters": {func(c *jetstream.ConsumerConfig) {
			c.FilterSubject = ""
			c.FilterSubjects = []string{"activation.due.*", "activation.redo.*"}
		}, []string{"filter", "filter"}, false}, // redo's is taken then
		"headers only":     {func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true }, []string{"headers only"}, false},
		"goes away":        {func(c *jetstream.ConsumerConfig) { c.InactiveThreshold = time.Hour }, []string{"inactive threshold"}, false},
		"state in memory":  {func(c *jetstream.ConsumerConfig) { c.MemoryStorage = true }, []string{"storage in memory"}, true},
		"harmless changes": {func(c *jetstream.ConsumerConfig) { c.AckWait, c.MaxAckPending = time.Minute, 1 }, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			js := serve(t)
			if _, err := js.CreateStream(t.Context(), workWith(func(*jetstream.StreamConfig) {})); err != nil {
				t.Fatal(err)
			}
			config := jetstream.ConsumerConfig{
				Durable: "due", FilterSubject: "activation.due.*", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 1000,
			}
			danger.mod(&config)
			if _, err := js.CreateConsumer(t.Context(), "ACTIVATION_WORK", config); err != nil {
				t.Fatalf("the server does not make such a consumer: %v", err)
			}
			err := broker.Ensure(t.Context(), js, layout())
			if danger.wrong == nil && err != nil {
				t.Fatalf("a harmless difference is refused: %v", err)
			}
			if danger.wrong != nil {
				wantDrifts(t, err, danger.wrong...)
				wantError(t, err, "consumer due on ACTIVATION_WORK")
			}
			_, err = broker.Apply(t.Context(), js, layout())
			if (err != nil) != danger.stuck {
				t.Fatalf("apply: %v, stuck %v", err, danger.stuck)
			}
			if drifts, err := broker.Plan(t.Context(), js, layout()); err != nil || (len(drifts) == 0) == danger.stuck {
				t.Errorf("still differs: %v %v", drifts, err)
			}
		})
	}
}

// The intake stream takes consumers that a work queue does not.
func TestDangerousActivatorIsRefused(t *testing.T) {
	t.Parallel()
	for name, danger := range map[string]struct {
		mod   func(*jetstream.ConsumerConfig)
		wrong string
	}{
		"acks nothing":    {func(c *jetstream.ConsumerConfig) { c.AckPolicy = jetstream.AckNonePolicy }, "ack policy"},
		"acks all before": {func(c *jetstream.ConsumerConfig) { c.AckPolicy = jetstream.AckAllPolicy }, "ack policy"},
		"is pushed":       {func(c *jetstream.ConsumerConfig) { c.DeliverSubject = "here" }, "delivery"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			js := serve(t)
			if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "SIGNUP", Subjects: []string{"signup.>"}}); err != nil {
				t.Fatal(err)
			}
			config := jetstream.ConsumerConfig{Durable: "activator", FilterSubject: "signup.terms.accepted", AckPolicy: jetstream.AckExplicitPolicy}
			danger.mod(&config)
			create := func() error { _, err := js.CreateConsumer(t.Context(), "SIGNUP", config); return err }
			if config.DeliverSubject != "" {
				create = func() error { _, err := js.CreatePushConsumer(t.Context(), "SIGNUP", config); return err }
			}
			if err := create(); err != nil {
				t.Fatalf("the server does not make such a consumer: %v", err)
			}
			err := broker.Ensure(t.Context(), js, layout())
			wantDrifts(t, err, danger.wrong)
			wantError(t, err, "consumer activator on SIGNUP", "--rewind-intake")
		})
	}
}

// Of a work queue a subject is delivered to one consumer only, so whoever has ours keeps us from working.
func TestSubjectsOfTheWorkStreamTakenAreExplained(t *testing.T) {
	t.Parallel()
	for name, danger := range map[string]struct {
		durable, filter string
		taken           []string // the worker's consumers that cannot be made
		ours            bool     // mended by two runs of `worker setup`
	}{
		"an operator's look at requests": {"look", "activation.request.>", []string{"requests"}, false},
		"one that takes everything":      {"look", "", []string{"due", "redo", "requests"}, false},
		"one of ours":                    {"requests", "activation.due.*", []string{"due"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			js := serve(t)
			if _, err := js.CreateStream(t.Context(), workWith(func(*jetstream.StreamConfig) {})); err != nil {
				t.Fatal(err)
			}
			other := jetstream.ConsumerConfig{Durable: danger.durable, FilterSubject: danger.filter, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 1000}
			if _, err := js.CreateConsumer(t.Context(), "ACTIVATION_WORK", other); err != nil {
				t.Fatal(err)
			}
			_, err := broker.Apply(t.Context(), js, layout())
			for _, name := range danger.taken {
				wantError(t, err, "consumer "+name+" on ACTIVATION_WORK filter is taken by another consumer, must be its own")
			}
			consumerConfig(t, js, "SIGNUP", "activator") // the rest is ready
			if !danger.ours {
				if err := js.DeleteConsumer(t.Context(), "ACTIVATION_WORK", danger.durable); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := broker.Apply(t.Context(), js, layout()); err != nil {
				t.Error(err)
			}
			ensure(t, js, layout())
		})
	}
}
