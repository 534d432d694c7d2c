package broker

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func TestDeniedAreAlike(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`Permissions Violation for Publish to "activation.customer.51200001.started"`:           "publish on activation.customer.>",
		`Permissions Violation for Publish to "$JS.ACK.SIGNUP.activator.1.7.7.1764061520000.0"`: "publish on $JS.ACK.SIGNUP.activator.>",
		`Permissions Violation for Publish to "$JS.API.STREAM.INFO.ACTIVATION"`:                 "publish on $JS.API.STREAM.INFO.ACTIVATION",
		`Permissions Violation for Subscription to "_INBOX.tQjIrItOR2Ufcd8i2tQnEp.*"`:           "subscribe to _INBOX.>",
		`permissions violation for something else`:                                              "nats: permissions violation: permissions violation for something else",
	} {
		if got := denied(fmt.Errorf("%w: %s", nats.ErrPermissionViolation, text)); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if got := denied(errors.New("stale connection")); got != "" {
		t.Errorf("other trouble is %q", got)
	}
	var d Denials
	for i := range 100 {
		d.note(fmt.Sprint("publish on ", i%30))
	}
	if got := d.List(); len(got) != 20 || !slices.IsSorted(got) {
		t.Errorf("%d are remembered: %q", len(got), got)
	}
	for what := range d.seen {
		d.seen[what] = time.Now().Add(-deniedFor - time.Second)
	}
	d.note("publish on 1")
	if got := d.List(); len(got) != 1 || got[0] != "publish on 1" {
		t.Errorf("after a while without a refusal %q are remembered", got)
	}
	(*Denials)(nil).note("nobody listens")
}
