package partnerapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const (
	grantType      = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	defaultLife    = time.Hour      // where expires_in says nothing sensible; a 401 then renews
	longestLife    = 24 * time.Hour // the longest that the partner gives
	tolerableDrift = 30 * time.Second
)

// lastingCodes are the codes that no repeat changes, each with what to do.
var lastingCodes = map[string]string{
	"invalid_client":         "the client is unknown or the secret is wrong: check " + settingClientID + " and " + settingSecret,
	"invalid_scope":          "the app lacks the scope: check " + settingScope + " and the app's scopes in the Developer Console, which take minutes to apply",
	"unauthorized_client":    "the app may not use a service account: check " + settingClientID + " and the app in the Developer Console",
	"unsupported_grant_type": "the endpoint does not know service accounts: check " + settingTokenURL,
}

// exchange asks the token endpoint. oauth2 writes the form; the answer is read
// by endpointReader, because oauth2 fails on forms of expires_in that are seen
// here and puts whole bodies into its errors. The last result asks for a repeat
// with a fresh assertion.
func (t *tokens) exchange(ctx context.Context, secret, assertion string) (token, *Error, bool) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.Timeout)
	defer cancel()
	began := t.cfg.Now()
	reader := &endpointReader{base: t.transport, agent: t.cfg.UserAgent}
	conf := clientcredentials.Config{
		ClientID:     t.cfg.ClientID,
		ClientSecret: secret,
		TokenURL:     t.cfg.TokenURL,
		Scopes:       strings.Fields(t.cfg.Scope),
		EndpointParams: url.Values{
			"grant_type": {grantType},
			"assertion":  {assertion},
		},
		AuthStyle: oauth2.AuthStyleInParams,
	}
	asked := time.Now()
	granted, err := conf.Token(context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: reader}))
	t.observeRequest(reader, err == nil, time.Since(asked))
	if reader.ans == nil {
		trouble, safe := describe(err)
		fail := temporary("the token endpoint gave no answer: " + trouble)
		fail.err = safe
		return token{}, fail, false
	}
	reader.ans.at = t.cfg.Now()
	for _, name := range []string{"access_token", "refresh_token"} {
		t.vault.hold(name, text(reader.values, name))
	}
	if err != nil {
		fail, again := t.refusal(reader)
		return token{}, fail, again
	}
	if !covers(text(reader.values, "scope"), t.cfg.Scope) {
		fail := misconfigured("the token was granted without the scope: check " + settingScope + " and the app's scopes in the Developer Console")
		fail.fill(reader.ans, &t.vault)
		return token{}, fail, false
	}
	life := lifeOf(reader.values["expires_in"])
	return token{
		value:   granted.AccessToken,
		renewAt: began.Add(renewalAfter(life)),
		expires: began.Add(life),
	}, nil, false
}

// refusal turns an answer without a usable token into an error, and tells
// whether a fresh assertion may help.
func (t *tokens) refusal(r *endpointReader) (*Error, bool) {
	code, _ := readErrorBody(r.ans.body)
	lasting, known := lastingCodes[code]
	var fail *Error
	again := false
	switch status := r.ans.status; {
	case known:
		fail = misconfigured(lasting)
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		fail = misconfigured("this is no token endpoint: check " + settingTokenURL)
	case code == "99", code == "invalid_grant", status/100 == 4 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout:
		again = true
		fail = misconfigured("the signed assertion was refused: check " + settingKey + ", " + settingAccount + " and " + settingClientID + t.drift(r.ans))
	default:
		fail = temporary("the token endpoint gave no token")
	}
	fail.fill(r.ans, &t.vault)
	return fail, again
}

// drift compares the answer's Date with our clock: a wrong one makes every
// assertion come from the future or the past.
func (t *tokens) drift(ans *answer) string {
	theirs, err := http.ParseTime(ans.header.Get("Date"))
	if err != nil {
		return ""
	}
	diff := ans.at.Sub(theirs).Round(time.Second)
	if diff.Abs() <= tolerableDrift {
		return ""
	}
	side := "ahead of"
	if diff < 0 {
		side = "behind"
	}
	return fmt.Sprintf("; this machine's clock is %v %s the partner's: set it right", diff.Abs(), side)
}

// endpointReader is the transport that oauth2 gets. It reads the answer itself
// and hands on only what oauth2 cannot misread: a token under 200, or 400. So
// redirects are not followed either.
type endpointReader struct {
	base  http.RoundTripper
	agent string

	reached bool    // there was a connection
	ans     *answer // nil: none came
	values  map[string]any
}

func (r *endpointReader) RoundTrip(req *http.Request) (*http.Response, error) {
	var secured handshake
	req = req.Clone(httptrace.WithClientTrace(secured.watch(req.Context()), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { r.reached = true }}))
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", r.agent)
	resp, err := r.base.RoundTrip(req)
	if err != nil {
		return nil, secured.mark(err)
	}
	body, err := readBody(resp.Body, maxErrorBody, resp.ContentLength)
	_ = resp.Body.Close()
	r.ans = &answer{status: resp.StatusCode, header: resp.Header, body: body, bodyErr: err}
	values, whole := members(body)
	r.values = values

	plain := map[string]string{"error": "no_token"}
	status := http.StatusBadRequest
	if value := text(values, "access_token"); whole && resp.StatusCode/100 == 2 && headerSafe(value) {
		plain, status = map[string]string{"access_token": value, "token_type": "Bearer"}, http.StatusOK
	}
	clean, err := json.Marshal(plain)
	if err != nil {
		return nil, fmt.Errorf("encode token answer: %w", err)
	}
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(clean)),
	}, nil
}

// covers tells whether the scope that was echoed holds each one that was asked
// for; no echo says nothing.
func covers(echoed, wanted string) bool {
	have := strings.FieldsFunc(echoed, func(r rune) bool { return r == ' ' || r == ',' })
	if len(have) == 0 {
		return true
	}
	set := make(map[string]bool, len(have))
	for _, s := range have {
		set[s] = true
	}
	for _, s := range strings.Fields(wanted) {
		if !set[s] {
			return false
		}
	}
	return true
}

// lifeOf reads expires_in: seconds as a string (as documented), a number, or
// either with a fraction.
func lifeOf(value any) time.Duration {
	var s string
	switch v := value.(type) {
	case string:
		s = strings.TrimSpace(v)
	case json.Number:
		s = v.String()
	}
	whole, _, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n <= 0 {
		return defaultLife
	}
	return time.Duration(min(n, int64(longestLife/time.Second))) * time.Second
}
