package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// sample is a text and what a kind makes of it; a nil want means that it is refused.
type sample struct {
	text string
	want any
}

func parseWith[T any](k kind[T]) func(string) (any, error) {
	return func(s string) (any, error) { return k.parse(s) }
}

func TestKinds(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		parse   func(string) (any, error)
		samples []sample
	}{
		"choice":   {parseWith(choice("a", "b")), []sample{{"a", "a"}, {"A", nil}, {"", nil}}},
		"between":  {parseWith(between(1, 1000)), []sample{{"1", 1}, {"1000", 1000}, {"0", nil}, {"1001", nil}, {"x", nil}, {"1.5", nil}}},
		"replicas": {parseWith(replicas()), []sample{{"1", 1}, {"3", 3}, {"5", 5}, {"0", nil}, {"4", nil}, {"03", nil}}},
		"duration": {parseWith(duration()), []sample{
			{"60s", time.Minute},
			{"1h30m", 90 * time.Minute},
			{"1ms", time.Millisecond},
			{"999us", nil},
			{"0s", nil},
			{"-1s", nil},
			{"60", nil},
			{"1d", nil},
			{"9999999h", nil},
		}},
		"rate": {parseWith(rate()), []sample{
			{"240/m", Rate{240, time.Minute}},
			{"4/s", Rate{4, time.Second}},
			{"7200/h", Rate{7200, time.Hour}},
			{"0", Rate{}},
			{"0/m", Rate{}},
			{"240", nil},
			{"240/", nil},
			{"240/d", nil},
			{"-1/m", nil},
			{"+1/m", nil},
			{"/m", nil},
			{"0/x", nil},
			{"1.5/s", nil},
			{"99999999999/s", nil},
		}},
		"size": {parseWith(size()), []sample{
			{"10GiB", int64(10 << 30)},
			{"512MiB", int64(512 << 20)},
			{"1GB", int64(1e9)},
			{"1 kB", int64(1000)},
			{"4096", int64(4096)},
			{"4096B", int64(4096)},
			{"7TiB", int64(7 << 40)},
			{"0", nil},
			{"-1", nil},
			{"GiB", nil},
			{"1.5GiB", nil},
			{"10Gi", nil},
			{"8388608TiB", nil},
			{"9223372036854775808", nil},
		}},
		"address": {parseWith(address()), []sample{
			{"127.0.0.1:4222", "127.0.0.1:4222"},
			{":8080", ":8080"},
			{"[::1]:0", "[::1]:0"},
			{"localhost", nil},
			{"localhost:http", nil},
			{"localhost:65536", nil},
			{"::1:80", nil},
		}},
		"base URL": {parseWith(baseURL()), []sample{
			{"https://www.worksapis.com/v1.0/", "https://www.worksapis.com/v1.0"},
			{"http://127.0.0.1:8090", "http://127.0.0.1:8090"},
			{"www.worksapis.com", nil},
			{"ftp://host/", nil},
			{"https://", nil},
			{"https://u:p@host/", nil},
			{"https://host/?q", nil},
			{"https://host/?", nil},
			{"https://host/#f", nil},
			{"https://host:port/", nil},
		}},
		"servers": {parseWith(serverList()), []sample{
			{"nats://a:4222, tls://b", "nats://a:4222,tls://b"},
			{"a:4222", "a:4222"},
			{"nats://user:pass@a", "nats://user:pass@a"},
			{"a,", nil},
			{"http://a", nil},
			{"nats://:4222", nil},
		}},
		"stream name": {parseWith(streamName()), []sample{
			{"SIGNUP", "SIGNUP"},
			{"sign-up_2", "sign-up_2"},
			{"a.b", nil},
			{"a b", nil},
			{"a*", nil},
			{">", nil},
			{"a/b", nil},
			{strings.Repeat("a", streamLimit+1), nil},
		}},
		"filter": {parseWith(filter()), []sample{
			{"a.b", "a.b"},
			{"a.*.c", "a.*.c"},
			{"a.>", "a.>"},
			{">", ">"},
			{"a.>.b", nil},
			{"a..b", nil},
			{".a", nil},
			{"a b", nil},
			{"a.b*", nil},
		}},
		"subject": {parseWith(subject()), []sample{{"_INBOX.team", "_INBOX.team"}, {"a.*", nil}, {"a.", nil}}},
		"pointer": {parseWith(pointer()), []sample{
			{"/domainId", "/domainId"},
			{"/a~1b/~0/0", "/a~1b/~0/0"},
			{"domainId", nil},
			{"/a~2", nil},
			{"/a~", nil},
		}},
		"identity": {parseWith(identity()), []sample{
			{"host-1.example_a", "host-1.example_a"},
			{"a b", nil},
			{"höst", nil},
			{strings.Repeat("a", identityLimit+1), nil},
		}},
		"account": {parseWith(account()), []sample{
			{"k3.serviceaccount@tenant", "k3.serviceaccount@tenant"},
			{"k3", nil},
			{"@t", nil},
			{"k3@", nil},
			{"a@b@c", nil},
			{"a b@c", nil},
		}},
		"intake from": {parseWith(intakeFrom()), []sample{
			{"all", IntakeFrom{Policy: FromAll}},
			{"new", IntakeFrom{Policy: FromNew}},
			{"2026-01-31T00:00:00Z", IntakeFrom{FromSince, since}},
			{"2026-01-31", nil},
			{"since", nil},
		}},
		"URI": {parseWith(uriReference()), []sample{{"/a/b", "/a/b"}, {"urn:x:y", "urn:x:y"}, {"a b", nil}, {"%zz", nil}}},
		"give up": {parseWith(giveUps()), []sample{
			{"transient=24h", map[string]time.Duration{"transient": 24 * time.Hour}},
			{"transient=1h, dns_unverified=720h", map[string]time.Duration{"transient": time.Hour, "dns_unverified": 720 * time.Hour}},
			{"transient", nil},
			{"transient=", nil},
			{"transient=1h,transient=2h", nil},
			{"transient=1081h", nil},
			{"partner_unavailable=1h", nil},
			{"customer_not_found=1h", nil},
			{"refused=1h", nil},
			{"what=1h", nil},
			{"transient=1h,", nil},
		}},
		"backoff": {parseWith(backoffs()), []sample{
			{"transient=10s/60s/5m", map[string][]time.Duration{"transient": {10 * time.Second, time.Minute, 5 * time.Minute}}},
			{"transient=1s,partner_unavailable=1m", map[string][]time.Duration{"transient": {time.Second}, "partner_unavailable": {time.Minute}}},
			{"dns_unverified=1h", nil},
			{"cancelled=1h", nil},
			{"transient=1s/", nil},
			{"transient=1s/-1s", nil},
		}},
		"resolvers": {parseWith(resolvers()), []sample{
			{"system", []string{"system"}},
			{"off", []string{"off"}},
			{"authoritative, system", []string{"authoritative", "system"}},
			{
				"192.0.2.1,192.0.2.1:5353,[2001:db8::1]:53,2001:DB8:0::2,fe80::1%eth0",
				[]string{"192.0.2.1:53", "192.0.2.1:5353", "[2001:db8::1]:53", "[2001:db8::2]:53", "[fe80::1%eth0]:53"},
			},
			{"::ffff:192.0.2.1", []string{"192.0.2.1:53"}},
			{"off,system", nil},
			{"system,off", nil},
			{"system,system", nil},
			{"192.0.2.1,192.0.2.1:53", nil},
			{"system,", nil},
			{"System", nil},
			{"dns.example", nil},
			{"dns.example:53", nil},
			{"192.0.2.1:", nil},
			{"192.0.2.1:0", nil},
			{"192.0.2.1:65536", nil},
			{"192.0.2.1:domain", nil},
			{"192.0.2.256", nil},
			{"2001:db8::1]:53", nil},
			{"[2001:db8::1]", nil},
			{"0.0.0.0", nil},
			{"[::]:53", nil},
			{"224.0.0.251:5353", nil},
			{"192.0.2.1/24", nil},
		}},
		"address or off": {parseWith(addressOrOff()), []sample{
			{"127.0.0.1:8081", "127.0.0.1:8081"},
			{":0", ":0"},
			{"off", ""},
			{"Off", nil},
			{"8081", nil},
			{"localhost", nil},
			{"localhost:http", nil},
			{"localhost:65536", nil},
			{"off:", nil},
		}},
		"host names": {parseWith(hostNames()), []sample{
			{"console.example", []string{"console.example"}},
			{"Console.Example., b-2_c.example:8443,x", []string{"console.example", "b-2_c.example", "x"}},
			{"192.0.2.1,192.0.2.2:80,[2001:DB8:0::1],2001:db8::2,[2001:db8::3]:443,::ffff:192.0.2.3", []string{"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.3"}},
			{"xn--mnchen-3ya.example", []string{"xn--mnchen-3ya.example"}},
			{"*.example", nil},
			{"*", nil},
			{".example", nil},
			{"a..b", nil},
			{"-a.example", nil},
			{"a-.example", nil},
			{"a.example..", nil},
			{"https://console.example", nil},
			{"console.example/path", nil},
			{"user@console.example", nil},
			{"münchen.example", nil},
			{"a b", nil},
			{"a,", nil},
			{"a,A.", nil},
			{"a,a:80", nil},
			{"a:http", nil},
			{"a:", nil},
			{"a:0", nil},
			{"a:65536", nil},
			{"127.1", nil},
			{"1.2.3.4.5", nil},
			{"192.0.2.256", nil},
			{"0x7f000001", nil},
			{"0.0.0.0", nil},
			{"::", nil},
			{"[::1", nil},
			{"fe80::1%eth0", nil},
			{strings.Repeat("a", 64), nil},
			{strings.Repeat("a.", 127) + "a", nil},
		}},
		"DNS schedule": {parseWith(dnsSchedule()), []sample{
			{defaultDNSSchedule, usualDNS()},
			{"watch=2m/2m", usualDNS(func(s *DNSSchedule) { s.WatchFirst, s.WatchLast = 2*time.Minute, 2*time.Minute })},
			{"call=2h", usualDNS(func(s *DNSSchedule) { s.Call = []time.Duration{2 * time.Hour} })},
			{"visible=1h / 1m, watch=1s/1h", usualDNS(func(s *DNSSchedule) {
				s.Visible = []time.Duration{time.Hour, time.Minute}
				s.WatchFirst, s.WatchLast = time.Second, time.Hour
			})},
			{"watch=1m", nil},
			{"watch=1m/2m/3m", nil},
			{"watch=2m/1m", nil},
			{"watch=1m/2m,watch=1m/3m", nil},
			{"call=1h/1h", nil},
			{"call=2h/1h", nil},
			{"call=", nil},
			{"call=1081h", nil},
			{"call", nil},
			{"visible=1h/0s", nil},
			{"visible=1h/", nil},
			{"seen=1h", nil},
			{"watch=1m/30m,", nil},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, s := range tt.samples {
				got, err := tt.parse(s.text)
				if s.want == nil {
					if err == nil {
						t.Errorf("%q was taken as %v", s.text, got)
					} else if !strings.Contains(err.Error(), "wanted") {
						t.Errorf("%q: %v; does not say what is wanted", s.text, err)
					}
					continue
				}
				if err != nil || !reflect.DeepEqual(got, s.want) {
					t.Errorf("%q gave %v, %v; wanted %v", s.text, got, err, s.want)
				}
			}
		})
	}
}

