// Package consumer joins the parts: a delivery becomes a step, a step becomes a record,
// and only then is the delivery acknowledged. It takes terms-accepted events and fired
// wake-ups, one for each free slot, and leaves what they mean to package activation,
// what is known to package ledger, and the requests to package partnerapi.
package consumer

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
	"activation-worker/internal/partnerapi"
	"activation-worker/internal/quota"
)

// Partner is what the worker asks of the partner.
type Partner interface {
	EnsureToken(ctx context.Context) error
	Activate(ctx context.Context, domainID int64, call partnerapi.Call) (partnerapi.Customer, error)
	Customer(ctx context.Context, domainID int64, call partnerapi.Call) (partnerapi.Customer, error)
	UpgradeDomain(ctx context.Context, domainID int64, call partnerapi.Call) (partnerapi.DNSValues, error)
	CanList(ctx context.Context, call partnerapi.Call) error
}

// Options of a [Worker]. All are required but Looker, Observer, Tracer, Now, Jitter and PartnerTextInLog.
type Options struct {
	JetStream jetstream.JetStream
	Ledger    *ledger.Ledger
	Partner   Partner // nil: no credentials, nothing is taken
	Looker    Looker  // nil: ownership records are not watched
	Pacer     *quota.Pacer
	Decoder   events.Decoder
	Policy    activation.Policy
	Log       *zap.Logger
	Observer  Observer     // nil: nobody
	Tracer    trace.Tracer // nil: no spans, and trace contexts are carried on as they come

	ID           string // named in records
	Streams      events.Streams
	IntakeStream string

	Concurrency   int           // simultaneous requests to the partner
	Timeout       time.Duration // of one request
	Lease         time.Duration // of a claim
	SweepInterval time.Duration

	// Ensure makes sure that streams and consumers are there, and says which is not.
	Ensure func(context.Context) error

	KeepPartnerText  bool // in records
	PartnerTextInLog bool

	Now    func() time.Time
	Jitter func() float64 // in [0, 1)
}

// Worker takes deliveries until it is stopped. Make one with [New].
type Worker struct {
	Options
	log     *zap.Logger
	gate    *gate
	strange strangers
	twin    twin

	looks   chan struct{} // places for looks at DNS
	looking sync.WaitGroup
	rooms   map[quota.Lane]room // of wake-ups that wait for leave
	forced  room                // of those among them who give way
	backlog spread
	states  map[string]*laneState // by lane

	stop    context.Context // ends when nothing new may begin
	stopNow context.CancelFunc

	mu        sync.Mutex
	obstacles map[string]obstacle // by lane or part, what keeps work from being taken
	ensuring  sync.Mutex          // held while streams and consumers are made
}

// New returns a worker that has not begun.
func New(o Options) *Worker {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	if o.Looker == nil {
		o.Policy.DNS.WatchFirst = 0
	}
	w := &Worker{
		Options: o, log: o.Log.Named("worker"), obstacles: map[string]obstacle{},
		looks: make(chan struct{}, looksAtOnce),
	}
	w.stop, w.stopNow = context.WithCancel(context.Background())
	w.rooms = map[quota.Lane]room{quota.Waiting: make(room, w.slots()), quota.Replay: make(room, w.slots())}
	w.forced = make(room, w.slots()/2)
	w.states = map[string]*laneState{}
	for _, l := range w.lanes() {
		w.states[l.name] = &laneState{slots: newSlots(l.slots)}
	}
	w.gate = newGate(w)
	w.twin.began = w.now()
	return w
}

// stopGrace is what a worker that stops takes beyond the requests on their way, to record what they say.
const stopGrace = 7 * time.Second

// leaseMargin is how long before the end of its lease a request must have ended.
const leaseMargin = 5 * time.Second

// Run takes deliveries until ctx ends. Then it takes nothing new and starts no further
// request, lets those on their way end, records what they say, and returns within
// Timeout and a few seconds. It is called once.
func (w *Worker) Run(ctx context.Context) error {
	working, abort := context.WithCancelCause(context.WithoutCancel(ctx))
	defer abort(nil)
	stop := context.AfterFunc(ctx, func() {
		w.stopNow()
		timer := time.NewTimer(w.Timeout + stopGrace)
		defer timer.Stop()
		select {
		case <-timer.C:
			abort(errStopping)
		case <-working.Done():
		}
	})
	defer stop()

	var tasks sync.WaitGroup
	tasks.Go(func() { w.gate.run(ctx) })
	tasks.Go(func() { w.sweep(ctx) })
	tasks.Go(func() { w.mind(ctx) })
	for _, l := range w.lanes() {
		tasks.Go(func() { w.serve(ctx, working, l) })
	}
	// The pace is kept until nobody needs it any more.
	pacing, stopPacing := context.WithCancel(context.WithoutCancel(ctx))
	var pacer sync.WaitGroup
	pacer.Go(func() { w.Pacer.Run(pacing) })
	tasks.Wait()
	w.looking.Wait()
	stopPacing()
	pacer.Wait()
	return nil
}

// lanes are where deliveries come from. Announcements are not taken while the gate is shut; wake-ups are, for
// the looks at DNS among them.
func (w *Worker) lanes() []lane {
	return []lane{
		{name: laneIntake, stream: w.IntakeStream, consumer: events.ConsumerActivator, read: w.readAccepted, slots: w.slots(), gated: true},
		{name: laneDue, stream: w.Streams.Work, consumer: events.ConsumerDue, read: w.readWakeUp, slots: 2 * w.slots()},
		{name: laneRedo, stream: w.Streams.Work, consumer: events.ConsumerRedo, read: w.readWakeUp, slots: w.slots()},
	}
}

// slots is how many deliveries of a lane are handled at once: more than requests, so that
// one can be recorded while another is on its way.
func (w *Worker) slots() int { return max(4, 2*w.Concurrency) }

func (w *Worker) now() time.Time { return w.Now().Round(0) }

// sweep re-arms lost timers now and then.
func (w *Worker) sweep(ctx context.Context) {
	for {
		if !w.wait(ctx, w.SweepInterval/2+time.Duration(w.Jitter()*float64(w.SweepInterval))) {
			return
		}
		if w.Halted() != nil {
			continue
		}
		armed, err := w.Ledger.Sweep(ctx, w.ID, w.strange.add)
		if ctx.Err() != nil {
			return
		}
		w.Observer.Swept(w.now(), armed, err == nil)
		switch {
		case w.setObstacle(partSweep, err) && err != nil:
			w.log.Warn("sweep failed, tried again and again", zap.Error(err))
		case armed > 0:
			w.log.Info("sweep armed lost timers", zap.Int("armed", armed))
		}
	}
}

// until is ctx, and ends too at a time of the worker's clock.
func (w *Worker) until(ctx context.Context, t time.Time) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, t.Sub(w.now()))
}

// untilStop is ctx, and ends too when the worker is told to stop: nothing new begins then.
func (w *Worker) untilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	unhook := context.AfterFunc(w.stop, cancel)
	return ctx, func() { unhook(); cancel() }
}

func (w *Worker) stopping() bool { return w.stop.Err() != nil }

// wait pauses and reports whether ctx is still alive.
func (w *Worker) wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
