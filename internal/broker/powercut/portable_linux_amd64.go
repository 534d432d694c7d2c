package powercut

import "golang.org/x/sys/unix"

// older are calls that newer architectures no longer have.
func older(nr uint64, a [6]uint64) portableCall {
	switch nr {
	case unix.SYS_OPEN:
		return portableCall{kind: "open", dir: here, path: a[0], flags: 1}
	case unix.SYS_MKDIR:
		return portableCall{kind: "mkdir", dir: here, path: a[0]}
	case unix.SYS_UNLINK, unix.SYS_RMDIR:
		return portableCall{kind: "unlink", dir: here, path: a[0]}
	case unix.SYS_RENAME:
		return portableCall{kind: "rename", dir: here, path: a[0], toDir: here, to: a[1]}
	case unix.SYS_LINK:
		return portableCall{kind: "link", dir: here, path: a[0], toDir: here, to: a[1]}
	case unix.SYS_SYMLINK:
		return portableCall{kind: "link", dir: here, path: a[1]}
	case unix.SYS_DUP2:
		return portableCall{kind: "dup"}
	}
	return portableCall{}
}
