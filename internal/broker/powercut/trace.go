package powercut

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Moment counts the watched system calls' beginnings and ends; 0 is before the first.
type Moment int

// never is the end of a call that was under way at the end of the trace.
const never Moment = 1<<62 - 1

// Sent is what the process wrote to something that is not a file of the directory: a socket or a pipe.
type Sent struct {
	Began Moment // the other side cannot have read it before
	FD    int    // may be used again after a close
	Data  []byte
}

// Step is a call on the directory, for choosing moments and for reports. One that was under way when the process was
// killed has a Moment after Last for its end, and may have been carried out or not.
type Step struct {
	Began, Ended Moment
	Call         string // as in strace
	Path, To     string // relative to the directory; To: of a rename
}

// Trace is what a process did to one directory. It is complete, and free for any use, once [Recording.Wait] returned.
type Trace struct {
	Steps []Step
	Sent  []Sent
	Last  Moment // the newest moment

	root   string
	nodes  []*node // the first is the directory itself
	names  []naming
	faults []error
}

// node is a file or a directory.
type node struct {
	dir     bool
	parent  *node            // where its newest name stands
	entries map[string]*node // as the process sees them; nil for a file
	before  []byte           // content before the trace, on the disk
	had     map[string]*node // entries before the trace, on the disk
	changes []change         // in the order of their ends
	syncs   []syncing
	size    int64
}

// change is a write, or a truncation where data is nil.
type change struct {
	began, ended Moment
	at           int64
	data         []byte
	synced       bool // the call itself waited for the disk (O_SYNC)
}

// naming is a change of names in directories, atomic: a new name, a removed one, or both.
type naming struct {
	ended Moment
	gone  place // zero: none
	made  place // zero: none
	node  *node // what is made
}

type place struct {
	dir  *node
	name string
}

// syncing is a call that waited for the disk: for all of a file or directory, or for its own bytes only.
type syncing struct {
	began, ended Moment
	own          bool
}

// newTrace takes the directory as it is now for what is on the disk.
func newTrace(root string) (*Trace, error) {
	t := &Trace{root: root}
	_, err := t.read(root)
	return t, err
}

func (t *Trace) newNode(dir bool) *node {
	n := &node{dir: dir}
	if dir {
		n.entries = map[string]*node{}
	}
	t.nodes = append(t.nodes, n)
	return n
}

func (t *Trace) read(path string) (*node, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	n := t.newNode(info.IsDir())
	switch {
	case info.Mode().IsRegular():
		n.before, err = os.ReadFile(path)
		n.size = int64(len(n.before))
		return n, err
	case !info.IsDir():
		return nil, fmt.Errorf("%s is neither a file nor a directory", path)
	}
	list, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	n.had = map[string]*node{}
	for _, e := range list {
		child, err := t.read(filepath.Join(path, e.Name()))
		if err != nil {
			return nil, err
		}
		n.entries[e.Name()], n.had[e.Name()], child.parent = child, child, n
	}
	return n, nil
}

// within is the path relative to the directory, and whether it lies there.
func (t *Trace) within(path string) (string, bool) {
	if path == t.root {
		return ".", true
	}
	return strings.CutPrefix(path, t.root+"/")
}

// find is the node that the process sees at a path; nil if there is none.
func (t *Trace) find(rel string) *node {
	n := t.nodes[0]
	if rel == "." {
		return n
	}
	for part := range strings.SplitSeq(rel, "/") {
		if n == nil || !n.dir {
			return nil
		}
		n = n.entries[part]
	}
	return n
}

// place is where a path's name stands.
func (t *Trace) place(rel string) place {
	return place{dir: t.find(filepath.Dir(rel)), name: filepath.Base(rel)}
}

// made notes a new name.
func (t *Trace) made(rel string, n *node, at Moment) {
	p := t.place(rel)
	p.dir.entries[p.name], n.parent = n, p.dir
	t.names = append(t.names, naming{ended: at, made: p, node: n})
}

// removed notes a name that is gone.
func (t *Trace) removed(rel string, at Moment) {
	p := t.place(rel)
	delete(p.dir.entries, p.name)
	t.names = append(t.names, naming{ended: at, gone: p})
}

// renamed notes a name that takes another's place.
func (t *Trace) renamed(from, to string, at Moment) {
	p, q := t.place(from), t.place(to)
	n := p.dir.entries[p.name]
	delete(p.dir.entries, p.name)
	q.dir.entries[q.name], n.parent = n, q.dir
	t.names = append(t.names, naming{ended: at, gone: p, made: q, node: n})
}

func (n *node) wrote(c change) {
	n.changes = append(n.changes, c)
	if c.data == nil {
		n.size = c.at
	} else {
		n.size = max(n.size, c.at+int64(len(c.data)))
	}
}

// mode for everything that is restored.
const (
	dirMode  fs.FileMode = 0o700
	fileMode fs.FileMode = 0o600
)
