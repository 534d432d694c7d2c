package census

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"pgregory.net/rapid"

	"activation-worker/internal/events"
)

// quiet are options for what nobody runs.
var quiet = Options{Log: zap.NewNop()}

// crowd is a census of customers, and the same customers one by one.
type crowd struct {
	*Census
	all map[int64]Customer
}

func newCrowd() *crowd {
	c := &crowd{New(quiet), map[int64]Customer{}}
	c.complete()
	c.behind(0)
	return c
}

func (c *crowd) add(id int64, stored time.Time, key Key) {
	b := events.Brief{DomainID: id, State: key.State, Reason: key.Reason, Foreign: key.State == Unknown}
	c.count(b, message{stored: stored})
	c.all[id] = Customer{id, stored.UTC().Truncate(time.Second), key}
}

func placeOf(c Customer) *Place { return &Place{c.At.Unix(), c.DomainID} }

// naively is what Page is to find.
func (c *crowd) naively(f Filter) Page {
	p := Page{Counts: map[Key]int{}}
	var list, within []Customer
	for _, is := range c.all {
		if (!f.Since.IsZero() && is.At.Before(f.Since)) || (!f.Until.IsZero() && !is.At.Before(f.Until)) || !strings.HasPrefix(strconv.FormatInt(is.DomainID, 10), f.IDPrefix) {
			continue
		}
		p.Counts[is.Key]++
		if (len(f.States) == 0 || slices.Contains(f.States, is.Key.State)) && (len(f.Reasons) == 0 || slices.Contains(f.Reasons, is.Key.Reason)) {
			list = append(list, is)
		}
	}
	slices.SortFunc(list, func(a, b Customer) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.DomainID, a.DomainID)) })
	behind := func(is Customer, place Place) bool {
		return is.At.Unix() < place.Time || is.At.Unix() == place.Time && is.DomainID < place.DomainID
	}
	passed := 0
	for _, is := range list {
		switch {
		case f.Before != nil && !behind(is, *f.Before):
			passed++
		case f.After != nil && (*placeOf(is) == *f.After || behind(is, *f.After)):
		default:
			within = append(within, is)
		}
	}
	p.Total, p.Ahead = len(list), passed
	rows := min(f.Limit, len(within))
	p.Customers = within[:rows]
	if f.After != nil && f.Before == nil {
		p.Ahead, p.Customers = len(within)-rows, within[len(within)-rows:]
	}
	return p
}

func (c *crowd) wants(t interface{ Fatalf(string, ...any) }, f Filter) Page {
	got, known := c.Page(f)
	maps.DeleteFunc(got.Counts, func(_ Key, n int) bool { return n == 0 })
	want := c.naively(f)
	if !known || got.Total != want.Total || got.Ahead != want.Ahead || !maps.Equal(got.Counts, want.Counts) || !slices.Equal(got.Customers, want.Customers) {
		t.Fatalf("the page of %+v is %+v, known %t, want %+v", f, got, known, want)
	}
	return got
}

var someTime = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func drawPlace(t *rapid.T, c *crowd, ids *rapid.Generator[int64], name string) *Place {
	switch rapid.IntRange(0, 3).Draw(t, name) {
	case 0:
		if is, there := c.all[ids.Draw(t, name+" of")]; there {
			return placeOf(is)
		}
		return nil
	case 1:
		return &Place{someTime.Unix() + rapid.Int64Range(-3, 15).Draw(t, name+" time"), ids.Draw(t, name+" id")}
	}
	return nil
}

// TestPagesAreThoseOfAList that is made, sorted and cut, whoever is in it and whatever is asked for.
func TestPagesAreThoseOfAList(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := newCrowd()
		ids := rapid.OneOf(rapid.Int64Range(1, 40), rapid.Int64Range(51200001, 51200040), rapid.Int64Range(math.MaxInt64-9, math.MaxInt64), rapid.Int64Range(1, math.MaxInt64))
		known := slices.DeleteFunc(slices.Clone(keys), func(k Key) bool { return (k.State == events.Deferred || k.State == events.Failed) && k.Reason == "" })
		for range rapid.IntRange(0, 80).Draw(t, "records") {
			c.add(ids.Draw(t, "id"), someTime.Add(time.Duration(rapid.Int64Range(0, 12_000).Draw(t, "ms"))*time.Millisecond), rapid.SampledFrom(known).Draw(t, "key"))
		}
		for range 8 {
			f := Filter{
				States:  rapid.SliceOfN(rapid.SampledFrom(append(events.States(), Unknown)), 0, 2).Draw(t, "states"),
				Reasons: rapid.SliceOfN(rapid.SampledFrom(events.Reasons()), 0, 2).Draw(t, "reasons"),
				Before:  drawPlace(t, c, ids, "before"), After: drawPlace(t, c, ids, "after"),
				Limit: rapid.IntRange(0, 20).Draw(t, "limit"),
			}
			moment := rapid.Custom(func(t *rapid.T) time.Time {
				return someTime.Add(time.Duration(rapid.Int64Range(-1_000, 13_000).Draw(t, "ms")) * time.Millisecond)
			})
			if rapid.Bool().Draw(t, "with since") {
				f.Since = moment.Draw(t, "since")
			}
			if rapid.Bool().Draw(t, "with until") {
				f.Until = moment.Draw(t, "until")
			}
			if rapid.Bool().Draw(t, "with prefix") {
				digits := strconv.FormatInt(ids.Draw(t, "beginning"), 10)
				f.IDPrefix = digits[:rapid.IntRange(0, len(digits)).Draw(t, "digits")]
			}
			c.wants(t, f)
		}
	})
}

