package broker

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Errors that a caller can test for.
var (
	// ErrNoJetStream says that JetStream is off, on the server or for the account. It may come back: worth a retry.
	ErrNoJetStream = errors.New("JetStream is not available")

	// ErrIntakeMissing says that the intake stream, which is the signup pipeline's, does not exist yet.
	ErrIntakeMissing = errors.New("the intake stream does not exist")
)

// Drift is one difference between what is declared and what the server has.
type Drift struct {
	Object  string // "stream ACTIVATION", "consumer due on ACTIVATION_WORK"
	Setting string // "storage"; "" for the object itself
	Is      string
	Wants   string
	Fixable bool   // `worker setup` mends it
	Do      string // what to do where it cannot, or ""
}

// String tells the difference in one line.
func (d Drift) String() string {
	subject := strings.TrimSpace(d.Object + " " + d.Setting)
	text := fmt.Sprintf("%s is %s, must be %s", subject, d.Is, d.Wants)
	if d.Do != "" {
		text += " (" + d.Do + ")"
	}
	return text
}

// Change is one thing that [Apply] did.
type Change struct {
	Object  string // as in [Drift]
	Setting string // "" for the object itself
	From    string
	To      string
}

// String tells the change in one line.
func (c Change) String() string {
	return fmt.Sprintf("%s: %s → %s", strings.TrimSpace(c.Object+" "+c.Setting), c.From, c.To)
}

// LayoutError lists what keeps the worker from working on these streams, each with what is and what must be.
type LayoutError struct {
	Drifts []Drift
}

func (e *LayoutError) Error() string {
	lines := make([]string, 0, len(e.Drifts)+1)
	for _, d := range e.Drifts {
		lines = append(lines, d.String())
	}
	what := "the streams or consumers are not as the worker needs them; `worker setup --check` shows, `worker setup` mends what it can"
	return what + ":\n  " + strings.Join(lines, "\n  ")
}

// layoutError is nil where there is nothing to list.
func layoutError(drifts []Drift) error {
	if len(drifts) == 0 {
		return nil
	}
	return &LayoutError{Drifts: drifts}
}

// VersionError says that the server is too old for what the worker needs of it.
type VersionError struct {
	Is string
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("the NATS server is version %s, the worker needs %d.%d or newer (message schedules); update the server", e.Is, minMajor, minMinor)
}

// IntakeFromError says that `activator` does not exist yet, the intake already holds old messages, and nobody said
// whether they are to be read: a wrong setting, since both answers can be harmful.
type IntakeFromError struct {
	Stream   string
	Subject  string
	Messages uint64    // all that match the subject
	Oldest   time.Time // when the first of them was stored
}

func (e *IntakeFromError) Error() string {
	return fmt.Sprintf("WORKER_INTAKE_FROM: must be set: stream %s already holds %d messages on %s, the oldest of %s, and the worker has not read it before; "+
		"`all` reads them all, `new` only those stored from now on, a time in RFC 3339 those stored from then on",
		e.Stream, e.Messages, e.Subject, e.Oldest.UTC().Format(time.RFC3339))
}

// BindingError says that the ledger records the customers of another partner tenant than the one configured.
type BindingError struct {
	Stream string
	Is     Binding
	Wants  Binding
}

func (e *BindingError) Error() string {
	return fmt.Sprintf("stream %s records the customers of partner API %s, but the settings name %s; "+
		"check LINEWORKS_API_URL and LINEWORKS_SERVICE_ACCOUNT, name another ledger with WORKER_STREAM, "+
		"or run `worker setup --rebind-partner` if the ledger is to move (an embedded server has to be up for that: "+
		"run a worker without LINEWORKS_ credentials meanwhile)", e.Stream, e.Is, e.Wants)
}
