package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"activation-worker/internal/config"
	"activation-worker/internal/events"
	"activation-worker/internal/operator"
)

// root is where the documents are, seen from this package.
var root = filepath.Join("..", "..")

func document(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestReadmeNamesSettings finds settings in any document that do not exist.
func TestReadmeNamesSettings(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`\b(NATS|LINEWORKS|WORKER)_[A-Z][A-Z_]*[A-Z]\b`)
	for _, doc := range documents(t) {
		for _, setting := range name.FindAllString(document(t, doc), -1) {
			if !strings.Contains(config.Markdown(), "`"+setting+"`") {
				t.Errorf("%s names the setting %s, which does not exist", doc, setting)
			}
		}
	}
}

func TestReadmeTestCommand(t *testing.T) {
	t.Parallel()
	if !slices.ContainsFunc(blocksOf(document(t, "README.md")), func(b block) bool { return b.language == "sh" && b.text == "go test ./...\n" }) {
		t.Error("README.md has no block that is the line go test ./... alone")
	}
}

// TestReadmeCommands looks for every command and flag that a document names, and for commands that the README leaves out.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	command := wholeCommand()
	named := map[string]bool{}
	for _, doc := range documents(t) {
		for _, line := range codeLines(document(t, doc)) {
			for _, args := range callsOf(line) {
				cmd, rest, err := command.Find(args)
				if err != nil || cmd == command {
					t.Errorf("%s names worker %s, which does not exist", doc, strings.Join(args, " "))
					continue
				}
				checkFlags(t, doc, cmd, rest)
				if doc == "README.md" {
					named[cmd.Name()] = true
				}
			}
		}
	}
	for _, cmd := range command.Commands() {
		if !named[cmd.Name()] {
			t.Errorf("README.md does not name worker %s", cmd.Name())
		}
	}
}

func checkFlags(t *testing.T, doc string, cmd *cobra.Command, args []string) {
	t.Helper()
	for _, arg := range args {
		name, _, _ := strings.Cut(arg, "=")
		switch {
		case name == "-" || !strings.HasPrefix(name, "-") || name == "--help":
		case strings.HasPrefix(name, "--") && cmd.Flags().Lookup(name[2:]) != nil:
		case len(name) == 2 && cmd.Flags().ShorthandLookup(name[1:]) != nil:
		default:
			t.Errorf("%s names worker %s %s, a flag which does not exist", doc, cmd.Name(), name)
		}
	}
}

var codeSpan = regexp.MustCompile("`([^`\n]+)`")

// codeLines are the lines of shell blocks, indented ones too, and the code within sentences and tables.
func codeLines(text string) []string {
	var lines []string
	for _, b := range blocksOf(text) {
		if b.language == "sh" {
			lines = append(lines, strings.Split(strings.ReplaceAll(b.text, "\\\n", " "), "\n")...)
		}
	}
	text = fence.ReplaceAllString(text, "")
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "    ") {
			lines = append(lines, line)
		}
	}
	for _, m := range codeSpan.FindAllStringSubmatch(text, -1) {
		lines = append(lines, m[1])
	}
	return lines
}

var (
	subcommand = regexp.MustCompile(`^[a-z]+$`)
	argument   = regexp.MustCompile(`^[^|&;#>]+$`)
)

// callsOf are the arguments of each call of the worker in a line of code. A flag's value is an argument, too.
func callsOf(line string) [][]string {
	var calls [][]string
	words := strings.Fields(strings.ReplaceAll(line, ";", " ; "))
	for i, word := range words {
		if word != "worker" && !strings.HasSuffix(word, "/worker") || i+1 == len(words) || !subcommand.MatchString(words[i+1]) {
			continue
		}
		end := i + 1
		for end < len(words) && argument.MatchString(words[end]) {
			end++
		}
		calls = append(calls, words[i+1:end])
	}
	return calls
}

// TestReadmeExamples decodes each example event and writes it again: what comes out must be the example.
func TestReadmeExamples(t *testing.T) {
	t.Parallel()
	wanted := map[events.Type]bool{
		events.TypeStarted: true, events.TypeDeferred: true, events.TypeActivated: true, events.TypeFailed: true,
		events.TypeForgotten: true, events.TypeRejected: true, events.TypePaused: true, events.TypeResumed: true,
		events.TypeReplayed: true, events.TypeRequested: true,
	}
	var accepted []events.Accepted
	var activated *events.Record
	for _, doc := range []string{"README.md", "docs/events.md"} {
		for _, b := range blocksOf(document(t, doc)) {
			if b.language != "json" {
				continue
			}
			e, err := events.DecodeSummary([]byte(b.text))
			switch {
			case err != nil:
				t.Errorf("%s: %v, in:\n%s", doc, err, b.text)
			case e.Type == "" || e.Type == "signup.terms.accepted":
				accepted = append(accepted, decodeAccepted(t, doc, b.text, e.Type != ""))
			default:
				again := writeAgain(t, doc, e, b.text)
				if !sameJSON(t, again, []byte(b.text)) {
					t.Errorf("%s: the example of %s is\n%s\nthe worker would write\n%s", doc, e.Type, b.text, again)
				}
				delete(wanted, e.Type)
				if e.Type == events.TypeActivated {
					activated = decodeState(t, doc, e, b.text)
				}
			}
		}
	}
	for missing := range wanted {
		t.Errorf("no document has an example of %s", missing)
	}
	if len(accepted) == 0 || activated == nil {
		t.Fatal("no example of what goes in, or none of what comes out")
	}
	in := accepted[0]
	if in.Event.ID != activated.Event.ID || in.DomainID != activated.DomainID || in.Reference != activated.Reference || !in.AcceptedAt.Equal(activated.AcceptedAt) {
		t.Errorf("the first example of what goes in, %+v, does not lead to that of what comes out, %+v", in, activated)
	}
}

