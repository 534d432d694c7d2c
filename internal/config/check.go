package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// leaseMargin is what a lease needs above a request's time limit: five seconds in which no request may run, and time
// to record the answer.
const leaseMargin = 10 * time.Second

// check looks at how settings fit together. It is left out if one of those that it reads is not understood.
type check struct {
	group Group
	reads []string
	find  func(*Config) Faults
}

func checks() []check {
	return []check{
		{GroupNATS, nil, checkNATS},
		{GroupWorker, []string{"NATS_URL", "WORKER_NATS_LISTEN"}, checkListen},
		{GroupPartner, accountKeys(), checkCredentials},
		{GroupPartner, []string{"LINEWORKS_API_URL", "LINEWORKS_TOKEN_URL"}, checkURLs},
		{GroupStreams, []string{"WORKER_INTAKE_SUBJECT", "WORKER_INTAKE_STREAM", "WORKER_STREAM"}, checkIntake},
		{GroupLog, nil, checkTracing},
		{GroupWorker, []string{"WORKER_LEASE", "LINEWORKS_TIMEOUT"}, checkLease},
		{GroupHTTP, []string{"WORKER_HTTP_ADDR", "WORKER_CONSOLE_ADDR"}, checkConsole},
	}
}

// check runs the checks of the groups in use; configPath is the settings file's.
func (l *loader) check(c *Config, flags *pflag.FlagSet, configPath string) {
	used := groupsOf(flags)
	for _, ch := range checks() {
		if used(ch.group) && !l.faulty(ch.reads...) {
			l.faults = append(l.faults, ch.find(c)...)
		}
	}
	for _, s := range l.settings {
		if used(s.group) && c.has(s.name) && !l.faulty(s.name) {
			l.checkFiles(c, s, configPath)
		}
	}
	if key := "WORKER_CLASSIFICATION"; used(GroupWorker) && c.has(key) && !l.faulty(key) {
		l.classify(c, key)
	}
	if used(GroupPartner) && c.Partner.AccessToken.Set() {
		l.warnings = append(l.warnings,
			"LINEWORKS_ACCESS_TOKEN: cannot be renewed; when it ends, calls fail until a new one is set")
	}
}

// groupsOf tells which groups have their flags registered.
func groupsOf(flags *pflag.FlagSet) func(Group) bool {
	if flags == nil {
		return func(Group) bool { return true }
	}
	used := map[Group]bool{}
	flags.VisitAll(func(f *pflag.Flag) {
		if mark := f.Annotations[annotation]; mark != nil {
			used[Group(mark[1])] = true
		}
	})
	return func(g Group) bool { return used[g] }
}

func (c *Config) has(key string) bool { return c.values[key].text != "" }

// given returns those of the settings that have a value, directly or by file.
func (c *Config) given(keys ...string) []string {
	var given []string
	for _, key := range keys {
		if c.has(key) || c.has(key+fileSuffix) {
			given = append(given, key)
		}
	}
	return given
}

// wrong is a fault of one setting's value.
func (c *Config) wrong(key, problem string) Fault { return Fault{key, problem, c.values[key].from} }

func checkNATS(c *Config) Faults {
	var faults Faults
	if ways := c.given("NATS_CREDS", "NATS_NKEY", "NATS_USER", "NATS_TOKEN"); len(ways) > 1 {
		others := strings.Join(ways[1:], " and ")
		faults = append(faults, Fault{Key: ways[0], Problem: "is set together with " + others + "; wanted one of them"})
	}
	needs := [][2]string{{"NATS_PASSWORD", "NATS_USER"}, {"NATS_CERT", "NATS_KEY"}, {"NATS_KEY", "NATS_CERT"}}
	for _, need := range needs {
		if given := c.given(need[:]...); len(given) == 1 && given[0] == need[0] {
			faults = append(faults, Fault{Key: need[1], Problem: "is missing; " + need[0] + " is set and needs it"})
		}
	}
	return faults
}

