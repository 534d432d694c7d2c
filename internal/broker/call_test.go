package broker

import (
	"context"
	"errors"
	"testing"

	"activation-worker/internal/broker/brokertest"
)

// A server that is slow does not deny, whatever else it has refused, before or meanwhile.
func TestARefusalOfSomethingElseIsNotTheAnswer(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t, brokertest.WithConfig(`authorization { users: [{user: w, password: w, permissions: {
		publish: {deny: ["$JS.API.STREAM.PURGE.ACTIVATION_WORK", "$JS.API.STREAM.INFO.ACTIVATION"]}, subscribe: {deny: ["_INBOX.mine"]}}}] }`))
	for name, c := range map[string]struct {
		before, during string // subjects on which the connection publishes
		listens        string
		denied         bool
	}{
		"something else, long ago":  {before: "$JS.API.STREAM.PURGE.ACTIVATION_WORK"},
		"the same, long ago":        {before: "$JS.API.STREAM.INFO.ACTIVATION"},
		"something else, meanwhile": {during: "$JS.API.STREAM.PURGE.ACTIVATION_WORK"},
		"another's inbox":           {listens: "_INBOX.mine"},
		"the request itself":        {during: "$JS.API.STREAM.INFO.ACTIVATION", denied: true},
		"the same once more":        {before: "$JS.API.STREAM.INFO.ACTIVATION", during: "$JS.API.STREAM.INFO.ACTIVATION", denied: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nc, js, err := Connect(t.Context(), Options{URL: s.URL(), User: "w", Password: func() (string, error) { return "w", nil }})
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			say := func(subject string) {
				if subject == "" {
					return
				}
				if err := errors.Join(nc.Publish(subject, nil), nc.Flush()); err != nil { // the answer to the flush comes after the refusal
					t.Error(err)
				}
			}
			say(c.before)
			if c.listens != "" {
				if _, err := nc.SubscribeSync(c.listens); err != nil {
					t.Fatal(err)
				}
				if err := nc.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			err = (&admin{js: js}).once(t.Context(), "stream ACTIVATION", []string{"STREAM.INFO.ACTIVATION"}, func(context.Context) error {
				say(c.during)
				return context.DeadlineExceeded // a busy server
			})
			if err == nil || Halts(err) != c.denied || transient(err) == c.denied {
				t.Errorf("%v: halts %t, tried again %t", err, Halts(err), transient(err))
			}
		})
	}
}
