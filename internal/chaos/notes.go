package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"
)

// notes are what a run has to say: progress as it comes, and at the end sums, oddities and breaches.
type notes struct {
	out, file io.Writer // the file gets every blow too
	began     time.Time

	mu       sync.Mutex
	counts   map[string]int
	odd      []string // worth a look, no breach
	breaches []string
}

func newNotes(out, file io.Writer) *notes {
	return &notes{out: out, file: file, began: time.Now(), counts: map[string]int{}}
}

// say tells the reader.
func (n *notes) say(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.write(fmt.Sprintf(format, args...), n.out, n.file)
}

// log is for the file alone.
func (n *notes) log(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.write(fmt.Sprintf(format, args...), n.file)
}

func (n *notes) write(text string, to ...io.Writer) {
	for _, w := range to {
		fmt.Fprintf(w, "%s %6.1fs  %s\n", time.Now().UTC().Format("15:04:05.000"), time.Since(n.began).Seconds(), text)
	}
}

// add keeps something odd.
func (n *notes) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	n.odd = append(n.odd, text)
	n.write("odd: "+text, n.out, n.file)
}

// breach keeps what must not be.
func (n *notes) breach(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	n.breaches = append(n.breaches, text)
	n.write("BREACH: "+text, n.out, n.file)
}

func (n *notes) count(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.counts[what]++
}

// broken reports whether there was a breach.
func (n *notes) broken() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.breaches) > 0
}

// struck is how many blows there were so far.
func (n *notes) struck() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	sum := 0
	for _, count := range n.counts {
		sum += count
	}
	return sum
}

// table lists the blows by kind.
func (n *notes) table() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var lines []string
	for _, what := range slices.Sorted(maps.Keys(n.counts)) {
		lines = append(lines, fmt.Sprintf("%-36s %7d", what, n.counts[what]))
	}
	return lines
}
