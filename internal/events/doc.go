// Package events is the product's vocabulary: subjects, event types, states and
// reasons, the state record of a customer, and how each is written and read as a
// CloudEvent. It does no I/O and decides nothing; what follows from a record is
// for package activation, storing it for package ledger.
package events
