package simulator

import (
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/zap"
)

const (
	grantJWT     = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	grantRefresh = "refresh_token"
)

// tokens are the app's state at the authorization server.
type tokens struct {
	live       map[string]*token // access tokens
	refresh    map[string][]string
	scopes     []string  // the app may ask for
	invalid    bool      // the app's credentials are refused
	scopesFrom time.Time // until then every scope is refused
}

// token is an access token.
type token struct {
	scopes  []string
	expires time.Time
	uses    int // left; below 0: without end
}

func newTokens(scopes []string) tokens {
	return tokens{live: map[string]*token{}, refresh: map[string][]string{}, scopes: scopes}
}

// RevokeTokens ends every access token, long before its time.
func (s *Simulator) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens.live)
}

// SetCredentialsValid says whether the token endpoint accepts the app at all. Tokens live on.
func (s *Simulator) SetCredentialsValid(valid bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens.invalid = !valid
}

// SetScopes says which scopes the app may ask for from now on.
func (s *Simulator) SetScopes(scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens.scopes = scopes
}

// authorize checks the bearer token of an API request; the answer is nil if it will do.
func (s *Simulator) authorize(r *http.Request, to route) *answer {
	bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens.live[bearer]
	var refused answer
	switch {
	case !ok || t == nil:
		refused = failure(http.StatusUnauthorized, "UNAUTHORIZED", FormCoded)
	case !s.now().Before(t.expires) || t.uses == 0:
		delete(s.tokens.live, bearer)
		refused = described(http.StatusUnauthorized, "UNAUTHORIZED", "Authentication token expired", FormCoded)
	case !slices.Contains(t.scopes, scopeWrite) && (!to.reads || !slices.Contains(t.scopes, scopeRead)):
		refused = s.opts.Unknown.MissingScope.answer()
	default:
		t.uses--
		return nil
	}
	return &refused
}

// serveToken answers the authorization server's two paths.
func (s *Simulator) serveToken(w http.ResponseWriter, r *http.Request) {
	req := &request{Request: r, route: route{op: OpToken}, call: -1}
	s.mu.Lock()
	s.journal.TokenRequests++
	next := s.script.peek(OpToken, 0)
	s.script.use(OpToken, 0, next)
	s.mu.Unlock()
	req.plan, req.draw = next.plan, next.draw
	req.route.handle = (*Simulator).token
	if r.URL.Path == RevokePath {
		req.route.handle = (*Simulator).revoke
	}
	defer s.log.Debug("token request answered", zap.String("fault", req.plan.text))
	s.perform(w, req)
}

// readForm reads a token request. A false result is one that the partner could not read.
func readForm(req *request) (url.Values, bool) {
	kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	form, bad := url.ParseQuery(string(req.body))
	return form, err == nil && bad == nil && kind == "application/x-www-form-urlencoded" && req.Method == http.MethodPost
}

// oauthError is an error of the token endpoint.
func (s *Simulator) oauthError(code, description string) answer {
	return shown(s.opts.Unknown.TokenErrorStatus, object{{"error", code}, {"error_description", description}})
}