// TestPagesFollowOneAnother, there and back again, and all are on one of them.
func TestPagesFollowOneAnother(t *testing.T) {
	t.Parallel()
	c := newCrowd()
	for id := range int64(203) {
		c.add(1000+id*7, someTime.Add(time.Duration(id%10)*time.Second), keys[int(id)%3])
	}
	f := Filter{Limit: 10}
	var there []Page
	seen := 0
	for {
		p := c.wants(t, f)
		if len(p.Customers) == 0 {
			break
		}
		if p.Ahead != seen || p.Total != 203 {
			t.Errorf("the page that begins with %+v has %d of %d ahead, want %d of 203", p.Customers[0], p.Ahead, p.Total, seen)
		}
		seen += len(p.Customers)
		there = append(there, p)
		f.Before = placeOf(p.Customers[len(p.Customers)-1])
	}
	if seen != 203 || len(there) != 21 {
		t.Errorf("%d are on %d pages", seen, len(there))
	}
	for i := len(there) - 1; i > 0; i-- {
		if p := c.wants(t, Filter{Limit: 10, After: placeOf(there[i].Customers[0])}); fmt.Sprint(p) != fmt.Sprint(there[i-1]) {
			t.Errorf("back from page %d it is %+v, want %+v", i, p, there[i-1])
		}
	}
}

// TestBeginningsOfIDs: a thing that is no beginning of an id fits nobody.
func TestBeginningsOfIDs(t *testing.T) {
	t.Parallel()
	c := newCrowd()
	for _, id := range []int64{5, 51, 512, 5120, 6, 60, 9, 92, 9223372036854775807, 922337203685477580, 9223372036854775799} {
		c.add(id, someTime, keys[1])
	}
	for digits, want := range map[string]int{
		"": 11, "5": 4, "51": 3, "512": 2, "5120": 1, "51200": 0, "6": 2, "9": 5, "922337203685477580": 2, "9223372036854775807": 1, "92233720368547758070": 0,
		"0": 0, "05": 0, "-5": 0, "+5": 0, "x": 0, "9223372036854775808": 0,
	} {
		if p := c.wants(t, Filter{IDPrefix: digits}); p.Total != want {
			t.Errorf("%d ids begin with %q, want %d", p.Total, digits, want)
		}
	}
}

// TestPageOfAnUnknownLedger is empty, also where it becomes unknown while it is looked at.
func TestPageOfAnUnknownLedger(t *testing.T) {
	t.Parallel()
	c := newCrowd()
	c.add(7, someTime, keys[1])
	c.reset()
	if p, known := c.Page(Filter{Limit: 9}); known || p.Total != 0 || p.Customers != nil {
		t.Errorf("the page is %+v, known %t", p, known)
	}
}

// TestPagesBesideTheCount have everybody once, whoever changes meanwhile, and nothing of a ledger that is read anew.
func TestPagesBesideTheCount(t *testing.T) {
	t.Parallel()
	const many = 500
	c := New(quiet)
	fill := func(round int) {
		for id := range int64(many) {
			c.count(events.Brief{DomainID: id + 1, State: events.States()[(int(id)+round)%4], Reason: events.Transient}, message{stored: someTime.Add(time.Duration(round) * time.Second)})
		}
	}
	done := make(chan struct{})
	var counting sync.WaitGroup
	counting.Go(func() {
		for round := 0; ; round++ {
			if round%3 == 0 {
				c.reset()
			}
			fill(round)
			c.complete()
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for seen := 0; seen < 25; {
		if p, known := c.Page(Filter{Limit: many}); known {
			seen++
			if ids := map[int64]bool{}; p.Total != many || len(p.Customers) != many {
				t.Errorf("%d of %d customers, want %d", len(p.Customers), p.Total, many)
			} else {
				for _, is := range p.Customers {
					ids[is.DomainID] = true
				}
				if len(ids) != many {
					t.Errorf("only %d of them are different", len(ids))
				}
			}
		}
	}
	close(done)
	counting.Wait()
}
