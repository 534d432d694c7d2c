//go:build linux && !amd64

package powercut

// older are calls that this architecture never had.
func older(uint64, [6]uint64) portableCall { return portableCall{} }
