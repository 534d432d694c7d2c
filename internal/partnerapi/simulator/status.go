package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// addStatus reads what follows a status in a fault.
func (p *plan) addStatus(status int, rest string) error {
	p.blind = true
	switch {
	case slices.Contains([]int{301, 302, 303, 307, 308}, status):
		return p.addRedirect(status, rest)
	case slices.Contains([]int{201, 202, 204}, status) && rest == "":
		p.applied = true
		p.instead = func(*request) answer { return answer{status: status} }
		return nil
	case status < 400 || status > 599:
		return errStatus
	}
	rest, p.applied = strings.CutPrefix(rest, "-applied")
	var code, description string
	var form Form
	for i, word := range strings.Split(rest, ":") {
		name, value, hasValue := strings.Cut(word, "=")
		switch {
		case i == 0 && word != "":
			return errStatus
		case word == "":
		case hasValue:
			header, ok := map[string]string{
				"reset": "rateLimit-reset", "limit": "rateLimit-limit", "remaining": "rateLimit-remaining", "used": "rateLimit-used",
				"retry-after": "Retry-After",
			}[name]
			if !ok {
				return fmt.Errorf("there is no header %q: want reset, limit, remaining, used or retry-after", name)
			}
			p.bytes = append(p.bytes, func(a *answer) { a.header[header] = []string{value} })
		case word == "bare":
			p.bare = true
		case word == "api":
			code, description = "NOT_FOUND", "Api not exists"
		case Form(word).known():
			form = Form(word)
		default:
			code = word
		}
	}
	p.instead = func(*request) answer {
		if description != "" {
			return described(status, code, description, form)
		}
		return failure(status, code, form)
	}
	return nil
}

// addRedirect reads where a redirect leads: "-self", "-host=https://other.example" and so on.
func (p *plan) addRedirect(status int, rest string) error {
	kind, value, _ := strings.Cut(strings.TrimPrefix(rest, "-"), "=")
	other, err := url.Parse(value)
	if kind == "host" && (err != nil || other.Host == "") {
		return fmt.Errorf("redirect: %q: want it as in 307-host=https://other.example", value)
	}
	targets := map[string]func(url.URL) string{
		"self":     func(u url.URL) string { return u.String() },
		"none":     func(url.URL) string { return "" },
		"relative": func(u url.URL) string { return u.RequestURI() },
		"http":     func(u url.URL) string { u.Scheme = "http"; return u.String() },
		"strange":  func(u url.URL) string { u.Scheme, u.Host = "https", "redirect.example"; return u.String() },
		"userinfo": func(u url.URL) string { u.User = url.User("somebody"); return u.String() },
		"host":     func(u url.URL) string { u.Scheme, u.Host = other.Scheme, other.Host; return u.String() },
	}
	target, ok := targets[kind]
	if !ok {
		return errStatus
	}
	p.instead = func(r *request) answer {
		a := answer{status: status, header: http.Header{}}
		if to := target(absolute(r.Request)); to != "" {
			a.header["Location"] = []string{to}
		}
		return a
	}
	return nil
}
