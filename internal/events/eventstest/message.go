package eventstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

// form is what an event on a subject has to be like.
type form struct {
	kind    events.Type
	subject string // the CloudEvent's
	idBegin string
	idEnd   string
}

// formOf tells what is to be on a subject; false for one that is not public.
func formOf(subject string) (form, bool) {
	t := strings.Split(subject, ".")
	last := t[len(t)-1]
	switch {
	case len(t) == 4 && strings.HasPrefix(subject, "activation.customer."):
		return form{events.TypeOf(events.State(last)), t[2], t[2] + "-", "-" + last}, true
	case len(t) == 3 && t[1] == "replay":
		return form{events.TypeReplayed, last, "replay-" + last + "-", ""}, true
	case subject == events.SubjectIntakePaused:
		return form{events.TypePaused, last, "intake-", "-" + last}, true
	case subject == events.SubjectIntakeResumed:
		return form{events.TypeResumed, last, "intake-", "-" + last}, true
	case len(t) == 3 && t[1] == "rejected":
		return form{events.TypeRejected, last, "rejected-", "-" + last}, true
	case len(t) == 5 && t[1] == "request":
		return form{events.TypeRequested, last, last, ""}, true
	}
	return form{}, false
}

// Message says all that is wrong with a message on one of the public subjects: headers, attributes, subject, id, and its data
// as the schema of its type wants it, strictly. Headers that only a stored message has may be there.
func Message(subject string, header nats.Header, msg []byte) error {
	want, public := formOf(subject)
	if !public {
		return fmt.Errorf("%s is no public subject", subject)
	}
	if err := Valid(Envelope, true, msg); err != nil {
		return err
	}
	var e struct {
		ID, Type, Subject, DataSchema string
		Data                          json.RawMessage
	}
	if err := json.Unmarshal(msg, &e); err != nil {
		return fmt.Errorf("read event: %w", err)
	}
	return errors.Join(
		Valid(string(want.kind), true, e.Data),
		equal("type", e.Type, string(want.kind)),
		equal("dataschema", e.DataSchema, ID(string(want.kind))),
		equal("subject", e.Subject, want.subject),
		identified(e.ID, want),
		headed(header, e.ID, want),
	)
}

func equal(what, got, want string) error {
	if got != want {
		return fmt.Errorf("%s is %q, want %q", what, got, want)
	}
	return nil
}

func identified(id string, want form) error {
	if !strings.HasPrefix(id, want.idBegin) || !strings.HasSuffix(id, want.idEnd) {
		return fmt.Errorf("id is %q, want %s…%s", id, want.idBegin, want.idEnd)
	}
	return nil
}

// headed looks at the headers: a state is written by compare-and-set, anything else once for each id.
func headed(h nats.Header, id string, want form) error {
	wrong := equal("header Content-Type", h.Get("Content-Type"), events.ContentType)
	expected := h.Get(jetstream.ExpectedLastSubjSeqHeader)
	if !isState(want.kind) {
		return errors.Join(wrong, equal("header "+jetstream.MsgIDHeader, h.Get(jetstream.MsgIDHeader), id))
	}
	if h.Get(events.HeaderWriteToken) == "" {
		wrong = errors.Join(wrong, errors.New("a state was written without "+events.HeaderWriteToken))
	}
	if _, err := strconv.ParseUint(expected, 10, 64); err != nil {
		wrong = errors.Join(wrong, fmt.Errorf("header %s: %w", jetstream.ExpectedLastSubjSeqHeader, err))
	}
	return errors.Join(
		wrong,
		equal("header "+jetstream.MsgIDHeader, h.Get(jetstream.MsgIDHeader), ""),
		equal("header "+jetstream.ExpectedLastSubjSeqSubjHeader, h.Get(jetstream.ExpectedLastSubjSeqSubjHeader), "activation.customer."+want.subject+".*"),
		equal("id", id, want.idBegin+expected+want.idEnd),
	)
}

func isState(kind events.Type) bool {
	for _, s := range events.States() {
		if events.TypeOf(s) == kind {
			return true
		}
	}
	return false
}
