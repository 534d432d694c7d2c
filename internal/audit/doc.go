// Package audit checks a whole ledger against what the product promises: it reads every record that is kept of every
// customer, and what stands beside the ledger (the intake, timers, rejections, the publish stream), and where the caller has
// it also what the partner saw. It changes nothing, and says of each breach which rule was broken, where, and what that means.
//
// It does not believe the code that wrote the records: what may follow on what is written down here once more, as the
// contract says it. Of each customer it holds a hundred bytes, so that a million fit.
//
// Work goes on while it reads. The ledger is read up to the sequence that it had in the beginning; what looks wrong in
// that is read again from the stream's leader, all of one customer at a time, and only what is wrong then is a breach.
//
// History is bounded: the newest 16 records of a customer in each state are kept. A record whose predecessor is gone is in
// order where 16 newer ones in some state explain that; rules about both are then not checked.
//
// It does not see what left no trace: records of a customer all of whose records are gone and whose announcement is not kept, the
// newest records lost with a power cut or a restore as long as no announcement tells of them, a record that is false and fits, and,
// without calls, what the partner was asked. After a ledger was accepted in place of another, what came before is not judged.
package audit
