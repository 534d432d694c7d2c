package broker_test

import (
	"strings"
	"testing"

	"activation-worker/internal/broker"
)

func TestThePublishStreamSourcesTheActivatedEventsAlone(t *testing.T) {
	t.Parallel()
	js := serve(t)
	l := layout()
	ensure(t, js, l)
	for _, subject := range []string{"activation.customer.7.started", "activation.customer.7.activated"} {
		if _, err := js.Publish(t.Context(), subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	for try, want := range []int{2, 0} { // the stream and the note of its name; then nothing
		changes, err := broker.Publish(t.Context(), js, l, "CUSTOMER")
		if err != nil || len(changes) != want {
			t.Fatalf("try %d: %v, %v", try, changes, err)
		}
	}
	s, err := js.Stream(t.Context(), "CUSTOMER")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "activation.customer.8.activated", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are there", func() bool {
		info, err := s.Info(t.Context())
		return err == nil && info.State.Msgs == 2
	})
	for _, subject := range []string{"customer.activated.7", "customer.activated.8"} {
		if _, err := s.GetLastMsgForSubject(t.Context(), subject); err != nil {
			t.Errorf("%s: %v", subject, err)
		}
	}
	if drifts, err := broker.Plan(t.Context(), js, l); err != nil || len(drifts) > 0 {
		t.Errorf("drift %v, %v", drifts, err)
	}
	if _, err := broker.Publish(t.Context(), js, l, "OTHER"); err == nil || !strings.Contains(err.Error(), "CUSTOMER") {
		t.Errorf("a second one beside the first: %v", err)
	}
	if err := js.DeleteStream(t.Context(), "CUSTOMER"); err != nil {
		t.Fatal(err)
	}
	if drifts, err := broker.Plan(t.Context(), js, l); err != nil || len(drifts) != 1 || !strings.Contains(drifts[0].String(), "--publish-stream CUSTOMER") {
		t.Errorf("drift %v, %v", drifts, err)
	}
	if _, err := broker.Publish(t.Context(), js, l, "ACTIVATION_WORK"); err == nil {
		t.Error("a stream of another kind is taken")
	}
}
