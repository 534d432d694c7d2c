package broker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/minio/highwayhash"
	"github.com/nats-io/nats-server/v2/server"
)

// mendSums finishes what was interrupted when a stream or consumer was being made or changed, and names it. The server
// (2.15.2) writes meta.inf, whole or not at all, and then its checksum into meta.sum. After an end between the two, also
// by SIGKILL, no start finds the stream or consumer: one that is made again takes over messages and positions, but its
// sum is not written either. Lost are the ledger's binding, the time at which the intake was created, and the start of a
// worker that has to be told where to begin in an intake with old announcements.
//
// Only a sum that is missing or older than its file is mended. Any other that does not fit is damage, and stays for the
// server to report. In a store that was copied without its times damage may look like a cut, so a sum that is replaced
// is kept beside as meta.sum.bak, which the server does not read. The server must not be running.
func mendSums(store string) (mended []string, err error) {
	streams := filepath.Join(store, server.DEFAULT_GLOBAL_ACCOUNT, "streams")
	for _, stream := range folders(streams, &err) {
		mend := func(dir, key string) {
			done, failed := mendSum(dir, key)
			if done {
				mended = append(mended, key)
			}
			err = errors.Join(err, failed)
		}
		dir := filepath.Join(streams, stream)
		mend(dir, stream)
		consumers := filepath.Join(dir, "obs")
		for _, consumer := range folders(consumers, &err) {
			mend(filepath.Join(consumers, consumer), stream+"/"+consumer)
		}
	}
	if err != nil {
		return mended, fmt.Errorf("looking at the streams in %s: %w", store, err)
	}
	return mended, nil
}

// folders are the names in a directory that may not exist; those with a dot are about to be deleted by the server.
func folders(dir string, err *error) []string {
	list, failed := os.ReadDir(dir)
	if failed != nil && !errors.Is(failed, fs.ErrNotExist) {
		*err = errors.Join(*err, failed)
	}
	var names []string
	for _, e := range list {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}

func mendSum(dir, key string) (bool, error) {
	meta, sum := filepath.Join(dir, server.JetStreamMetaFile), filepath.Join(dir, server.JetStreamMetaFileSum)
	is, err := os.Stat(meta)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // the server makes both
	}
	if err != nil {
		return false, err
	}
	switch has, err := os.Stat(sum); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return false, err
	case !has.ModTime().Before(is.ModTime()):
		return false, nil
	}
	content, err := os.ReadFile(meta)
	if err != nil || !json.Valid(content) {
		return false, err
	}
	wants, err := metaSum(key, content)
	if err != nil {
		return false, err
	}
	switch has, err := os.ReadFile(sum); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return false, err
	case string(has) == wants:
		return false, nil
	default:
		if err := replaceFile(sum+".bak", string(has)); err != nil {
			return false, err
		}
	}
	return true, replaceFile(sum, wants)
}

// metaSum is how the server sums up a meta.inf; key is the stream's name, or that and the consumer's.
func metaSum(key string, content []byte) (string, error) {
	seed := sha256.Sum256([]byte(key))
	h, err := highwayhash.New64(seed[:])
	if err != nil {
		return "", err
	}
	_, _ = h.Write(content) // a hash takes everything
	return hex.EncodeToString(h.Sum(nil)), nil
}

// replaceFile puts a file in place, old or new and never half, and returns when it is on the disk.
func replaceFile(name, content string) error {
	tmp := name + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, name); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
