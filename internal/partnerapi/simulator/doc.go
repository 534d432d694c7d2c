// Package simulator stands in for the LINE WORKS partner: the part of its API around activating a customer's domain, and its
// token endpoint, as one [net/http.Handler].
//
// It is an independent reading of docs/partner-api.md and shares no code with the client that is tested against it. It keeps to the
// documented behaviour, offers every answer that the documents leave open on a switch ([Switches]), and can be told to
// misbehave: in order for one customer ([Simulator.Script]) or at a rate ([Simulator.SetMix]). Which request of a mix meets which
// [Fault] depends on the seed, the customer, the operation and how many such requests came before, and so not on the
// interleaving of concurrent requests: a run repeats.
//
// A request passes through these steps, each in a file of its own:
//
//	routes.go    which operation is meant, or 404, 405
//	token.go     is the bearer token good, has it the scope
//	quota.go     240 a minute for each operation, 5 at once
//	script.go    is a fault due
//	operations.go  the operation itself, customers.go its data
//	data.go, body.go, wire.go  what the fault does to object, bytes and connection
//	journal.go   what came and what became of it, for tests to assert on
//
// Beside it, dns.go stands in for the public DNS: [Simulator.ListenDNS] shows the ownership records of those whose DNS is done, or
// what else they published by mistake. The partner's own view is [Customer.DNS], so that the two may differ.
//
// Not simulated, answered as an unknown path: deleting customers, potential customers, subscriptions, usage and options.
package simulator
