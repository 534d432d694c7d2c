package partnerapi

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"activation-worker/internal/partnerapi/simulator"
)

// inMemory is a transport without a network, for fake time.
type inMemory struct{ partner http.Handler }

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	if r.Body == nil {
		r = r.Clone(r.Context())
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		m.partner.ServeHTTP(w, r)
	}()
	select {
	case <-answered:
		return w.Result(), nil
	case <-r.Context().Done():
		<-answered
		return nil, r.Context().Err()
	}
}

// kept is a client with its Run, both ended with the bubble.
func kept(t *testing.T, partner http.Handler, mods ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{
		APIURL: "http://127.0.0.1:9/v1.0", TokenURL: "http://127.0.0.1:9/oauth2/v2.0/token", ClientID: clientID, ServiceAccount: account,
		Secrets: func() (Secrets, error) { return Secrets{ClientSecret: clientSecret, PrivateKey: pemPKCS8(t)}, nil },
		Timeout: 30 * time.Second, MaxPayload: 64 << 10,
	}
	for _, mod := range mods {
		mod(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.transport.RegisterProtocol("http", inMemory{partner})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		c.Close()
	})
	return c
}

// grants is a token endpoint that lets each token live so long, and knows when it was asked. Its tokens serve for an activate.
type grants struct {
	life  time.Duration
	fails func(fetch int) int // HTTP status of a fetch, counted from 1; nil or 0: granted

	mu      sync.Mutex
	takes   time.Duration // each fetch
	asked   []time.Time
	atOnce  int
	most    int
	ends    map[string]time.Time
	refused atomic.Int32 // calls
}

func (g *grants) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	if r.URL.Path != "/oauth2/v2.0/token" {
		g.mu.Lock()
		end, known := g.ends[r.Header.Get("Authorization")]
		g.mu.Unlock()
		if !known || !now.Before(end) {
			g.refused.Add(1)
			w.WriteHeader(401)
			return
		}
		_, _ = w.Write([]byte(activeObject))
		return
	}
	g.mu.Lock()
	g.asked = append(g.asked, now)
	n := len(g.asked)
	g.atOnce++
	g.most = max(g.most, g.atOnce)
	takes := g.takes
	g.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-r.Context().Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.atOnce--
	if g.fails != nil && g.fails(n) != 0 {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(g.fails(n))
		return
	}
	if g.ends == nil {
		g.ends = map[string]time.Time{}
	}
	g.ends["Bearer "+issued(int32(n))] = now.Add(g.life)
	_, _ = fmt.Fprintf(w, `{"access_token":%q,"expires_in":"%d","scope":"partner"}`, issued(int32(n)), int(g.life/time.Second))
}

func (g *grants) slow(takes time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.takes = takes
}

func (g *grants) fetches() []time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]time.Time(nil), g.asked...)
}

// calls makes a call every so often for so long. None may fail, and none may take any time.
func calls(t *testing.T, c *Client, every, during time.Duration) {
	t.Helper()
	for end := time.Now().Add(during); time.Now().Before(end); <-time.After(every) {
		began := time.Now()
		if _, err := c.Activate(t.Context(), ourID, Call{}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 0 {
			t.Fatalf("a call waited for %v", took)
		}
	}
}

// TestTokenIsRenewedInTheBackground: a while before each token's end the next is fetched, by one fetch; the calls meanwhile wait
// for nothing, whether there are any or not.
func TestTokenIsRenewedInTheBackground(t *testing.T) {
	t.Parallel()
	signingKey()
	for life, lead := range map[time.Duration]time.Duration{
		24 * time.Hour: 5 * time.Minute, time.Hour: 5 * time.Minute, 10 * time.Minute: time.Minute, time.Minute: 6 * time.Second, 20 * time.Second: 2 * time.Second,
	} {
		for name, busy := range map[string]bool{"idle": false, "busy": true} {
			t.Run(fmt.Sprint(life, " ", name), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					const renewals = 10
					g := &grants{life: life, takes: lead / 2}
					c := kept(t, g, within(lead))
					if err := c.EnsureToken(t.Context()); err != nil {
						t.Fatal(err)
					}
					if busy {
						calls(t, c, life/97, renewals*life)
					} else {
						<-time.After(renewals * life)
						calls(t, c, life, life/2) // and still there is a token
					}
					asked := g.fetches()
					for i, at := range asked[1:] {
						if after := at.Sub(asked[i]); after > life-lead || after < life-lead-lead/2 {
							t.Errorf("renewed %v after the last fetch", after)
						}
					}
					if len(asked) <= renewals || g.most != 1 || g.refused.Load() != 0 {
						t.Errorf("%d fetches, %d at once, %d calls with a token that had ended", len(asked), g.most, g.refused.Load())
					}
				})
			})
		}
	}
}

