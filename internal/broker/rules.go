package broker

import (
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// minMsgSize is the least message size limit under which every record fits.
const minMsgSize = 1 << 20

// rule is one setting of a stream or consumer. What it must be stands in the declared configuration.
type rule[C any] struct {
	setting string
	on      role                    // where it is looked at
	breaks  role                    // where a worker must not run with another value
	is      func(C) string          // as shown; equal texts are equal settings, unless ok says otherwise
	ok      func(have, want C) bool // nil: is(have) == is(want)
	must    func(want C) string     // as shown; nil: is(want)
	fix     func(have *C, want C)   // nil: JetStream cannot change it
	fixable func(have, want C) bool // nil: always where there is a fix
}

type streamConfig = jetstream.StreamConfig

// streamRules hold for the worker's own streams. What JetStream can change is as of server 2.15.
var streamRules = []rule[streamConfig]{
	{
		setting: "storage", on: own, breaks: own,
		is: func(c streamConfig) string { return lower(c.Storage) },
	},
	{
		setting: "retention", on: own, breaks: own,
		is:  func(c streamConfig) string { return lower(c.Retention) },
		fix: func(c *streamConfig, want streamConfig) { c.Retention = want.Retention },
		fixable: func(have, want streamConfig) bool {
			return have.Retention != jetstream.WorkQueuePolicy && want.Retention != jetstream.WorkQueuePolicy
		},
	},
	{
		setting: "discard", on: own, breaks: own,
		is:  func(c streamConfig) string { return lower(c.Discard) },
		fix: func(c *streamConfig, want streamConfig) { c.Discard = want.Discard },
	},
	{
		setting: "discard new per subject", on: own, breaks: own,
		is:  func(c streamConfig) string { return onOff(c.DiscardNewPerSubject) },
		fix: func(c *streamConfig, _ streamConfig) { c.DiscardNewPerSubject = false },
	},
	{
		// The newest record is the state: one that ages out breaks the compare-and-set of its family.
		setting: "max age", on: own, breaks: ledger | work | quota,
		is:  func(c streamConfig) string { return span(c.MaxAge) },
		fix: func(c *streamConfig, want streamConfig) { c.MaxAge = want.MaxAge },
	},
	{
		setting: "message TTL", on: ledger | work | quota, breaks: ledger | work | quota,
		is: func(c streamConfig) string { return onOff(c.AllowMsgTTL) },
	},
	{
		setting: "roll-ups", on: ledger | work | quota, breaks: ledger | work,
		is:  func(c streamConfig) string { return onOff(c.AllowRollup) },
		fix: func(c *streamConfig, want streamConfig) { c.AllowRollup = want.AllowRollup },
	},
	{
		setting: "message schedules", on: ledger | work, breaks: ledger | work,
		is:      func(c streamConfig) string { return onOff(c.AllowMsgSchedules) },
		fix:     func(c *streamConfig, want streamConfig) { c.AllowMsgSchedules = want.AllowMsgSchedules },
		fixable: func(_, want streamConfig) bool { return want.AllowMsgSchedules },
	},
	{
		setting: "history per subject", on: ledger, breaks: ledger,
		is:   func(c streamConfig) string { return count(c.MaxMsgsPerSubject) },
		ok:   func(have, want streamConfig) bool { return unlimitedOr(have.MaxMsgsPerSubject, want.MaxMsgsPerSubject) },
		must: func(want streamConfig) string { return fmt.Sprintf("%d or more", want.MaxMsgsPerSubject) },
		fix:  func(c *streamConfig, want streamConfig) { c.MaxMsgsPerSubject = want.MaxMsgsPerSubject },
	},
	{
		setting: "history per subject", on: work | quota, breaks: work,
		is:  func(c streamConfig) string { return count(c.MaxMsgsPerSubject) },
		fix: func(c *streamConfig, want streamConfig) { c.MaxMsgsPerSubject = want.MaxMsgsPerSubject },
	},
	{
		setting: "max messages", on: ledger | work | quota, breaks: ledger | work | quota,
		is:  func(c streamConfig) string { return count(c.MaxMsgs) },
		fix: func(c *streamConfig, _ streamConfig) { c.MaxMsgs = -1 },
	},
	{
		setting: "max message size", on: own, breaks: own,
		is:   func(c streamConfig) string { return count(c.MaxMsgSize) },
		ok:   func(have, _ streamConfig) bool { return unlimitedOr(have.MaxMsgSize, minMsgSize) },
		must: func(streamConfig) string { return fmt.Sprintf("%d or more", minMsgSize) },
		fix:  func(c *streamConfig, _ streamConfig) { c.MaxMsgSize = -1 },
	},
	{
		setting: "subjects", on: own, breaks: own,
		is:  func(c streamConfig) string { return list(c.Subjects) },
		ok:  func(have, want streamConfig) bool { return len(uncovered(want.Subjects, have.Subjects)) == 0 },
		fix: func(c *streamConfig, want streamConfig) { c.Subjects = widened(c.Subjects, want.Subjects) },
	},
	{
		setting: "mirror", on: own, breaks: own,
		is: func(c streamConfig) string { return sources(c.Mirror) },
	},
	{
		setting: "sources", on: own, breaks: own,
		is:  func(c streamConfig) string { return sources(c.Sources...) },
		fix: func(c *streamConfig, _ streamConfig) { c.Sources = nil },
	},
	{
		setting: "subject transform", on: own, breaks: own,
		is:  func(c streamConfig) string { return onOff(c.SubjectTransform != nil) },
		fix: func(c *streamConfig, _ streamConfig) { c.SubjectTransform = nil },
	},
	{
		setting: "republish", on: own, breaks: own,
		is:  func(c streamConfig) string { return onOff(c.RePublish != nil) },
		fix: func(c *streamConfig, _ streamConfig) { c.RePublish = nil },
	},
	{
		setting: "sealed", on: own, breaks: own,
		is: func(c streamConfig) string { return onOff(c.Sealed) },
	},
	{
		setting: "no ack", on: own, breaks: own,
		is:  func(c streamConfig) string { return onOff(c.NoAck) },
		fix: func(c *streamConfig, _ streamConfig) { c.NoAck = false },
	},
	{
		setting: "message counter", on: own, breaks: own,
		is: func(c streamConfig) string { return onOff(c.AllowMsgCounter) },
	},
	{
		// Asynchronous: acknowledged before it is written.
		setting: "persist mode", on: own, breaks: own,
		is: func(c streamConfig) string { return lower(c.PersistMode) },
	},
	{
		setting: "max bytes", on: ledger | rejected,
		is:  func(c streamConfig) string { return count(c.MaxBytes) },
		ok:  func(have, want streamConfig) bool { return want.MaxBytes <= 0 || have.MaxBytes == want.MaxBytes },
		fix: func(c *streamConfig, want streamConfig) { c.MaxBytes = want.MaxBytes },
	},
	{
		setting: "replicas", on: own,
		is:  func(c streamConfig) string { return count(c.Replicas) },
		fix: func(c *streamConfig, want streamConfig) { c.Replicas = want.Replicas },
	},
	{
		setting: "duplicate window", on: rejected,
		is:   func(c streamConfig) string { return span(c.Duplicates) },
		ok:   func(have, want streamConfig) bool { return have.Duplicates >= want.Duplicates },
		must: func(want streamConfig) string { return span(want.Duplicates) + " or more" },
		fix:  func(c *streamConfig, want streamConfig) { c.Duplicates = want.Duplicates },
	},
	{
		setting: "deny delete", on: ledger | quota,
		is:  func(c streamConfig) string { return onOff(c.DenyDelete) },
		fix: func(c *streamConfig, want streamConfig) { c.DenyDelete = want.DenyDelete },
	},
	{
		setting: "deny purge", on: own, // an erasure needs it
		is: func(c streamConfig) string { return onOff(c.DenyPurge) },
	},
	{
		setting: "allow direct", on: ledger | quota | work,
		is:  func(c streamConfig) string { return onOff(c.AllowDirect) },
		fix: func(c *streamConfig, want streamConfig) { c.AllowDirect = want.AllowDirect },
	},
}

type consumerConfig = jetstream.ConsumerConfig

// consumerRules hold for all consumers of the worker. Their start (deliver policy) is a matter of their creation only.
var consumerRules = []rule[consumerConfig]{
	{
		setting: "ack policy", on: consumer, breaks: consumer,
		is: func(c consumerConfig) string { return lower(c.AckPolicy) },
	},
	{
		setting: "storage in memory", on: consumer, breaks: consumer,
		is: func(c consumerConfig) string { return onOff(c.MemoryStorage) },
	},
	{
		setting: "max deliver", on: consumer, breaks: consumer,
		is:  func(c consumerConfig) string { return count(c.MaxDeliver) },
		fix: func(c *consumerConfig, _ consumerConfig) { c.MaxDeliver = -1 },
	},
	{
		// It silently replaces the ack wait.
		setting: "back-off", on: consumer, breaks: consumer,
		is:  func(c consumerConfig) string { return onOff(len(c.BackOff) > 0) },
		fix: func(c *consumerConfig, want consumerConfig) { c.BackOff, c.AckWait = nil, want.AckWait },
	},
	{
		setting: "filter", on: consumer, breaks: consumer,
		is: func(c consumerConfig) string { return list(filters(c)) },
		fix: func(c *consumerConfig, want consumerConfig) {
			c.FilterSubject, c.FilterSubjects = want.FilterSubject, nil
		},
	},
	{
		setting: "headers only", on: consumer, breaks: consumer,
		is:  func(c consumerConfig) string { return onOff(c.HeadersOnly) },
		fix: func(c *consumerConfig, _ consumerConfig) { c.HeadersOnly = false },
	},
	{
		// A consumer that goes away while no worker runs would begin anew.
		setting: "inactive threshold", on: consumer, breaks: consumer,
		is:  func(c consumerConfig) string { return span(c.InactiveThreshold) },
		fix: func(c *consumerConfig, _ consumerConfig) { c.InactiveThreshold = 0 },
	},
	{
		setting: "ack wait", on: consumer,
		is:  func(c consumerConfig) string { return span(c.AckWait) },
		fix: func(c *consumerConfig, want consumerConfig) { c.AckWait = want.AckWait },
	},
	{
		setting: "max ack pending", on: consumer,
		is:   func(c consumerConfig) string { return count(c.MaxAckPending) },
		ok:   func(have, want consumerConfig) bool { return unlimitedOr(have.MaxAckPending, want.MaxAckPending) },
		must: func(want consumerConfig) string { return fmt.Sprintf("%d or more", want.MaxAckPending) },
		fix:  func(c *consumerConfig, want consumerConfig) { c.MaxAckPending = want.MaxAckPending },
	},
}
