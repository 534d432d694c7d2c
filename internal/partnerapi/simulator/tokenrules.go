package simulator

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// tokenRules are the faults of the token endpoint alone.
func tokenRules() []rule {
	all := []rule{
		{name: "expires", value: "86400", help: "expires_in is this string", set: changedTo("expires_in", func(v string) any { return v })},
		{name: "expires-number", value: "3600", help: "expires_in is this number", set: changedTo("expires_in", func(v string) any {
			return json.RawMessage(v)
		})},
		{name: "expires-missing", help: "expires_in is missing", set: changed(func(o object) object { return o.without("expires_in") })},
		{name: "expires-null", help: "expires_in is null", set: changedTo("expires_in", func(string) any { return nil })},
		{name: "scope", value: "user", help: "this scope is said to be granted", set: changedTo("scope", func(v string) any { return v })},
		{name: "no-token", help: "200 without an access token", set: changed(func(o object) object { return o.without("access_token") })},
		{name: "odd-token", help: "a token that cannot stand in a header", set: changedTo("access_token", func(string) any { return "jp1AAAB\r\nX-Odd: 1" })},
		{name: "life", value: "2s", help: "refused after that time, long before its end", set: func(p *plan, v string) (err error) {
			p.life, err = time.ParseDuration(v)
			return err
		}},
		{name: "uses", value: "3", help: "refused after so many requests", set: func(p *plan, v string) (err error) {
			p.uses, err = strconv.Atoi(v)
			return err
		}},
		{name: "kills-old", help: "the new token ends the others", set: func(p *plan, _ string) error {
			p.killsOld = true
			return nil
		}},
		{name: "returncode99", help: "a request that could not be read", set: func(p *plan, _ string) error {
			p.instead = func(*request) answer { return described(400, "", "", FormReturn) }
			return nil
		}},
		{name: "invalid_scope", value: "3m", optional: true, help: "refused for so long, then fine", set: func(p *plan, v string) error {
			if v == "" {
				p.instead = func(*request) answer { return oauthFailure("invalid_scope") }
				return nil
			}
			long, err := time.ParseDuration(v)
			return errOr(err, first(func(s *Simulator, _ *request) { s.refuseScopes(long) })(p, ""))
		}},
	}
	for _, code := range []string{"invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_request"} {
		all = append(all, rule{name: code, help: "refused with this error", set: func(p *plan, _ string) error {
			p.instead = func(*request) answer { return oauthFailure(code) }
			return nil
		}})
	}
	for i := range all {
		all[i].only = OpToken
	}
	return all
}

// changedTo is a fault that puts a value into the answer.
func changedTo(name string, value func(string) any) func(*plan, string) error {
	return func(p *plan, v string) error {
		if value, ok := value(v).(json.RawMessage); ok && !json.Valid(value) {
			return fmt.Errorf("%q: want a number", v)
		}
		p.data = append(p.data, func(o object) object { return o.with(name, value(v)) })
		return nil
	}
}

func oauthFailure(code string) answer {
	return shown(400, object{{"error", code}, {"error_description", "Request is refused (" + code + ")."}})
}

// refuseScopes makes every scope invalid for a time, as after a change in the console.
func (s *Simulator) refuseScopes(long time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens.scopesFrom = s.now().Add(long)
}

func errOr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}