func decodeAccepted(t *testing.T, doc, text string, structured bool) events.Accepted {
	t.Helper()
	m := events.Message{Subject: events.DefaultIntakeSubject, Data: []byte(text), Stream: "SIGNUP", Sequence: 7, StoredAt: time.Now()}
	if structured {
		m.Header = map[string][]string{"Content-Type": {"application/cloudevents+json"}}
	}
	accepted, err := events.Decoder{}.Decode(m)
	if err != nil || accepted.ReferenceDropped {
		t.Errorf("%s: the worker does not take the example (%v):\n%s", doc, err, text)
	}
	return accepted
}

func decodeState(t *testing.T, doc string, e events.Summary, text string) *events.Record {
	t.Helper()
	id, state := e.Subject, e.ID[strings.LastIndex(e.ID, "-")+1:]
	r, err := events.DecodeRecord("activation.customer."+id+"."+state, 1, []byte(text))
	if err != nil {
		t.Fatalf("%s: %v, in:\n%s", doc, err, text)
	}
	return r
}

// writeAgain decodes an event of ours and encodes it as the worker does.
func writeAgain(t *testing.T, doc string, e events.Summary, text string) []byte {
	t.Helper()
	var written []byte
	var err error
	switch e.Type {
	case events.TypeRejected:
		var r events.Rejection
		if r, err = events.DecodeRejection([]byte(text)); err == nil {
			_, written, err = events.EncodeRejection(original(t, e, r), &events.Undecodable{Reason: r.Reason, Detail: r.Detail}, e.Source, 1<<20, e.Time)
		}
	case events.TypePaused, events.TypeResumed:
		var in events.Intake
		if in, err = events.DecodeIntake([]byte(text)); err == nil {
			_, _, written, err = events.EncodeIntake(in, e.Type == events.TypePaused, e.Source, e.Time)
		}
	case events.TypeReplayed:
		var r events.ReplayEvent
		if r, err = events.DecodeReplay([]byte(text)); err == nil {
			_, written, err = events.EncodeReplay(r, e.Source, e.Time)
		}
	case events.TypeRequested:
		var r events.Request
		verb := events.Verb(strings.TrimPrefix(e.Source, "/worker/"))
		if r, err = events.DecodeRequest(events.RequestSubject(verb, "somebody", e.ID), []byte(text)); err == nil {
			written, err = events.EncodeRequest(r, e.Time)
		}
	default:
		var expected uint64
		if expected, err = strconv.ParseUint(part(e.ID, 1), 10, 64); err == nil { // domain-expected-state
			written, err = events.EncodeRecord(decodeState(t, doc, e, text), e.Source, expected, e.Time)
		}
	}
	if err != nil {
		t.Fatalf("%s: %s: %v", doc, e.ID, err)
	}
	return written
}

// part is the n-th of the parts of an event's id, or nothing.
func part(id string, n int) string {
	parts := strings.Split(id, "-")
	if n >= len(parts) {
		return ""
	}
	return parts[n]
}

// original is the intake message that a rejection tells of.
func original(t *testing.T, e events.Summary, r events.Rejection) events.Message {
	t.Helper()
	created, err := strconv.ParseInt(part(e.ID, 2), 10, 64) // rejected-stream-created-sequence
	if err != nil {
		t.Fatal(err)
	}
	data, err := base64.StdEncoding.DecodeString(r.Original.DataBase64)
	if err != nil {
		t.Fatal(err)
	}
	return events.Message{
		Subject: r.Original.Subject, Header: r.Original.Headers, Data: data,
		Stream: r.Original.Stream, Sequence: r.Original.Sequence, StreamCreated: time.Unix(0, created),
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	return reflect.DeepEqual(decodeJSON(t, a), decodeJSON(t, b))
}

func decodeJSON(t *testing.T, text []byte) (v any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v, in:\n%s", err, text)
	}
	return v
}

// TestConceptsReasons holds the words of docs/concepts.md for a reason against those of worker status.
func TestConceptsReasons(t *testing.T) {
	t.Parallel()
	concepts := document(t, "docs/concepts.md")
	for _, reason := range events.Reasons() {
		row := "| `" + string(reason) + "` | " + operator.Explain(&events.Record{State: events.Deferred, Reason: reason}).Is + " |"
		if !strings.Contains(concepts, row) {
			t.Errorf("docs/concepts.md has no row that begins %s", row)
		}
	}
}
