// Package powercut shows what a power cut leaves of a directory. It watches the system calls of a real, unchanged
// process and rebuilds, for any moment, the files as a disk may hold them that has lost what was not synced. It is for
// tests only and not linked into the worker; Linux only.
//
//	Record     runs a command under ptrace and keeps what it does to one directory, in order, as a Trace
//	Trace      writes, syncs, new and removed names, and what was sent over sockets (so: what was acknowledged)
//	Model      what a disk and its file system lose, from kind to harsh
//	Restore    writes the directory as it is after a cut at a moment, under a model
//
// A write counts as on the disk when a sync of its file began after it had ended, and ended before the cut; a name
// when a sync of its directory did. Nothing is known here of the server whose files they are.
package powercut
