package broker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrLocked says that another process holds a data directory.
var ErrLocked = errors.New("the data directory is in use")

// FreeDisk is how many bytes an ordinary user may still write in the file system of dir.
func FreeDisk(dir string) (uint64, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return 0, fmt.Errorf("reading the free disk space of %s: %w", dir, err)
	}
	return uint64(disk.Bavail) * uint64(disk.Bsize), nil //nolint:unconvert // other types on other systems
}

// size is how many bytes are in the files below dir.
func size(dir string) (bytes uint64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		bytes += uint64(info.Size())
		return nil
	})
	return bytes, err
}

// lockDir takes the exclusive lock of a data directory: two servers on one directory start without complaint and both
// accept the first write of one customer. The lock ends with the process, also when it is killed.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the data directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer func() { _ = f.Close() }() // nothing was written
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: another worker%s uses %s; stop it, or set WORKER_DATA_DIR to another directory", ErrLocked, holder(f), dir)
		}
		return nil, fmt.Errorf("locking the data directory %s: %w; WORKER_DATA_DIR wants a local file system", dir, err)
	}
	if err := writeHolder(f); err != nil {
		return nil, errors.Join(fmt.Errorf("writing the lock of the data directory %s: %w", dir, err), f.Close())
	}
	return f, nil
}

// unlockDir gives the lock free, also where a process that is just being started still holds a copy of the file.
func unlockDir(f *os.File) {
	_ = unix.Flock(int(f.Fd()), unix.LOCK_UN)
	_ = f.Close() // the lock is free whatever this says
}

// writeHolder leaves our process id for whoever finds the directory locked.
func writeHolder(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// holder names the process that holds the lock, if it has written its id yet.
func holder(f *os.File) string {
	text := make([]byte, 32)
	n, _ := f.ReadAt(text, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}