// TestReplicasDoNotRenewTogether although they started together.
func TestReplicasDoNotRenewTogether(t *testing.T) {
	t.Parallel()
	signingKey()
	synctest.Test(t, func(t *testing.T) {
		const replicas = 20
		g := &grants{life: time.Hour}
		for range replicas {
			if err := kept(t, g).EnsureToken(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		g.slow(2 * time.Second)
		<-time.After(time.Hour)
		if n := len(g.fetches()); n != 2*replicas || g.most > replicas/4 {
			t.Errorf("%d fetches, %d at once", n, g.most)
		}
	})
}

// TestFailedRenewalsAreSpaced: the old token serves to its end, and only then there is trouble, for whoever asks.
func TestFailedRenewalsAreSpaced(t *testing.T) {
	t.Parallel()
	signingKey()
	for status, credentials := range map[int]bool{503: false, 401: true} {
		for life, most := range map[time.Duration]int{time.Hour: 6, time.Minute: 2} {
			t.Run(fmt.Sprint(status, " ", life), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var working atomic.Bool
					working.Store(true)
					g := &grants{life: life, fails: func(int) int {
						if working.Load() {
							return 0
						}
						return status
					}}
					c := kept(t, g)
					if err := c.EnsureToken(t.Context()); err != nil {
						t.Fatal(err)
					}
					working.Store(false)
					calls(t, c, life/97, life)
					tries := len(g.fetches()) - 1
					each := 1
					if credentials {
						each = 2 // with a fresh assertion
					}
					if tries < 1 || tries > most*each {
						t.Errorf("%d tries, wanted from 1 to %d", tries, most*each)
					}
					if e := failed(t, c.EnsureToken(t.Context()), Token); e.Credentials != credentials || e.Status != status {
						t.Errorf("%+v", e)
					}
					tried := len(g.fetches())
					<-time.After(life) // nobody asks, nobody tries
					if n := len(g.fetches()); n != tried {
						t.Errorf("%d tries after the token had ended", n-tried)
					}
					working.Store(true)
					if err := c.EnsureToken(t.Context()); err != nil {
						t.Fatal(err)
					}
					calls(t, c, life/97, 2*life)
				})
			})
		}
	}
}

// TestARenewalThatFailedOnceIsMadeUpFor before the old token ends, not earlier than asked for, and without a call to notice.
func TestARenewalThatFailedOnceIsMadeUpFor(t *testing.T) {
	t.Parallel()
	signingKey()
	synctest.Test(t, func(t *testing.T) {
		g := &grants{life: time.Hour, fails: func(fetch int) int { return map[int]int{2: 429, 3: 500}[fetch] }}
		c := kept(t, g)
		if err := c.EnsureToken(t.Context()); err != nil {
			t.Fatal(err)
		}
		calls(t, c, time.Second, 100*time.Minute)
		asked := g.fetches()
		if len(asked) < 4 || asked[2].Sub(asked[1]) < 10*time.Second || asked[3].Sub(asked[2]) < 20*time.Second || g.refused.Load() != 0 {
			t.Errorf("fetched at %v", asked)
		}
	})
}

// TestTokensThatHardlyLive are fetched when somebody needs them, not all the time.
func TestTokensThatHardlyLive(t *testing.T) {
	t.Parallel()
	signingKey()
	synctest.Test(t, func(t *testing.T) {
		g := &grants{life: 2 * time.Second}
		c := kept(t, g)
		for i := range 3 {
			if _, err := c.Activate(t.Context(), ourID, Call{}); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Hour)
			if n := len(g.fetches()); n != i+1 {
				t.Errorf("%d fetches for %d calls", n, i+1)
			}
		}
	})
}

// TestRunEndsDuringARenewal: the fetch goes on and Close ends it.
func TestRunEndsDuringARenewal(t *testing.T) {
	t.Parallel()
	signingKey()
	synctest.Test(t, func(t *testing.T) {
		g := &grants{life: time.Hour}
		c := kept(t, g)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if err := c.EnsureToken(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.slow(20 * time.Second)
		<-time.After(55*time.Minute + time.Second) // it is under way
		if len(g.fetches()) != 2 {
			t.Fatalf("%d fetches", len(g.fetches()))
		}
		cancel()
		c.Run(ctx) // a second one finds that it is over
		calls(t, c, time.Second, 2*time.Second)
	})
}

// TestReplicasOfTheSimulator: three that share an app for a day of tokens that live an hour, with calls all the time.
func TestReplicasOfTheSimulator(t *testing.T) {
	t.Parallel()
	key, err := simulator.TestKey()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		sim, err := simulator.New(simulator.Options{Key: key, TokenLifetime: time.Hour, Auto: true, RatePerMinute: simulator.DefaultRatePerMinute})
		if err != nil {
			t.Fatal(err)
		}
		defer sim.Close()
		creds := sim.Credentials()
		var replicas sync.WaitGroup
		for range 3 {
			c := kept(t, sim, func(cfg *Config) {
				cfg.ClientID, cfg.ServiceAccount = creds.ClientID, creds.ServiceAccount
				cfg.Secrets = func() (Secrets, error) {
					return Secrets{ClientSecret: creds.ClientSecret, PrivateKey: creds.PrivateKeyPEM}, nil
				}
			})
			if err := c.EnsureToken(t.Context()); err != nil {
				t.Fatal(err)
			}
			replicas.Go(func() { calls(t, c, time.Minute, 24*time.Hour) })
		}
		replicas.Wait()
		j := sim.Journal()
		for _, call := range j.Calls {
			if call.Status != 200 {
				t.Fatalf("%+v", call)
			}
		}
		if n := j.TokenRequests; n < 3*26 || n > 3*28 {
			t.Errorf("%d token requests", n)
		}
	})
}
