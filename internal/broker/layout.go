package broker

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

const (
	ledgerHistory    = 16 // records kept of each subject of a customer
	keepRejected     = 30 * 24 * time.Hour
	keepIntake       = 30 * 24 * time.Hour
	rejectedMaxBytes = 1 << 30
	duplicateWindow  = 2 * time.Minute
	clusterReplicas  = 3
	defaultAckWait   = 30 * time.Second
	minMaxAckPending = 1000
)

// Layout declares the streams and consumers of one worker fleet.
type Layout struct {
	Streams  events.Streams // zero: the default names
	MaxBytes int64          // of the ledger; 0: no limit of its own
	Replicas int            // 0: 3 where the server is clustered, else 1

	WithIntake    bool   // the intake stream is ours to create; else it is the signup pipeline's
	IntakeStream  string // "": SIGNUP
	IntakeSubject string // filter within it, wildcards allowed; "": signup.terms.accepted
	IntakeFrom    IntakeFrom

	AckWait       time.Duration // of the consumers; 0: 30 s
	MaxAckPending int           // of the consumers; below 1000: 1000

	HoldPublish bool // what sources the activated events is left held, see [Hold]

	Binding Binding // whose customers these are; zero (no credentials): not checked

	Ledger events.Mark // which one the caller has worked on; zero: not known yet
	// Found is told which ledger is there, each time that all is ready; nil: nobody is.
	Found func(events.Mark)
	// Made is told what was missing and is made; nil: nobody is.
	Made func(object string)
}

func (l Layout) withDefaults() Layout {
	if l.Streams == (events.Streams{}) {
		l.Streams = events.StreamsOf(events.DefaultStream)
	}
	if l.IntakeStream == "" {
		l.IntakeStream = events.DefaultIntakeStream
	}
	if l.IntakeSubject == "" {
		l.IntakeSubject = events.DefaultIntakeSubject
	}
	if l.AckWait == 0 {
		l.AckWait = defaultAckWait
	}
	l.MaxAckPending = max(l.MaxAckPending, minMaxAckPending)
	return l
}

// role tells streams and consumers apart in the tables of rules.
type role uint8

const (
	ledger role = 1 << iota
	rejected
	work
	quota
	consumer

	own = ledger | rejected | work | quota // streams
)

// streamSpec is one declared stream.
type streamSpec struct {
	role   role
	config jetstream.StreamConfig
	remedy string // what to do about a setting that JetStream cannot change
}

func (s streamSpec) object() string { return "stream " + s.config.Name }

// streams are the worker's own streams, as they are created.
func (l Layout) streams() []streamSpec {
	return []streamSpec{
		{
			role: ledger,
			config: jetstream.StreamConfig{
				Name:        l.Streams.Ledger,
				Description: "customer activations: the ledger and the public event stream",
				Subjects:    []string{events.SubjectCustomers, events.SubjectReplays, events.SubjectIntake},
				Storage:     jetstream.FileStorage,
				Retention:   jetstream.LimitsPolicy,
				// A full ledger refuses; one that discarded the oldest would forget customers.
				Discard:           jetstream.DiscardNew,
				MaxBytes:          l.MaxBytes,
				MaxMsgsPerSubject: ledgerHistory,
				DenyDelete:        true,
				AllowDirect:       true,
				Replicas:          l.Replicas,
				Metadata:          l.Binding.metadata(nil),
			},
			remedy: "JetStream cannot change this: copy the records into a stream with the right settings and name it with WORKER_STREAM",
		},
		{
			role: rejected,
			config: jetstream.StreamConfig{
				Name:        l.Streams.Rejected,
				Description: "terms-accepted messages that nobody can act on, with their originals",
				Subjects:    []string{events.SubjectRejected},
				Storage:     jetstream.FileStorage,
				Retention:   jetstream.LimitsPolicy,
				Discard:     jetstream.DiscardOld,
				MaxAge:      keepRejected,
				MaxBytes:    rejectedMaxBytes,
				Duplicates:  duplicateWindow,
				Replicas:    l.Replicas,
			},
			remedy: "JetStream cannot change this: save the rejections you need, delete the stream and run `worker setup`",
		},
		{
			role: work,
			config: jetstream.StreamConfig{
				Name:              l.Streams.Work,
				Description:       "pending wake-ups of customers and operators' requests",
				Subjects:          []string{events.SubjectTimers, events.SubjectDue, events.SubjectRedo, events.SubjectRequests},
				Storage:           jetstream.FileStorage,
				Retention:         jetstream.WorkQueuePolicy, // a fired and acked wake-up leaves nothing behind
				Discard:           jetstream.DiscardOld,
				MaxMsgsPerSubject: 1,
				AllowRollup:       true,
				AllowMsgSchedules: true,
				AllowDirect:       true, // the sweep asks for many timers at once
				Replicas:          l.Replicas,
			},
			remedy: "JetStream cannot change this: delete the stream and run `worker setup`; the ledger knows when each customer is due",
		},
		{
			role: quota,
			config: jetstream.StreamConfig{
				// A key-value bucket, as clients make one: `nats kv` knows it as such.
				Name:              events.QuotaStream(l.Streams.Quota),
				Description:       "the partner's quota as all workers share it",
				Subjects:          []string{events.QuotaSubjects(l.Streams.Quota)},
				Storage:           jetstream.FileStorage, // what was spent must outlive the server: the partner remembers too
				Retention:         jetstream.LimitsPolicy,
				Discard:           jetstream.DiscardNew,
				MaxMsgsPerSubject: 1,
				AllowRollup:       true,
				DenyDelete:        true,
				AllowDirect:       true,
				Replicas:          l.Replicas,
			},
			remedy: "JetStream cannot change this: stop the workers, delete the stream and run `worker setup`; the quota then counts from nothing",
		},
	}
}

