package simulator_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"activation-worker/internal/partnerapi/simulator"
)

// TestCheck plays what clients do, careful ones and others. A step is "activate" or "lookup", perhaps with a fault, or something by hand.
func TestCheck(t *testing.T) {
	t.Parallel()
	const repeated, shown = "no look-up between", "had been answered as active"
	tests := map[string]struct {
		steps []string
		want  string // in the only breach; "": none
	}{
		"once":                                           {[]string{"activate"}, ""},
		"a definite no, then again":                      {[]string{"activate 400", "activate"}, ""},
		"lost before it was done, then again":            {[]string{"activate reset-before", "activate"}, ""},
		"lost, looked up":                                {[]string{"activate lost", "lookup"}, ""},
		"lost, not shown yet, then again":                {[]string{"activate lost+lag=1h", "lookup", "activate"}, ""},
		"lost, then again":                               {[]string{"activate lost", "activate"}, repeated},
		"500 though done, then again":                    {[]string{"activate 500-applied", "activate"}, repeated},
		"cut off, then again":                            {[]string{"activate cut", "activate"}, repeated},
		"said inactive in a 200, then again":             {[]string{"activate inactive-200", "activate"}, repeated},
		"another customer's object, then again":          {[]string{"activate other-customer", "activate"}, repeated},
		"a look-up before is none between":               {[]string{"lookup", "activate lost", "activate"}, repeated},
		"a look-up without an answer is none":            {[]string{"activate lost", "lookup lost", "activate"}, repeated},
		"a look-up answered 500 is none":                 {[]string{"activate lost", "lookup 500", "activate"}, repeated},
		"a look-up of another customer's object neither": {[]string{"activate lost", "lookup other-customer", "activate"}, repeated},
		"answered as active, then again":                 {[]string{"activate", "activate"}, shown},
		"odd but legible, then again":                    {[]string{"activate text-plain+bom", "activate"}, shown},
		"looked up as active, then again":                {[]string{"activate lost", "lookup", "activate"}, shown},
		"active before us, looked up, then again":        {[]string{"by hand active", "lookup", "activate"}, shown},
		"undone by hand, then again":                     {[]string{"activate", "by hand inactive", "activate"}, ""},
		"deleted and registered again":                   {[]string{"activate", "by hand deleted", "by hand added", "activate"}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t)
			for _, step := range tt.steps {
				what, fault, _ := strings.Cut(step, " ")
				op := map[string]simulator.Operation{"activate": simulator.OpActivate, "lookup": simulator.OpCustomer}[what]
				if fault != "" && op != "" {
					p.Script(7, op, simulator.Fault(fault))
				}
				switch step {
				case "by hand active":
					p.SetActive(7, true)
				case "by hand inactive":
					p.SetActive(7, false)
				case "by hand deleted":
					p.Remove(7)
				case "by hand added":
					p.Add(simulator.Customer{DomainID: 7, Terms: true, DNS: true})
				}
				switch what {
				case "activate":
					p.activate()
				case "lookup":
					p.lookup()
				}
			}
			got := p.Journal().Check()
			if tt.want == "" && len(got) == 0 {
				return
			}
			if len(got) != 1 || tt.want == "" || !strings.Contains(got[0], tt.want) || !strings.Contains(got[0], "activate of 7") {
				t.Errorf("breaches %q, want one with %q", got, tt.want)
			}
		})
	}
}

func TestCheckKeepsCustomersApart(t *testing.T) {
	t.Parallel()
	p := start(t, func(o *simulator.Options) { o.Auto = true })
	p.Script(0, simulator.OpActivate, "lost*2")
	p.call("POST", "/customers/101/activate", "")
	p.call("POST", "/customers/102/activate", "")
	p.call("GET", "/customers/101", "")
	p.call("POST", "/customers/102/activate", "")
	if got := p.Journal().Check(); len(got) != 1 || !strings.Contains(got[0], "activate of 102 ") {
		t.Errorf("breaches %q, want one of 102", got)
	}
}