// checkListen keeps the embedded server, which asks nobody who they are, on this machine.
func checkListen(c *Config) Faults {
	host, _, _ := net.SplitHostPort(c.Worker.NATSListen) // an address, by its kind
	if c.NATS.URL != "" || isLoopback(host) {
		return nil
	}
	return Faults{c.wrong("WORKER_NATS_LISTEN",
		"is not a loopback address, and the embedded server has no authentication; wanted one, or NATS_URL for a server of your own")}
}

func accountKeys() []string {
	return []string{
		"LINEWORKS_CLIENT_ID", "LINEWORKS_CLIENT_SECRET", "LINEWORKS_SERVICE_ACCOUNT", "LINEWORKS_PRIVATE_KEY",
	}
}

// checkCredentials wants nothing at all, all four of a service account, or a token.
func checkCredentials(c *Config) Faults {
	set := c.given(accountKeys()...)
	if len(set) == 0 {
		return nil
	}
	names := strings.Join(set, ", ")
	if c.Partner.AccessToken.Set() {
		problem := "is set together with " + names + "; wanted one or the other: the token, or the service account"
		return Faults{{Key: "LINEWORKS_ACCESS_TOKEN", Problem: problem}}
	}
	var faults Faults
	for _, key := range accountKeys() {
		if !slices.Contains(set, key) {
			faults = append(faults, Fault{Key: key, Problem: "is missing; a service account needs it beside " + names})
		}
	}
	return faults
}

// checkURLs keeps tokens from going where they are not meant for: over a network in clear, or from one party to
// another.
func checkURLs(c *Config) Faults {
	var faults Faults
	api, token := c.Partner.APIURL, c.Partner.TokenURL
	for key, raw := range map[string]string{"LINEWORKS_API_URL": api, "LINEWORKS_TOKEN_URL": token} {
		if !strings.HasPrefix(raw, "https:") && !isLoopback(hostOf(raw)) {
			faults = append(faults, c.wrong(key,
				"is not encrypted; wanted https, or http on loopback (127.0.0.1, ::1, localhost)"))
		}
	}
	if isPartner(hostOf(api)) != isPartner(hostOf(token)) {
		faults = append(faults, Fault{
			Key:     "LINEWORKS_API_URL",
			Problem: "and LINEWORKS_TOKEN_URL belong to different parties; wanted both the partner's or neither",
		})
	}
	return faults
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func isPartner(host string) bool {
	return slices.ContainsFunc([]string{"worksapis.com", "worksmobile.com"}, func(domain string) bool {
		return host == domain || strings.HasSuffix(host, "."+domain)
	})
}

// ownStreams are the names of the worker's streams. That of the quota is a key-value bucket's.
func ownStreams(ledger string) []string {
	return []string{ledger, ledger + "_REJECTED", ledger + "_WORK", "KV_" + ledger + "_QUOTA"}
}

func checkIntake(c *Config) Faults {
	var faults Faults
	w := c.Worker
	if hasWildcard(w.IntakeSubject) && w.IntakeType == "" {
		faults = append(faults, Fault{
			Key:     "WORKER_INTAKE_TYPE",
			Problem: "is missing; with a wildcard in WORKER_INTAKE_SUBJECT it tells terms-accepted events from others",
		})
	}
	if strings.HasPrefix(w.IntakeSubject, "activation.") {
		faults = append(faults, c.wrong("WORKER_INTAKE_SUBJECT",
			"is one of the worker's own subjects; wanted one outside activation.>"))
	}
	if slices.Contains(ownStreams(w.Stream), w.IntakeStream) {
		faults = append(faults, c.wrong("WORKER_INTAKE_STREAM",
			"is one of the worker's own streams, see WORKER_STREAM; wanted the stream of terms-accepted events"))
	}
	return faults
}

func checkLease(c *Config) Faults {
	lease, least := c.Worker.Lease, c.Partner.Timeout+leaseMargin
	if lease >= least {
		return nil
	}
	return Faults{c.wrong("WORKER_LEASE", fmt.Sprintf(
		"%v is too short; wanted at least %v, which is LINEWORKS_TIMEOUT + %v", lease, least, leaseMargin))}
}
