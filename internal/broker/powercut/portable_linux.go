package powercut

import "golang.org/x/sys/unix"

// portableCall says where a call's arguments stand.
type portableCall struct {
	kind               string // "": of no interest
	dir, path          uint64
	toDir, to          uint64
	flags, out         int // index of the argument
	vector, positioned bool
}

// here is the directory of calls that take none.
const here = ^uint64(99) // AT_FDCWD

// portable is the call in one form for all architectures. Calls that would change files unseen are named too, so that
// the recording can refuse to vouch for its trace.
func portable(nr uint64, a [6]uint64) portableCall {
	switch nr {
	case unix.SYS_OPENAT:
		return portableCall{kind: "open", dir: a[0], path: a[1], flags: 2}
	case unix.SYS_MKDIRAT:
		return portableCall{kind: "mkdir", dir: a[0], path: a[1]}
	case unix.SYS_UNLINKAT:
		return portableCall{kind: "unlink", dir: a[0], path: a[1]}
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		return portableCall{kind: "rename", dir: a[0], path: a[1], toDir: a[2], to: a[3]}
	case unix.SYS_LINKAT:
		return portableCall{kind: "link", dir: a[0], path: a[1], toDir: a[2], to: a[3]}
	case unix.SYS_SYMLINKAT:
		return portableCall{kind: "link", dir: a[1], path: a[2]}
	case unix.SYS_TRUNCATE:
		return portableCall{kind: "truncate", dir: here, path: a[0]}
	case unix.SYS_CLOSE:
		return portableCall{kind: "close"}
	case unix.SYS_WRITE:
		return portableCall{kind: "write"}
	case unix.SYS_PWRITE64:
		return portableCall{kind: "write", positioned: true}
	case unix.SYS_WRITEV:
		return portableCall{kind: "write", vector: true}
	case unix.SYS_PWRITEV:
		return portableCall{kind: "write", vector: true, positioned: true}
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC:
		return portableCall{kind: "sync"}
	case unix.SYS_FTRUNCATE:
		return portableCall{kind: "cut"}
	case unix.SYS_FALLOCATE:
		return portableCall{kind: "allocate"}
	case unix.SYS_DUP, unix.SYS_DUP3:
		return portableCall{kind: "dup"}
	case unix.SYS_FCNTL:
		if a[1] == unix.F_DUPFD || a[1] == unix.F_DUPFD_CLOEXEC {
			return portableCall{kind: "dup"}
		}
		return portableCall{}
	case unix.SYS_SENDFILE:
		return portableCall{kind: "sendfile", out: 0}
	case unix.SYS_COPY_FILE_RANGE, unix.SYS_SPLICE:
		return portableCall{kind: "copy", out: 2}
	case unix.SYS_PWRITEV2:
		return portableCall{kind: "write beyond sync flags"}
	case unix.SYS_MMAP:
		return portableCall{kind: "map"}
	case unix.SYS_IO_URING_SETUP:
		return portableCall{kind: "ring"}
	}
	return older(nr, a)
}
