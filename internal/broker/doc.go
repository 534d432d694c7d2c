// Package broker is the way to NATS: the connection, the embedded server, and the streams and consumers that the
// worker needs, with what to do where they differ from what they must be.
//
// It knows names, settings and permissions, and nothing of what the messages say: records belong to the ledger
// package, decisions to the activation package.
//
//	Connect, ConnectOnce   a connection that waits for NATS, or says at once what to do
//	StartEmbedded          a durable server in the worker's own process
//	Layout                 the streams and consumers, declared
//	Ensure                 what `worker run` does with them: create what is missing, refuse what would break
//	Plan, Apply            what `worker setup` does with them: name every difference, mend what can be mended
//	Rewind, Rebind         the two changes nobody makes by accident
//
// All functions are safe for concurrent use, also by several workers on one NATS.
package broker
