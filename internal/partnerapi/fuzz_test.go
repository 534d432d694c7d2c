package partnerapi

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzReadCustomer: no body makes the scanner crash, whatever it keeps can be
// embedded, and what it says agrees with encoding/json where that can read it.
func FuzzReadCustomer(f *testing.F) {
	needSeeds(f, "FuzzReadCustomer")
	f.Fuzz(func(t *testing.T, body []byte, cut bool) {
		const limit = 256
		c, trouble := readCustomer(body, cut, ourID, limit)
		if trouble != "" {
			return
		}
		if (c.Object == nil) != (c.Omitted > 0) {
			t.Fatalf("kept %q, omitted %d", c.Object, c.Omitted)
		}
		if c.Object != nil && (!json.Valid(c.Object) || !utf8.Valid(c.Object) || len(c.Object) > limit) {
			t.Fatalf("kept %q", c.Object)
		}
		var fields map[string]json.RawMessage
		if json.Unmarshal(c.Object, &fields) != nil {
			return
		}
		if id := strings.Trim(string(fields["domainId"]), `"`); !strings.Contains(id, `\`) && id != "51200931" {
			t.Fatalf("took %s for ours: %q", id, body)
		}
		if c.Active != (string(fields["enableActiveDomain"]) == "true") {
			t.Fatalf("active %v: %q", c.Active, body)
		}
	})
}

// FuzzErrorBody: no body makes the parser crash, and what comes out is fit to be
// recorded.
func FuzzErrorBody(f *testing.F) {
	needSeeds(f, "FuzzErrorBody")
	var v vault
	v.hold("client_secret", clientSecret)
	v.hold("access_token", issued(1))
	f.Fuzz(func(t *testing.T, body []byte) {
		e := &Error{}
		e.fill(&answer{status: 400, body: body}, &v)
		if e.Code != "" && !codePattern.MatchString(e.Code) {
			t.Fatalf("code %q", e.Code)
		}
		if len(e.PartnerText) > maxPartnerText || !utf8.ValidString(e.PartnerText) ||
			digitRun.MatchString(e.PartnerText) || mailAddress.MatchString(e.PartnerText) {
			t.Fatalf("text %q", e.PartnerText)
		}
		for _, secret := range []string{clientSecret, issued(1)} {
			if strings.Contains(e.Code+e.PartnerText, secret) {
				t.Fatalf("%q or %q holds a secret", e.Code, e.PartnerText)
			}
		}
	})
}

// needSeeds fails if the committed corpus is gone: a fuzz test without seeds
// passes and tests nothing.
func needSeeds(f *testing.F, name string) {
	f.Helper()
	seeds, err := os.ReadDir("testdata/fuzz/" + name)
	if err != nil || len(seeds) == 0 {
		f.Fatalf("testdata/fuzz/%s holds no seeds: %v", name, err)
	}
}
