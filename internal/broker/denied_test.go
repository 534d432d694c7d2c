package broker

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestDeniedAreAlike(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`Permissions Violation for Publish to "activation.customer.51200001.started"`:                                "publish on activation.customer.>",
		`Permissions Violation for Publish to "$JS.ACK.SIGNUP.activator.1.7.7.1764061520000.0"`:                      "publish on $JS.ACK.SIGNUP.activator.>",
		`Permissions Violation for Publish to "$JS.API.STREAM.INFO.ACTIVATION"`:                                      "publish on $JS.API.STREAM.INFO.ACTIVATION",
		`Permissions Violation for Subscription to "_INBOX.tQjIrItOR2Ufcd8i2tQnEp.*"`:                                "subscribe to _INBOX.>",
		`Permissions Violation for Publish to "$JS.API.CONSUMER.CREATE.ACTIVATION.kGx3Xb_1.activation.customer.7.*"`: "publish on $JS.API.CONSUMER.CREATE.ACTIVATION.>",
		`Permissions Violation for Publish to "$JS.API.CONSUMER.DELETE.ACTIVATION.kGx3Xb_1"`:                         "publish on $JS.API.CONSUMER.DELETE.ACTIVATION.>",
		`Permissions Violation for Publish to "$JS.hub.API.CONSUMER.MSG.NEXT.ACTIVATION.kGx3Xb_1"`:                   "publish on $JS.hub.API.CONSUMER.MSG.NEXT.ACTIVATION.>",
		`Permissions Violation for Publish to "$JS.API.CONSUMER.DELETE.ACTIVATION.sweep"`:                            "publish on $JS.API.CONSUMER.DELETE.ACTIVATION.sweep",
		`Permissions Violation for Publish to "$JS.API.CONSUMER.MSG.NEXT.SIGNUP.activator"`:                          "publish on $JS.API.CONSUMER.MSG.NEXT.SIGNUP.activator",
		`Permissions Violation for Publish to "$JS.API.CONSUMER.CREATE.ACTIVATION.census-kGx3Xb1"`:                   "publish on $JS.API.CONSUMER.CREATE.ACTIVATION.census-*",
		`permissions violation for something else`:                                                                   "nats: permissions violation: permissions violation for something else",
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

func TestWhatGoesOnWithoutARightIsNotReported(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]bool{
		"$JS.API.CONSUMER.DELETE.ACTIVATION.sweep":                       false,
		"$JS.API.CONSUMER.DELETE.ACTIVATION.kGx3Xb_1":                    false,
		"$JS.hub.API.CONSUMER.DELETE.ACTIVATION.kGx3Xb_1":                false,
		"$JS.API.CONSUMER.CREATE.SIGNUP.activator.signup.terms.accepted": false,
		"$JS.API.STREAM.CREATE.KV_ACTIVATION_QUOTA":                      false,
		"$JS.hub.API.STREAM.CREATE.ACTIVATION_WORK":                      false,
		"$JS.API.CONSUMER.CREATE.ACTIVATION.census-kGx3Xb1":              false,
		"$JS.API.CONSUMER.MSG.NEXT.ACTIVATION.census-kGx3Xb1":            false,
		"$JS.hub.API.CONSUMER.INFO.ACTIVATION.census-kGx3Xb1":            false,
		"$JS.API.CONSUMER.LIST.ACTIVATION":                               false,
		"$JS.hub.API.CONSUMER.LIST.ACTIVATION":                           false,
		"$JS.API.STREAM.UPDATE.ACTIVATION":                               true,
		"$JS.API.CONSUMER.DELETE.SIGNUP.activator":                       true,
		"$JS.API.CONSUMER.CREATE.ACTIVATION.sweep":                       true,
		"$JS.API.CONSUMER.CREATE.ACTIVATION.kGx3Xb_1":                    true,
		"$JS.API.CONSUMER.MSG.NEXT.SIGNUP.activator":                     true,
		"$JS.ACK.SIGNUP.activator.1.7.7.1764061520000.0":                 true,
	} {
		var d Denials
		log, said := observer.New(zap.WarnLevel)
		l := newConnLog(zap.New(log))
		l.denials = &d
		l.trouble(nil, fmt.Errorf("%w: Permissions Violation for Publish to %q", nats.ErrPermissionViolation, subject))
		if got := len(d.List()) == 1; got != want || said.Len() != 1 {
			t.Errorf("%s: reported %t, want %t; said %d times", subject, got, want, said.Len())
		}
	}
}
