package partnerapi

import (
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
	// only shred the text.
	shortest = 4
	// generations is how many values of each kind stay known. Answers to requests
	// with an older token may still come in.
	generations = 4
)

var (
	mailAddress = regexp.MustCompile(`[\p{L}\p{M}\p{N}._%+'-]+[@＠][\p{L}\p{M}\p{N}.-]+`)
	digitRun    = regexp.MustCompile(`\p{Nd}{3,}`)
)

// vault knows every secret in use, so that it can be cut out of what the partner
// writes. It is safe for concurrent use.
type vault struct {
	mu      sync.Mutex
	held    map[string][]string // kind → values, newest first
	windows map[string]struct{} // every run of window bytes of the longer ones
	short   []string            // the shorter ones, whole
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
	v.windows, v.short = make(map[string]struct{}), nil
	for _, values := range v.held {
		for _, s := range values {
			if len(s) < window {
				v.short = append(v.short, s)
			}
			for _, form := range []string{s, url.QueryEscape(s)} {
				for i := 0; i+window <= len(form); i++ {
					v.windows[form[i:i+window]] = struct{}{}
				}
			}
		}
	}
}

// cut masks what text shares with the secrets.
func (v *vault) cut(text string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
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
