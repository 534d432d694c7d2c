package broker

import "errors"

// intakeTrouble is what [Ensure] found after the worker's own streams were found to be good.
type intakeTrouble struct{ err error }

func (e *intakeTrouble) Error() string { return "preparing the intake: " + e.err.Error() }
func (e *intakeTrouble) Unwrap() error { return e.err }

// Sound reports whether an error of [Ensure], or its absence, says that the worker's own streams are as they must be.
func Sound(err error) bool {
	return err == nil || errors.As(err, new(*intakeTrouble))
}

// Halts reports whether an error of [Ensure] says that a worker must not go on with its own streams as they are.
func Halts(err error) bool {
	if Sound(err) {
		return false
	}
	for _, one := range []any{new(*LostError), new(*LayoutError), new(*BindingError), new(*VersionError)} {
		if errors.As(err, one) {
			return true
		}
	}
	return false
}
