package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"activation-worker/internal/activation"
	"activation-worker/internal/broker"
	"activation-worker/internal/census"
	"activation-worker/internal/config"
	"activation-worker/internal/consumer"
	"activation-worker/internal/events"
	"activation-worker/internal/faults"
	"activation-worker/internal/ledger"
	"activation-worker/internal/metrics"
	"activation-worker/internal/operator"
	"activation-worker/internal/ownership"
	"activation-worker/internal/partnerapi"
	"activation-worker/internal/quota"
	"activation-worker/internal/repeats"
)

// newLogger logs to stderr: ISO times, nothing sampled but repeated trouble summed up, the level changeable.
func newLogger(format string, level zap.AtomicLevel, out io.Writer) *zap.Logger {
	if format == "" {
		format = "json"
		if isTerminal(out) {
			format = "console"
		}
	}
	enc := zap.NewProductionEncoderConfig()
	enc.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	enc.TimeKey = "time"
	enc.EncodeDuration = zapcore.StringDurationEncoder
	var encoder zapcore.Encoder
	if format == "console" {
		enc.EncodeTime = zapcore.TimeEncoderOfLayout("2006-01-02T15:04:05.000Z07:00")
		encoder = zapcore.NewConsoleEncoder(enc)
	} else {
		encoder = zapcore.NewJSONEncoder(enc)
	}
	return zap.New(plainCore{repeats.Wrap(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(out)), level))})
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func natsOptions(c *config.Config, url, name string, log *zap.Logger) broker.Options {
	o := broker.Options{
		URL: url, Creds: c.NATS.Creds, NKey: c.NATS.NKey, User: c.NATS.User,
		CA: c.NATS.CA, Cert: c.NATS.Cert, Key: c.NATS.Key,
		InboxPrefix: c.NATS.InboxPrefix, JSDomain: c.NATS.JSDomain, Name: name, Log: log,
	}
	if c.NATS.Password.Set() {
		o.Password = c.NATS.Password.Read
	}
	if c.NATS.Token.Set() {
		o.Token = c.NATS.Token.Read
	}
	return o
}

// natsURL is where commands that start no server find NATS.
func natsURL(c *config.Config) string {
	if c.NATS.URL != "" {
		return c.NATS.URL
	}
	return "nats://" + c.Worker.NATSListen
}

// connectOnce connects a command that starts no server.
func connectOnce(ctx context.Context, c *config.Config, name string) (*nats.Conn, jetstream.JetStream, error) {
	return broker.ConnectOnce(ctx, natsOptions(c, natsURL(c), name, zap.NewNop()))
}

// defaultMaxBytes bounds the ledger where nothing is said.
const defaultMaxBytes = 10 << 30

func layoutOf(c *config.Config) broker.Layout {
	w := c.Worker
	l := broker.Layout{
		Streams: events.StreamsOf(w.Stream), MaxBytes: w.StreamMaxBytes, Replicas: w.Replicas,
		IntakeStream: w.IntakeStream, IntakeSubject: w.IntakeSubject,
		AckWait: ackWait(w.Lease), MaxAckPending: max(1000, 8*c.Partner.Concurrency),
	}
	if l.MaxBytes == 0 {
		l.MaxBytes = defaultMaxBytes
	}
	switch w.IntakeFrom.Policy {
	case config.FromSince:
		l.IntakeFrom = broker.IntakeFromTime(w.IntakeFrom.Since)
	default:
		l.IntakeFrom, _ = broker.ParseIntakeFrom(w.IntakeFrom.Policy) // checked by config
	}
	if c.Partner.HasCredentials() {
		l.Binding = broker.Binding{Host: c.Partner.Host(), Tenant: c.Partner.Tenant()}
	}
	return l
}

// ackWait is after how long a dead holder's message comes back, at most half a lease.
func ackWait(lease time.Duration) time.Duration { return min(30*time.Second, lease/2) }

// instruments are what the service measures and traces with; its zero value is none.
type instruments struct {
	metrics *metrics.Metrics
	tracer  trace.Tracer
}

// partner watches the requests to the partner, and is nil for nobody.
func (in instruments) partner() partnerapi.Observer {
	if in.metrics == nil {
		return nil
	}
	return in.metrics
}

func partnerClient(c *config.Config, maxPayload int, in instruments, log *zap.Logger) (*partnerapi.Client, error) {
	p := c.Partner
	roots, err := rootsOf("LINEWORKS_CA", p.CA)
	if err != nil {
		return nil, usageError{err}
	}
	client, err := partnerapi.New(partnerapi.Config{
		APIURL: p.APIURL, TokenURL: p.TokenURL,
		ClientID: p.ClientID, ServiceAccount: p.ServiceAccount, Scope: p.Scope,
		Secrets: func() (s partnerapi.Secrets, err error) {
			var errs [3]error
			s.ClientSecret, errs[0] = p.ClientSecret.Read()
			s.PrivateKey, errs[1] = p.PrivateKey.Read()
			s.AccessToken, errs[2] = p.AccessToken.Read()
			if err = errors.Join(errs[:]...); err != nil {
				log.Error("credentials cannot be read", zap.Error(err)) // which, and why: the client shows neither
			}
			return s, err
		},
		Timeout: p.Timeout, Roots: roots, MaxPayload: maxPayload, Log: log, Now: faults.Now, Observer: in.partner(), Tracer: in.tracer,
		UserAgent: "activation-worker/" + buildVersion(),
	})
	if err != nil {
		return nil, usageError{err}
	}
	return client, nil
}

