package partnerapi

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const (
	maxPartnerText = 200 // bytes
	mask           = "***"

	// window is how many bytes in a row a text must share with a secret to be
	// masked: parts count, since gateways shorten what they repeat.
	window = 12
	// shortest is the length below which a secret is none: masking it would
	// only shred the text. An encoded form of one needs more to stand out.
	shortest        = 4
	shortestEncoded = 8
	// generations is how many values of each kind stay known. Answers to requests
	// with an older token may still come in.
	generations = 4
)

var (
	mailAddress = regexp.MustCompile(`[\p{L}\p{M}\p{N}._%+'-]+(?:[@＠]|%40|&#64;|\\u0040)[\p{L}\p{M}\p{N}.-]+`)
	digitRun    = regexp.MustCompile(`\p{Nd}{3,}`)
)

// vault knows every secret in use, so that it can be cut out of what the partner
// writes. It is safe for concurrent use.
type vault struct {
	mu      sync.Mutex
	held    map[string][]string // kind → values, newest first
	windows map[string]struct{} // every run of window bytes of the longer forms; nil: to be made
	short   []string            // the shorter forms, whole, longest first
}

// hold adds a value of a kind, forgetting the oldest of that kind.
func (v *vault) hold(kind, value string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(value) < shortest || slices.Contains(v.held[kind], value) {
		return
	}
	if v.held == nil {
		v.held = make(map[string][]string)
	}
	values := append([]string{value}, v.held[kind]...)
	v.held[kind] = values[:min(len(values), generations)]
	v.windows, v.short = nil, nil
}

// prepare makes windows and short of what is held, when they are needed: texts to
// be masked are rarer than tokens in a long outage of the token endpoint. The lock is held.
func (v *vault) prepare() {
	if v.windows != nil {
		return
	}
	v.windows = make(map[string]struct{})
	for _, values := range v.held {
		for _, s := range values {
			for i, form := range formsOf(s) {
				if i > 0 && len(form) < shortestEncoded {
					continue
				}
				if len(form) < window {
					v.short = append(v.short, form)
				}
				for i := 0; i+window <= len(form); i++ {
					v.windows[form[i:i+window]] = struct{}{}
				}
			}
		}
	}
	slices.SortFunc(v.short, func(a, b string) int { return len(b) - len(a) })
}

// escapes are how gateways and libraries write the characters in which tokens and keys are not plain.
var escapes = []func(string) string{
	url.QueryEscape,
	url.PathEscape,
	func(s string) string { return lowerEscapes.ReplaceAllStringFunc(url.QueryEscape(s), strings.ToLower) },
	func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
	strings.NewReplacer("/", `\/`).Replace,
	strings.NewReplacer("=", `\u003d`, "&", `\u0026`, "<", `\u003c`, ">", `\u003e`, "+", `\u002b`).Replace,
	strings.NewReplacer("=", "&#61;", "&", "&amp;", "<", "&lt;", ">", "&gt;", "+", "&#43;").Replace,
	strings.NewReplacer("=", "&#x3D;", "&", "&amp;", "<", "&lt;", ">", "&gt;", "+", "&#x2B;", "/", "&#x2F;").Replace,
}

var lowerEscapes = regexp.MustCompile(`%[0-9A-F]{2}`)

// formsOf returns a secret as it is, then as it looks when it was escaped or encoded
// by whoever repeats it. In base64 it has three forms, by what stands before it.
func formsOf(s string) []string {
	forms := []string{s}
	add := func(form string) {
		if !slices.Contains(forms, form) {
			forms = append(forms, form)
		}
	}
	for _, escape := range escapes {
		add(escape(s))
	}
	for skip := range 3 {
		rest := []byte(s[skip:])
		rest = rest[:len(rest)/3*3] // what follows changes the last character otherwise
		add(base64.StdEncoding.EncodeToString(rest))
		add(base64.URLEncoding.EncodeToString(rest))
	}
	return forms
}

// cut masks what text shares with the secrets.
func (v *vault) cut(text string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.prepare()
	var b strings.Builder
	end, masked := 0, false // text[:end] is done with, and ended masked
	for i := 0; i+window <= len(text); i++ {
		if _, ok := v.windows[text[i:i+window]]; !ok {
			continue
		}
		if !masked || i > end {
			b.WriteString(text[end:i] + mask)
		}
		end, masked = i+window, true
	}
	b.WriteString(text[end:])
	out := b.String()
	for _, s := range v.short {
		out = strings.ReplaceAll(out, s, mask)
	}
	return out
}

// token returns s, or "" if it holds a part of a secret: for codes and ids,
// which are of no use when masked.
func (v *vault) token(s string) string {
	if v.cut(s) != s {
		return ""
	}
	return s
}

// partnerText makes the partner's words fit to be recorded: secrets, e-mail
// addresses and runs of three digits or more masked, one line, at most 200
// bytes. Invisible characters go first, or they would hide what is to be masked.
func (v *vault) partnerText(raw string) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf):
			return -1
		}
		return r
	}, strings.ToValidUTF8(raw, "\uFFFD"))
	s = strings.ToValidUTF8(v.cut(s), "\uFFFD")
	s = mailAddress.ReplaceAllString(s, mask)
	s = digitRun.ReplaceAllString(s, mask)
	return cutRunes(strings.TrimSpace(s), maxPartnerText)
}

// cutRunes returns the longest beginning of s that has at most limit bytes and
// does not split a rune.
func cutRunes(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
