//go:build !faults

package events

// recordVersion is the major version of the state records that this binary writes, and the highest that it reads.
const recordVersion = 1
