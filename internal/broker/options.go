package broker

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"go.uber.org/zap"
)

// prepare checks every setting that can be checked without a server and turns them into the client's options.
func (o Options) prepare() ([]nats.Option, *connLog, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	say := newConnLog(o.Log)
	say.denials = o.Denials
	options := append(say.handlers(),
		nats.Name(o.Name),
		nats.Timeout(dialTimeout),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(maxPingsOut),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(reconnectWait),
		nats.ReconnectBufSize(-1), // a write during an outage must fail, not be stored later
		nats.IgnoreAuthErrorAbort(),
	)
	var faults []error
	for _, part := range []func(*connLog) (nats.Option, error){o.addresses, o.identity, o.roots, o.certificate, o.inbox} {
		option, err := part(say)
		if err != nil {
			faults = append(faults, err)
		} else if option != nil {
			options = append(options, option)
		}
	}
	return options, say, errors.Join(faults...)
}

// addresses checks the server list; its text may hold a password and is therefore never repeated.
func (o Options) addresses(*connLog) (nats.Option, error) {
	for i, address := range strings.Split(o.URL, ",") {
		if !goodAddress(strings.TrimSpace(address)) {
			return nil, fmt.Errorf("NATS_URL: entry %d is not a server address such as nats://host:4222", i+1)
		}
	}
	return nil, nil
}

func goodAddress(address string) bool {
	if !strings.Contains(address, "://") {
		address = "nats://" + address
	}
	u, err := url.Parse(address)
	// An @ that ends no user and password is of a password that was not escaped: its beginning would be shown as the host.
	if err != nil || u.Hostname() == "" || u.User == nil && strings.Contains(address, "@") {
		return false
	}
	switch u.Scheme {
	case "nats", "tls", "ws", "wss":
		return true
	}
	return false
}

// servers is the server list without user names and passwords, for texts.
func (o Options) servers() string {
	var hosts []string
	for address := range strings.SplitSeq(o.URL, ",") {
		host := strings.TrimSpace(address)
		if i := strings.Index(host, "://"); i >= 0 {
			host = host[i+len("://"):]
		}
		hosts = append(hosts, host[strings.LastIndex(host, "@")+1:])
	}
	return strings.Join(hosts, ", ")
}

// identity is the one way in which we say who we are.
func (o Options) identity(say *connLog) (nats.Option, error) {
	var option nats.Option
	var err error
	var set []string
	for _, way := range []struct {
		setting string
		use     bool
		make    func(*connLog) (nats.Option, error)
	}{
		{"NATS_CREDS", o.Creds != "", o.creds},
		{"NATS_NKEY", o.NKey != "", o.nkey},
		{"NATS_USER", o.User != "", o.userInfo},
		{"NATS_TOKEN", o.Token != nil, o.token},
	} {
		if !way.use {
			continue
		}
		set = append(set, way.setting)
		option, err = way.make(say)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", way.setting, err)
		}
	}
	if len(set) > 1 {
		return nil, fmt.Errorf("%s: only one of these may be set", strings.Join(set, ", "))
	}
	if o.User == "" && o.Password != nil {
		return nil, errors.New("NATS_PASSWORD: wants NATS_USER beside it")
	}
	return option, nil
}

func (o Options) creds(*connLog) (nats.Option, error) {
	text, err := os.ReadFile(o.Creds)
	if err != nil {
		return nil, err
	}
	if _, err := nkeys.ParseDecoratedUserNKey(text); err != nil {
		return nil, fmt.Errorf("%s is not a credentials file", o.Creds)
	}
	return nats.UserCredentials(o.Creds), nil
}

func (o Options) nkey(*connLog) (nats.Option, error) {
	if _, err := os.Stat(o.NKey); err != nil {
		return nil, err
	}
	option, err := nats.NkeyOptionFromSeed(o.NKey)
	if err != nil {
		return nil, fmt.Errorf("%s does not hold a user's nkey seed", o.NKey)
	}
	return option, nil
}

func (o Options) userInfo(say *connLog) (nats.Option, error) {
	if o.Password == nil {
		return nats.UserInfo(o.User, ""), nil
	}
	if _, err := o.Password(); err != nil {
		return nil, fmt.Errorf("NATS_PASSWORD: %w", err)
	}
	return nats.UserInfoHandler(func() (string, string) {
		return o.User, say.secret("NATS_PASSWORD", o.Password)
	}), nil
}

func (o Options) token(say *connLog) (nats.Option, error) {
	if _, err := o.Token(); err != nil {
		return nil, err
	}
	return nats.TokenHandler(func() string { return say.secret("NATS_TOKEN", o.Token) }), nil
}

func (o Options) roots(*connLog) (nats.Option, error) {
	if o.CA == "" {
		return nil, nil
	}
	option := nats.RootCAs(o.CA)
	if err := option(&nats.Options{}); err != nil {
		return nil, fmt.Errorf("NATS_CA: %w", err)
	}
	return option, nil
}

func (o Options) certificate(*connLog) (nats.Option, error) {
	switch {
	case o.Cert == "" && o.Key == "":
		return nil, nil
	case o.Cert == "":
		return nil, errors.New("NATS_KEY: wants NATS_CERT beside it")
	case o.Key == "":
		return nil, errors.New("NATS_CERT: wants NATS_KEY beside it")
	}
	option := nats.ClientCert(o.Cert, o.Key)
	if err := option(&nats.Options{}); err != nil {
		return nil, fmt.Errorf("NATS_CERT, NATS_KEY: %w", err)
	}
	return option, nil
}

func (o Options) inbox(*connLog) (nats.Option, error) {
	if o.InboxPrefix == "" {
		return nil, nil
	}
	option := nats.CustomInboxPrefix(o.InboxPrefix)
	if err := option(&nats.Options{}); err != nil {
		return nil, errors.New("NATS_INBOX_PREFIX: must be a plain subject without wildcards and without a dot at its end")
	}
	return option, nil
}