// keepToken renews the client's token in the background until done is called, which closes the client.
func keepToken(ctx context.Context, client *partnerapi.Client) (done func()) {
	ended := inBackground(ctx, client.Run)
	return func() {
		ended()
		client.Close()
	}
}

// checkPartner finds files and a key that cannot be used, before anything is waited for.
func checkPartner(p config.Partner) error {
	_, err := rootsOf("LINEWORKS_CA", p.CA)
	if key, unreadable := p.PrivateKey.Read(); unreadable != nil {
		err = errors.Join(err, unreadable)
	} else if block, _ := pem.Decode([]byte(strings.ReplaceAll(key, `\n`, "\n"))); key != "" && block == nil {
		err = errors.Join(err, errors.New("LINEWORKS_PRIVATE_KEY: is not PEM; wanted the text of the key's file, whose line ends may be written \\n"))
	}
	return err
}

// rootsOf are the system's roots and those of the PEM file that a setting names; nil for no file.
func rootsOf(setting, path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New(setting + ": the file holds no PEM certificate")
	}
	return pool, nil
}

// policyOf is the contract's policy with the operator's own values.
func policyOf(c *config.Config) activation.Policy {
	backoff := map[events.Reason][]time.Duration{}
	for reason, waits := range c.Worker.Backoff {
		backoff[events.Reason(reason)] = waits
	}
	giveUp := map[events.Reason]time.Duration{}
	for reason, limit := range c.Worker.GiveUp {
		giveUp[events.Reason(reason)] = limit
	}
	p := activation.DefaultPolicy().With(backoff, giveUp)
	p.DNS = activation.DNSSchedule(c.Worker.DNSSchedule)
	for _, known := range c.Worker.Classification {
		p.Table = append(p.Table, activation.Known{Status: known.Status, Code: known.Code, Reason: events.Reason(known.Reason)})
	}
	return p
}

// lookerOf looks at ownership records; nil where they are not to be watched.
func lookerOf(c *config.Config) (consumer.Looker, error) {
	if !c.Worker.WatchesDNS() {
		return nil, nil
	}
	looker, err := ownership.New(ownership.Options{Resolvers: c.Worker.DNSResolvers})
	if err != nil {
		return nil, usageError{fmt.Errorf("WORKER_DNS_RESOLVERS: %w", err)}
	}
	return looker, nil
}

// decoderOf reads intake messages as configured.
func decoderOf(c *config.Config) events.Decoder {
	return events.Decoder{Types: intakeTypes(c), Pointer: c.Worker.IntakeDomainID}
}

// intakeTypes are the CloudEvents types of terms-accepted events; none: any.
func intakeTypes(c *config.Config) []string {
	if c.Worker.IntakeType == "" {
		return nil
	}
	types := strings.Split(c.Worker.IntakeType, ",")
	for i := range types {
		types[i] = strings.TrimSpace(types[i])
	}
	return types
}

// newLedger is the ledger for whoever writes it.
func newLedger(c *config.Config, nc *nats.Conn, u *upkeep, log *zap.Logger) *ledger.Ledger {
	return ledger.New(ledger.Options{
		Conn: nc, JetStream: u.js, Streams: u.layout.Streams, Source: c.Worker.EventSource, Log: log, Lease: c.Worker.Lease, Now: faults.Now, Mark: u.ledger,
	})
}

// limitsOf are what the partner allows all replicas together.
func limitsOf(c *config.Config) quota.Limits {
	return quota.Limits{Peak: quota.Rate(c.Partner.Rate), Sustained: quota.Rate(c.Partner.SustainedRate), Concurrency: c.Partner.Concurrency}
}

// newPacer shares the partner's quota with all other workers of the streams.
func newPacer(c *config.Config, js jetstream.JetStream, waited func(quota.Lane, time.Duration), log *zap.Logger) *quota.Pacer {
	run := c.Worker.ID + "-" + nuid.Next() // two workers may have been given one id
	return quota.New(quota.Options{
		Limits: limitsOf(c), Timeout: c.Partner.Timeout, Replica: run, Log: log.Named("quota"), Now: faults.Now,
		Store: quotaBucket(c, js, run), Waited: waited,
	})
}

// quotaBucket is where the quota is shared; writer names the process there, and is of no matter to who only looks.
func quotaBucket(c *config.Config, js jetstream.JetStream, writer string) quota.Bucket {
	bucket, o := events.StreamsOf(c.Worker.Stream).Quota, js.Options()
	return quota.Bucket{
		Conn: js.Conn(), JetStream: js, API: events.APIPrefix(o.Domain, o.APIPrefix),
		Stream: events.QuotaStream(bucket), Subject: events.QuotaSubject(bucket), Hint: events.SubjectQuota, Writer: writer,
	}
}

