package config

import (
	"strings"

	"github.com/spf13/pflag"
)

// Group is a part of the settings. A command registers the flags of the groups that it uses.
type Group string

// The groups of settings.
const (
	GroupNATS    Group = "nats"    // how to reach the server
	GroupPartner Group = "partner" // how to reach the partner's API, and how fast
	GroupStreams Group = "streams" // the intake and the worker's own streams
	GroupWorker  Group = "worker"  // what only the service itself needs
	GroupHTTP    Group = "http"
	GroupLog     Group = "log"
)

const (
	fileSuffix = "_FILE"

	// configFlag names the settings file.
	configFlag = "config"

	// annotation marks a flag as a setting's, with the setting's name and group: a command may have flags of its own.
	annotation = "setting"

	// valuesAnnotation holds what the setting of a flag can be.
	valuesAnnotation = "values"
)

// setting is a row of the table. Either value or secret is there.
type setting struct {
	name  string // the environment's variable
	group Group
	def   string // default as one would write it; empty: none, or found out later
	auto  string // for people: what happens without a value; empty where def says it
	help  string // Markdown

	value   binding
	secret  func(*Config) *Secret // where a secret goes; it has no flag and is not shown
	private bool                  // names a file that nobody but the worker should be able to read

	standard bool // somebody else's: it has no flag, and is shown only where it is set
}

// binding ties a setting's kind to its place in [Config].
type binding struct {
	kind   string   // one word, as --help shows it
	values []string // all that there are, where they are few; else none
	set    func(c *Config, text string) error
}

// kind is how a value is written. The errors of parse say what is wrong and what is wanted, without the key.
type kind[T any] struct {
	name  string
	parse func(text string) (T, error)
}

func bind[T any](k kind[T], at func(*Config) *T) binding {
	return binding{kind: k.name, set: func(c *Config, text string) error {
		v, err := k.parse(text)
		if err != nil {
			return err
		}
		*at(c) = v
		return nil
	}}
}

// choose binds a setting that can have these values.
func choose(at func(*Config) *string, of ...string) binding {
	b := bind(choice(of...), at)
	b.values = of
	return b
}

// withFile returns the row, and for a secret also the row of the file that can hold it.
func (s setting) withFile() []setting {
	if s.secret == nil {
		return []setting{s}
	}
	at, key := s.secret, s.name+fileSuffix
	s.value = binding{kind: "secret", set: func(c *Config, text string) error {
		*at(c) = SecretOf(text)
		return nil
	}}
	return []setting{s, {
		name: key, group: s.group, private: true, standard: s.standard, help: "file that holds `" + s.name + "`, read again at each use",
		value: binding{kind: path().name, set: func(c *Config, text string) error {
			*at(c) = SecretFile(key, text)
			return nil
		}},
	}}
}

// flag is the name of the setting's flag, empty for a secret.
func (s setting) flag() string {
	if s.secret != nil || s.standard {
		return ""
	}
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(s.name, "WORKER_"), "_", "-"))
}

// Flags registers --config and the flags of the groups that a command uses.
func Flags(fs *pflag.FlagSet, groups ...Group) {
	fs.String(configFlag, "", "settings `file` (YAML), keys as the environment's variables")
	used := map[Group]bool{}
	for _, g := range groups {
		used[g] = true
	}
	for _, s := range settings() {
		if !used[s.group] || s.flag() == "" {
			continue
		}
		f := fs.VarPF(&flagText{text: s.def, kind: s.value.kind}, s.flag(), "", s.usage())
		f.Annotations = map[string][]string{annotation: {s.name, string(s.group)}, valuesAnnotation: s.value.values}
	}
}

// Values are all that a flag of [Flags] can be, where they are few; else none.
func Values(f *pflag.Flag) []string { return f.Annotations[valuesAnnotation] }

// usage is the flag's line in --help: back-quotes would be taken for the value's name there.
func (s setting) usage() string {
	text := s.help + " [" + s.name + "]"
	if s.auto != "" {
		text += " (default " + s.auto + ")"
	}
	return strings.ReplaceAll(text, "`", "")
}

// flagText is a flag's value as it was written. It is understood later, together with those of the other sources.
type flagText struct{ text, kind string }

func (f *flagText) String() string { return f.text }
func (f *flagText) Type() string   { return f.kind }

func (f *flagText) Set(text string) error {
	f.text = text
	return nil
}
