package census

import (
	"math"
	"time"
)

// ring counts what happens in buckets of a fixed step, for a time up to now. Each bucket is known by its absolute number, so that what is
// stamped late or early counts where it belongs: a place in the ring is for one number at a time among those that are let in, whatever the order.
type ring struct {
	step   time.Duration
	window int64 // buckets up to the present one that can be asked for; the others are for stamps ahead of our clock
	places []*bucket
}

func newRing(step time.Duration, window, ahead int) ring {
	return ring{step: step, window: int64(window), places: make([]*bucket, window+ahead)}
}

// bucket is what happened in a step of time.
type bucket struct {
	number int64
	count  int
	times  histogram
}

// number is the bucket in which a time lies.
func (r *ring) number(t time.Time) int64 { return floored(t.Unix(), int64(r.step/time.Second)) }

func floored(a, b int64) int64 { return (a - (a%b+b)%b) / b }

// add counts what happened at a time; took is how long it took, negative: nobody knows.
func (r *ring) add(at, now time.Time, took time.Duration) {
	n, present := r.number(at), r.number(now)
	size := int64(len(r.places))
	if n <= present-r.window || n > present-r.window+size {
		return
	}
	b := r.places[(n%size+size)%size]
	if b == nil {
		b = &bucket{number: n}
		r.places[(n%size+size)%size] = b
	}
	if b.number != n {
		*b = bucket{number: n}
	}
	b.count++
	if took >= 0 {
		b.times.add(took)
	}
}

// sum adds the buckets from one number to another, both included, to b.
func (r *ring) sum(b *bucket, from, to int64) {
	size := int64(len(r.places))
	for n := from; n <= to; n++ {
		if is := r.places[(n%size+size)%size]; is != nil && is.number == n {
			b.count += is.count
			b.times.merge(&is.times)
		}
	}
}

// since is how many there are from a bucket on.
func (r *ring) since(from int64) (count int) {
	for _, b := range r.places {
		if b != nil && b.number >= from {
			count += b.count
		}
	}
	return count
}

const (
	classes = 49
	// least bounds the first class, which begins at zero; each following one is wider by the square root of two. The last ends at 48 days.
	least = 250 * time.Millisecond
)

// histogram counts durations in classes.
type histogram [classes]uint32

func (h *histogram) add(d time.Duration) {
	class := 0
	if d >= least {
		class = 1 + int(2*math.Log2(float64(d)/float64(least)))
	}
	h[min(class, classes-1)]++
}

func (h *histogram) merge(other *histogram) {
	for i, n := range other {
		h[i] += n
	}
}

func (h *histogram) total() (total int) {
	for _, n := range h {
		total += int(n)
	}
	return total
}

// quantile is where the share q of the durations is at most, by the rank that is nearest; negative: there are none. Between the bounds of a
// class they are taken to be spread evenly.
func (h *histogram) quantile(q float64) time.Duration {
	rank := math.Ceil(q * float64(h.total()))
	for class, n := range h {
		if n > 0 && rank <= float64(n) {
			low, high := bound(class), bound(class+1)
			return time.Duration(low + (high-low)*(rank-0.5)/float64(n))
		}
		rank -= float64(n)
	}
	return -1
}

// bound is where a class begins, in nanoseconds.
func bound(class int) float64 {
	if class == 0 {
		return 0
	}
	return float64(least) * math.Exp2(float64(class-1)/2)
}
