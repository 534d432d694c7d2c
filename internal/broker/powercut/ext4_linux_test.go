//go:build ext4

package powercut_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"

	"activation-worker/internal/broker/brokertest"
)

// TestExt4 asks a real file system instead of a model: what the disk has of an ext4 at the moment in which the server
// is killed, its journal replayed. Only as root, who may mount: go test -tags ext4 -run Ext4 ./internal/broker/powercut
func TestExt4(t *testing.T) {
	for kind, keeps := range map[string]bool{"embedded": true, "unsynced": false} {
		t.Run(kind, func(t *testing.T) {
			disk, left := filepath.Join(t.TempDir(), "disk"), filepath.Join(t.TempDir(), "left")
			command(t, "truncate", "-s", "256M", disk)
			command(t, "mkfs.ext4", "-q", "-F", disk)
			data := filepath.Join(mount(t, disk), "data")
			if err := os.Mkdir(data, 0o700); err != nil {
				t.Fatal(err)
			}
			p := &pipeline{run: &run{said: map[string]bool{}, unread: map[uint64]bool{}}}
			p.settle(t, data)
			command(t, "sync", "-f", data)
			_, url, kill := record(t, kind, data)
			_, p.js = brokertest.Connect(t, url, nats.NoReconnect())
			p.all(t, writers)
			kill()
			command(t, "cp", "--sparse=always", disk, left)
			p.replaced()

			v := p.restart(t, filepath.Join(mount(t, left), "data"), 1<<60, true)
			t.Logf("of %d acknowledged messages %d were lost; %q", v.acked, v.lost, v.faults)
			if keeps != (len(v.faults) == 0) {
				t.Errorf("%d promises are broken", len(v.faults))
			}
		})
	}
}

// mount mounts an image. The file system writes by itself once in five minutes only.
func mount(t *testing.T, disk string) string {
	t.Helper()
	dir := t.TempDir()
	command(t, "mount", "-o", "loop,commit=300", disk, dir)
	t.Cleanup(func() { command(t, "umount", "-l", dir) })
	return dir
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}
