package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

const (
	dialTimeout      = 2 * time.Second        // one server's TCP, TLS and greeting
	reconnectFirst   = 100 * time.Millisecond // the first wait after a lost connection
	reconnectLongest = 2 * time.Second        // no wait between two tries is longer
	pingInterval     = 10 * time.Second       // two unanswered pings end a dead connection, well within a lease
	maxPingsOut      = 2
)

// Options say where NATS is and who we are there. The zero value of a field leaves it out.
type Options struct {
	URL   string // one server or several with commas: nats://host:4222, tls://…, ws://…
	Creds string // file with a user's JWT and seed
	NKey  string // file with a user's nkey seed
	User  string // user name; the password comes from Password

	// Password and Token are read again at each connect and reconnect, so that a rotated secret needs no restart.
	Password func() (string, error)
	Token    func() (string, error)

	CA   string // PEM file with the roots that sign the server's certificate; read again at each connect
	Cert string // PEM file with our client certificate; wants Key
	Key  string // PEM file with its key; wants Cert

	InboxPrefix string // instead of _INBOX, where permissions ask for it
	JSDomain    string // JetStream domain, for leaf nodes
	Name        string // shown in the server's list of connections

	Log     *zap.Logger // nil: no log
	Denials *Denials    // told what the user may not do; nil: nobody is
}

// Connect connects to NATS and waits for it as long as ctx allows: an unreachable server and refused credentials are
// logged when they change, and rarely after that. A setting that cannot be right (a bad address, an unreadable file)
// is an error at once, which names it. When ctx ends, a try under way is finished first: two seconds for each server.
//
// The connection reconnects for ever, also after refused credentials, and holds nothing back while it is away: a
// publish made then fails at once instead of being stored some time later.
func Connect(ctx context.Context, o Options) (*nats.Conn, jetstream.JetStream, error) {
	options, say, err := o.prepare()
	if err != nil {
		return nil, nil, err
	}
	var nc *nats.Conn
	attempt := func() error {
		var err error
		nc, err = nats.Connect(o.URL, options...)
		if err != nil {
			say.unreachable(err)
		}
		return err
	}
	if err := backoff.Retry(attempt, backoff.WithContext(connectWaits(), ctx)); err != nil {
		return nil, nil, fmt.Errorf("waiting for NATS: %w (last: %s)", context.Cause(ctx), say.last())
	}
	say.connected(nc)
	return o.jetStream(nc)
}

// ConnectOnce connects for a command line: a few seconds, then an error that says what to do.
func ConnectOnce(ctx context.Context, o Options) (*nats.Conn, jetstream.JetStream, error) {
	options, _, err := o.prepare()
	if err != nil {
		return nil, nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	nc, err := nats.Connect(o.URL, options...)
	switch {
	case err == nil:
		return o.jetStream(nc)
	case refused(err):
		return nil, nil, fmt.Errorf("NATS at %s refuses us: %w; check NATS_CREDS, NATS_NKEY, NATS_USER or NATS_TOKEN", o.servers(), err)
	case errors.Is(err, nats.ErrNoServers):
		return nil, nil, fmt.Errorf("no NATS server answers at %s: is it running? set NATS_URL, or start `worker run`, which brings its own", o.servers())
	default:
		return nil, nil, fmt.Errorf("connecting to NATS at %s: %w; check NATS_URL, NATS_CA, NATS_CERT and NATS_KEY", o.servers(), err)
	}
}

// jetStream adds the JetStream view in the configured domain.
func (o Options) jetStream(nc *nats.Conn) (*nats.Conn, jetstream.JetStream, error) {
	js, err := jetstream.New(nc)
	if o.JSDomain != "" {
		js, err = jetstream.NewWithDomain(nc, o.JSDomain)
	}
	if err != nil {
		nc.Close()
		return nil, nil, fmt.Errorf("NATS_JS_DOMAIN: %w", err)
	}
	return nc, js, nil
}

// connectWaits are the waits of the first connection: as those of a reconnect, and no end.
func connectWaits() backoff.BackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = reconnectFirst
	b.Multiplier = 2
	b.MaxInterval = reconnectLongest * 2 / 3 // the jitter adds up to half
	b.MaxElapsedTime = 0
	return b
}

// reconnectWait doubles from reconnectFirst to reconnectLongest; half of each wait is drawn, so that a fleet that lost
// its server together does not come back together.
func reconnectWait(attempts int) time.Duration {
	wait := reconnectLongest
	if doublings := attempts - 1; doublings < 5 {
		wait = min(reconnectLongest, reconnectFirst<<max(0, doublings))
	}
	return wait/2 + rand.N(wait/2)
}

// refused reports whether the server was reached and would not have our credentials.
func refused(err error) bool {
	for _, auth := range []error{
		nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired,
	} {
		if errors.Is(err, auth) {
			return true
		}
	}
	return false
}
