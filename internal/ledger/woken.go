package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"activation-worker/internal/events"
)

const (
	// wakersAtOnce is about how many customers is asked at once, on three subjects each: the server answers at most 1024, and
	// meanwhile reads nothing else from this connection.
	wakersAtOnce = 64
	// timersAtOnce is how many requests are made at the same time where each asks about one customer.
	timersAtOnce = 8
)

// woken says who of some customers will be woken, as far as it can be asked at low cost: it may leave out some. It may
// also be told so by a server that lags, which the next sweep makes good.
func (s *sweeping) woken(ctx context.Context, about []place) (map[int64]bool, error) {
	if len(about) == 0 {
		return nil, nil
	}
	if !s.blind {
		woken, err := s.wokenAtOnce(ctx, about)
		if err == nil || ctx.Err() != nil {
			return woken, err
		}
		s.log.Debug("timers are asked for one by one", zap.Error(err))
		s.blind = true
	}
	return s.wokenEach(ctx, about)
}

// wokenEach asks the leader for each one's timer.
func (s *sweeping) wokenEach(ctx context.Context, about []place) (map[int64]bool, error) {
	var mu sync.Mutex
	woken := map[int64]bool{}
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(timersAtOnce)
	for _, p := range about {
		asking.Go(func() error {
			timer, err := s.Ledger.last(ctx, s.streams.Work, events.TimerSubject(p.id))
			if err == nil && s.willFire(timer) {
				mu.Lock()
				defer mu.Unlock()
				woken[p.id] = true
			}
			return err
		})
	}
	return woken, asking.Wait()
}

// errNoDirect is returned where the work stream was made by an older version.
var errNoDirect = errors.New("the stream does not allow direct gets: run worker setup")

// wokenAtOnce asks any server that has the work stream for the timers and wake-ups of all.
func (s *sweeping) wokenAtOnce(ctx context.Context, about []place) (map[int64]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := s.readFloors(ctx); err != nil {
		return nil, err
	}
	subjects := make([]string, 0, 3*len(about))
	for _, p := range about {
		subjects = append(subjects, events.TimerSubject(p.id), events.DueSubject(p.id), events.RedoSubject(p.id))
	}
	body, err := json.Marshal(map[string]any{"multi_last": subjects})
	if err != nil {
		return nil, err
	}
	inbox := s.conn.NewInbox() // not of those for single answers: each would come twice
	answers, err := s.conn.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := s.conn.PublishRequest(s.api+"DIRECT.GET."+s.streams.Work, inbox, body); err != nil {
		return nil, err
	}
	woken := make(map[int64]bool, len(about))
	for {
		m, err := answers.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		switch status := m.Header.Get("Status"); status {
		case "":
			subject := m.Header.Get(jetstream.SubjectHeader)
			if id, ok := events.DomainOfSubject(subject); ok && s.wakes(subject, m.Header) {
				woken[id] = true
			}
		case "204", "404": // that was all; there is none
			return woken, nil
		default:
			return nil, fmt.Errorf("read stream %s: %s %s", s.streams.Work, status, m.Header.Get("Description"))
		}
	}
}

// wakes reports whether a message of the work stream will wake its customer.
func (s *sweeping) wakes(subject string, header nats.Header) bool {
	consumer := ""
	switch {
	case matches(subject, events.SubjectTimers):
		return s.fires(header)
	case matches(subject, events.SubjectDue):
		consumer = events.ConsumerDue
	case matches(subject, events.SubjectRedo):
		consumer = events.ConsumerRedo
	}
	sequence, err := strconv.ParseUint(header.Get(jetstream.SequenceHeader), 10, 64)
	floor, known := s.floors[consumer]
	return err == nil && known && sequence > floor // see [Ledger.willCome]
}

func matches(subject, pattern string) bool {
	return strings.HasPrefix(subject, strings.TrimSuffix(pattern, "*"))
}

// readFloors reads once in a sweep how far the wake-ups' consumers have come, and whether it may be asked for many at once.
func (s *sweeping) readFloors(ctx context.Context) error {
	if s.floors != nil {
		return nil
	}
	work, err := s.js.Stream(ctx, s.streams.Work)
	switch {
	case err != nil:
		return err
	case !work.CachedInfo().Config.AllowDirect:
		return errNoDirect // asked all the same, nobody would answer, and a user without the right would be told that it is wanting
	}
	floors := map[string]uint64{}
	for _, name := range []string{events.ConsumerDue, events.ConsumerRedo} {
		cons, err := s.js.Consumer(ctx, s.streams.Work, name)
		if err != nil {
			return err
		}
		floors[name] = cons.CachedInfo().AckFloor.Stream
	}
	s.floors = floors
	return nil
}
