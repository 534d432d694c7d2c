package simulator_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"activation-worker/internal/partnerapi/simulator"
)

func TestTokenRequest(t *testing.T) {
	t.Parallel()
	p := start(t, func(o *simulator.Options) { o.Leeway = time.Second })
	now := time.Now().Unix()
	tests := map[string]struct {
		change func(jwt.MapClaims)
		form   func(url.Values)
		want   string // in the body
		status int
	}{
		"a good one":                          {status: 200, want: `"expires_in":"86400","scope":"partner"`},
		"times with fractions pass":           {status: 200, change: func(c jwt.MapClaims) { c["iat"] = float64(now) - 59.5 }},
		"unknown claims and aud are ignored":  {status: 200, change: func(c jwt.MapClaims) { c["aud"], c["jti"] = "x", "y" }},
		"a grant type encoded twice passes":   {status: 200, form: func(f url.Values) { f.Set("grant_type", url.QueryEscape(f.Get("grant_type"))) }},
		"several scopes are echoed":           {status: 200, form: func(f url.Values) { f.Set("scope", "partner partner.read") }, want: `"scope":"partner partner.read"`},
		"an hour exactly passes":              {status: 200, change: func(c jwt.MapClaims) { c["iat"], c["exp"] = now-60, now-60+3600 }},
		"more than an hour":                   {status: 400, change: func(c jwt.MapClaims) { c["iat"], c["exp"] = now-60, now-60+3601 }, want: `"error":"invalid_grant"`},
		"expired":                             {status: 400, change: func(c jwt.MapClaims) { c["exp"] = now - 30 }, want: `"error":"invalid_grant"`},
		"from the future":                     {status: 400, change: func(c jwt.MapClaims) { c["iat"] = now + 30 }, want: `"error":"invalid_grant"`},
		"times as strings":                    {status: 400, change: func(c jwt.MapClaims) { c["iat"] = "1764000000" }, want: `"error":"invalid_grant"`},
		"no expiry":                           {status: 400, change: func(c jwt.MapClaims) { delete(c, "exp") }, want: `"error":"invalid_grant"`},
		"another issuer":                      {status: 400, change: func(c jwt.MapClaims) { c["iss"] = "x" }, want: `"error":"invalid_grant"`},
		"a service account without its part":  {status: 400, change: func(c jwt.MapClaims) { c["sub"] = "sim01.serviceaccount" }, want: `"error":"invalid_grant"`},
		"a broken signature":                  {status: 400, form: func(f url.Values) { f.Set("assertion", f.Get("assertion")[:400]+"AAAA") }, want: `"error":"invalid_grant"`},
		"a padded assertion":                  {status: 400, form: func(f url.Values) { f.Set("assertion", f.Get("assertion")+"==") }, want: `"error":"invalid_grant"`},
		"a wrong secret":                      {status: 400, form: func(f url.Values) { f.Set("client_secret", "x") }, want: `"error":"invalid_client"`},
		"another grant":                       {status: 400, form: func(f url.Values) { f.Set("grant_type", "password") }, want: `"error":"unsupported_grant_type"`},
		"a scope that the app lacks":          {status: 400, form: func(f url.Values) { f.Set("scope", "partner bot") }, want: `"error":"invalid_scope"`},
		"no scope":                            {status: 400, form: func(f url.Values) { f.Del("scope") }, want: `"error":"invalid_scope"`},
		"a refresh token that never was made": {status: 400, form: func(f url.Values) { f.Set("grant_type", "refresh_token") }, want: `"error":"invalid_grant"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			claims := p.claims()
			if tt.change != nil {
				tt.change(claims)
			}
			form := p.form(claims, "partner")
			if tt.form != nil {
				tt.form(form)
			}
			p.fetch(form).has(t, tt.status, tt.want)
		})
	}
	t.Run("a body that is no form", func(t *testing.T) {
		p.post("/oauth2/v2.0/token", "application/json", `{}`).has(t, 400, `"returnCode":"99"`)
		p.post("/oauth2/v2.0/token", "application/x-www-form-urlencoded", "assertion=%zz").has(t, 400, `"returnCode":"99"`)
	})
}

func TestTokenForms(t *testing.T) {
	t.Parallel()
	p := start(t)
	tests := map[simulator.Fault]string{
		"expires=3600.0":      `"expires_in":"3600.0"`,
		"expires-number=3600": `"expires_in":3600`,
		"expires-null":        `"expires_in":null`,
		"expires=0":           `"expires_in":"0"`,
		"scope=user":          `"scope":"user"`,
	}
	for fault, want := range tests {
		p.SetTokenFaults(fault)
		p.fetch(p.form(p.claims(), "partner")).has(t, 200, want)
	}
	p.SetTokenFaults("expires-missing", "no-token", "html", "500", "returncode99", "invalid_client")
	if r := p.fetch(p.form(p.claims(), "partner")); strings.Contains(r.body, "expires_in") {
		t.Error("expires_in is there")
	}
	if r := p.fetch(p.form(p.claims(), "partner")); strings.Contains(r.body, "access_token") {
		t.Error("access_token is there")
	}
	p.fetch(p.form(p.claims(), "partner")).has(t, 200, "<html>")
	p.fetch(p.form(p.claims(), "partner")).has(t, 500)
	p.fetch(p.form(p.claims(), "partner")).has(t, 400, "UnexpectedError")
	p.fetch(p.form(p.claims(), "partner")).has(t, 400, "invalid_client")
	p.SetTokenFaults("date=-10m")
	at, err := time.Parse(time.RFC1123, p.fetch(p.form(p.claims(), "partner")).header.Get("Date"))
	if off := time.Until(at); err != nil || off > -9*time.Minute || off < -11*time.Minute {
		t.Errorf("the Date is off by %v (%v), want ten minutes", off, err)
	}
}

func TestTokenIsAskedFor(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.lookup().has(t, 200)
	if !strings.ContainsAny(p.token, "+") || !strings.ContainsAny(p.token, "/") || !strings.HasSuffix(p.token, "=") {
		t.Errorf("the token lacks + / or =")
	}
	for name, header := range map[string]string{
		"none": "", "two blanks": "Bearer  " + p.token, "another": "Bearer abc", "another scheme": "Basic " + p.token,
	} {
		q := *p
		q.token = strings.TrimPrefix(header, "Bearer ")
		if name == "another scheme" || name == "none" {
			q.token = "nonsense"
		}
		q.lookup().has(t, 401, `"code":"UNAUTHORIZED"`, "Malformed authentication token")
	}
	read := *p
	read.token = p.fetch(p.form(p.claims(), "partner.read")).token(t)
	read.lookup().has(t, 200)
	read.activate().has(t, 403, "UNAUTHORIZED")

	p.RevokeTokens()
	p.lookup().has(t, 401)
	p.SetCredentialsValid(false)
	p.fetch(p.form(p.claims(), "partner")).has(t, 400, "invalid_client")
	if n := p.Journal().Tokens; n != 2 {
		t.Errorf("%d tokens counted, want 2", n)
	}
}

func TestTokenDiesEarly(t *testing.T) {
	t.Parallel()
	clock := newClock()
	p := start(t, func(o *simulator.Options) { o.Now = clock.now })
	fetch := func(faults ...simulator.Fault) *partner {
		p.SetTokenFaults(faults...)
		q := *p
		claims := p.claims()
		claims["iat"], claims["exp"] = clock.now().Unix(), clock.now().Unix()+900
		q.token = p.fetch(p.form(claims, "partner")).token(t)
		return &q
	}
	short, twice, plain := fetch("life=5s"), fetch("uses=2"), fetch()
	clock.pass(5*time.Second - 1)
	short.lookup().has(t, 200)
	clock.pass(1)
	short.lookup().has(t, 401)
	twice.lookup().has(t, 200)
	twice.lookup().has(t, 200)
	twice.lookup().has(t, 401)
	newer := fetch("kills-old")
	plain.lookup().has(t, 401)
	newer.lookup().has(t, 200)
	clock.pass(24 * time.Hour)
	newer.lookup().has(t, 401)

	p.SetTokenFaults("invalid_scope=3m")
	good := func() url.Values {
		claims := p.claims()
		claims["iat"], claims["exp"] = clock.now().Unix(), clock.now().Unix()+900
		return p.form(claims, "partner")
	}
	p.fetch(good()).has(t, 400, "invalid_scope")
	clock.pass(3*time.Minute - time.Second)
	p.fetch(good()).has(t, 400, "invalid_scope")
	clock.pass(time.Second)
	p.fetch(good()).has(t, 200)
}

func TestRefreshAndRevoke(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := p.Credentials()
	first := p.fetch(p.form(p.claims(), "partner"))
	_, rest, _ := strings.Cut(first.body, `"refresh_token":"`)
	refresh, _, _ := strings.Cut(rest, `"`)
	again := p.fetch(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {c.ClientID}, "client_secret": {c.ClientSecret}})
	p.token = again.token(t)
	if strings.Contains(again.body, "refresh_token") {
		t.Error("there is a new refresh token without rotation")
	}
	p.lookup().has(t, 200)
	p.post("/oauth2/v2.0/revoke", "application/x-www-form-urlencoded",
		url.Values{"token": {p.token}, "client_id": {c.ClientID}, "client_secret": {c.ClientSecret}}.Encode()).has(t, 200)
	p.lookup().has(t, 401)
}
