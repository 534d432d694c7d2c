// Command chaos runs the product as a fleet would and strikes at everything it stands on, then asks whether anything is lost.
//
// It starts real processes: three workers, three nats-server nodes as a cluster with replicated streams, and toxiproxy between
// every worker and node, between the nodes, and between every worker and the partner, whose simulator (in this process)
// answers one request in four with a fault. Then it announces customers, and carries out a plan of blows: kills,
// freezes, cuts, slow and broken connections, restarts, upgrades and rollbacks, each worker with a clock of its own.
// At the end everything is cured, every customer must reach the outcome that is meant for it, and an audit reads the whole ledger
// and the partner's journal.
//
//	make chaos CHAOS='-customers 250 -kills 12 -seed 1'
//	make chaos CHAOS='-seed 7 -plan'      what such a run would do
//
// The plan is drawn from the seed before anything starts: when, what, whom, for how long. Which instruction a blow hits is up to
// real time. Exit status: 0 nothing was lost, 1 something was, the blows had no effect or the run itself failed, 2 wrong usage,
// 130 interrupted. What is needed to look closer (logs, plan, journal, report) is kept in the directory that it names then, else
// removed.
//
// It is no part of the product, and linked into nothing.
package main
