package eventstest_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"activation-worker/internal/events"
	"activation-worker/internal/events/eventstest"
)

var update = flag.Bool("update", false, "add to the facts of the published schemas what is new and allowed")

var factsFile = filepath.Join("testdata", "v1.facts")

// A schema of a version may only be extended: readers were told what they can rely on, and what was stored must fit for ever.
func TestPublishedSchemasAreOnlyExtended(t *testing.T) {
	t.Parallel()
	now := allFacts(t)
	text, err := os.ReadFile(factsFile)
	if err != nil && !*update {
		t.Fatal(err)
	}
	published := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(text) == 0 {
		published = nil
	}
	wrong, added := compare(published, now)
	for _, w := range wrong {
		t.Error(w)
	}
	if !*update && len(added) > 0 {
		t.Errorf("new, and allowed; go test -update adds it to %s:\n%s", factsFile, strings.Join(added, "\n"))
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(factsFile, []byte(strings.Join(now, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatWouldBreakAReaderIsNoExtension(t *testing.T) {
	t.Parallel()
	facts := []string{
		"e / type = object", "e / required[] = a", "e /properties/a type = string", "e /properties/a enum[] = x", "e /properties/a enum[] = y",
		"e /properties/b type = integer",
	}
	for sentence, c := range map[string]struct {
		without string
		with    []string
		wrong   int
		added   int
	}{
		"nothing changes":                  {},
		"a member is removed":              {without: "e /properties/b type = integer", wrong: 1},
		"a member's type changes":          {without: "e /properties/b type = integer", with: []string{"e /properties/b type = string"}, wrong: 2},
		"a value is removed":               {without: "e /properties/a enum[] = y", wrong: 1},
		"a member becomes required":        {with: []string{"e / required[] = b"}, wrong: 1},
		"a member is no longer required":   {without: "e / required[] = a", wrong: 1},
		"a limit is added":                 {with: []string{"e /properties/b maximum = 10"}, wrong: 1},
		"a list of values is added":        {with: []string{"e /properties/b enum[] = 1"}, wrong: 1},
		"a value is added":                 {with: []string{"e /properties/a enum[] = z"}, added: 1},
		"a member is added":                {with: []string{"e /properties/c type = object", "e /properties/c required[] = d", "e /properties/c/properties/d type = string"}, added: 3},
		"a member is added that is needed": {with: []string{"e /properties/c type = string", "e / required[] = c"}, wrong: 1, added: 1},
		"a schema is added":                {with: []string{"f / type = object", "f / required[] = a", "f /properties/a type = string"}, added: 3},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			now := slices.DeleteFunc(slices.Clone(facts), func(f string) bool { return f == c.without })
			wrong, added := compare(facts, append(now, c.with...))
			if len(wrong) != c.wrong || len(added) != c.added {
				t.Errorf("wrong: %q, want %d; added: %q, want %d", wrong, c.wrong, added, c.added)
			}
		})
	}
}

// compare says which facts are gone, or are new and no extension, and which are new and allowed: other values of a list that
// is there, and all about a member, a definition or a schema that was not there.
func compare(published, now []string) (wrong, added []string) {
	places := map[string]bool{} // what was published, and lists of it
	for _, fact := range published {
		name, place, what := parts(fact)
		places[name] = true
		for at := place; at != ""; at = at[:strings.LastIndex(at, "/")] {
			places[name+" "+at] = true
		}
		places[name+" "+place+" "+what] = true
		if !slices.Contains(now, fact) {
			wrong = append(wrong, "published, and gone: "+fact)
		}
	}
	for _, fact := range now {
		name, place, what := parts(fact)
		switch {
		case slices.Contains(published, fact):
		case !places[name], place != "/" && !places[name+" "+place], what == "enum[]" && places[name+" "+place+" enum[]"]:
			added = append(added, fact)
		default:
			wrong = append(wrong, "not published, and no extension: "+fact)
		}
	}
	return wrong, added
}

// parts are the schema, the place in it and the keyword of a fact.
func parts(fact string) (name, place, what string) {
	words := strings.SplitN(fact, " ", 4)
	return words[0], words[1], words[2]
}

// allFacts are what the schemas say, apart from what they say to people, in order.
func allFacts(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, name := range eventstest.Names() {
		schema, err := eventstest.Published(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, facts(name, "", schema)...)
	}
	slices.Sort(all)
	return all
}

func facts(name, at string, schema map[string]any) []string {
	var all []string
	say := func(what string, value any) {
		all = append(all, fmt.Sprintf("%s %s %s = %v", name, max(at, "/"), what, value))
	}
	for keyword, value := range schema {
		switch v := value.(type) {
		case map[string]any:
			if keyword == "properties" || keyword == "$defs" {
				for member, sub := range v {
					object, _ := sub.(map[string]any)
					all = append(all, facts(name, at+"/"+keyword+"/"+member, object)...)
				}
			} else {
				all = append(all, facts(name, at+"/"+keyword, v)...)
			}
		case []any:
			for i, element := range v {
				if object, ok := element.(map[string]any); ok {
					all = append(all, facts(name, fmt.Sprintf("%s/%s/%d", at, keyword, i), object)...)
				} else {
					say(keyword+"[]", element)
				}
			}
		default:
			if keyword != "title" && keyword != "description" {
				say(keyword, v)
			}
		}
	}
	return all
}

// A reader has nothing else to go by.
func TestEverySchemaExplainsItself(t *testing.T) {
	t.Parallel()
	definitions := map[string]string{}
	for _, name := range eventstest.Names() {
		schema, err := eventstest.Published(name)
		if err != nil {
			t.Fatal(err)
		}
		if schema["$schema"] != "https://json-schema.org/draft/2020-12/schema" || schema["$id"] != eventstest.ID(name) || schema["title"] == nil {
			t.Errorf("%s has $schema %v, $id %v, title %v", name, schema["$schema"], schema["$id"], schema["title"])
		}
		explained(t, name, schema)
		defs, _ := schema["$defs"].(map[string]any)
		for def, sub := range defs {
			text := fmt.Sprint(sub)
			if before, ok := definitions[def]; ok && before != text {
				t.Errorf("%s defines %s otherwise than another schema does", name, def)
			}
			definitions[def] = text
		}
	}
}

// explained wants a description at the schema and at every member below it, or at what it refers to.
func explained(t *testing.T, at string, schema map[string]any) {
	t.Helper()
	if text, _ := schema["description"].(string); !strings.HasSuffix(text, ".") && schema["$ref"] == nil {
		t.Errorf("%s has no description that is a sentence", at)
	}
	for _, keyword := range []string{"properties", "$defs"} {
		members, _ := schema[keyword].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(members)) {
			member, _ := members[name].(map[string]any)
			explained(t, at+" "+name, member)
		}
	}
	if sub, ok := schema["additionalProperties"].(map[string]any); ok {
		explained(t, at+" *", sub)
	}
}

// What the code knows is what the schemas list.
func TestSchemasListWhatTheCodeKnows(t *testing.T) {
	t.Parallel()
	all := strings.Join(allFacts(t), "\n")
	for _, kind := range []events.Type{
		events.TypeStarted, events.TypeDeferred, events.TypeActivated, events.TypeFailed, events.TypeForgotten, events.TypeRejected, events.TypeReplayed,
		events.TypePaused, events.TypeResumed, events.TypeRequested,
	} {
		if !strings.Contains(all, string(kind)+" / $id = "+eventstest.ID(string(kind))+"\n") {
			t.Errorf("there is no schema of %s", kind)
		}
	}
	if missing := notIn(all, "customer.activation.deferred /$defs/seen/propertyNames enum[] = ", events.Reasons()); len(missing) > 0 {
		t.Errorf("no schema lists the reasons %v", missing)
	}
	if missing := notIn(all, "customer.activation.forgotten /properties/wasState enum[] = ", append(events.States(), events.None)); len(missing) > 0 {
		t.Errorf("no schema lists the states %v", missing)
	}
	source, err := os.ReadFile(filepath.Join("..", "intake.go"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := os.ReadFile(filepath.Join("..", "cloudevent.go"))
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, m := range regexp.MustCompile(`Undecodable\{"([a-z_0-9]+)"`).FindAllSubmatch(bytes.Join([][]byte{source, more}, nil), -1) {
		words = append(words, string(m[1]))
	}
	if missing := notIn(all, "customer.activation.rejected /properties/reason enum[] = ", words); len(missing) > 0 || len(words) < 8 {
		t.Errorf("of the reasons for a rejection, %v, no schema lists %v", words, missing)
	}
}

func notIn[S ~string](facts, prefix string, values []S) (missing []S) {
	for _, v := range values {
		if !strings.Contains(facts+"\n", prefix+string(v)+"\n") {
			missing = append(missing, v)
		}
	}
	return missing
}
