package eventstest

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"activation-worker/internal/events"
)

// document is what these tests read of docs/asyncapi.yaml. That it is a valid one is for AsyncAPI's own parser to say: .ci/run asyncapi.
type document struct {
	Channels map[string]struct {
		Address   string
		Messages  map[string]any
		JetStream struct{ Stream string } `yaml:"x-jetstream"`
	}
	Components struct {
		Messages map[string]struct {
			Name    string
			Payload any
		}
	}
}

func asyncAPI(t *testing.T) document {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "asyncapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := yaml.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestAsyncAPIHasEverySubject of the streams, but for those that are the worker's own, with the type of event that is published there.
func TestAsyncAPIHasEverySubject(t *testing.T) {
	t.Parallel()
	d := asyncAPI(t)
	streams := events.StreamsOf(events.DefaultStream)
	shown := map[string]string{"activation.progress.*": ""} // by subject: the stream
	for _, subject := range []string{events.SubjectReplays, events.SubjectIntakePaused, events.SubjectIntakeResumed} {
		shown[subject] = streams.Ledger
	}
	for _, s := range events.States() {
		shown[events.SubjectState(s)] = streams.Ledger
	}
	shown[events.SubjectRejected], shown[events.SubjectRequests] = streams.Rejected, streams.Work
	shown[events.DefaultIntakeSubject] = events.DefaultIntakeStream
	shown[events.PublishedSubject("*")] = "the one named to worker setup"
	got := map[string]string{}
	for name, c := range d.Channels {
		tokens := strings.Split(c.Address, ".")
		for i, token := range tokens {
			if strings.HasPrefix(token, "{") {
				tokens[i] = "*"
			}
		}
		subject := strings.Join(tokens, ".")
		got[subject] = c.JetStream.Stream
		form, public := formOf(subject)
		for message := range c.Messages {
			if kind := d.Components.Messages[message].Name; public && kind != string(form.kind) {
				t.Errorf("channel %s has %s, want %s", name, kind, form.kind)
			}
		}
	}
	if !maps.Equal(got, shown) {
		t.Errorf("subjects and streams are\n%v\nwant\n%v", got, shown)
	}
	covered := 0
	for subject := range got {
		if _, public := formOf(subject); public {
			covered++
		}
	}
	if covered != 10 {
		t.Errorf("%d channels are of public events, want 10", covered)
	}
}

// TestAsyncAPITakesPublishedSamples each by the message of its type, and by no other.
func TestAsyncAPITakesPublishedSamples(t *testing.T) {
	t.Parallel()
	d := asyncAPI(t)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for _, name := range Names() {
		doc, err := Published(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(ID(name), doc); err != nil {
			t.Fatal(err)
		}
	}
	byType := map[string]*jsonschema.Schema{}
	for key, m := range d.Components.Messages {
		text, err := json.Marshal(m.Payload)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range Names() {
			text = bytes.ReplaceAll(text, []byte(`"./schemas/v1/`+name+`.json"`), []byte(`"`+ID(name)+`"`))
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource("message:"+key, doc); err != nil {
			t.Fatal(err)
		}
		schema, err := c.Compile("message:" + key)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(m.Name, "customer.") {
			byType[m.Name] = schema
		}
	}
	files, err := filepath.Glob(filepath.Join("..", "testdata", "v1", "*.json"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d samples, error %v", len(files), err)
	}
	var seen []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		summary, err := events.DecodeSummary(text)
		if err != nil {
			t.Fatal(err)
		}
		event, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, string(summary.Type))
		for kind, schema := range byType {
			if err := schema.Validate(event); (err == nil) != (kind == string(summary.Type)) {
				t.Errorf("%s held against the message of %s: %v", filepath.Base(file), kind, err)
			}
		}
	}
	slices.Sort(seen)
	if seen = slices.Compact(seen); len(seen) != len(byType) || len(seen) != 10 {
		t.Errorf("samples are of %q, messages of %q", seen, slices.Collect(maps.Keys(byType)))
	}
}
