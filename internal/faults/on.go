//go:build faults

package faults

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// steps is how many there are.
const steps = SweepEnd + 1

// names are those of the steps, in their order.
var names = [steps]string{
	Reject: "reject", Terminate: "terminate",
	Claim:    "claim",
	Activate: "call.activate", LookUp: "call.lookup", List: "call.list", DNSData: "call.dns-data", LookDNS: "look.dns",
	ArmOutcome: "arm.outcome", RecordActivated: "record.activated", RecordDeferred: "record.deferred", RecordFailed: "record.failed",
	AckOutcome: "ack.outcome", ArmWinner: "arm.winner",
	PutTimer: "put.timer", Put: "put.record", PutTimerAgain: "put.timer-again", AckPut: "ack.put",
	ArmEarly: "arm.early", ArmLater: "arm.later", AckNothing: "ack.nothing", NegativeAck: "nak",
	AnnounceIntake: "announce.intake",
	AnnounceReplay: "announce.replay", CancelRecord: "cancel.record", ForgetRecord: "forget.record", Erase: "forget.erase",
	ErasePublished: "forget.published", Disarm: "disarm", AckRequest: "ack.request",
	SweepBegin: "sweep.begin", SweepArm: "sweep.arm", SweepErase: "sweep.erase", SweepEnd: "sweep.end",
}

// Points are the names of all points.
func Points() []string {
	var all []string
	for _, name := range names {
		all = append(all, name+".before", name+".after")
	}
	return all
}

// blow is what happens at a point.
type blow struct {
	point  string
	passes atomic.Int64 // still to come, the one that counts included
	do     func()
}

var (
	blows  []*blow
	offset time.Duration
)

func init() {
	if os.Getenv("FAULTS_LIST") != "" {
		fmt.Println(strings.Join(Points(), "\n"))
		os.Exit(0)
	}
	if given := os.Getenv("FAULTS_KILL"); given != "" {
		arm(given, "FAULTS_KILL", 2, func([]string) func() {
			return func() {
				fmt.Fprintln(os.Stderr, "faults: killed at "+given)
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		})
	}
	if given := os.Getenv("FAULTS_STALL"); given != "" {
		arm(given, "FAULTS_STALL", 3, func(rest []string) func() {
			d, err := time.ParseDuration(rest[len(rest)-1])
			must(err)
			return func() {
				fmt.Fprintln(os.Stderr, "faults: stalled at "+given)
				<-time.After(d)
			}
		})
	}
	if given := os.Getenv("FAULTS_CLOCK"); given != "" {
		var err error
		offset, err = time.ParseDuration(given)
		must(err)
	}
}

// arm reads point[:pass[:…]].
func arm(given, variable string, most int, do func(rest []string) func()) {
	parts := strings.Split(given, ":")
	if !slices.Contains(Points(), parts[0]) || len(parts) > most {
		must(fmt.Errorf("%s: %q names no point", variable, given))
	}
	b := &blow{point: parts[0], do: do(parts)}
	b.passes.Store(1)
	if len(parts) > 1 {
		n, err := strconv.ParseInt(parts[1], 10, 64)
		must(err)
		b.passes.Store(n)
	}
	blows = append(blows, b)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(2)
	}
}

func pass(s Step, side string) {
	for _, b := range blows {
		if b.point == names[s]+side && b.passes.Add(-1) == 0 {
			b.do()
		}
	}
}

// Before is passed just before a step.
func Before(s Step) { pass(s, ".before") }

// After is passed just after a step that was carried out.
func After(s Step) { pass(s, ".after") }

// Now is the worker's clock.
func Now() time.Time { return time.Now().Add(offset) }
