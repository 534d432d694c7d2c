package quota

import (
	"context"
	"errors"
	"time"
)

// Store keeps the record that all replicas share. A version of 0 stands for none.
type Store interface {
	// Load returns the record and its version, nil and 0 if there is none.
	Load(ctx context.Context) (data []byte, version uint64, err error)
	// Update replaces the record of that version and returns the new one. If another version is there,
	// it fails with [ErrConflict]; after any other error it is not known whether it was stored, now or later.
	Update(ctx context.Context, data []byte, version uint64) (uint64, error)
	// Time is the time by the clock of whoever keeps the record.
	Time(ctx context.Context) (time.Time, error)
	// Watch tells until ctx ends that somebody else has written. Some may be missed.
	Watch(ctx context.Context) (<-chan struct{}, error)
}

// ErrConflict is the error of an update that somebody else came before.
var ErrConflict = errors.New("the shared quota was changed by somebody else")
