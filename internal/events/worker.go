package events

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Original is an intake message as it came, cut to what an event can carry.
type Original struct {
	Stream     string              `json:"stream"`
	Sequence   uint64              `json:"sequence"`
	Subject    string              `json:"subject"`
	Headers    map[string][]string `json:"headers,omitempty"`
	Size       int                 `json:"size"`   // bytes of the whole data
	SHA256     string              `json:"sha256"` // of the whole data, hex
	DataBase64 string              `json:"data_base64"`
}

// Rejection is an intake message that nobody can act on.
type Rejection struct {
	Reason   string   `json:"reason"`
	Detail   string   `json:"detail"`
	Original Original `json:"original"`
}

// Limits of the original kept in a rejection, given the server's max_payload in bytes.
func originalLimits(maxPayload int) (data, headers int) {
	return min(512<<10, maxPayload/2), maxPayload / 8
}

// EncodeRejection writes the rejection of m. It returns the event and its id, which is the same for the same message.
func EncodeRejection(m Message, why *Undecodable, source string, maxPayload int, now time.Time) (id string, msg []byte, err error) {
	dataLimit, headerLimit := originalLimits(maxPayload)
	sum := sha256.Sum256(m.Data)
	original := Original{
		Stream: m.Stream, Sequence: m.Sequence, Subject: m.Subject,
		Headers: boundedHeaders(m.Header, headerLimit),
		Size:    len(m.Data), SHA256: hex.EncodeToString(sum[:]),
		DataBase64: base64.StdEncoding.EncodeToString(m.Data[:min(len(m.Data), dataLimit)]),
	}
	id = fmt.Sprintf("rejected-%s-%d-%d", m.Stream, m.StreamCreated.UnixNano(), m.Sequence)
	msg, err = encodeEnvelope(envelope{ID: id, Source: source, Type: TypeRejected, Subject: strconv.FormatUint(m.Sequence, 10), Time: now},
		Rejection{Reason: why.Reason, Detail: why.Detail, Original: original})
	return id, msg, err
}

// boundedHeaders keeps whole headers, smallest names first by order of the alphabet, while their encoded form fits.
func boundedHeaders(h map[string][]string, limit int) map[string][]string {
	kept := make(map[string][]string, len(h))
	size := 2
	for _, name := range sortedKeys(h) {
		one, err := marshal(map[string][]string{name: h[name]})
		if err != nil || size+len(one) > limit {
			continue
		}
		kept[name] = h[name]
		size += len(one)
	}
	return kept
}

// Intake says that a worker stopped or resumed taking work.
type Intake struct {
	Worker   string    `json:"worker"`
	Reason   string    `json:"reason"`
	Detail   string    `json:"detail"`
	Since    time.Time `json:"since"`
	WhatToDo string    `json:"whatToDo"`
}

// EncodeIntake writes a paused or resumed event. It returns the subject, the event's id and the event.
func EncodeIntake(in Intake, paused bool, source string, now time.Time) (subject, id string, msg []byte, err error) {
	subject, kind, word := SubjectIntakeResumed, TypeResumed, "resumed"
	if paused {
		subject, kind, word = SubjectIntakePaused, TypePaused, "paused"
	}
	in.Since = in.Since.UTC()
	id = fmt.Sprintf("intake-%s-%d-%s", in.Worker, in.Since.UnixMilli(), word)
	msg, err = encodeEnvelope(envelope{ID: id, Source: source, Type: kind, Subject: word, Time: now}, in)
	return subject, id, msg, err
}

// DecodeRejection reads a rejected event.
func DecodeRejection(msg []byte) (Rejection, error) {
	var e envelope
	var r Rejection
	if err := json.Unmarshal(msg, &e); err != nil {
		return r, fmt.Errorf("decode rejection: %w", err)
	}
	if err := json.Unmarshal(e.Data, &r); err != nil {
		return r, fmt.Errorf("decode rejection %s: %w", e.ID, err)
	}
	return r, nil
}

// DecodeIntake reads a paused or resumed event.
func DecodeIntake(msg []byte) (Intake, error) {
	var e envelope
	var in Intake
	if err := json.Unmarshal(msg, &e); err != nil {
		return in, fmt.Errorf("decode intake event: %w", err)
	}
	if err := json.Unmarshal(e.Data, &in); err != nil {
		return in, fmt.Errorf("decode intake event %s: %w", e.ID, err)
	}
	return in, nil
}
