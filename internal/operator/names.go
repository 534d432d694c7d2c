package operator

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"

	"activation-worker/internal/events"
)

// Names reports whether a rejected original names a customer: as a number or a text of its
// own anywhere in its data, also in the encoded data of a CloudEvent, or in a header. Where
// that cannot be told, because only the beginning was kept, untold is true.
func Names(o events.Original, domainID int64) (names, untold bool) {
	digits := strconv.FormatInt(domainID, 10)
	for _, values := range o.Headers {
		for _, value := range values {
			names = names || hasPart(value, digits)
		}
	}
	data, err := base64.StdEncoding.DecodeString(o.DataBase64)
	names = names || err == nil && dataNames(data, digits, domainID, true)
	return names, !names && (err != nil || len(data) < o.Size)
}

// dataNames looks for the id among the values of a JSON document; in what is none, for its digits.
func dataNames(data []byte, digits string, domainID int64, encoded bool) bool {
	if !json.Valid(data) {
		return hasNumber(data, digits)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if err != nil {
			return false
		}
		switch v := token.(type) {
		case json.Number:
			if isNumber(v.String(), digits, domainID) {
				return true
			}
		case string:
			if hasPart(v, digits) {
				return true
			}
			if inner, err := base64.StdEncoding.DecodeString(v); encoded && err == nil && len(inner) >= len(digits) && dataNames(inner, digits, domainID, false) {
				return true
			}
		}
	}
}

// hasPart finds the id as a text, or as one part of a path such as customers/51200931.
func hasPart(text, digits string) bool {
	for part := range strings.FieldsFuncSeq(text, func(c rune) bool { return c == '/' || c == ':' || c == ' ' }) {
		if strings.TrimLeft(part, "+0") == digits {
			return true
		}
	}
	return false
}

// isNumber compares a number as it is written with an id, also where it is not written as it should be.
func isNumber(text, digits string, domainID int64) bool {
	whole, fraction, _ := strings.Cut(text, ".")
	if strings.TrimLeft(whole, "+0") == digits {
		return strings.Trim(fraction, "0") == ""
	}
	f, err := strconv.ParseFloat(text, 64)
	return err == nil && domainID < 1<<53 && f == float64(domainID)
}

// hasNumber finds a whole number in data.
func hasNumber(data []byte, digits string) bool {
	for at := 0; ; {
		i := bytes.Index(data[at:], []byte(digits))
		if i < 0 {
			return false
		}
		start, end := at+i, at+i+len(digits)
		if (start == 0 || !isDigit(data[start-1])) && (end == len(data) || !isDigit(data[end])) {
			return true
		}
		at = start + 1
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
