package simulator_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"activation-worker/internal/partnerapi/simulator"
)

// clock is one that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Now().Truncate(time.Minute)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func TestActivate(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.lookup().has(t, 200, `"domainId":7`, `"enableActiveDomain":false`, `"productId":null`)
	p.activate().has(t, 200, `"domainId":7`, `"enableActiveDomain":true`)
	p.lookup().has(t, 200, `"enableActiveDomain":true`)
	p.activate().has(t, 200, `"enableActiveDomain":true`)
	if got := p.Journal().Customers[7]; got.Activates != 2 || got.Applied != 1 || got.Lookups != 2 {
		t.Errorf("got %+v, want 2 activates, 1 applied, 2 look-ups", got)
	}
	p.call("POST", "/customers/8/activate", "").has(t, 403, `"code":"ACCESS_DENIED"`, "Access is denied.")
	for _, path := range []string{"/customers/7/activat", "/customers/7/activate/", "/customers//activate", "/customers/07/activate", "//customers/7"} {
		p.call("POST", path, "").has(t, 404, `"code":"NOT_FOUND"`, "Api not exists")
	}
	p.call("GET", "/customers/7/activate", "").has(t, 405)
}

func TestLongIDs(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.Add(simulator.Customer{DomainID: 9223372036854775807, Terms: true, DNS: true})
	p.call("POST", "/customers/9223372036854775807/activate", "").has(t, 200, `"domainId":9223372036854775807`)
}

// TestSwitches runs each answer that is open through each of the four occasions.
func TestSwitches(t *testing.T) {
	t.Parallel()
	occasions := map[string]struct {
		set   func(*simulator.Switches, simulator.Refusal)
		state simulator.Customer
		scope string
	}{
		"terms pending":  {func(w *simulator.Switches, r simulator.Refusal) { w.TermsPending = r }, simulator.Customer{DNS: true}, "partner"},
		"DNS missing":    {func(w *simulator.Switches, r simulator.Refusal) { w.DNSMissing = r }, simulator.Customer{Terms: true}, "partner"},
		"already active": {func(w *simulator.Switches, r simulator.Refusal) { w.AlreadyActive = r }, simulator.Customer{Terms: true, DNS: true, Active: true}, "partner"},
		"missing scope":  {func(w *simulator.Switches, r simulator.Refusal) { w.MissingScope = r }, simulator.Customer{Terms: true, DNS: true}, "partner.read"},
	}
	for name, o := range occasions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, refusal := range simulator.Refusals("OWN_CODE") {
				parsed, err := simulator.ParseRefusal(refusal.String())
				if err != nil || parsed != refusal {
					t.Fatalf("%q reads as %+v, %v", refusal, parsed, err)
				}
				p := start(t, func(opts *simulator.Options) { o.set(&opts.Unknown, refusal) })
				o.state.DomainID = 7
				p.Add(o.state)
				p.token = p.fetch(p.form(p.claims(), o.scope)).token(t)
				got := p.activate()
				got.has(t, refusal.Status)
				hasCode := refusal.Code != "" && strings.Contains(got.body, `"code":"`+refusal.Code+`"`)
				noCode := refusal.Form == simulator.FormCodeless && !strings.Contains(got.body, "code") && got.body != ""
				empty := refusal.Form == simulator.FormEmpty && got.body == ""
				if !hasCode && !noCode && !empty {
					t.Errorf("%v: got body %q", refusal, got.body)
				}
				if p.Journal().Customers[7].Applied != 0 {
					t.Errorf("%v: took effect", refusal)
				}
			}
		})
	}
}

func TestWhatNeedsNoProof(t *testing.T) {
	t.Parallel()
	p := start(t)
	for id, domain := range map[int64]string{11: "kogane", 12: "a.by-works.com", 13: "b.by-works.net"} {
		p.Add(simulator.Customer{DomainID: id, Terms: true, Domain: domain})
		p.call("POST", fmt.Sprintf("/customers/%d/activate", id), "").has(t, 200, domain)
	}
	p.Add(simulator.Customer{DomainID: 14, Terms: true, Domain: "by-works.com.example"})
	p.call("POST", "/customers/14/activate", "").has(t, 400)
}

