package ownership_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"activation-worker/internal/ownership"
)

func TestResolversDisagree(t *testing.T) {
	t.Parallel()
	inside := serve(t, zone(t, domain+". TXT works-verify=old"))
	outside := serve(t, published(t))
	s := look(t, looker(t, []string{inside.address, outside.address}), wanted())
	got := seen(s, true)
	wants := []string{
		"TXT " + domain + " " + token + " @" + outside.address,
		"CNAME wm4f1c." + domain + " " + target + " @" + outside.address,
		"TXT " + domain + " works-verify=old @" + inside.address,
	}
	if !s.Visible || !slices.Equal(got, wants) {
		t.Errorf("visible %t, saw %q, want %q", s.Visible, got, wants)
	}
	both := look(t, looker(t, []string{outside.address, serve(t, published(t)).address}), wanted())
	if len(both.Seen) != 4 {
		t.Errorf("saw %q, want two records at two resolvers", seen(both, true))
	}
}

func TestOneResolverIsEnough(t *testing.T) {
	t.Parallel()
	lost, broken, good := serve(t, silent), serve(t, code(dns.RcodeServerFailure)), serve(t, published(t))
	began := time.Now()
	s := look(t, looker(t, []string{lost.address, broken.address, good.address}), wanted())
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %s: waited for the silent resolver", took)
	}
	if !s.Visible || len(s.Seen) != 2 {
		t.Errorf("visible %t, saw %q", s.Visible, seen(s, true))
	}
	wantOpen(t, s, broken.address+": SERVFAIL") // the other one was cut short

	nothing := serve(t, zone(t))
	s = look(t, looker(t, []string{lost.address, nothing.address}, timeout(300*time.Millisecond)), wanted())
	want(t, s, false)
	wantOpen(t, s, lost.address+": timed out")
}

// resolvConf writes a resolv.conf and returns the option for it.
func resolvConf(t *testing.T, path string, port uint16, servers ...string) func(*ownership.Options) {
	t.Helper()
	text := "search example\n"
	for _, s := range servers {
		text += "nameserver " + s + "\n"
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(o *ownership.Options) { o.ResolvConf, o.Port = path, port }
}

func TestTheSystemsServers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	good := serve(t, published(t))
	at := func(host string, handler dns.HandlerFunc) *server {
		_, port, _ := strings.Cut(good.address, ":")
		return serveAt(t, host+":"+port, handler)
	}
	broken, empty := at("127.0.0.2", code(dns.RcodeRefused)), at("127.0.0.3", zone(t))
	l := looker(t, nil, resolvConf(t, path, good.port, "127.0.0.2", "127.0.0.1", "127.0.0.3"))

	s := look(t, l, wanted())
	if got := seen(s, true); !s.Visible || len(got) != 2 || !strings.HasSuffix(got[0], "@system") {
		t.Errorf("visible %t, saw %q", s.Visible, got)
	}
	wantOpen(t, s)
	if broken.count() == 0 || empty.count() != 0 {
		t.Errorf("asked %d times and %d times, want the first server and not the third", broken.count(), empty.count())
	}

	resolvConf(t, path, good.port, "127.0.0.3", "127.0.0.1") // a no ends the search as well
	want(t, look(t, l, wanted()), false)

	resolvConf(t, path, good.port, "127.0.0.2", "not-an-address")
	s, err := l.Look(t.Context(), wanted())
	wantUnanswered(t, err)
	wantOpen(t, s, "system: "+broken.address+" REFUSED")

	resolvConf(t, path, good.port, "127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.1") // the fourth is one too many
	_, err = l.Look(t.Context(), wanted())
	wantUnanswered(t, err)

	resolvConf(t, path, good.port)
	s, err = l.Look(t.Context(), wanted())
	wantUnanswered(t, err)
	wantOpen(t, s, "system: "+path+" names no server")

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s, err = l.Look(t.Context(), wanted())
	wantUnanswered(t, err)
	wantOpen(t, s, "system: "+path+" cannot be read")
}

func TestASilentServerLeavesTimeForTheNext(t *testing.T) {
	t.Parallel()
	good := serve(t, published(t))
	_, port, _ := strings.Cut(good.address, ":")
	lost := serveAt(t, "127.0.0.2:"+port, silent)
	l := looker(t, nil, timeout(2*time.Second), resolvConf(t, filepath.Join(t.TempDir(), "resolv.conf"), good.port, "127.0.0.2", "127.0.0.1"))
	want(t, look(t, l, wanted(onlyTXT)), true, "TXT "+domain+" "+token)
	if lost.count() != 2 {
		t.Errorf("the silent server was asked %d times, want 2", lost.count())
	}
}

func TestManyLooksAtOnce(t *testing.T) {
	t.Parallel()
	l := looker(t, []string{serve(t, published(t)).address, serve(t, zone(t)).address})
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if s, err := l.Look(t.Context(), wanted()); err != nil || !s.Visible || len(s.Unanswered) > 0 {
				t.Errorf("visible %t, unanswered %q, error %v", s.Visible, s.Unanswered, err)
			}
		})
	}
	all.Wait()
}

func TestResolversThatCannotBeUnderstood(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "dns.example", "1.2.3", "1.2.3.4:0", "1.2.3.4:x", "[::1]", "::1:53:", "off"} {
		if _, err := ownership.New(ownership.Options{Resolvers: []string{"system", text}}); err == nil || !strings.Contains(err.Error(), quoted(text)) {
			t.Errorf("resolver %q: error %v, want one that names it", text, err)
		}
	}
	if _, err := ownership.New(ownership.Options{Resolvers: []string{"authoritative", "1.2.3.4", "::1", "[::1]:5353", "1.2.3.4:53"}}); err != nil {
		t.Error(err)
	}
}

func BenchmarkLook(b *testing.B) {
	s := serveBench(b)
	l, err := ownership.New(ownership.Options{Resolvers: []string{s}})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if sight, err := l.Look(b.Context(), wanted()); err != nil || sight.Visible {
			b.Fatalf("visible %t, error %v", sight.Visible, err)
		}
	}
}

// serveBench is a server for a benchmark, which answers that there is nothing.
func serveBench(b *testing.B) string {
	b.Helper()
	started := make(chan struct{})
	d := &dns.Server{Addr: "127.0.0.1:0", Net: "udp", Handler: code(dns.RcodeNameError), NotifyStartedFunc: func() { close(started) }}
	ended := make(chan error, 1)
	go func() { ended <- d.ListenAndServe() }()
	<-started
	b.Cleanup(func() { _ = d.Shutdown(); <-ended })
	return d.PacketConn.LocalAddr().String()
}
