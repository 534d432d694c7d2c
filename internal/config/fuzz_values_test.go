package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
)

// FuzzValues: whatever stands for a value of any kind, what is taken keeps within its limits, and what is not is told in one short line.
func FuzzValues(f *testing.F) {
	for _, text := range []string{
		defaultDNSSchedule, "watch=30m/1m", "call=1h/1h", "visible=5m/5m", "call=1h,call=2h", "watch=1m", "watch=1m/2m/3m", "call=-1h", "call=1081h", "call=", "=", ",",
		"240/m", "0", "0/s", "0/x", "-1/m", "2147483648/s", "1/", "+5/m", "1_0/m", "12", "1/m/s",
		"60s", "1ms", "999us", "1e3s", "300000h", "-5s", "1h1m1s1ms", "∞",
		"10GiB", "512 mib", "9223372036854775807", "8388608TiB", "-1", "0", "1.5GB", "٣KiB", "1 0",
		"transient=24h,dns_unverified=720h", "transient=24h,transient=1h", "transient=1081h", "refused=1h", "transient=10s/60s", "transient=1s//2s", "customer_not_found=5m/20m/60m",
		"system,192.0.2.1:53,[2001:db8::1]:53,authoritative", "off", "off,system", "0.0.0.0", "224.0.0.1", "192.0.2.1:0", "::ffff:192.0.2.1", "fe80::1%eth0", "192.0.2.1,192.0.2.1:53",
		"127.0.0.1:8080", ":0", "host:65536", "[::1]:1", "[::1", "a:b:c", "https://h/p/", "https://u:p@h", "http://h?q", "ftp://h", "https://", "nats://a,tls://b:1, c",
		"a.example., B:8443,[::1]:1", "*.example", "127.1", "[::1",
		"all", "new", "2026-01-31T09:00:00Z", "a.b", "a.*.>", "a..b", "/domainId", "/a~2", "k3x9q.serviceaccount@kawase-it", "@", "3", "\x00", "\xff",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		bounded := func(err error) {
			t.Helper()
			if s := err.Error(); s == "" || len(s) > 700 || strings.ContainsFunc(s, unicode.IsControl) {
				t.Errorf("the error for %q reads %q", text, s)
			}
		}
		if s, err := dnsSchedule().parse(text); err != nil {
			bounded(err)
		} else if s.WatchFirst <= 0 || s.WatchFirst > s.WatchLast || len(s.Call) == 0 || len(s.Visible) == 0 || !ascending(s.Call) ||
			slices.Max(append(slices.Concat(s.Call, s.Visible), s.WatchLast)) > giveUpLimit || slices.Min(slices.Concat(s.Call, s.Visible)) < time.Millisecond {
			t.Errorf("schedule %q is taken as %+v", text, s)
		}
		if r, err := rate().parse(text); err != nil {
			bounded(err)
		} else if (r.N == 0) != (r.Per == 0) || r.N < 0 || r.N > 0 && !slices.Contains([]time.Duration{time.Second, time.Minute, time.Hour}, r.Per) {
			t.Errorf("rate %q is taken as %+v", text, r)
		}
		if d, err := duration().parse(text); err != nil {
			bounded(err)
		} else if again, err := time.ParseDuration(text); err != nil || d != again || d < time.Millisecond {
			t.Errorf("duration %q is taken as %v", text, d)
		}
		if n, err := size().parse(text); err != nil {
			bounded(err)
		} else if n <= 0 {
			t.Errorf("size %q is taken as %d", text, n)
		}
		if limits, err := giveUps().parse(text); err != nil {
			bounded(err)
		} else {
			if len(limits) != strings.Count(text, ",")+1 {
				t.Errorf("%q is taken as %v", text, limits)
			}
			for reason, d := range limits {
				if d < time.Millisecond || d > giveUpLimit || reason == "partner_unavailable" {
					t.Errorf("%q gives %s up after %v", text, reason, d)
				}
			}
		}
		if waits, err := backoffs().parse(text); err != nil {
			bounded(err)
		} else {
			for reason, list := range waits {
				if len(list) == 0 || slices.Min(list) < time.Millisecond || reason == "dns_unverified" {
					t.Errorf("%q lets %s wait %v", text, reason, list)
				}
			}
		}
		if all, err := resolvers().parse(text); err != nil {
			bounded(err)
		} else if len(all) == 0 || slices.Contains(all, ResolverOff) && len(all) > 1 || slices.ContainsFunc(all, noResolver) {
			t.Errorf("resolvers %q are taken as %q", text, all)
		}
		if a, err := address().parse(text); err != nil {
			bounded(err)
		} else if _, _, err := net.SplitHostPort(a); err != nil {
			t.Errorf("address %q is taken as %q", text, a)
		}
		if all, err := hostNames().parse(text); err != nil {
			bounded(err)
		} else if len(all) == 0 || slices.ContainsFunc(all, noHost) {
			t.Errorf("hosts %q are taken as %q", text, all)
		}
		if u, err := baseURL().parse(text); err != nil {
			bounded(err)
		} else if at, err := url.Parse(u); err != nil || at.User != nil || at.Host == "" || at.Scheme != "https" && at.Scheme != "http" {
			t.Errorf("URL %q is taken as %q", text, u)
		}
	})
}

