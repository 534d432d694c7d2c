package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

// malformed are messages that nobody can act on, each wrong in a way of its own.
func malformed() []*nats.Msg {
	message := func(data string, headers ...string) *nats.Msg {
		m := nats.NewMsg(events.DefaultIntakeSubject)
		m.Data = []byte(data)
		for i := 0; i+1 < len(headers); i += 2 {
			m.Header[headers[i]] = []string{headers[i+1]}
		}
		return m
	}
	const structured = "application/cloudevents+json"
	long := strings.Repeat("9", 4000)
	return []*nats.Msg{
		message(""),
		message("\x00\x00\x00"),
		message("\xff\xfe{\x00}\x00"),
		message("<html>"),
		message("{"),
		message("[]"),
		message("null"),
		message(`"51200931"`),
		message(`{}`),
		message(`{"domainId":null}`),
		message(`{"domainId":true}`),
		message(`{"domainId":0}`),
		message(`{"domainId":-51200931}`),
		message(`{"domainId":5.0}`),
		message(`{"domainId":5e7}`),
		message(`{"domainId":` + long + `}`),
		message(`{"domainId":1e` + long + `}`),
		message(`{"domainId":"` + long + `"}`),
		message(`{"domainId":"051200931"}`),
		message(`{"domainId":" 51200931"}`),
		message(`{"domainId":"５１２００９３１"}`),
		message(`{"domainId":[51200931]}`),
		message(`{"domainId":{"domainId":51200931}}`),
		message(`{"domainId":51200931,"domainId":51200931}`),
		message(`{"domainId":51200931} {"domainId":51200932}`),
		message(`{"domainId":51200931,"x":"` + "\xff" + `"}`),
		message(`{"domainId":51200931,"x":` + strings.Repeat("[", 11_000) + strings.Repeat("]", 11_000) + `}`),
		message(strings.Repeat(`{"domainId":`, 11_000)),
		message(strings.Repeat(`[`, 30_000)),
		message(`{"specversion":"1.0","data":{"domainId":51200931}}`, "Content-Type", structured),
		message(`{"specversion":"9.9","id":"1","source":"s","type":"t","data":{"domainId":51200931}}`, "Content-Type", structured),
		message(`{"specversion":"1.0","id":7,"source":"s","type":"t","data":{"domainId":51200931}}`, "Content-Type", structured),
		message(`{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"domainId":51200931},"data_base64":"e30="}`, "Content-Type", structured),
		message(`{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"not base64"}`, "Content-Type", structured),
		message(`{"domainId":51200931}`, "ce-specversion", "1.0"),
		message(`{"domainId":51200931}`, "ce-specversion", "1.0", "ce-id", "%zz", "ce-source", "%00", "ce-type", "t", "ce-time", "yesterday"),
		message(`{"domainId":51200931}`, "ce-specversion", strings.Repeat("1", 10_000)),
		message(`{}`, "X-Long", strings.Repeat("\xff", 60_000)),
		message(`{}`, "Content-Type", structured+";"+strings.Repeat("a=b;", 1000)),
		// What a server says to its clients stands in headers too.
		message("", "Status", "100", "Description", "Idle Heartbeat"),
		message("", "Status", "400", "Description", "Bad Request"),
		message("", "Status", "404", "Description", "No Messages"),
		message("", "Status", "408", "Description", "Request Timeout", "Nats-Pending-Messages", "-5"),
		message("", "Status", "409", "Description", "Consumer Deleted"),
		message("", "Status", "409", "Description", "Message Size Exceeds MaxBytes", "Nats-Pending-Messages", "many"),
		message("", "Status", "423", "Description", "Nats-Pin-Id mismatch"),
		message("", "Status", "503"),
		message("{}", "Nats-Pin-Id", "somebody"),
	}
}

// largeMalformed is a message of about so many bytes that nobody can act on.
func largeMalformed(size int) *nats.Msg {
	m := nats.NewMsg(events.DefaultIntakeSubject)
	m.Data = []byte(`{"domainId":"` + strings.Repeat("x", size-15) + `"}`)
	return m
}

// publishAll publishes messages as fast as the server stores them.
func (s *site) publishAll(count int, message func(i int) *nats.Msg) {
	s.t.Helper()
	const batch = 64 // the server takes only so many bytes at once
	for begin := 0; begin < count; begin += batch {
		var acks []jetstream.PubAckFuture
		for i := begin; i < min(count, begin+batch); i++ {
			ack, err := s.js.PublishMsgAsync(message(i))
			if err != nil {
				s.t.Fatalf("announcement %d: %v", i, err)
			}
			acks = append(acks, ack)
		}
		for i, ack := range acks {
			select {
			case <-ack.Ok():
			case err := <-ack.Err():
				s.t.Fatalf("announcement %d: %v", begin+i, err)
			case <-s.t.Context().Done():
				s.t.Fatal("the announcements were not stored")
			}
		}
	}
}

// state is what a stream holds.
func (s *site) state(name string) jetstream.StreamState {
	s.t.Helper()
	stream, err := s.js.Stream(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return stream.CachedInfo().State
}

// same reports whether a stream holds what it held.
func same(a, b jetstream.StreamState) bool {
	return a.Msgs == b.Msgs && a.Bytes == b.Bytes && a.FirstSeq == b.FirstSeq && a.LastSeq == b.LastSeq
}

// intakeDone reports whether the intake has nothing left that waits or is in somebody's hands.
func (s *site) intakeDone() bool {
	s.t.Helper()
	cons, err := s.js.Consumer(s.t.Context(), events.DefaultIntakeStream, events.ConsumerActivator)
	if err != nil {
		s.t.Fatal(err)
	}
	info := cons.CachedInfo()
	return info.NumPending == 0 && info.NumAckPending == 0
}

// boundRejected makes the stream of rejections hold less than usual.
func (s *site) boundRejected(bytes int64) {
	s.t.Helper()
	stream, err := s.js.Stream(s.t.Context(), "ACTIVATION_REJECTED")
	if err != nil {
		s.t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.MaxBytes = bytes
	if _, err := s.js.UpdateStream(s.t.Context(), cfg); err != nil {
		s.t.Fatal(err)
	}
}

// memory is what the system says of a process's memory, in bytes: now, and at its peak.
func (p *proc) memory() (resident, peak int64) {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			resident = kib << 10
		case "VmHWM":
			peak = kib << 10
		}
	}
	if resident == 0 || peak == 0 {
		p.t.Fatalf("no memory is told of:\n%s", status)
	}
	return resident, peak
}

// processorTime is what a process has used of it so far.
func (p *proc) processorTime() time.Duration {
	p.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	const tick = 10 * time.Millisecond // USER_HZ
	return time.Duration(user+system) * tick
}
