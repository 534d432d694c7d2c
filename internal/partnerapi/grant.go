package partnerapi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	assertionBackdate = time.Minute      // the partner's clock may be behind ours
	assertionLife     = 15 * time.Minute // the partner takes up to an hour

	settingClientID    = "LINEWORKS_CLIENT_ID"
	settingSecret      = "LINEWORKS_CLIENT_SECRET"
	settingAccount     = "LINEWORKS_SERVICE_ACCOUNT"
	settingKey         = "LINEWORKS_PRIVATE_KEY"
	settingAccessToken = "LINEWORKS_ACCESS_TOKEN"
	settingScope       = "LINEWORKS_SCOPE"
)

// fetch reads the secrets and gets a token with them. An answer that may be about
// this one assertion (clock, a request that was mangled) gets a fresh one, once.
func (t *tokens) fetch(ctx context.Context) (token, *Error) {
	secrets, fail := t.readSecrets()
	if fail != nil {
		return token{}, fail
	}
	if secrets.AccessToken != "" {
		if !headerSafe(secrets.AccessToken) {
			return token{}, misconfigured(settingAccessToken + " holds characters that no token has: set it anew")
		}
		return token{value: secrets.AccessToken, fixed: true}, nil
	}
	if fail := t.missing(secrets); fail != nil {
		return token{}, fail
	}
	tok, fail, again := t.grant(ctx, secrets)
	if again {
		tok, fail, _ = t.grant(ctx, secrets)
	}
	return tok, fail
}

// grant signs an assertion and exchanges it. The last result asks for a repeat
// with a fresh one.
func (t *tokens) grant(ctx context.Context, secrets Secrets) (token, *Error, bool) {
	assertion, fail := t.sign(secrets.PrivateKey)
	if fail != nil {
		return token{}, fail, false
	}
	t.vault.hold("assertion", assertion)
	to, err := url.Parse(t.cfg.TokenURL)
	if err != nil { // it was checked
		return token{}, misconfigured(settingTokenURL + " is no URL"), false
	}
	ctx, span := t.cfg.span(ctx, OpToken, http.MethodPost, to, 0)
	tok, fail, again := t.exchange(ctx, secrets.ClientSecret, assertion)
	endSpan(span, nil, fail)
	return tok, fail, again
}

func (t *tokens) readSecrets() (Secrets, *Error) {
	s, err := t.cfg.Secrets()
	if err != nil {
		// Of the cause only a path is shown: nothing else is known to hold no secret.
		trouble := fmt.Sprintf("%s, %s or %s cannot be read", settingKey, settingSecret, settingAccessToken)
		if file, ok := errors.AsType[*fs.PathError](err); ok {
			trouble += fmt.Sprintf(": %s: %v", file.Path, file.Err)
		}
		return Secrets{}, misconfigured(trouble)
	}
	s.ClientSecret = strings.TrimSpace(s.ClientSecret)
	s.AccessToken = strings.TrimSpace(s.AccessToken)
	s.PrivateKey = unfold(s.PrivateKey)
	t.vault.hold("client_secret", s.ClientSecret)
	t.vault.hold("access_token", s.AccessToken)
	t.vault.hold("private_key", strings.Join(strings.Fields(s.PrivateKey), ""))
	return s, nil
}

func (t *tokens) missing(s Secrets) *Error {
	var names []string
	for _, want := range []struct{ setting, value string }{
		{settingClientID, t.cfg.ClientID},
		{settingSecret, s.ClientSecret},
		{settingAccount, t.cfg.ServiceAccount},
		{settingKey, s.PrivateKey},
	} {
		if want.value == "" {
			names = append(names, want.setting)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return misconfigured("not set: " + strings.Join(names, ", "))
}

// sign makes the assertion that stands for the service account (page
// "auth-jwt"). Times are whole seconds: the partner refuses strings.
func (t *tokens) sign(pem string) (string, *Error) {
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(pem))
	if err != nil {
		return "", misconfigured(settingKey + " is no RSA key in PEM without a passphrase: paste the file of the Developer Console")
	}
	issued := t.cfg.Now().Add(-assertionBackdate)
	assertion, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": t.cfg.ClientID,
		"sub": t.cfg.ServiceAccount,
		"iat": issued.Unix(),
		"exp": issued.Add(assertionLife).Unix(),
	}).SignedString(key)
	if err != nil {
		return "", misconfigured(settingKey + " cannot sign: make a new key in the Developer Console")
	}
	return assertion, nil
}

// unfold turns literal \n, as they stand in environment variables, into line ends.
func unfold(pem string) string {
	return strings.TrimSpace(strings.NewReplacer(`\r`, "", `\n`, "\n").Replace(pem))
}

// headerSafe tells whether s can follow "Bearer " as it is.
func headerSafe(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// temporary is token trouble that passes by itself.
func temporary(trouble string) *Error {
	return &Error{Op: OpToken, Kind: Token, RetryAfter: -1, Trouble: trouble}
}

// misconfigured is token trouble that lasts until somebody changes something.
func misconfigured(trouble string) *Error {
	e := temporary(trouble)
	e.Credentials = true
	return e
}