// intake is the intake stream as it is created where it is ours to create.
func (l Layout) intake() streamSpec {
	return streamSpec{
		config: jetstream.StreamConfig{
			Name:        l.IntakeStream,
			Description: "terms-accepted events of the signup pipeline",
			Subjects:    []string{l.IntakeSubject},
			Storage:     jetstream.FileStorage,
			Retention:   jetstream.LimitsPolicy,
			MaxAge:      keepIntake,
			Duplicates:  duplicateWindow,
			Replicas:    l.Replicas,
		},
	}
}

// consumerSpec is one declared consumer.
type consumerSpec struct {
	stream string
	config jetstream.ConsumerConfig
	remedy string // what to do about a setting that JetStream cannot change
}

func (s consumerSpec) object() string { return "consumer " + s.config.Durable + " on " + s.stream }

// asks are the ends of the subjects of a request about the consumer.
func (s consumerSpec) asks(verb string) []string {
	return []string{"CONSUMER." + verb + "." + s.stream + "." + s.config.Durable}
}

func (l Layout) consumer(name, filter string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       name,
		FilterSubject: filter,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       l.AckWait,
		MaxDeliver:    -1, // giving up is recorded by the worker, never the server's silent drop
		MaxAckPending: l.MaxAckPending,
	}
}

// ofWork are the consumers on the work stream. Of a work queue each takes its own subjects, and no subject has two.
func (l Layout) ofWork() []consumerSpec {
	var specs []consumerSpec
	for _, c := range []struct{ name, filter string }{
		{events.ConsumerDue, events.SubjectDue},           // wake-ups that fired
		{events.ConsumerRedo, events.SubjectRedo},         // those of replayed customers, who wait behind all others
		{events.ConsumerRequests, events.SubjectRequests}, // what operators ask for
	} {
		specs = append(specs, consumerSpec{
			stream: l.Streams.Work,
			config: l.consumer(c.name, c.filter),
			remedy: "JetStream cannot change this: delete the consumer and run `worker setup`; what was not handled stays in the stream",
		})
	}
	return specs
}

// activator delivers the terms-accepted events.
func (l Layout) activator() consumerSpec {
	config := l.consumer(events.ConsumerActivator, l.IntakeSubject)
	l.IntakeFrom.apply(&config)
	config.Metadata = marked(nil, l.Ledger)
	return consumerSpec{
		stream: l.IntakeStream,
		config: config,
		remedy: "JetStream cannot change this: `worker setup --rewind-intake TIME` makes the consumer anew from a time of your choice",
	}
}

// IntakeFrom is where `activator` starts when it is created. The zero value is unset: everything, unless the intake
// already holds messages older than an hour.
type IntakeFrom struct {
	policy jetstream.DeliverPolicy
	set    bool
	time   time.Time
}

// ParseIntakeFrom reads a WORKER_INTAKE_FROM: empty, `all`, `new`, or a time in RFC 3339.
func ParseIntakeFrom(s string) (IntakeFrom, error) {
	switch s {
	case "":
		return IntakeFrom{}, nil
	case "all":
		return IntakeFrom{set: true, policy: jetstream.DeliverAllPolicy}, nil
	case "new":
		return IntakeFrom{set: true, policy: jetstream.DeliverNewPolicy}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return IntakeFrom{}, fmt.Errorf("WORKER_INTAKE_FROM: %q is not `all`, `new` or a time such as 2026-01-31T09:00:00Z", s)
	}
	return IntakeFromTime(t), nil
}

// IntakeFromTime starts with the first message stored at or after t.
func IntakeFromTime(t time.Time) IntakeFrom {
	return IntakeFrom{set: true, policy: jetstream.DeliverByStartTimePolicy, time: t.UTC()}
}

func (f IntakeFrom) apply(config *jetstream.ConsumerConfig) {
	config.DeliverPolicy = f.policy
	if f.policy == jetstream.DeliverByStartTimePolicy {
		config.OptStartTime = &f.time
	}
}
