// Package config reads the worker's settings: flags over environment over file over defaults.
//
// One table, see table.go, names every setting with its default, its kind and its meaning. Flags, the names taken from
// the environment and from the file, the print-out of the effective values and the table of docs/configuration.md all come from it, so
// a setting is added in one place.
//
//	flags        --lease 90s            the variable in lower case, dashes, without WORKER_
//	environment  WORKER_LEASE=90s       an empty value counts as unset
//	file         worker_lease: 90s      --config worker.yaml; case does not matter, an empty value counts as unset
//	defaults     60s
//
// A flag that is given empty (--nats-url=) means the default, whatever environment and file say.
//
// Names that are not settings are faults: all of them in the file, and in the environment those that begin with
// WORKER_ or LINEWORKS_. All faults are gathered and returned at once as [Faults]. Secrets have no flag, since
// everybody on the machine can read a process list; each can come from a file instead, named by the setting with
// _FILE appended, which is read again at every use. No secret is ever part of a fault, a warning or a print-out.
//
// The package decides nothing about what the settings do, opens no connection and starts nothing.
package config
