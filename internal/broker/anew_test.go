package broker

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker/brokertest"
)

// A server that has just deleted its last stream removes the directory of all streams a moment later, and may take the
// one of a new stream with it: it says so once, and the next request finds all well.
func TestAStreamIsMadeRightAfterTheLastOneWasDeleted(t *testing.T) {
	t.Parallel()
	for i := range 4 {
		t.Run(fmt.Sprint("server ", i), func(t *testing.T) {
			t.Parallel()
			_, js := brokertest.Connect(t, brokertest.Start(t).URL())
			a, err := newAdmin(js, Layout{})
			if err != nil {
				t.Fatal(err)
			}
			for range 300 {
				if _, err := a.createStream(t.Context(), jetstream.StreamConfig{Name: "ONE", Subjects: []string{"one"}, Replicas: 1}); err != nil {
					t.Fatal(err)
				}
				if err := js.DeleteStream(t.Context(), "ONE"); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