// usualDNS is the public contract's schedule, changed.
func usualDNS(mods ...func(*DNSSchedule)) DNSSchedule {
	s := DNSSchedule{
		WatchFirst: time.Minute, WatchLast: 30 * time.Minute,
		Call:    []time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour},
		Visible: []time.Duration{5 * time.Minute, 15 * time.Minute, 60 * time.Minute},
	}
	for _, mod := range mods {
		mod(&s)
	}
	return s
}

func TestWrongValuesAreShownShortened(t *testing.T) {
	t.Parallel()
	_, err := duration().parse(strings.Repeat("é", 1000))
	if err == nil || len([]rune(err.Error())) > 120 {
		t.Errorf("got %v", err)
	}
}

func TestControlCharactersAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a\nb", "a\x00", "\xff", "a\x7f", "a\r"} {
		faults := faultsOf(t, nil, "NATS_USER="+text)
		if len(faults) != 1 || faults[0].Key != "NATS_USER" || strings.ContainsAny(faults[0].Problem, "\n\x00\x7f\r") {
			t.Errorf("%q gave %v", text, faults)
		}
	}
}

// The public contract's settings.
func TestTableHoldsTheContract(t *testing.T) {
	t.Parallel()
	contract := strings.Fields(`NATS_URL WORKER_EMBEDDED_NATS NATS_CREDS NATS_NKEY NATS_USER NATS_PASSWORD NATS_TOKEN NATS_CA
		NATS_CERT NATS_KEY NATS_INBOX_PREFIX NATS_JS_DOMAIN LINEWORKS_CLIENT_ID LINEWORKS_CLIENT_SECRET
		LINEWORKS_SERVICE_ACCOUNT LINEWORKS_PRIVATE_KEY LINEWORKS_ACCESS_TOKEN LINEWORKS_API_URL LINEWORKS_TOKEN_URL
		LINEWORKS_CA LINEWORKS_SCOPE LINEWORKS_TIMEOUT LINEWORKS_CONCURRENCY LINEWORKS_RATE LINEWORKS_SUSTAINED_RATE
		WORKER_DATA_DIR WORKER_NATS_LISTEN WORKER_HTTP_ADDR WORKER_CONSOLE_ADDR WORKER_CONSOLE_HOSTS WORKER_INTAKE_STREAM
		WORKER_INTAKE_SUBJECT WORKER_INTAKE_TYPE WORKER_INTAKE_DOMAIN_ID WORKER_INTAKE_FROM WORKER_STREAM WORKER_REPLICAS
		WORKER_STREAM_MAX_BYTES WORKER_ID WORKER_LEASE WORKER_SWEEP_INTERVAL WORKER_GIVE_UP WORKER_BACKOFF
		WORKER_DNS_SCHEDULE WORKER_EVENT_SOURCE WORKER_CLASSIFICATION WORKER_DNS_RESOLVERS WORKER_RECORD_PARTNER_TEXT
		WORKER_LOG_LEVEL WORKER_LOG_FORMAT NATS_PASSWORD_FILE NATS_TOKEN_FILE LINEWORKS_CLIENT_SECRET_FILE
		LINEWORKS_PRIVATE_KEY_FILE LINEWORKS_ACCESS_TOKEN_FILE`)
	ours := map[string]bool{}
	for _, s := range settings() {
		if ours[s.name] {
			t.Errorf("%s is there twice", s.name)
		}
		if s.standard {
			continue // the contract names them by one word
		}
		ours[s.name] = true
	}
	slices.Sort(contract)
	if got := slices.Sorted(maps.Keys(ours)); !slices.Equal(got, contract) {
		t.Errorf("settings are\n%q\nwanted\n%q", got, contract)
	}
}