func TestConcurrencyIsNoted(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.lookup().has(t, 200)
	p.Script(7, simulator.OpActivate, "slow=100ms*3")
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { p.activate().has(t, 200) })
	}
	wg.Wait()
	j := p.Journal()
	if j.MaxConcurrent != 3 || j.Customers[7].ActivatesAtOnce != 3 || j.Customers[7].Applied != 1 {
		t.Errorf("at once: %d in all, customer %+v", j.MaxConcurrent, j.Customers[7])
	}
	for range 20 { // a finished request does not count when the caller's next one comes
		p.lookup().has(t, 200)
	}
	if calls := p.Journal().Calls; calls[len(calls)-1].Concurrent != 1 {
		t.Errorf("the last call came with %d under way", calls[len(calls)-1].Concurrent)
	}
}

func TestPeak(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	var j simulator.Journal
	for _, seconds := range []int{0, 10, 59, 60, 61, 119} {
		j.Calls = append(j.Calls, simulator.Call{Op: simulator.OpActivate, At: at.Add(time.Duration(seconds) * time.Second)})
	}
	for span, want := range map[time.Duration]int{time.Minute: 4, time.Second: 1, 2 * time.Second: 2, time.Hour: 6} {
		if got := j.Peak(simulator.OpActivate, span); got != want {
			t.Errorf("in %v: %d, want %d", span, got, want)
		}
	}
}

// TestForgottenCustomers: of who is forgotten nothing is left that would take room, and sums stay what they were.
func TestForgottenCustomers(t *testing.T) {
	t.Parallel()
	p := start(t, func(o *simulator.Options) { o.JournalLimit = 4 })
	kept := len(p.Journal().PersonalData())
	for id := int64(101); id < 121; id++ {
		p.Add(simulator.Customer{DomainID: id, Terms: true, DNS: true})
		p.Script(id, simulator.OpActivate, "500")
		path := fmt.Sprintf("/customers/%d", id)
		p.call("POST", path+"/activate", "")
		p.call("POST", path+"/activate", "").has(t, 200)
		if got := p.Counts(id); got.Activates != 2 || got.Applied != 1 {
			t.Errorf("customer %d: %+v", id, got)
		}
		p.Forget(id)
		p.call("GET", path, "").has(t, 403)
		p.Forget(id)
	}
	j := p.Journal()
	if len(j.Customers) > 0 || len(j.PersonalData()) != kept || len(j.Calls) > 4 {
		t.Errorf("left: %v, %d private data, were %d, %d calls", j.Customers, len(j.PersonalData()), kept, len(j.Calls))
	}
	if j.Made[simulator.OpActivate] != 40 || j.Made[simulator.OpCustomer] != 20 || j.Applied != 20 {
		t.Errorf("made %v, %d took effect", j.Made, j.Applied)
	}
}

func TestJournalLimit(t *testing.T) {
	t.Parallel()
	p := start(t, func(o *simulator.Options) { o.JournalLimit = 10 })
	for range 35 {
		p.lookup().has(t, 200)
	}
	j := p.Journal()
	if len(j.Calls) > 10 || j.Customers[7].Lookups != 35 || p.Lookups(7) != 35 || j.Calls[len(j.Calls)-1].Status != 200 {
		t.Errorf("%d calls kept, %d look-ups counted", len(j.Calls), j.Customers[7].Lookups)
	}
}

