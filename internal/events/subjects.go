package events

import (
	"strconv"
	"strings"
)

// Default stream names, see [Streams].
const (
	DefaultStream        = "ACTIVATION"
	DefaultIntakeStream  = "SIGNUP"
	DefaultIntakeSubject = "signup.terms.accepted"
)

// Subject patterns of the product's own streams.
const (
	SubjectCustomers = "activation.customer.*.*"
	SubjectReplays   = "activation.replay.*"
	SubjectIntake    = "activation.intake.*"
	SubjectRejected  = "activation.rejected.*"
	SubjectTimers    = "activation.timer.*"
	SubjectDue       = "activation.due.*"
	SubjectRedo      = "activation.redo.*"
	SubjectRequests  = "activation.request.*.*.*"

	SubjectIntakePaused  = "activation.intake.paused"
	SubjectIntakeResumed = "activation.intake.resumed"
)

// SubjectQuota is where a worker says, without a word, that it has written the shared quota: a hint to look at it that may
// be lost. No stream has it. Nobody may listen on [QuotaSubject] instead: where somebody listens, those who may make
// consumers can have the server deliver, and the bucket would store it.
const SubjectQuota = "activation.quota"

// QuotaKey is the one key of the bucket of the shared quota.
const QuotaKey = "pace"

// Durable consumers of the worker.
const (
	ConsumerActivator = "activator" // on the intake stream
	ConsumerDue       = "due"       // on the work stream
	ConsumerRedo      = "redo"      // on the work stream
	ConsumerRequests  = "requests"  // on the work stream
)

// ConsumerCensus begins the name of the consumer on the ledger by which one worker counts customers. It lasts as long as the
// worker does.
const ConsumerCensus = "census-"

// MetadataPublish names, in the ledger's metadata, the stream that sources the activated events.
const MetadataPublish = "activation-publish-stream"

// HeaderWriteToken names the header that tells whose compare-and-set was stored.
const HeaderWriteToken = "Activation-Write-Token"

// Headers for readers who do not load what a record says, see [BriefOf].
const (
	HeaderReason  = "Activation-Reason"  // of a deferred or failed record
	HeaderVersion = "Activation-Version" // major version of the record; absent: 1
	// HeaderAcceptedAt is when the customer accepted, RFC 3339 in UTC, of an activated record; absent where the customer was active
	// before the worker called, and in records of older workers.
	HeaderAcceptedAt = "Activation-Accepted-At"
)

// Streams are the names of the product's own streams: the ledger's name, alone or with a suffix.
type Streams struct {
	Ledger   string // state records and the public event stream
	Rejected string // intake messages nobody can act on
	Work     string // timers, wake-ups and operators' requests
	Quota    string // a key-value bucket: the partner's quota as all workers share it; its stream is [QuotaStream]
}

// StreamsOf returns the stream names that belong to a ledger's name.
func StreamsOf(ledger string) Streams {
	return Streams{Ledger: ledger, Rejected: ledger + "_REJECTED", Work: ledger + "_WORK", Quota: ledger + "_QUOTA"}
}

// QuotaStream is the stream behind a bucket.
func QuotaStream(bucket string) string { return "KV_" + bucket }

// QuotaSubjects are the subjects of that stream, one for each key.
func QuotaSubjects(bucket string) string { return "$KV." + bucket + ".>" }

// QuotaSubject is where the shared quota is written, by compare-and-set.
func QuotaSubject(bucket string) string { return "$KV." + bucket + "." + QuotaKey }

// CustomerFamily is the one filter string of a customer's records, for compare-and-set and reading.
func CustomerFamily(domainID int64) string {
	return "activation.customer." + strconv.FormatInt(domainID, 10) + ".*"
}

// CustomerSubject is the subject of a customer's record in a state.
func CustomerSubject(domainID int64, s State) string {
	return "activation.customer." + strconv.FormatInt(domainID, 10) + "." + string(s)
}

// SubjectState matches the records of all customers in a state.
func SubjectState(s State) string { return "activation.customer.*." + string(s) }

// TimerSubject holds a customer's one pending wake-up.
func TimerSubject(domainID int64) string {
	return "activation.timer." + strconv.FormatInt(domainID, 10)
}

// DueSubject is where a fired wake-up arrives.
func DueSubject(domainID int64) string {
	return "activation.due." + strconv.FormatInt(domainID, 10)
}

// RedoSubject is where the wake-up of a replayed customer arrives, behind all others.
func RedoSubject(domainID int64) string {
	return "activation.redo." + strconv.FormatInt(domainID, 10)
}

// WakeUpSubject is where a record's timer has to fire: a replay's moves in a lane of their own.
func WakeUpSubject(r *Record) string {
	if r.Awaits(TriggerReplay) {
		return RedoSubject(r.DomainID)
	}
	return DueSubject(r.DomainID)
}

// ReplaySubject is the subject of the events of one replay, whose id is its request's.
func ReplaySubject(replayID string) string { return "activation.replay." + replayID }

// RequestSubject is where an operator asks. User and request id are one token each.
func RequestSubject(v Verb, user, requestID string) string {
	return "activation.request." + string(v) + "." + user + "." + requestID
}

// PublishedSubject is an activated customer's in the stream that sources the activated events.
func PublishedSubject(domainID string) string { return "customer.activated." + domainID }

// RejectedSubject is the subject of the rejection of the intake message with that stream sequence.
func RejectedSubject(sequence uint64) string {
	return "activation.rejected." + strconv.FormatUint(sequence, 10)
}

// DomainOfSubject reads the domain id, the third token, of a customer, timer or due subject.
func DomainOfSubject(subject string) (int64, bool) {
	tokens := strings.Split(subject, ".")
	if len(tokens) < 3 || tokens[0] != "activation" {
		return 0, false
	}
	return ParseDomainID(tokens[2])
}

// ParseDomainID reads a LINE WORKS domain id in decimal, 1 … 2^63-1, without sign or leading zeros.
func ParseDomainID(s string) (int64, bool) {
	if s == "" || s[0] < '1' || s[0] > '9' {
		return 0, false
	}
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, false
	}
	return id, true
}
