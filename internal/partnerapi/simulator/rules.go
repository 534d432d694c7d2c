package simulator

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// rule is a fault that has a name.
type rule struct {
	name     string
	value    string // an example; "": takes none
	optional bool   // the value may be left out
	only     Operation
	help     string
	set      func(p *plan, value string) error
}

func (r rule) usage() string {
	if r.value == "" {
		return r.name
	}
	return r.name + "=" + r.value
}

// rules lists the faults by name. A function, not a variable, since nobody may change it.
func rules() []rule {
	all := []rule{
		{name: "lost", help: "carried out, then the connection is reset without an answer", set: wired(wireLost)},
		{name: "reset-before", help: "the connection is reset, nothing is carried out", set: wired(wireResetBefore)},
		{name: "reset-mid", help: "carried out, then the connection is reset within the head of the answer", set: wired(wireResetMid)},
		{name: "cut", help: "carried out, then the connection is closed in the middle of the body", set: wired(wireCut)},
		{name: "silence", help: "carried out, then the head of the answer and no more for two minutes", set: wired(wireSilence)},
		{name: "mute", help: "carried out, then nothing for two minutes", set: wired(wireMute)},
		{name: "slow", value: "2s", help: "carried out at once, answered after that time", set: func(p *plan, v string) (err error) {
			p.slow, err = parseSpan(v)
			return err
		}},
		{name: "late", value: "2s", help: "carried out and answered after that time, even if the caller has gone", set: func(p *plan, v string) (err error) {
			p.late, err = parseSpan(v)
			return err
		}},
		{name: "lag", value: "0s-60s", only: OpActivate, help: "so long look-ups do not show the activation", set: func(p *plan, v string) (err error) {
			p.lag, err = parseSpan(v)
			return err
		}},
		{name: "dns-gone", only: OpActivate, help: "the partner sees no DNS record this time", set: func(p *plan, _ string) error {
			p.noDNS = true
			return nil
		}},
		{name: "terms-gone", only: OpActivate, help: "the partner sees no accepted terms this time", set: func(p *plan, _ string) error {
			p.noTerms = true
			return nil
		}},
		{name: "beaten", help: "somebody else has activated the customer just before", set: first(func(s *Simulator, r *request) {
			s.SetActive(r.id, true)
		})},
		{name: "fell-back", help: "the customer is not active any more", set: first(func(s *Simulator, r *request) {
			s.SetActive(r.id, false)
		})},
		{name: "deleted", help: "the customer has been deleted just before", set: first(func(s *Simulator, r *request) { s.Remove(r.id) })},
		{name: "revoked", help: "every token has been revoked just before: 401", set: func(p *plan, _ string) error {
			p.instead = func(*request) answer { return failure(401, "", FormCoded) }
			return first(func(s *Simulator, _ *request) { s.RevokeTokens() })(p, "")
		}},
		{name: "eaten", value: "200", help: "another client has used up so many requests of this minute", set: func(p *plan, v string) error {
			n, err := strconv.Atoi(v)
			p.quota = func(q *quota, op Operation, now time.Time) { q.eat(op, n, now) }
			return err
		}},
		{name: "limit", value: "60", help: "from now on the limit a minute is this; 0: none", set: func(p *plan, v string) error {
			n, err := strconv.Atoi(v)
			p.quota = func(q *quota, _ Operation, _ time.Time) { q.limit = n }
			return err
		}},
		{name: "crowded", help: "other clients have five requests under way: 429 without headers", set: func(p *plan, _ string) error {
			return p.addStatus(429, ":bare")
		}},
		{name: "502html", help: "the same as 502", set: func(p *plan, _ string) error { return p.addStatus(502, "") }},
		{name: "date", value: "-10m", help: "the answer's Date is off by so much", set: func(p *plan, v string) error {
			off, err := time.ParseDuration(v)
			p.bytes = append(p.bytes, func(a *answer) {
				a.header["Date"] = []string{time.Now().Add(off).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}
			})
			return err
		}},
	}
	all = append(all, dataRules()...)
	all = append(all, byteRules()...)
	return append(all, tokenRules()...)
}

// first is a fault that changes the state before the operation looks at it.
func first(how func(*Simulator, *request)) func(*plan, string) error {
	return func(p *plan, _ string) error {
		p.before = append(p.before, how)
		return nil
	}
}

// wired is a fault of the connection.
func wired(how wire) func(*plan, string) error {
	return func(p *plan, _ string) error {
		p.wire, p.blind = how, true
		return nil
	}
}

// FaultHelp lists the faults, one a line.
func FaultHelp() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(name, help string) { _, _ = fmt.Fprintf(w, "  %s\t%s\n", name, help) } // a strings.Builder never fails
	line("500", "any status from 400 up; :CODE, :FORM, :bare and headers such as :reset=2 may follow")
	line("500-applied", "this status although the request has been carried out")
	line("202", "201, 202 or 204 without a body, carried out")
	line("307-self", "a redirect to itself; also -none, -http, -relative, -strange, -userinfo, -host=URL; 301, 302, 303, 308 too")
	for _, r := range rules() {
		line(r.usage(), r.help)
	}
	_ = w.Flush()
	return b.String()
}