func TestStatesByHandAndByDelay(t *testing.T) {
	t.Parallel()
	clock := newClock()
	p := start(t, func(o *simulator.Options) { o.Now = clock.now })
	claims := p.claims()
	claims["iat"], claims["exp"] = clock.now().Unix(), clock.now().Unix()+900
	p.token = p.fetch(p.form(claims, "partner")).token(t)

	p.Add(simulator.Customer{DomainID: 7, TermsAfter: time.Minute, DNSAfter: 2 * time.Minute})
	p.lookup().has(t, 200, "TERMS_AGREEMENT_READY")
	p.activate().has(t, 400)
	clock.pass(2*time.Minute - 1)
	p.activate().has(t, 400)
	clock.pass(1)
	p.activate().has(t, 200)

	p.SetActive(7, false)
	p.SetDNS(7, false)
	p.activate().has(t, 400)
	p.SetDNS(7, true)
	p.SetTerms(7, false)
	p.activate().has(t, 400)
	p.SetTerms(7, true)
	p.activate().has(t, 200)
	p.Remove(7)
	p.activate().has(t, 403, "ACCESS_DENIED")
	p.lookup().has(t, 403, "ACCESS_DENIED")
}

func TestUpgradeDomain(t *testing.T) {
	t.Parallel()
	p := start(t, func(o *simulator.Options) { o.Unknown.UpgradeActive = simulator.Refusal{Status: 409} })
	p.call("GET", "/customers/7/upgrade-domain", "").has(t, 200, `"txtToken":"works-verify=`, `"mxRecordValue":{"priority10":`, `"isActiveDomain":false`)
	p.activate().has(t, 200)
	p.call("GET", "/customers/7/upgrade-domain", "").has(t, 409)

	p.Add(simulator.Customer{DomainID: 9, Terms: true, Domain: "kogane"})
	p.call("POST", "/customers/9/upgrade-domain", `{"domain":"kogane.example"}`).has(t, 201, "kogane.example")
	p.call("POST", "/customers/9/change-domain", `{"domain":"kogane.example"}`).has(t, 400)
	p.SetDNS(9, true)
	p.call("POST", "/customers/9/change-domain", `{"domain":"kogane.example"}`).has(t, 204)
	p.call("GET", "/customers/9", "").has(t, 200, `"domain":"kogane.example"`, `"domainType":"DOMAIN"`)
}

