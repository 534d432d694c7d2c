package config

import (
	"net/url"
	"strings"
	"time"
)

// Config holds the effective settings. It is not changed after [Load] and may be shared.
type Config struct {
	NATS    NATS
	Partner Partner
	Worker  Worker
	Tracing Tracing

	// Warnings are sentences for the log at start, sorted, each beginning with the setting it is about.
	Warnings []string
	// Exposed are those of them that are about secrets which others on this machine can read.
	Exposed []string

	values map[string]value // by variable, see Print
}

// NATS says how to reach the NATS server.
type NATS struct {
	// URL is the server list, comma-separated; empty: embedded or WORKER_NATS_LISTEN. It may hold credentials, so it is
	// not to be logged.
	URL      string
	Embedded string // "auto": run a server inside where URL is empty; "never"

	Creds       string // path of a credentials file
	NKey        string // path of a seed file
	User        string
	Password    Secret
	Token       Secret
	CA          string // path of a PEM file with further roots
	Cert        string // path of a PEM file; together with Key
	Key         string // path of a PEM file
	InboxPrefix string // without final dot; empty: the library's
	JSDomain    string // JetStream domain; empty: the account's
}

// Partner says how to reach the partner's API, and as whom.
type Partner struct {
	ClientID       string
	ClientSecret   Secret
	ServiceAccount string // name@tenant
	PrivateKey     Secret // PEM, in which line ends may be written as a backslash and an n
	AccessToken    Secret // in place of the four above

	APIURL   string // without final slash
	TokenURL string
	CA       string // path of a PEM file with further roots
	Scope    string // several are separated by a blank

	Timeout       time.Duration // of one request, redirects included
	Concurrency   int           // simultaneous requests, all replicas together
	Rate          Rate          // most in any sliding unit, for each operation
	SustainedRate Rate          // average over 30 minutes, for each operation
}

// Worker holds what concerns the worker itself.
type Worker struct {
	DataDir    string // of the embedded server
	NATSListen string // host:port of the embedded server
	HTTPAddr   string // host:port of the probes

	ConsoleAddr  string   // host:port of the page; empty: there is none
	ConsoleHosts []string // names in lower case, and addresses, under which it may be asked for too

	IntakeStream   string
	IntakeSubject  string // filter, may hold wildcards
	IntakeType     string // CloudEvents type; empty: any
	IntakeDomainID string // JSON pointer into the event's data
	IntakeFrom     IntakeFrom

	Stream         string // name of the ledger's stream; the other streams' names begin with it
	Replicas       int    // of our streams; 0: three where the server is clustered, else one
	StreamMaxBytes int64  // of the ledger; 0: 10 GiB, embedded a tenth of the free disk

	ID            string        // names this process in events
	Lease         time.Duration // for which a claim holds
	SweepInterval time.Duration
	GiveUp        map[string]time.Duration   // by reason, only what was set
	Backoff       map[string][]time.Duration // by reason, only what was set; the last wait repeats

	DNSSchedule  DNSSchedule
	DNSResolvers []string // in this order, see WatchesDNS: [ResolverSystem], [ResolverAuthoritative], ip:port

	ClassificationFile string           // path of a YAML or JSON file
	Classification     []Classification // what it holds, in its order; read where the worker's own settings are checked

	EventSource       string // CloudEvents source of outgoing events
	RecordPartnerText string // "off", "ledger" or "all"
	LogLevel          string // "debug", "info", "warn" or "error"
	LogFormat         string // "console" or "json"; empty: console on a terminal, else json
}

// Rate is a number of requests in a unit of time. The zero value means no limit.
type Rate struct {
	N   int
	Per time.Duration // a second, a minute or an hour
}

// Where the intake's consumer starts when it is created, see [IntakeFrom].
const (
	FromAll   = "all"   // with the oldest message stored
	FromNew   = "new"   // with the next message
	FromSince = "since" // with the first message stored at or after a time
)

// IntakeFrom says where the intake's consumer starts when it is created. The zero value means: not said.
type IntakeFrom struct {
	Policy string    // empty, [FromAll], [FromNew] or [FromSince]
	Since  time.Time // with FromSince, else zero
}

// HasCredentials tells whether the partner can be called at all. [Load] refuses an incomplete set, so without
// credentials none is set.
func (p Partner) HasCredentials() bool { return p.AccessToken.Set() || p.ClientID != "" }

// Loopback tells whether the API is on this machine, hence a simulator.
func (p Partner) Loopback() bool { return isLoopback(p.Host()) }

// Host is the API's host in lower case, without port.
func (p Partner) Host() string { return hostOf(p.APIURL) }

// Tenant is the service account's part after the @. It is empty with an access token or without credentials.
func (p Partner) Tenant() string {
	_, tenant, _ := strings.Cut(p.ServiceAccount, "@")
	return tenant
}

// hostOf returns a URL's host as it is compared: lower case, no port, no final dot.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
}
