// Package census is the one read model of the ledger, for the metrics and the console: how many customers there are in each state and for which
// reason, who they are, page by page, how many became active when and how long that took, what was recorded last, and which workers there are. It
// follows the ledger's stream, reads names and headers, never what a record says, and keeps of each customer some thirteen bytes; all else
// is counters and rings of a fixed size. It only reads: the streams belong to the broker package, the records to the ledger package.
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
// Each worker counts for itself, by a consumer that goes with it, so that any replica can tell and none has to be asked. What they say is the
// same, whoever began when, but for what is no longer in the ledger: the records of customers who were forgotten, and of each customer, as of
// the intake, all but the newest of one subject. Who was there all along counts an activation of the past among those, who begins later does not.
package census
