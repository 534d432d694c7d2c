package partnerapi

import (
	"errors"
	"testing"
	"time"

	"activation-worker/internal/partnerapi/simulator"
)

// TestWhatArrivesWasAnnounced: whatever the partner does to a request, as many come to it as the caller was told of, over each
// protocol, and none was repeated by itself.
func TestWhatArrivesWasAnnounced(t *testing.T) {
	t.Parallel()
	key, err := simulator.TestKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			sim, err := simulator.New(simulator.Options{Key: key, Auto: true, RatePerMinute: 100_000})
			if err != nil {
				t.Fatal(err)
			}
			p := counting(t, protocol, sim.ServeHTTP)
			t.Cleanup(sim.Close) // first
			creds := sim.Credentials()
			c := p.client(t, within(time.Second), func(cfg *Config) {
				_, cfg.TokenURL = simulator.URLs(p.url)
				cfg.APIURL, _ = simulator.URLs(p.url)
				cfg.ClientID, cfg.ServiceAccount = creds.ClientID, creds.ServiceAccount
				cfg.Secrets = func() (Secrets, error) {
					return Secrets{ClientSecret: creds.ClientSecret, PrivateKey: creds.PrivateKeyPEM}, nil
				}
			})
			for i, fault := range append(simulator.WickedMix(), simulator.Silence, simulator.Mute) {
				id := int64(i + 1)
				if _, err := c.Customer(t.Context(), id, Call{}); err != nil { // so that there is a connection in use
					t.Fatal(err)
				}
				sim.Script(id, "", fault)
				begun, told := 0, 0
				got, err := c.Activate(t.Context(), id, Call{Starting: func() bool { begun++; return true }, Answered: func(Limits) { told++ }})
				sent := got.Sent
				if e, ok := errors.AsType[*Error](err); ok {
					sent = e.Sent
				}
				arrived := len(sim.Journal().Of(id, simulator.OpActivate))
				if arrived > begun || sent != begun || told > begun || begun == 0 || fault != simulator.ResetBefore && arrived != begun {
					t.Errorf("%s: %d were announced, %d counted, %d arrived, %d were answered: %v", fault, begun, sent, arrived, told, err)
				}
				if counts := sim.Journal().Customers[id]; counts.Applied > 1 {
					t.Errorf("%s: applied %d times", fault, counts.Applied)
				}
			}
		})
	}
}
