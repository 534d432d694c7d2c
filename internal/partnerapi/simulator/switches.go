package simulator

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Switches choose among the answers that the partner's documents leave open (docs/partner-api.md §6). The zero value of each means
// its default, named below.
type Switches struct {
	TermsPending  Refusal // activate before the terms are accepted; 400 INVALID_PARAMETER
	DNSMissing    Refusal // activate while no ownership record is seen; 400 INVALID_PARAMETER, just as for the terms
	AlreadyActive Refusal // activate once more; 200 with the customer
	MissingScope  Refusal // the token is good and lacks the scope; 403 UNAUTHORIZED
	UpgradeActive Refusal // the DNS values of an active customer; 200 with empty fields

	UsedHeader        string // header of the count so far: rateLimit-used, or rateLimit-ssed
	RefusedUncounted  bool   // requests refused with 429 do not count
	BareErrors        bool   // answers from 400 up carry no rate limit headers
	RegisterStatus    int    // of a registration; 201
	LastCursorNull    bool   // the last page has "nextCursor": null instead of none
	NewTokenKillsOld  bool   // only the newest token is good
	TokenErrorStatus  int    // HTTP status of the token endpoint's errors; 400
	SubdomainHostFull bool   // DNS hosts come as full names with a final dot instead of labels
}

// Refusal is how a request is declined: "400:INVALID_PARAMETER" or, with a word for the form of its body, "403:empty". Status 200
// means that it is not declined. See [Form] for the words.
type Refusal struct {
	Status int
	Code   string // empty: the usual one of the status
	Form   Form
}

// Refusals returns every refusal that is to be reckoned with where the truth is unknown: each status with
// INVALID_PARAMETER, with a code of its own, with no code and with no body.
func Refusals(ownCode string) []Refusal {
	var all []Refusal
	for _, status := range []int{400, 403, 404, 409, 500} {
		all = append(all,
			Refusal{Status: status, Code: "INVALID_PARAMETER"}, Refusal{Status: status, Code: ownCode},
			Refusal{Status: status, Form: FormCodeless}, Refusal{Status: status, Form: FormEmpty})
	}
	return all
}

// ParseRefusal reads "STATUS", "STATUS:CODE" or "STATUS:FORM".
func ParseRefusal(text string) (Refusal, error) {
	status, rest, _ := strings.Cut(text, ":")
	n, err := strconv.Atoi(status)
	if err != nil || (n != http.StatusOK && (n < 400 || n > 599)) {
		return Refusal{}, fmt.Errorf("answer %q: want 200 or a status from 400 to 599, then perhaps :CODE or :FORM", text)
	}
	if f := Form(rest); f.known() {
		return Refusal{Status: n, Form: f}, nil
	}
	return Refusal{Status: n, Code: rest}, nil
}

// String is what [ParseRefusal] reads.
func (r Refusal) String() string {
	text := strconv.Itoa(r.Status)
	if rest := orElse(r.Code, string(r.Form)); rest != "" {
		text += ":" + rest
	}
	return text
}

// Set changes one of the refusals by its name on the command line, as in "dns-missing=409:empty".
func (w *Switches) Set(text string) error {
	targets := map[string]*Refusal{
		"terms-pending": &w.TermsPending, "dns-missing": &w.DNSMissing, "already-active": &w.AlreadyActive,
		"missing-scope": &w.MissingScope, "upgrade-active": &w.UpgradeActive,
	}
	name, value, _ := strings.Cut(text, "=")
	target, ok := targets[name]
	if !ok {
		return fmt.Errorf("switch %q: want terms-pending, dns-missing, already-active, missing-scope or upgrade-active", name)
	}
	refusal, err := ParseRefusal(value)
	if err != nil {
		return fmt.Errorf("switch %s: %w", name, err)
	}
	*target = refusal
	return nil
}

func (w Switches) withDefaults() Switches {
	set := func(r *Refusal, otherwise Refusal) {
		if r.Status == 0 {
			*r = otherwise
		}
	}
	set(&w.TermsPending, Refusal{Status: 400, Code: "INVALID_PARAMETER"})
	set(&w.DNSMissing, Refusal{Status: 400, Code: "INVALID_PARAMETER"})
	set(&w.AlreadyActive, Refusal{Status: 200})
	set(&w.MissingScope, Refusal{Status: 403, Code: "UNAUTHORIZED"})
	set(&w.UpgradeActive, Refusal{Status: 200})
	w.UsedHeader = orElse(w.UsedHeader, "rateLimit-used")
	if w.RegisterStatus == 0 {
		w.RegisterStatus = http.StatusCreated
	}
	if w.TokenErrorStatus == 0 {
		w.TokenErrorStatus = http.StatusBadRequest
	}
	return w
}
