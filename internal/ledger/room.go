package ledger

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

// room keeps enough of a bounded ledger free for the outcomes of what is running: a claim
// that is stored and an outcome that is refused would lose what the partner said.
type room struct {
	mu      sync.Mutex
	running int64 // attempts of this process between claim and outcome
	others  int64 // attempts of other workers, when last looked
	free    int64 // bytes, when last looked; claims since are subtracted
	looked  time.Time
	fullAt  time.Time // when a claim or an outcome last found no room; zero once one did
	full    error     // what it found
}

const (
	// recordSize is more than a record takes without the partner's object.
	recordSize = 16 << 10
	// fullFor is how long a refusal for lack of room is believed: whoever needs room tries again sooner.
	fullFor = 10 * time.Second
	// roomFresh is how long a look at the stream is believed while there is plenty.
	roomFresh = 2 * time.Second
	// plenty is how many outcomes' room make looking at every claim needless.
	plenty = 256
)

// MaxObject is the longest response object, in bytes, that an activated record carries over a connection.
func MaxObject(nc *nats.Conn) int { return min(512<<10, int(nc.MaxPayload())/2) }

// outcome is what one attempt may need: its own started record and an outcome with the longest object.
func (l *Ledger) outcome() int64 { return int64(MaxObject(l.conn)) + 2*recordSize }

// reserve holds room for one attempt, or returns [ErrFull].
func (l *Ledger) reserve(ctx context.Context) error {
	r := &l.room
	r.mu.Lock()
	defer r.mu.Unlock()
	need := l.outcome()
	stale := l.now().Sub(r.looked) > roomFresh
	tight := r.free < (r.running+plenty)*need
	if stale || tight {
		free, err := l.freeBytes(ctx)
		if err != nil {
			return err
		}
		tight = free < (r.running+plenty)*need
		if tight && stale {
			if r.others, err = l.runningElsewhere(ctx); err != nil {
				return err
			}
		}
		r.free = free
		if stale {
			r.looked = l.now()
		}
	}
	if wanted := (r.running + r.others + 1) * need; tight && r.free < wanted {
		r.fullAt, r.full = l.now(), ErrFull
		return fmt.Errorf("%d bytes are free and %d are needed for the outcomes of what is running: %w", r.free, wanted, ErrFull)
	}
	r.running++
	r.fullAt = time.Time{}
	r.free -= recordSize
	return nil
}

// Release gives an attempt's room back.
func (l *Ledger) Release() {
	l.room.mu.Lock()
	defer l.room.mu.Unlock()
	l.room.running--
}

// NoRoom is why a claim or an outcome found no room lately; nil where one did.
func (l *Ledger) NoRoom() error {
	l.room.mu.Lock()
	defer l.room.mu.Unlock()
	if l.room.fullAt.IsZero() || l.now().Sub(l.room.fullAt) >= fullFor {
		return nil
	}
	return l.room.full
}

// noRoom notes that something was refused for lack of room.
func (l *Ledger) noRoom(err error) {
	l.room.mu.Lock()
	defer l.room.mu.Unlock()
	l.room.fullAt, l.room.full = l.now(), err
}

// hasRoom notes that what was refused was stored.
func (l *Ledger) hasRoom() {
	l.room.mu.Lock()
	defer l.room.mu.Unlock()
	l.room.fullAt = time.Time{}
}

// storageError is [ErrFull] where it is not the ledger's own limit that is reached.
type storageError struct{ says string }

func (e *storageError) Error() string {
	return "NATS has no more storage for us (" + e.says + "): raise the limit of the account or the server's max_file_store, or delete what else is stored there"
}

// Is lets errors.Is find ErrFull.
func (e *storageError) Is(target error) bool { return target == ErrFull }

// fullError puts a refusal for lack of room into words.
func fullError(err error) error {
	if api := apiError(err); api != nil && api.ErrorCode != codeStoreFailed {
		return &storageError{api.Description}
	}
	return ErrFull
}

// runningElsewhere counts the attempts of other workers: claims of the last lease that have no outcome yet.
func (l *Ledger) runningElsewhere(ctx context.Context) (int64, error) {
	since := l.now().Add(-l.lease)
	running := map[int64]bool{}
	cfg := jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{events.SubjectCustomers}, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since, HeadersOnly: true,
	}
	err := l.each(ctx, l.streams.Ledger, cfg, func(e Entry) bool {
		if id, ok := events.DomainOfSubject(e.Subject); ok {
			running[id] = strings.HasSuffix(e.Subject, "."+string(events.Started))
		}
		return true
	})
	count := -l.room.running
	for _, is := range running {
		if is {
			count++
		}
	}
	return max(0, count), err
}

const unlimited = int64(1) << 62

func (l *Ledger) freeBytes(ctx context.Context) (int64, error) {
	info, err := l.stream(ctx)
	if err != nil {
		return 0, err
	}
	if info.Config.MaxBytes <= 0 {
		return unlimited, nil
	}
	return info.Config.MaxBytes - int64(info.State.Bytes), nil
}