func TestRegisterAndModify(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.call("POST", "/customers/verify-domain", `{"domain":"kogane"}`).has(t, 200, `"type":"GROUP"`)
	p.call("POST", "/customers/verify-domain", `{"domain":"x"}`).has(t, 400)
	body := `{"domain":"kogane.example","companyName":"こがね","phoneNumber":"06-5550-0100","timeZone":"Asia/Tokyo","locale":"ja_JP",
		"administrator":{"lastName":"Mori","id":"admin","privateEmail":"mori@mail.example"},"partnership":{"customerCode":"C-1"}}`
	made := p.call("POST", "/customers", body)
	made.has(t, 201, "TERMS_AGREEMENT_READY", `"customerCode":"C-1"`)
	var customer struct{ DomainID int64 }
	if err := json.Unmarshal([]byte(made.body), &customer); err != nil {
		t.Fatal(err)
	}
	p.call("POST", "/customers", body).has(t, 400) // the name is taken
	p.call("POST", "/customers", `{}`).has(t, 400)
	p.call("PATCH", fmt.Sprintf("/customers/%d", customer.DomainID), `{"companyName":"A & <B>","partnership":{"memo":"m"}}`).
		has(t, 200, `"companyName":"A & <B>"`, `"memo":"m"`, `"customerCode":"C-1"`)
	if got, ok := p.Customer(customer.DomainID); !ok || got.CompanyName != "A & <B>" || got.Terms || got.DNS {
		t.Errorf("the customer is %+v", got)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	for _, null := range []bool{false, true} {
		p := start(t, func(o *simulator.Options) { o.Unknown.LastCursorNull = null })
		for id := int64(100); id < 124; id++ {
			p.Add(simulator.Customer{DomainID: id})
		}
		seen, cursor, pages := map[int64]bool{}, "", 0
		for {
			var page struct {
				Customers        []struct{ DomainID int64 }
				ResponseMetaData struct{ NextCursor *string }
			}
			got := p.call("GET", "/customers?orderBy=name%20desc&cursor="+url.QueryEscape(cursor), "")
			got.has(t, 200)
			if err := json.Unmarshal([]byte(got.body), &page); err != nil {
				t.Fatal(err)
			}
			for _, c := range page.Customers {
				seen[c.DomainID] = true
			}
			pages++
			if page.ResponseMetaData.NextCursor == nil {
				if strings.Contains(got.body, "nextCursor") != null {
					t.Errorf("the last page's cursor: %.80s", got.body[len(got.body)-80:])
				}
				break
			}
			cursor = *page.ResponseMetaData.NextCursor
		}
		if len(seen) != 25 || pages != 3 {
			t.Errorf("saw %d customers on %d pages, want 25 on 3", len(seen), pages)
		}
		p.call("GET", "/customers?count=31", "").has(t, 400)
		p.call("GET", "/customers?domain=nobody.example", "").has(t, 200, `"customers":[]`)
	}
}

// resolver is a table of records.
type resolver struct {
	txt   map[string][]string
	cname map[string]string
}

func (r resolver) LookupTXT(_ context.Context, name string) ([]string, error) {
	return r.txt[name], nil
}

func (r resolver) LookupCNAME(_ context.Context, name string) (string, error) {
	if target, ok := r.cname[name]; ok {
		return target, nil
	}
	return "", errors.New("no such name")
}

func TestRealRecords(t *testing.T) {
	t.Parallel()
	records := resolver{map[string][]string{}, map[string]string{}}
	p := start(t, func(o *simulator.Options) { o.Resolver = records })
	for _, kind := range []string{"none", "txt", "cname"} {
		p.Add(simulator.Customer{DomainID: 7, Terms: true, Domain: "hinode.example"})
		var want struct{ TxtToken, CnameHost, CnameTarget string }
		if err := json.Unmarshal([]byte(p.call("GET", "/customers/7/upgrade-domain", "").body), &want); err != nil {
			t.Fatal(err)
		}
		status := 200
		switch kind {
		case "txt":
			records.txt["hinode.example"] = []string{"v=spf1 -all", want.TxtToken}
		case "cname":
			delete(records.txt, "hinode.example")
			records.cname[want.CnameHost+".hinode.example"] = want.CnameTarget + "."
		default:
			status = 400
		}
		p.activate().has(t, status)
	}
}

func TestAuto(t *testing.T) {
	t.Parallel()
	p := start(t, func(o *simulator.Options) { o.Auto = true })
	p.call("POST", "/customers/12345/activate", "").has(t, 200, `"domainId":12345`)
	p.Remove(12345)
	p.call("POST", "/customers/12345/activate", "").has(t, 403)
	p.Script(12346, simulator.OpActivate, simulator.Beaten)
	p.call("POST", "/customers/12346/activate", "").has(t, 200)
	if got := p.Journal().Customers[12346]; got.Applied != 0 {
		t.Error("an activation that came second took effect")
	}
}

func TestCrowdIsTheSameForASeed(t *testing.T) {
	t.Parallel()
	a, b := simulator.Crowd(200, 1, 5), simulator.Crowd(200, 1, 5)
	kinds := map[string]int{}
	for i, c := range a {
		if c != b[i] {
			t.Fatalf("customer %d differs", i)
		}
		kinds[fmt.Sprint(c.Active, c.DNS, c.Terms, c.Domain != "")]++
	}
	if len(kinds) < 5 {
		t.Errorf("only these kinds of customers: %v", kinds)
	}
}
