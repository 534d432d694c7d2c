package ownership

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// ErrUnanswered says that no resolver answered anything: whether the records are there is unknown.
var ErrUnanswered = errors.New("no resolver answered")

// grace is how long the other resolvers may take once one has shown a record.
const grace = 300 * time.Millisecond

// Sight is what one look showed. The zero value: nothing there.
type Sight struct {
	// Visible: a wanted record stands, exactly as wanted, at one resolver at least. Then other resolvers may have been left waiting.
	Visible bool

	// Seen are the records at the wanted names that match, and the near misses that help to find a mistake: a CNAME record that
	// points elsewhere, a TXT record of the same kind as the token. One for each resolver that saw it, at most 6; matching ones
	// first, then in the order of the fields. The same answers give the same list.
	Seen []Record

	// Unanswered are the resolvers that left a question open, in the order of [Options.Resolvers], each with a short reason.
	Unanswered []string
}

// Look asks all resolvers for all names where the wanted records may stand, within [Options.Timeout]. When nothing is wanted it asks
// nothing. A name that does not exist is an answer. The error, beside which the Sight still tells the reasons, is [ErrUnanswered], or
// the cause of ctx when that ended before a record was seen.
func (l *Looker) Look(ctx context.Context, v Values) (Sight, error) {
	wants := v.wanted()
	if len(wants) == 0 {
		return Sight{}, nil
	}
	asking, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	g := newGathering(l.resolvers, wants)
	var all sync.WaitGroup
	for i, r := range l.resolvers {
		all.Go(func() {
			if r.name == Authoritative {
				l.askAuthorities(asking, g, i, ascii(v.Domain))
			} else {
				l.askResolver(asking, g, i)
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-asking.Done():
	case <-g.matched:
		others := time.NewTimer(grace)
		defer others.Stop()
		select {
		case <-done:
		case <-asking.Done():
		case <-others.C:
		}
	}
	cancel()
	<-done
	sight := g.sight()
	switch {
	case sight.Visible:
		return sight, nil
	case ended(ctx):
		return sight, fmt.Errorf("look at the DNS of %s: %w", v.Domain, context.Cause(ctx))
	case !g.answered:
		return sight, fmt.Errorf("look at the DNS of %s: %w (%s)", v.Domain, ErrUnanswered, strings.Join(sight.Unanswered, "; "))
	}
	return sight, nil
}

// ended tells whether ctx has, or is about to: a socket with the same deadline may notice first.
func ended(ctx context.Context) bool {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		<-ctx.Done()
	}
	return ctx.Err() != nil
}

// askResolver puts all questions to one resolver.
func (l *Looker) askResolver(ctx context.Context, g *gathering, index int) {
	servers, err := l.servers(l.resolvers[index])
	if err != nil {
		g.failed(index, 0, err)
		return
	}
	var all sync.WaitGroup
	for i, want := range g.wants {
		all.Go(func() {
			answer, err := ask(ctx, servers, question{name: want.Name, kind: want.kind})
			if err != nil {
				g.failed(index, i, err)
				return
			}
			g.heard(index, i, answer)
		})
	}
	all.Wait()
}

// gathering is a look on its way.
type gathering struct {
	resolvers []resolver
	wants     []wanted
	matched   chan struct{} // closed at the first match

	mu       sync.Mutex
	answered bool
	visible  bool
	seen     map[Record]bool // whether it matches
	open     [][]error       // by resolver and question: why there is no answer
	replied  []bool          // by resolver: there was an answer to some question
}

func newGathering(resolvers []resolver, wants []wanted) *gathering {
	g := &gathering{
		resolvers: resolvers, wants: wants, matched: make(chan struct{}), seen: map[Record]bool{},
		open: make([][]error, len(resolvers)), replied: make([]bool, len(resolvers)),
	}
	for i := range g.open {
		g.open[i] = make([]error, len(wants))
	}
	return g
}

// heard takes an answer in.
func (g *gathering) heard(resolver, want int, answer *dns.Msg) {
	j := g.wants[want].judge(answer)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answered, g.replied[resolver] = true, true
	for i, value := range j.values {
		r := g.wants[want].Record
		r.Value, r.Resolver = value, g.resolvers[resolver].name
		g.seen[r] = g.seen[r] || j.matches[i]
		if j.matches[i] && !g.visible {
			g.visible = true
			close(g.matched)
		}
	}
}

// failed notes that a question stayed without an answer. One that was cut short did not fail.
func (g *gathering) failed(resolver, want int, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open[resolver][want] = err
}

// sight is what came of it.
func (g *gathering) sight() Sight {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Sight{Visible: g.visible}
	for r := range g.seen {
		s.Seen = append(s.Seen, r)
	}
	slices.SortFunc(s.Seen, func(a, b Record) int {
		return cmp.Or(
			-order(g.seen[a], g.seen[b]),
			-cmp.Compare(a.Type, b.Type), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.Value, b.Value), cmp.Compare(a.Resolver, b.Resolver))
	})
	s.Seen = s.Seen[:min(len(s.Seen), mostSeen)]
	for i, r := range g.resolvers {
		at := slices.IndexFunc(g.open[i], func(err error) bool { return err != nil })
		if at < 0 {
			continue
		}
		text := r.name + ": " + strings.TrimPrefix(g.open[i][at].Error(), r.address+" ")
		if g.replied[i] { // then it is worth saying what is open
			text += " (" + g.wants[at].Type + " " + g.wants[at].Name + ")"
		}
		s.Unanswered = append(s.Unanswered, text)
	}
	return s
}

func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
