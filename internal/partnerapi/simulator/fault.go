package simulator

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Fault is one way of misbehaving, in text:
//
//	[OPERATION@]PART[+PART…][*TIMES]
//
// with parts that have an effect at the same request, such as "slow=2s+text-plain". TIMES is how often a script repeats it, without a
// number for ever. A part is a name with or without a value ([FaultHelp] lists them), a redirect (see there), or an HTTP status:
//
//	429               answered instead, nothing is carried out
//	500-applied       answered although it has been carried out
//	400:SOME_CODE     with this code
//	400:japanese      with a body of this [Form]
//	404:api           "Api not exists"
//	429:reset=2:retry-after=5   with these headers: reset, limit, remaining, used are the rate limit's
//	429:bare          without rate limit headers
//
// A 201, 202 or 204 is an empty answer to a request that has been carried out.
type Fault string

// The faults without a value that tests name most often.
const (
	Lost            Fault = "lost"
	ResetBefore     Fault = "reset-before"
	ResetMid        Fault = "reset-mid"
	Cut             Fault = "cut"
	Silence         Fault = "silence"
	Mute            Fault = "mute"
	HalfJSON        Fault = "half-json"
	NotJSON         Fault = "not-json"
	NoBody          Fault = "no-body"
	TextPlain       Fault = "text-plain"
	BOM             Fault = "bom"
	Gzip            Fault = "gzip"
	Trailing        Fault = "trailing"
	NullFields      Fault = "null-fields"
	NullObjects     Fault = "null-objects"
	MissingObjects  Fault = "missing-objects"
	UnknownFields   Fault = "unknown-fields"
	UnknownEnums    Fault = "unknown-enums"
	BigNumbers      Fault = "big-numbers"
	InvalidUTF8     Fault = "invalid-utf8"
	OtherCustomer   Fault = "other-customer"
	Inactive200     Fault = "inactive-200"
	Beaten          Fault = "beaten"
	Deleted         Fault = "deleted"
	DNSGone         Fault = "dns-gone"
	TermsGone       Fault = "terms-gone"
	Revoked         Fault = "revoked"
	NoRateHeaders   Fault = "no-rate-headers"
	Status500       Fault = "500"
	Applied500      Fault = "500-applied"
	Status502       Fault = "502"
	Status503       Fault = "503"
	Status429       Fault = "429"
	RedirectSelf    Fault = "307-self"
	RedirectNowhere Fault = "307-none"
	RedirectStrange Fault = "307-strange"
)

// WickedMix is a mix of all that can happen to the requests of a client with short time-outs, save what is hopeless.
func WickedMix() []Fault {
	return []Fault{
		Lost, ResetBefore, ResetMid, Cut, HalfJSON, NotJSON, NoBody, TextPlain, BOM, Gzip, Trailing, "huge=2MiB",
		NullFields, NullObjects, MissingObjects, UnknownFields, UnknownEnums, BigNumbers, InvalidUTF8, OtherCustomer, Inactive200,
		"string-id", "activate@beaten", DNSGone, TermsGone, Revoked, NoRateHeaders, "more-remaining", "slow=0s-1s", "lag=0s-2s",
		Status500, Applied500, "502-applied", Status502, Status503, "504-applied", "429:bare", "429:reset=1", "429:reset=-5", "429:reset=soon",
		"202", "204", "400:old", "500:number-code", "500:japanese", RedirectSelf, RedirectNowhere, RedirectStrange,
		"token@500", "token@html", "returncode99", "expires-number=3600", "expires=3600.0", "expires-missing", "uses=5", "date=-10m",
	}
}

// ParseFault checks a fault.
func ParseFault(text string) (Fault, error) {
	_, _, err := compile(Fault(text))
	return Fault(text), err
}

// ParseFaults reads faults with commas between.
func ParseFaults(text string) ([]Fault, error) {
	var all []Fault
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		f, err := ParseFault(one)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// compile turns a fault into a plan and how often it is due, -1 for ever.
func compile(f Fault) (p *plan, times int, err error) {
	text, repeat, repeated := strings.Cut(string(f), "*")
	times = 1
	if repeated && repeat == "" {
		times = -1
	} else if repeated {
		if times, err = strconv.Atoi(repeat); err != nil || times < 1 {
			return nil, 0, fmt.Errorf("fault %q: want a number of times, or none, after the *", f)
		}
	}
	p = &plan{text: text}
	if op, rest, ok := strings.Cut(text, "@"); ok {
		if p.only, text = Operation(op), rest; !p.only.known() {
			return nil, 0, fmt.Errorf("fault %q: there is no operation %q", f, op)
		}
	}
	for part := range strings.SplitSeq(text, "+") {
		if err := p.add(part); err != nil {
			return nil, 0, fmt.Errorf("fault %q: %w", f, err)
		}
	}
	return p, times, nil
}

// add makes one more part of a fault belong to the plan.
func (p *plan) add(part string) error {
	name, value, _ := strings.Cut(part, "=")
	for _, r := range rules() {
		if r.name != name {
			continue
		}
		if r.only != "" && p.only == "" {
			p.only = r.only
		}
		if (r.value == "") != (value == "") && !r.optional {
			return fmt.Errorf("%s: want it as in %s", name, r.usage())
		}
		return r.set(p, value)
	}
	if len(part) >= 3 {
		if status, err := strconv.Atoi(part[:3]); err == nil {
			return p.addStatus(status, part[3:])
		}
	}
	return fmt.Errorf("there is no fault %q", name)
}

// known tells whether it is an operation that faults can be meant for.
func (op Operation) known() bool {
	if op == OpToken {
		return true
	}
	for _, r := range apiRoutes() {
		if r.op == op {
			return true
		}
	}
	return false
}

// ParseOperation reads an operation's name; empty stands for every one of the API.
func ParseOperation(text string) (Operation, error) {
	if op := Operation(text); text == "" || op.known() {
		return op, nil
	}
	return "", fmt.Errorf("there is no operation %q", text)
}

var errStatus = errors.New("want a status from 400 to 599, 201, 202, 204, or a redirect such as 307-self")
