package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// WithoutCustomer is an event as it is stored, on one line, without the partner's object in its data, which holds personal
// data. Nothing else is changed: neither the order of members nor the digits of numbers.
func WithoutCustomer(event []byte) ([]byte, error) {
	var line bytes.Buffer
	if err := json.Compact(&line, event); err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	var failed error
	out, err := editMembers(line.Bytes(), func(name string, value json.RawMessage) (json.RawMessage, bool) {
		if name != "data" || len(value) == 0 || value[0] != '{' {
			return value, true
		}
		data, err := editMembers(value, func(name string, value json.RawMessage) (json.RawMessage, bool) {
			return value, name != "customer"
		})
		failed = errors.Join(failed, err)
		return data, true
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	return out, nil
}

// editMembers writes an object anew with what edit makes of its members; false leaves one out.
func editMembers(object []byte, edit func(name string, value json.RawMessage) (json.RawMessage, bool)) ([]byte, error) {
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
		value, keep := edit(name, value)
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
