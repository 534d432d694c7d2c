package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// WithoutCustomer is an event as it is stored, on one line, without the partner's object in its data, which holds personal
// data. Nothing else is changed: neither the order of members nor the digits of numbers.
func WithoutCustomer(event []byte) ([]byte, error) {
	return editData(event, func(data []byte) ([]byte, error) {
		return editMembers(data, func(name string, value json.RawMessage) (json.RawMessage, bool, error) {
			return value, name != "customer", nil
		})
	})
}

// Impersonal is [WithoutCustomer] for who is not known: also without what the partner has written about a cause, and without who
// asked for a customer to be cancelled or forgotten, and why.
func Impersonal(event []byte) ([]byte, error) {
	var is struct {
		Data struct {
			Reason Reason `json:"reason"`
		} `json:"data"`
	}
	_ = json.Unmarshal(event, &is) // what is wrong with it is told below
	hidden := []string{"partnertext"}
	if is.Data.Reason == Cancelled {
		hidden = append(hidden, "description") // made of by and why
	}
	return editData(event, func(data []byte) ([]byte, error) {
		return editMembers(data, func(name string, value json.RawMessage) (json.RawMessage, bool, error) {
			switch strings.ToLower(name) { // a reader of JSON may take them in any case
			case "customer", "by", "why":
				return nil, false, nil
			case "cause":
				return withoutMembers(value, hidden)
			}
			return value, true, nil
		})
	})
}

// withoutMembers leaves some out, whose names are in lower case here.
func withoutMembers(object json.RawMessage, hidden []string) (json.RawMessage, bool, error) {
	if len(object) == 0 || object[0] != '{' {
		return object, true, nil
	}
	object, err := editMembers(object, func(name string, value json.RawMessage) (json.RawMessage, bool, error) {
		return value, !slices.Contains(hidden, strings.ToLower(name)), nil
	})
	return object, true, err
}

// editData writes an event anew, on one line, with what edit makes of its data.
func editData(event []byte, edit func(data []byte) ([]byte, error)) ([]byte, error) {
	var line bytes.Buffer
	if err := json.Compact(&line, event); err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	out, err := editMembers(line.Bytes(), func(name string, value json.RawMessage) (json.RawMessage, bool, error) {
		if name != "data" || len(value) == 0 || value[0] != '{' {
			return value, true, nil
		}
		data, err := edit(value)
		return data, true, err
	})
	if err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	return out, nil
}

// editMembers writes an object anew with what edit makes of its members; false leaves one out.
func editMembers(object []byte, edit func(name string, value json.RawMessage) (json.RawMessage, bool, error)) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(object))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return nil, errors.Join(errors.New("it is no JSON object"), err)
	}
	out := []byte{'{'}
	for dec.More() {
		before := dec.InputOffset()
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		written := bytes.TrimLeft(object[before:dec.InputOffset()], ", \t\r\n")
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		name, _ := key.(string)
		value, keep, err := edit(name, value)
		if err != nil {
			return nil, err
		}
		if !keep {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, written...), ':'), value...)
	}
	return append(out, '}'), nil
}
