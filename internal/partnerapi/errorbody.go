package partnerapi

import (
	"encoding/json"
	"regexp"
)

// The partner's error bodies come in families: the API's {code, description},
// the token endpoint's {error, error_description} and {returnCode,
// returnMessage}, the older gateway's {errorMessage, errorCode, code} and
// {code, message}. In each list the first that says something counts.
var (
	codeMembers = []string{"code", "error", "returnCode", "errorCode"}
	textMembers = []string{"description", "error_description", "message", "errorMessage", "returnMessage"}
)

var codePattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// readErrorBody returns what an error body says, or empty strings. It may be
// missing, HTML, or cut off; what was read up to there counts, and no more than
// 64 KiB are looked at. The text is raw.
func readErrorBody(body []byte) (code, raw string) {
	values, _ := members(body[:min(len(body), maxErrorBody)])
	for _, name := range codeMembers {
		if code == "" {
			code = codeOf(values[name])
		}
	}
	for _, name := range textMembers {
		if raw == "" {
			raw = text(values, name)
		}
	}
	return code, raw
}

// codeOf returns a string or number that looks like a code, else "".
func codeOf(value any) string {
	var s string
	switch v := value.(type) {
	case string:
		s = v
	case json.Number:
		s = v.String()
	}
	if !codePattern.MatchString(s) {
		return ""
	}
	return s
}
