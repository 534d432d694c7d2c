package console

import "reflect"

// filled is a copy in which no slice is nil: who reads JSON wants a list without entries, not null. What it is a copy of may
// be shared.
func filled(body any) any { return fill(reflect.ValueOf(body)).Interface() }

func fill(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		to := reflect.New(v.Type().Elem())
		to.Elem().Set(fill(v.Elem()))
		return to
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 { // bytes are JSON already, which is nothing rather than empty
			return v
		}
		to := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			to.Index(i).Set(fill(v.Index(i)))
		}
		return to
	case reflect.Struct:
		to := reflect.New(v.Type()).Elem()
		to.Set(v)
		for field, value := range v.Fields() {
			if field.IsExported() { // others, such as a time's, are not ours
				to.FieldByIndex(field.Index).Set(fill(value))
			}
		}
		return to
	default:
		return v
	}
}