// newWorker wires a worker on a connection whose streams are there. partner may be nil: no credentials; looker too: no watch.
func newWorker(c *config.Config, l *ledger.Ledger, u *upkeep, partner consumer.Partner, looker consumer.Looker, in instruments, log *zap.Logger) *consumer.Worker {
	js, layout := u.js, u.layout
	var observer consumer.Observer
	var waited func(quota.Lane, time.Duration)
	if m := in.metrics; m != nil {
		observer, waited = m, func(l quota.Lane, d time.Duration) { m.Waited(l.String(), d) }
	}
	return consumer.New(consumer.Options{
		JetStream: js, Ledger: l, Partner: partner, Looker: looker,
		Pacer:   newPacer(c, js, waited, log),
		Decoder: decoderOf(c), Policy: policyOf(c), Log: log, Observer: observer, Tracer: in.tracer,
		ID: c.Worker.ID, Streams: layout.Streams, IntakeStream: layout.IntakeStream,
		Concurrency: c.Partner.Concurrency, Timeout: c.Partner.Timeout, Lease: c.Worker.Lease,
		SweepInterval: c.Worker.SweepInterval,
		Ensure:        u.ensure, Now: faults.Now,
		KeepPartnerText: c.Worker.RecordPartnerText != "off", PartnerTextInLog: c.Worker.RecordPartnerText == "all",
	})
}

// newCensus counts customers beside a worker.
func newCensus(c *config.Config, l *ledger.Ledger, u *upkeep, log *zap.Logger) *census.Census {
	return census.New(census.Options{
		JetStream: u.js, Ledger: l, Stream: u.layout.Streams.Ledger, Log: log, Worker: c.Worker.ID, Version: buildVersion(),
	})
}

// readerOf is the ledger for commands that claim nothing.
func readerOf(c *config.Config, nc *nats.Conn, js jetstream.JetStream) *ledger.Ledger {
	return ledger.New(ledger.Options{Conn: nc, JetStream: js, Streams: events.StreamsOf(c.Worker.Stream), Source: c.Worker.EventSource, Log: zap.NewNop()})
}

// newOperator carries out what operators ask for.
func newOperator(c *config.Config, l *ledger.Ledger, nc *nats.Conn, u *upkeep, halted func() error, log *zap.Logger) *operator.Operator {
	return operator.New(operator.Options{
		Conn: nc, JetStream: u.js, Ledger: l, Streams: u.layout.Streams, Intake: u.layout.IntakeStream, Decoder: decoderOf(c), Worker: c.Worker.ID, Log: log, Now: faults.Now,
		Halted: halted,
	})
}

// upkeep makes what is missing, at the start and whenever it is gone later, but never the ledger once there was one.
// Where the intake's consumer starts is the operator's choice once: one that is lost is made again to start where it
// did, since what it had not read is not known any more, and what it had finds its records. It is safe for concurrent use.
type upkeep struct {
	js   jetstream.JetStream
	log  *zap.Logger
	mark atomic.Pointer[events.Mark] // of the ledger, as last found

	mu     sync.Mutex
	layout broker.Layout
	began  bool
}

func newUpkeep(js jetstream.JetStream, layout broker.Layout, log *zap.Logger) *upkeep {
	return &upkeep{js: js, layout: layout, log: log}
}

// ensure makes what is missing, and says what is wrong.
func (u *upkeep) ensure(ctx context.Context) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	l := u.layout
	l.Found = func(m events.Mark) {
		u.layout.Ledger = m
		u.mark.Store(&m)
	}
	l.Made = func(object string) {
		if u.began {
			u.log.Warn("was gone and is made anew; what it held is lost", zap.String("object", object))
		}
	}
	if err := broker.Ensure(ctx, u.js, l); err != nil || u.began {
		return err
	}
	cons, err := u.js.Consumer(ctx, l.IntakeStream, events.ConsumerActivator)
	if err != nil {
		return fmt.Errorf("read consumer %s of stream %s: %w", events.ConsumerActivator, l.IntakeStream, err)
	}
	u.layout.IntakeFrom, u.began = startOf(cons.CachedInfo()), true
	return nil
}

// ledger is the mark of the ledger to work on.
func (u *upkeep) ledger() events.Mark {
	if m := u.mark.Load(); m != nil {
		return *m
	}
	return events.Mark{}
}

// startOf is where a consumer that exists has started.
func startOf(info *jetstream.ConsumerInfo) broker.IntakeFrom {
	switch from := info.Config; {
	case from.DeliverPolicy == jetstream.DeliverNewPolicy:
		return broker.IntakeFromTime(info.Created)
	case from.DeliverPolicy == jetstream.DeliverByStartTimePolicy && from.OptStartTime != nil:
		return broker.IntakeFromTime(*from.OptStartTime)
	}
	all, _ := broker.ParseIntakeFrom(config.FromAll) // a constant
	return all
}