// token grants an access token.
func (s *Simulator) token(req *request) answer {
	form, readable := readForm(req)
	if !readable {
		return described(s.opts.Unknown.TokenErrorStatus, "", "", FormReturn)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	grant := form.Get("grant_type")
	if once, err := url.QueryUnescape(grant); err == nil {
		grant = once // encoded twice passes as well, as in the partner's own sample
	}
	scopes := strings.Fields(form.Get("scope"))
	unknownScope := func(one string) bool { return !slices.Contains(s.tokens.scopes, one) }
	switch {
	case s.tokens.invalid || form.Get("client_id") != s.creds.ClientID || form.Get("client_secret") != s.creds.ClientSecret:
		return s.oauthError("invalid_client", "Client authentication failed.")
	case grant == grantRefresh:
		if scopes = s.tokens.refresh[form.Get("refresh_token")]; scopes == nil {
			return s.oauthError("invalid_grant", "Refresh token is not valid.")
		}
	case grant != grantJWT:
		return s.oauthError("unsupported_grant_type", "Grant type is not supported.")
	default:
		s.journal.secrets = append(s.journal.secrets, form.Get("assertion"))
		if problem := s.verify(form.Get("assertion")); problem != "" {
			return s.oauthError("invalid_grant", problem)
		}
	}
	if len(scopes) == 0 || slices.ContainsFunc(scopes, unknownScope) || s.now().Before(s.tokens.scopesFrom) {
		return s.oauthError("invalid_scope", "Request scope is not valid.")
	}
	return s.grant(req.plan, scopes, grant == grantJWT)
}

// grant makes the tokens and the answer that carries them, odd if the plan says so. The caller holds the lock.
func (s *Simulator) grant(p *plan, scopes []string, withRefresh bool) answer {
	if s.opts.Unknown.NewTokenKillsOld || p.killsOld {
		clear(s.tokens.live)
	}
	maps.DeleteFunc(s.tokens.live, func(_ string, t *token) bool { return !s.now().Before(t.expires) })
	life := s.opts.TokenLifetime
	access, t := randomToken(), &token{scopes: scopes, expires: s.now().Add(life), uses: -1}
	if p.life > 0 {
		t.expires = s.now().Add(p.life)
	}
	if p.uses > 0 {
		t.uses = p.uses
	}
	s.tokens.live[access] = t
	s.journal.Tokens++
	s.journal.secrets = append(s.journal.secrets, access)
	o := object{{"access_token", access}}
	if withRefresh {
		refresh := randomToken()
		s.tokens.refresh[refresh] = scopes
		s.journal.secrets = append(s.journal.secrets, refresh)
		o = append(o, field{"refresh_token", refresh})
	}
	return shown(http.StatusOK, append(o, field{"token_type", "Bearer"},
		field{"expires_in", strconv.Itoa(int(life.Seconds()))}, field{"scope", strings.Join(scopes, " ")}))
}

// verify checks an assertion and says what is wrong with it.
func (s *Simulator) verify(assertion string) string {
	parsed, err := jwt.ParseSigned(assertion, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return "Assertion is malformed."
	}
	var claims struct {
		Iss string          `json:"iss"`
		Sub string          `json:"sub"`
		Iat json.RawMessage `json:"iat"`
		Exp json.RawMessage `json:"exp"`
	}
	if err := parsed.Claims(s.key, &claims); err != nil {
		return "Assertion signature is not valid."
	}
	iat, iatOK := seconds(claims.Iat)
	exp, expOK := seconds(claims.Exp)
	now := float64(s.now().UnixNano()) / float64(time.Second)
	leeway := s.opts.Leeway.Seconds()
	switch {
	case claims.Iss != s.creds.ClientID:
		return "Assertion issuer is not valid."
	case claims.Sub != s.creds.ServiceAccount:
		return "Assertion subject is not valid."
	case !iatOK || !expOK:
		return "Assertion times are not valid."
	case exp <= iat || exp-iat > time.Hour.Seconds():
		return "Assertion lifetime is not valid."
	case now < iat-leeway:
		return "Assertion is not valid yet."
	case now > exp+leeway:
		return "Assertion is expired."
	}
	return ""
}

// seconds reads a UNIX time: a JSON number, fractions allowed, but no string.
func seconds(raw json.RawMessage) (float64, bool) {
	n, err := strconv.ParseFloat(string(raw), 64)
	return n, err == nil
}

// revoke ends one token.
func (s *Simulator) revoke(req *request) answer {
	form, readable := readForm(req)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !readable:
		return described(s.opts.Unknown.TokenErrorStatus, "", "", FormReturn)
	case form.Get("client_id") != s.creds.ClientID || form.Get("client_secret") != s.creds.ClientSecret:
		return s.oauthError("invalid_client", "Client authentication failed.")
	}
	delete(s.tokens.live, form.Get("token"))
	delete(s.tokens.refresh, form.Get("token"))
	return answer{status: http.StatusOK}
}

// readBody reads a request's body up to the limit.
func readBody(r *http.Request) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r.Body, maxRequest))
}
