// Package quotatest has a twin of the store in which replicas share their quota, for tests in fake time.
package quotatest

import (
	"context"
	"slices"
	"sync"
	"time"

	"activation-worker/internal/quota"
)

// Memory keeps a record in memory. The zero value is ready. Set the fields before it is used.
type Memory struct {
	// Ask, if set, is called before each request is carried out; an error is the answer instead.
	Ask func(ctx context.Context, what string) error
	// Answer, if set, is called after each request was carried out; an error is the answer instead.
	Answer func(ctx context.Context, what string) error

	mu       sync.Mutex
	offset   time.Duration
	data     []byte
	version  uint64
	watchers []chan struct{}
	updates  int
}

func (m *Memory) around(ctx context.Context, what string, do func() error) error {
	if m.Ask != nil {
		if err := m.Ask(ctx, what); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	err := do()
	m.mu.Unlock()
	if err == nil && m.Answer != nil {
		err = m.Answer(ctx, what)
	}
	return err
}

// Load returns the record and its version.
func (m *Memory) Load(ctx context.Context) (data []byte, version uint64, err error) {
	err = m.around(ctx, "load", func() error {
		data, version = slices.Clone(m.data), m.version
		return nil
	})
	return data, version, err
}

// Update replaces the record of that version.
func (m *Memory) Update(ctx context.Context, data []byte, version uint64) (stored uint64, err error) {
	err = m.around(ctx, "update", func() error {
		if version != m.version {
			return quota.ErrConflict
		}
		for _, w := range m.watchers {
			select {
			case w <- struct{}{}:
			default:
			}
		}
		m.version++
		m.updates++
		m.data, stored = slices.Clone(data), m.version
		return nil
	})
	return stored, err
}

// Time is the time by its clock.
func (m *Memory) Time(ctx context.Context) (now time.Time, err error) {
	err = m.around(ctx, "time", func() error {
		now = time.Now().Add(m.offset)
		return nil
	})
	return now, err
}

// Watch tells of updates.
func (m *Memory) Watch(context.Context) (<-chan struct{}, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := make(chan struct{}, 1)
	m.watchers = append(m.watchers, w)
	return w, nil
}

// Put stores a record as somebody else would, whatever there is.
func (m *Memory) Put(data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.version++
	m.data = data
}

// SetClock sets how far its clock is ahead.
func (m *Memory) SetClock(ahead time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.offset = ahead
}

// Updates is how many updates were stored.
func (m *Memory) Updates() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.updates
}
