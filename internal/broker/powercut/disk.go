package powercut

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Model is what a disk and its file system lose at a power cut.
type Model struct {
	Data  Data
	Names Names
}

// Data is what becomes of written bytes that were not synced.
type Data int

// From kind to harsh. A torn file has the old or the new size, and each of its sectors is the old or the new one.
const (
	DataKept Data = iota // all is there: the process was killed, the machine went on
	DataLost             // nothing is there
	DataTorn             // drawn sector by sector; what was never written is zero
)

// Names is what becomes of new, removed and changed names in a directory that was not synced.
type Names int

// From kind to harsh. NamesOwn is the least that ext4, XFS and btrfs do: a sync of a file also brings its own name to the
// disk, and those of the directories above it. NamesStrict is what POSIX leaves open: only a sync of the directory itself
// does. Of the other changes all are lost, or each by itself is there or not; that is drawn.
const (
	NamesKept Names = iota
	NamesOwn
	NamesStrict
)

// String names the model for reports.
func (m Model) String() string {
	return "data " + [...]string{"kept", "lost", "torn"}[m.Data] + ", names " + [...]string{"kept", "own", "strict"}[m.Names]
}

// Restore writes into the empty or missing directory to what a cut at a moment leaves. The same draw gives the same files.
func (t *Trace) Restore(to string, cut Moment, m Model, draw *rand.Rand) error {
	entries := t.namesAt(cut, m.Names, draw)
	return restore(to, t.nodes[0], entries, cut, m.Data, draw)
}

func restore(to string, n *node, entries map[*node]map[string]*node, cut Moment, d Data, draw *rand.Rand) error {
	if !n.dir {
		at := n.changed(cut)
		return errors.Join(os.WriteFile(to, n.at(cut, d, draw), fileMode), os.Chtimes(to, at, at))
	}
	if err := os.MkdirAll(to, dirMode); err != nil {
		return err
	}
	for _, name := range sorted(entries[n]) {
		if err := restore(filepath.Join(to, name), entries[n][name], entries, cut, d, draw); err != nil {
			return err
		}
	}
	return nil
}

// namesAt are the entries of all directories after a cut.
func (t *Trace) namesAt(cut Moment, how Names, draw *rand.Rand) map[*node]map[string]*node {
	entries := map[*node]map[string]*node{}
	for _, n := range t.nodes {
		if n.dir {
			entries[n] = maps.Clone(n.had)
			if entries[n] == nil {
				entries[n] = map[string]*node{}
			}
		}
	}
	if how == NamesKept {
		for _, c := range t.names {
			if c.ended <= cut {
				c.apply(entries)
			}
		}
		return entries
	}
	var own map[*node]Moment
	if how == NamesOwn {
		own = t.own(cut)
	}
	lucky := draw.IntN(2) == 1
	for _, c := range t.names {
		if c.ended <= cut && (c.synced(cut) || c.ended < own[c.node] || lucky && draw.IntN(2) == 1) {
			c.apply(entries)
		}
	}
	return entries
}

func (c naming) apply(entries map[*node]map[string]*node) {
	if c.gone.dir != nil {
		delete(entries[c.gone.dir], c.gone.name)
	}
	if c.made.dir != nil {
		entries[c.made.dir][c.made.name] = c.node
	}
}

// synced reports whether the directory was synced after the change; for a rename into another directory, the new one.
func (c naming) synced(cut Moment) bool {
	dir := c.made.dir
	if dir == nil {
		dir = c.gone.dir
	}
	return c.ended < dir.synced(cut, false)
}

// own is, for each node, the moment before which a sync of it, or of anything below it, has brought its name to the disk.
func (t *Trace) own(cut Moment) map[*node]Moment {
	own := map[*node]Moment{}
	for _, n := range t.nodes {
		at := n.synced(cut, true)
		for a := n; a != nil; a = a.parent {
			own[a] = max(own[a], at)
		}
	}
	return own
}

// synced is the moment before which everything of the node is on the disk; with own, also by syncs of single writes.
func (n *node) synced(cut Moment, own bool) Moment {
	last := Moment(0)
	for _, s := range n.syncs {
		if s.ended <= cut && (own || !s.own) {
			last = max(last, s.began)
		}
	}
	return last
}

// at is the file's content after a cut.
func (n *node) at(cut Moment, d Data, draw *rand.Rand) []byte {
	durable := n.synced(cut, false)
	old, cached := append([]byte{}, n.before...), append([]byte{}, n.before...)
	for _, c := range n.changes {
		if c.began > cut {
			continue
		}
		cached = c.apply(cached)
		if c.ended < durable || c.synced && c.ended <= cut {
			old = c.apply(old)
		}
	}
	switch d {
	case DataKept:
		return cached
	case DataTorn:
		return torn(old, cached, draw)
	}
	return old
}

// changed is the file's time, in the order of the changes.
func (n *node) changed(cut Moment) time.Time {
	last := Moment(0)
	for _, c := range n.changes {
		if c.began <= cut {
			last = max(last, c.began)
		}
	}
	return time.Unix(1e9, 0).Add(time.Duration(last) * time.Millisecond)
}

func (c change) apply(content []byte) []byte {
	end := c.at + int64(len(c.data))
	if c.data == nil && end < int64(len(content)) {
		return content[:end]
	}
	if grown := end - int64(len(content)); grown > 0 {
		content = append(content, make([]byte, grown)...)
	}
	copy(content[c.at:], c.data)
	return content
}

// torn draws each sector from the old or the new content. Disks write 512 bytes or 4 KiB at once.
func torn(old, cached []byte, draw *rand.Rand) []byte {
	sector := 512 << (3 * draw.IntN(2))
	size := []int{len(old), len(cached)}[draw.IntN(2)]
	content := make([]byte, size)
	copy(content, old)
	for at := 0; at < min(size, len(cached)); at += sector {
		if draw.IntN(2) == 0 {
			copy(content[at:min(at+sector, size)], cached[at:])
		}
	}
	return content
}

// Unsynced says what a cut would lose, for reports.
func (t *Trace) Unsynced(cut Moment) string {
	bytes, names := 0, 0
	for _, n := range t.nodes {
		durable := n.synced(cut, false)
		for _, c := range n.changes {
			if c.began <= cut && c.ended >= durable && !c.synced {
				bytes += len(c.data)
			}
		}
	}
	for _, c := range t.names {
		if c.ended <= cut && !c.synced(cut) {
			names++
		}
	}
	return fmt.Sprintf("%d bytes and %d names not synced", bytes, names)
}

func sorted(m map[string]*node) []string { return slices.Sorted(maps.Keys(m)) }