// TestSecretsStayOut searches the simulator's own log and journal for what it gave out.
func TestSecretsStayOut(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	p := start(t, func(o *simulator.Options) { o.Log, o.Admin = zap.New(core), true })
	p.activate().has(t, 200)
	p.fetch(p.form(p.claims(), "nonsense"))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.base+"/simulator/journal", nil)
	if err != nil {
		t.Fatal(err)
	}
	said := p.do(req).body
	for _, entry := range logs.All() {
		said += fmt.Sprintln(entry.Message, entry.ContextMap())
	}
	j := p.Journal()
	if len(j.Secrets()) < 7 || !slices.Contains(j.Secrets(), p.token) || len(j.PersonalData()) == 0 || logs.Len() < 3 {
		t.Fatalf("%d secrets, %d log entries", len(j.Secrets()), logs.Len())
	}
	for _, secret := range slices.Concat(j.Secrets(), j.PersonalData()) {
		if secret == "" || strings.Contains(said, secret) {
			t.Errorf("log or journal shows a secret of %d bytes", len(secret))
		}
	}
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	p := start(t, func(o *simulator.Options) { o.Admin = true })
	const asJSON = "application/json"
	p.post("/simulator/customers", asJSON, `[{"domainId":21,"terms":true,"dns":true},{"domainId":22,"termsAfter":"30s"}]`).has(t, 200, "added 2")
	p.post("/simulator/customers", asJSON, `{"domainId":23} {"domainId":24}`).has(t, 200, "added 2")
	for body, want := range map[string]string{
		`{"domainId":0}`: "want a positive number", `{"domain":`: "after 0 of them", `{"domainId":1,"colour":2}`: "colour", `{"domainId":1,"dnsAfter":"soon"}`: "30s",
		`{"domainId":1,"dnsRecords":"mx"}`: "dnsRecords",
	} {
		p.post("/simulator/customers", asJSON, body).has(t, 400, want)
	}
	p.post("/simulator/script", asJSON, `{"domainId":21,"operation":"activate","faults":["502","lost"]}`).has(t, 200)
	p.call("POST", "/customers/21/activate", "").has(t, 502)
	p.post("/simulator/script", asJSON, `{"faults":["lots"]}`).has(t, 400, "lots")
	p.post("/simulator/script", asJSON, `{"operation":"dance"}`).has(t, 400, "dance")
	p.post("/simulator/script", "text/plain", `{}`).has(t, 415)
	p.post("/simulator/journal", asJSON, `{}`).has(t, 404)

	get := func(host string) reply {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.base+"/simulator/journal", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		return p.do(req)
	}
	get("").has(t, 200, `"calls":[{`, `"customers":{"21":{"activates":1`, `"breaches":null`)
	get("attacker.example").has(t, 403)
	q := start(t)
	q.post("/simulator/script", asJSON, `{}`).has(t, 404, "Api not exists")
}

func TestAdminSteersTheState(t *testing.T) {
	t.Parallel()
	p := start(t, func(o *simulator.Options) { o.Admin = true })
	p.Add(simulator.Customer{DomainID: 8, Terms: true, TermsAfter: 1, DNSAfter: time.Hour, CompanyName: "Kept"})
	set := func(body string) reply { return p.post("/simulator/state", "application/json", body) }
	for _, step := range []struct {
		body               string
		terms, dns, active bool
	}{
		{`{"domainId":8,"dns":true}`, true, true, false},
		{`{"domainId":8,"terms":false,"active":true}`, false, true, true},
		{`{"domainId":8,"terms":true,"dns":false,"active":false}`, true, false, false},
	} {
		set(step.body).has(t, 200)
		c, _ := p.Customer(8)
		if c.Terms != step.terms || c.DNS != step.dns || c.Active != step.active || c.CompanyName != "Kept" {
			t.Errorf("after %s: %+v", step.body, c)
		}
	}
	for body, want := range map[string]string{
		`{"domainId":8}`: "terms, dns or active", `{"domainId":9,"dns":true}`: "no customer 9", `{"domainId":8,"colour":true}`: "colour",
	} {
		set(body).has(t, 400, want)
	}
	q := start(t, func(o *simulator.Options) { o.Admin, o.Auto = true, true })
	q.post("/simulator/state", "application/json", `{"domainId":9,"dns":false}`).has(t, 200)
	if c, ok := q.Customer(9); !ok || !c.Terms || c.DNS {
		t.Errorf("a customer met for the first time: %+v, %t", c, ok)
	}
}

func TestAdminIsForThisMachine(t *testing.T) {
	t.Parallel()
	p := start(t, func(o *simulator.Options) { o.Admin = true })
	for remote, want := range map[string]int{"192.0.2.7:5000": 403, "127.0.0.1:5000": 200, "[::1]:5000": 200, "[::ffff:127.0.0.1]:5000": 200} {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/simulator/journal", nil)
		r.RemoteAddr = remote
		if p.ServeHTTP(w, r); w.Code != want {
			t.Errorf("a caller from %s got %d, want %d", remote, w.Code, want)
		}
	}
}