func ascending(all []time.Duration) bool {
	return slices.IsSorted(all) && len(slices.Compact(slices.Clone(all))) == len(all)
}

func noResolver(s string) bool {
	at, err := netip.ParseAddrPort(s)
	return s != ResolverSystem && s != ResolverAuthoritative && s != ResolverOff && (err != nil || at.Port() == 0 || at.Addr().IsUnspecified() || at.Addr().Is4In6())
}

// noHost tells whether no browser asks for a host by that name.
func noHost(s string) bool {
	u, err := url.Parse("http://" + net.JoinHostPort(s, "1"))
	return err != nil || u.Hostname() != s || s != strings.ToLower(s) || strings.ContainsAny(s, "*/@[]% ")
}

// FuzzSecrets: wherever a secret stands, in the environment, in a settings file that YAML may not be able to read, in a server's address, or
// where the name of its file should be: no fault, no warning, no printed setting and no formatted configuration holds it.
func FuzzSecrets(f *testing.F) {
	for _, secret := range []string{
		"s3cr3t-Xyza-0123", "-----BEGIN PRIVATE KEY-----", "{a: s3cr3t-Xyza", "*s3cr3t-Xyza-0123", "&s3cr3t-Xyza-0123", "!s3cr3t-Xyza-0123 a", "s3cr3t: Xyza-0123", "\"s3cr3t-Xyza", "@s3cr3t-Xyza",
		"s3cr3t,Xyza@0123", "1,s3cr3t-Xyza", "12/s3cr3t-Xyza", "s3cr3t%zzXyza", "s3cr3t?Xyza#01", "[s3cr3t-Xyza]", "s3cr3t\x00Xyza-0", "s3cr3t-Xyza-0123\n", "/tmp/s3cr3t-Xyza", "s3cr3t@Xyza@hostname",
	} {
		for way := range uint8(5) {
			f.Add(secret, way, uint8(len(secret)))
		}
	}
	for pick := range uint8(5) {
		f.Add("s3cr3t-Xyza-0123", uint8(0), pick)
		f.Add("s3cr3t-Xyza-0123", uint8(1), pick)
	}
	account := []string{"LINEWORKS_CLIENT_ID=id", "LINEWORKS_SERVICE_ACCOUNT=a@b"}
	companions := map[string][]string{ // without which there would be faults and nothing else
		"NATS_PASSWORD":           {"NATS_USER=u"},
		"LINEWORKS_CLIENT_SECRET": append([]string{"LINEWORKS_PRIVATE_KEY=x"}, account...),
		"LINEWORKS_PRIVATE_KEY":   append([]string{"LINEWORKS_CLIENT_SECRET=x"}, account...),
	}
	var keys []string
	for _, s := range settings() {
		if s.secret != nil {
			keys = append(keys, s.name)
		}
	}
	f.Fuzz(func(t *testing.T, secret string, way, pick uint8) {
		core := strings.TrimSpace(secret)
		if len(core) < 12 || strings.ContainsAny(core, "\r\n") || strings.Contains(core, "/dev/") || strings.Contains(core, "/proc/") {
			return // too short to be told from other words; or several lines, which are several settings
		}
		key := keys[int(pick)%len(keys)]
		said := func(secret string) string {
			var file string
			environ := slices.Clone(companions[key])
			switch way % 5 {
			case 0:
				environ = append(environ, key+"="+secret)
			case 1:
				file = key + ": " + secret + "\n"
			case 2:
				file = key + ": " + fmt.Sprintf("%q", secret) + "\n"
			case 3:
				environ = append(environ, "NATS_URL=nats://user:"+secret+"@host.example:4222")
			default:
				environ = append(environ, key+fileSuffix+"="+secret)
			}
			c, err := Load(flagsOf(t, "--config", write(t, "worker.yaml", file)), environ)
			if err != nil {
				return err.Error()
			}
			return printed(t, c) + fmt.Sprintf("\n%v\n%+v\n%#v\n%s", c.Warnings, c.Partner, c.Partner, c.NATS.Password)
		}
		text, always := said(secret), said("x")
		for i := 0; i+12 <= len(core); i++ {
			if part := core[i : i+12]; strings.Contains(text, part) && !strings.Contains(always, part) {
				t.Fatalf("%q of %q is shown (way %d of %s):\n%s", part, core, way%5, key, text)
			}
		}
	})
}
