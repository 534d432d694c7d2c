// Package operator is what operators see and ask for: a customer's state in words, how the events of the ledger read, and
// a look at everything that a worker depends on.
//
//	explain.go   a record in words
//	sentences.go the words: one table for each language
//	proof.go     ownership records as a customer can copy them, and what was seen of them
//	doctor.go    the checks of worker doctor, in their order
package operator
