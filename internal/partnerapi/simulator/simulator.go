package simulator

import (
	"crypto/rsa"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Paths below which the two hosts of the partner are served.
const (
	APIPath    = "/v1.0"               // as of https://www.worksapis.com/v1.0
	TokenPath  = "/oauth2/v2.0/token"  // as of https://auth.worksmobile.com/oauth2/v2.0/token
	RevokePath = "/oauth2/v2.0/revoke" // beside it
	AdminPath  = "/simulator/"         // journal, customers and scripts, see [Options.Admin]
	tokenLife  = 24 * time.Hour        // the longer of the two settings an app can have
	maxRequest = 64 << 10              // bytes of a request body that are read
	longest    = 120 * time.Second     // how long a silent connection stays open
	textJSON   = "application/json; charset=UTF-8"
)

// The partner's documented limits, for [Options].
const (
	DefaultRatePerMinute = 240
	DefaultMaxConcurrent = 5
)

// Options set up a simulator. The zero value is a partner without limits that answers at once.
type Options struct {
	Seed          uint64           // of the faults of a mix
	Now           func() time.Time // clock for tokens, limits and the journal; nil: time.Now. Delays use real time
	RatePerMinute int              // requests a fixed minute for each operation; 0: no limit
	MaxConcurrent int              // API requests at once; 0: no limit
	Leeway        time.Duration    // by which an assertion may come early or late
	Latency       time.Duration    // of every API answer, passed before the operation is carried out
	TokenLifetime time.Duration    // 0: 24 h
	Auto          bool             // an unknown domain id becomes a customer with terms and DNS done at first sight
	Admin         bool             // serve [AdminPath] to loopback callers
	JournalLimit  int              // calls kept in the journal, the oldest dropped first; 0: all. Counts stay exact
	Resolver      Resolver         // where DNS records are really looked up; nil: as [Customer.DNS] says
	Scopes        []string         // of the app; nil: partner and partner.read

	ClientID       string          // empty: made up
	ClientSecret   string          // empty: made up, from random bytes
	ServiceAccount string          // empty: made up
	Key            *rsa.PrivateKey // of the service account; nil: a new one of 2048 bits. Tests pass [TestKey]

	Log     *zap.Logger // nil: silent
	Unknown Switches
}

// Simulator is the stand-in. It is safe for concurrent use and starts nothing of its own. Its faults on the connection need
// HTTP/1.1; with any other [http.ResponseWriter] they become a handler panic with [http.ErrAbortHandler].
type Simulator struct {
	opts      Options
	routes    []route
	creds     Credentials
	key       *rsa.PublicKey
	log       *zap.Logger
	closing   chan struct{}
	closeOnce sync.Once

	mu        sync.Mutex // guards all below
	customers map[int64]*customer
	gone      map[int64]bool // domain ids of deleted customers
	nextID    int64
	tokens    tokens
	quota     quota
	script    script
	journal   journal
}

// New makes a simulator without customers. Its error is that of a key or a secret that could not be made.
func New(o Options) (*Simulator, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.TokenLifetime <= 0 {
		o.TokenLifetime = tokenLife
	}
	if o.Scopes == nil {
		o.Scopes = []string{scopeWrite, scopeRead}
	}
	o.Unknown = o.Unknown.withDefaults()
	creds, key, err := newCredentials(o)
	if err != nil {
		return nil, fmt.Errorf("set up the partner simulator: %w", err)
	}
	s := &Simulator{
		opts: o, creds: creds, key: key, log: o.Log, closing: make(chan struct{}),
		customers: map[int64]*customer{}, gone: map[int64]bool{}, nextID: 51200001,
		tokens: newTokens(o.Scopes), quota: newQuota(o.RatePerMinute, o.MaxConcurrent), script: newScript(o.Seed),
		journal: newJournal(o.JournalLimit),
	}
	s.routes = apiRoutes()
	s.journal.secrets = append(s.journal.secrets, creds.ClientSecret, creds.PrivateKeyPEM, keyLine(creds.PrivateKeyPEM))
	return s, nil
}

// Close ends every wait at once: delayed answers are dropped, late effects do not happen. Call it before closing the
// server, which otherwise waits for them. Twice is harmless.
func (s *Simulator) Close() { s.closeOnce.Do(func() { close(s.closing) }) }

// ServeHTTP answers for both hosts of the partner, told apart by the path.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == TokenPath || r.URL.Path == RevokePath:
		s.serveToken(w, r)
	case s.opts.Admin && strings.HasPrefix(r.URL.Path, AdminPath):
		s.serveAdmin(w, r)
	default:
		s.serveAPI(w, r)
	}
}

func (s *Simulator) now() time.Time { return s.opts.Now() }

// wait passes the time d and reports whether it did: not when done or [Simulator.Close] came first.
func (s *Simulator) wait(d time.Duration, done <-chan struct{}) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
	case <-s.closing:
	}
	return false
}
