package simulator

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// plan is what one or more faults together do to a request, step by step.
type plan struct {
	text string    // the fault as written, for the journal
	only Operation // the operation it is meant for; "": every one of the API

	quota   func(*quota, Operation, time.Time) // before the request is counted; the simulator's lock is held
	late    span                               // passes before the operation is carried out, also when the caller has gone
	before  []func(*Simulator, *request)       // just before the operation
	noTerms bool                               // the operation sees no accepted terms
	noDNS   bool                               // nor a DNS record
	lag     span                               // so long look-ups do not show the activation

	instead func(*request) answer // the answer, whatever the operation would say; it is not carried out
	applied bool                  // it is carried out all the same

	killsOld bool          // a granted token ends the others
	life     time.Duration // true lifetime of a granted token, whatever the answer says; 0: as it says
	uses     int           // requests that it is good for; 0: any number

	data  []func(object) object // change the object of the answer
	bytes []func(*answer)       // change the encoded answer
	blind bool                  // what the answer tells about the customer cannot be relied on
	bare  bool                  // no rate limit headers
	slow  span                  // passes before the answer goes out, unless the caller leaves
	wire  wire
}

// concerns tells whether a mix may give the plan to the operation.
func (p *plan) concerns(op Operation) bool {
	return p.only == op || p.only == "" && op != OpToken
}

// span is a duration, or one between two to be drawn.
type span struct{ from, to time.Duration }

// parseSpan reads "2s" or "0s-60s".
func parseSpan(text string) (span, error) {
	low, high, isRange := strings.Cut(text, "-")
	from, err := time.ParseDuration(low)
	to := from
	if err == nil && isRange {
		to, err = time.ParseDuration(high)
	}
	if err != nil || from < 0 || to < from {
		return span{}, fmt.Errorf("%q: want a duration as in 2s, or two as in 0s-60s", text)
	}
	return span{from, to}, nil
}

// pick returns the duration, drawn where there are two.
func (d span) pick(draw *rand.Rand) time.Duration {
	if d.to == d.from {
		return d.from
	}
	return d.from + time.Duration(draw.Int64N(int64(d.to-d.from)+1))
}

// parseSize reads a number of bytes as in "2MiB", "64KiB" or "100".
func parseSize(text string) (int, error) {
	for suffix, unit := range map[string]int{"MiB": 1 << 20, "KiB": 1 << 10, "": 1} {
		digits, ok := strings.CutSuffix(text, suffix)
		if n, err := strconv.Atoi(digits); ok && err == nil && n >= 0 && n <= 64<<20/unit {
			return n * unit, nil
		}
	}
	return 0, fmt.Errorf("%q: want a number of bytes up to 64 MiB as in 2MiB", text)
}
