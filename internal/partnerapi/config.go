package partnerapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
)

const (
	connectTimeout  = 5 * time.Second  // TCP and TLS, each
	idleTimeout     = 55 * time.Second // under the minute after which gateways close: a request that meets the close is unclear
	maxIdlePerHost  = 1000             // the most that LINEWORKS_CONCURRENCY allows: each request's connection may serve again
	pingAfter       = 10 * time.Second // of silence on an HTTP/2 connection
	pingTimeout     = 5 * time.Second  // then it is dead, and what was under way on it is unclear
	maxHeaderBytes  = 256 << 10
	defaultScope    = "partner"
	defaultAgent    = "activation-worker"
	settingAPIURL   = "LINEWORKS_API_URL"
	settingTokenURL = "LINEWORKS_TOKEN_URL"
)

// Secrets are the confidential parts of the credentials. Either AccessToken is
// set, a ready-made bearer token that cannot be renewed, or the other two.
type Secrets struct {
	ClientSecret string
	PrivateKey   string // RSA, PEM, PKCS#8 or PKCS#1; line ends may be written as a literal \n
	AccessToken  string
}

// Config is what a Client needs. The zero value of a field is allowed only
// where its comment says so.
type Config struct {
	APIURL   string // base, without a trailing path of an operation: https://www.worksapis.com/v1.0
	TokenURL string // the token endpoint

	ClientID       string // may be empty with an access token
	ServiceAccount string // may be empty with an access token
	Scope          string // separated by blanks; empty: partner

	// Secrets is called at each token fetch, so that rotated files are seen.
	Secrets func() (Secrets, error)

	Timeout    time.Duration    // of one request, its redirects and body included
	Roots      *x509.CertPool   // nil: the system's
	MaxPayload int              // longest response object that is kept, in bytes
	Now        func() time.Time // nil: time.Now
	Log        *zap.Logger      // nil: none
	Tracer     trace.Tracer     // nil: no spans
	UserAgent  string           // empty: activation-worker
	Observer   Observer         // nil: nobody
}

// Client makes calls to the partner. It is safe for concurrent use; Close it
// when done.
type Client struct {
	cfg       Config
	base      *url.URL
	transport *http.Transport
	tokens    *tokens
}

// New checks cfg and returns a Client. It opens no connection. An error names
// the setting and what it wants; it never shows the value, which may carry a
// password.
func New(cfg Config) (*Client, error) {
	base, err := checkEndpoints(cfg.APIURL, cfg.TokenURL)
	if err != nil {
		return nil, fmt.Errorf("partner api: %w", err)
	}
	if cfg.Timeout <= 0 || cfg.MaxPayload <= 0 || cfg.Secrets == nil {
		return nil, errors.New("partner api: Timeout and MaxPayload have to be above zero, Secrets has to be set")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if strings.TrimSpace(cfg.Scope) == "" {
		cfg.Scope = defaultScope
	}
	if cfg.Observer == nil {
		cfg.Observer = nobody{}
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = defaultAgent
	}
	transport := newTransport(cfg.Roots)
	return &Client{cfg: cfg, base: base, transport: transport, tokens: newTokens(cfg, transport)}, nil
}

// Close ends a token fetch under way, waits for it, and closes idle
// connections. Calls under way are not touched; calls begun later find no token.
func (c *Client) Close() {
	c.tokens.close()
	c.transport.CloseIdleConnections()
}

// Run keeps the access token fresh until ctx ends: before a token ends, its successor is fetched, and no call waits for
// that. It fetches no first token and none after one that has ended: the next call does, and there trouble is told. Call
// it once; without it each token serves to its end. A fetch under way when ctx ends goes on until [Client.Close].
func (c *Client) Run(ctx context.Context) { c.tokens.keep(ctx) }

// EnsureToken returns nil when a usable token is at hand, fetching one if
// needed; else an *Error with Op "token", or one wrapping the error of ctx.
func (c *Client) EnsureToken(ctx context.Context) error {
	if _, err := c.tokens.get(ctx); err != nil {
		return c.tokenFailure(request{op: OpToken}, err, 0)
	}
	return nil
}

// TokenExpiry is when the access token ends; zero: there is none, or its end is not known.
func (c *Client) TokenExpiry() time.Time {
	c.tokens.mu.Lock()
	defer c.tokens.mu.Unlock()
	return c.tokens.current.expires
}

// now is the wall clock. The monotonic reading is dropped because leases, which
// other machines compare with too, are wall-clock times.
func (c *Client) now() time.Time { return c.cfg.Now().Round(0) }

// newTransport returns a transport for HTTP/2 where the partner speaks it, else HTTP/1.1. Either keeps its connections for
// the next request, and neither repeats a request that was written: see [gate].
func newTransport(roots *x509.CertPool) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: connectTimeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:    connectTimeout,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true, // compressed bodies are told by their first bytes, whatever the headers say
		Protocols:              protocols,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: pingAfter + pingTimeout},
	}
}

// checkEndpoints parses both URLs. One at the partner and one elsewhere would
// send real credentials to a stand-in, or the other way round.
func checkEndpoints(apiURL, tokenURL string) (*url.URL, error) {
	api, errAPI := checkURL(settingAPIURL, apiURL)
	token, errToken := checkURL(settingTokenURL, tokenURL)
	if err := errors.Join(errAPI, errToken); err != nil {
		return nil, err
	}
	if isPartner(api) != isPartner(token) {
		return nil, fmt.Errorf("%s and %s: set both to the partner's hosts (worksapis.com, worksmobile.com) or neither",
			settingAPIURL, settingTokenURL)
	}
	api.Path, api.RawPath = strings.TrimRight(api.Path, "/"), ""
	return api, nil
}

func checkURL(setting, raw string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return nil, fmt.Errorf("%s: not a URL, wants https://host/path", setting)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("%s: wants no user name, query or fragment", setting)
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u):
		return u, nil
	}
	return nil, fmt.Errorf("%s: wants https, or http on a loopback host", setting)
}

// isLoopback tells whether u's host is this machine, by name or address.
func isLoopback(u *url.URL) bool {
	if strings.EqualFold(u.Hostname(), "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.Unmap().IsLoopback()
}

func isPartner(u *url.URL) bool {
	return inDomain(u.Hostname(), "worksapis.com") || inDomain(u.Hostname(), "worksmobile.com")
}

// inDomain tells whether host is domain or below it, at a label boundary.
func inDomain(host, domain string) bool {
	host = strings.ToLower(host)
	return host == domain || strings.HasSuffix(host, "."+domain)
}
