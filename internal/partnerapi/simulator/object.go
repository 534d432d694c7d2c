package simulator

import (
	"bytes"
	"encoding/json"
	"slices"
)

// field is a member of an object. Its value is an object, a json.RawMessage that goes out as it is, or anything that encodes.
type field struct {
	name  string
	value any
}

// object is a JSON object that keeps its order, may repeat names and may hold values that Go's encoder would not write: what a
// partner that misbehaves sends.
type object []field

// with returns a copy in which name has the value, in its old place or at the end.
func (o object) with(name string, value any) object {
	o = slices.Clone(o)
	for i := range o {
		if o[i].name == name {
			o[i].value = value
			return o
		}
	}
	return append(o, field{name, value})
}

// without returns a copy that lacks the names.
func (o object) without(names ...string) object {
	return slices.DeleteFunc(slices.Clone(o), func(f field) bool { return slices.Contains(names, f.name) })
}

// nested returns a copy in which the object under name went through change; anything else there is left alone.
func (o object) nested(name string, change func(object) object) object {
	for _, f := range o {
		if inner, ok := f.value.(object); ok && f.name == name {
			return o.with(name, change(inner))
		}
	}
	return o
}

// encode appends the object as JSON, with < > & as they are.
func (o object) encode(to []byte) []byte {
	to = append(to, '{')
	for i, f := range o {
		if i > 0 {
			to = append(to, ',')
		}
		to = append(encodeValue(to, f.name), ':')
		to = encodeValue(to, f.value)
	}
	return append(to, '}')
}

func encodeValue(to []byte, value any) []byte {
	switch v := value.(type) {
	case object:
		return v.encode(to)
	case []object:
		to = append(to, '[')
		for i, o := range v {
			if i > 0 {
				to = append(to, ',')
			}
			to = o.encode(to)
		}
		return append(to, ']')
	case json.RawMessage:
		return append(to, v...)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil { // strings, numbers, booleans and nil always encode
		return append(to, "null"...)
	}
	return append(to, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}
