// Package census knows at any moment how many customers there are in each state, and for which reason: a read model that
// follows the ledger's stream. It reads names and headers, never what a record says, and keeps of each customer
// some ten bytes. It only reads: the streams belong to the broker package, the records to the ledger package.
//
// The state stands in the subject, the reason in a header. As the stream is read in its order, what comes last of a customer is
// the newest. A record whose reason no header names (older workers wrote them so) is read once, when it is clear
// that it is a newest one.
//
//	Census.Run      attach ─► read, paced ─► all is counted: Counts are known ─► each record as it is stored
//	                  ▲            │                                               │
//	                  └────────────┴── consumer lost, message missed: goes on behind the last one counted;
//	                                   another stream, an older state of it, something purged: from the first on
//
// Each worker counts for itself, by a consumer that goes with it, so that any replica can tell and none has to be asked.
package census
