package config

import (
	"errors"
	"strings"
	"time"
	"unicode"
)

const (
	// streamLimit leaves room for the suffixes of the worker's other streams; the server takes 255 bytes.
	streamLimit = 200

	// identityLimit keeps event ids short.
	identityLimit = 64
)

// streamName is a name as the server takes it for a stream or a JetStream domain.
func streamName() kind[string] {
	return kind[string]{"name", func(s string) (string, error) {
		if len(s) > streamLimit || strings.ContainsFunc(s, notInName) {
			return "", complain(s, "a valid name", "at most 200 bytes without blanks and any of . * > / \\")
		}
		return s, nil
	}}
}

func notInName(r rune) bool {
	return strings.ContainsRune(`.*>/\`, r) || unicode.IsSpace(r) || !unicode.IsPrint(r)
}

// subject is a NATS subject without wildcards.
func subject() kind[string] {
	return kind[string]{"subject", func(s string) (string, error) {
		if !isFilter(s) || hasWildcard(s) {
			return "", complain(s, "a subject", "something like a.b.c without wildcards")
		}
		return s, nil
	}}
}

// filter is a NATS subject that may hold wildcards. Which ones go together with the other settings: [checkIntake].
func filter() kind[string] {
	return kind[string]{"subject", func(s string) (string, error) {
		if !isFilter(s) {
			return "", complain(s, "a subject", "something like a.b.c, a.*.c or a.>")
		}
		return s, nil
	}}
}

func isFilter(s string) bool {
	tokens := strings.Split(s, ".")
	for i, t := range tokens {
		if t == "" || strings.ContainsFunc(t, unicode.IsSpace) {
			return false
		}
		if t == ">" && i < len(tokens)-1 {
			return false
		}
		if len(t) > 1 && strings.ContainsAny(t, "*>") { // the server takes these literally, nobody means that
			return false
		}
	}
	return true
}

func hasWildcard(s string) bool { return strings.ContainsAny(s, "*>") }

// pointer is a JSON pointer (RFC 6901) to something inside the document.
func pointer() kind[string] {
	return kind[string]{"pointer", func(s string) (string, error) {
		unescaped := strings.NewReplacer("~0", "", "~1", "").Replace(s)
		if !strings.HasPrefix(s, "/") || strings.Contains(unescaped, "~") {
			return "", complain(s, "a JSON pointer", "something like /domainId or /customer/id")
		}
		return s, nil
	}}
}

// identity is what names a worker.
func identity() kind[string] {
	return kind[string]{"name", func(s string) (string, error) {
		if len(s) > identityLimit || strings.ContainsFunc(s, notInIdentity) {
			return "", complain(s, "a valid name", "at most 64 of A-Z a-z 0-9 . _ -")
		}
		return s, nil
	}}
}

func notInIdentity(r rune) bool {
	return r > unicode.MaxASCII || !(unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._-", r))
}

// account is a service account. Its errors do not show the value: it names somebody.
func account() kind[string] {
	return kind[string]{"account", func(s string) (string, error) {
		name, tenant, _ := strings.Cut(s, "@")
		if name == "" || tenant == "" || strings.ContainsFunc(s, unicode.IsSpace) || strings.Contains(tenant, "@") {
			return "", errors.New("is not a service account; wanted something like name.serviceaccount@tenant")
		}
		return s, nil
	}}
}

func intakeFrom() kind[IntakeFrom] {
	return kind[IntakeFrom]{"start", func(s string) (IntakeFrom, error) {
		if s == FromAll || s == FromNew {
			return IntakeFrom{Policy: s}, nil
		}
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return IntakeFrom{}, complain(s, "a place to start", "all, new or a time like 2026-01-31T09:00:00Z")
		}
		return IntakeFrom{Policy: FromSince, Since: at}, nil
	}}
}
