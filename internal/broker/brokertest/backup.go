package brokertest

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Saved is a stream with its consumers as `nats stream backup` saves it: what the server says of it, and its archive.
type Saved struct {
	Config json.RawMessage `json:"config"`
	State  json.RawMessage `json:"state"`
	data   []byte
}

const (
	backupTimeout = 30 * time.Second
	backupChunk   = 128 << 10
)

// Backup saves a stream with its consumers.
func Backup(t testing.TB, nc *nats.Conn, stream string) (s Saved) {
	t.Helper()
	inbox := nats.NewInbox()
	chunks, err := nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = chunks.Unsubscribe() }()
	request(t, nc, "$JS.API.STREAM.SNAPSHOT."+stream, encoded(t, map[string]any{"deliver_subject": inbox}), &s)
	for {
		m, err := chunks.NextMsg(backupTimeout)
		if err != nil {
			t.Fatalf("backup of %s: %v", stream, err)
		}
		if len(m.Data) == 0 {
			if status := m.Header.Get("Status"); status >= "400" {
				t.Fatalf("backup of %s: %v", stream, m.Header)
			}
			return s
		}
		s.data = append(s.data, m.Data...)
		if m.Reply == "" {
			continue
		}
		if err := m.Respond(nil); err != nil {
			t.Fatal(err)
		}
	}
}

// Restore brings a stream back that is not there.
func Restore(t testing.TB, nc *nats.Conn, stream string, s Saved) {
	t.Helper()
	var to struct {
		DeliverSubject string `json:"deliver_subject"`
	}
	request(t, nc, "$JS.API.STREAM.RESTORE."+stream, encoded(t, s), &to)
	for chunk := range slices.Chunk(s.data, backupChunk) {
		request(t, nc, to.DeliverSubject, chunk, nil)
	}
	request(t, nc, to.DeliverSubject, nil, nil) // that is all
}

// request reads the answer to a request, which may be empty, into a value.
func request(t testing.TB, nc *nats.Conn, subject string, body []byte, into any) {
	t.Helper()
	m, err := nc.Request(subject, body, backupTimeout)
	if err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
	if len(m.Data) == 0 {
		return
	}
	var failed struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &failed); err != nil || failed.Error != nil {
		t.Fatalf("%s: %v, %v", subject, failed.Error, err)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(m.Data, into); err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
}

func encoded(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
