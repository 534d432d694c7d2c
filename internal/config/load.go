package config

import (
	"cmp"
	"crypto/rand"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// Where values come from, weakest first.
const (
	fromDefault = "default"
	fromFile    = "file"
	fromEnv     = "environment"
	fromFlag    = "flag"
)

const (
	sourceReal      = "/lineworks/activation"
	sourceSimulated = "/lineworks-simulated/activation"

	suffixRunes = 6 // of a made-up WORKER_ID
)

// value is what is known about a setting besides its place in [Config].
type value struct {
	text     string // as written; empty: none
	from     string
	computed bool // found out at this start, so it is not to be written into a file
}

// loader lays the sources over one another and gathers what is wrong with them.
type loader struct {
	settings []setting
	known    map[string]setting
	from     map[string]string // by variable
	merged   *koanf.Koanf

	faults   Faults
	warnings []string
	exposed  []string // warnings too
}

// Load reads the settings from parsed flags, from the environment (as [os.Environ] gives it) and from the file that
// --config names. Flags may be nil. Every value that is given must be understandable, whichever command asks; how
// settings fit together, and the files they name, are checked for the groups whose flags are registered, or for all
// if flags is nil. What is wrong comes as [Faults], all at once.
func Load(flags *pflag.FlagSet, environ []string) (*Config, error) {
	l := &loader{
		settings: settings(),
		known:    map[string]setting{},
		from:     map[string]string{},
		merged:   koanf.New("."), // no key has a dot
	}
	for _, s := range l.settings {
		l.known[s.name] = s
	}
	path := l.readSources(flags, environ)
	c := l.fill()
	l.check(c, flags, path)
	l.excuse(c)
	if err := l.faults.orNil(); err != nil {
		return nil, err
	}
	slices.Sort(l.exposed)
	c.Exposed = slices.Compact(l.exposed)
	l.warnings = append(l.warnings, c.Exposed...)
	slices.Sort(l.warnings)
	c.Warnings = slices.Compact(l.warnings)
	return c, nil
}

// readSources merges all sources and returns the path of the settings file, empty if there is none.
func (l *loader) readSources(flags *pflag.FlagSet, environ []string) string {
	defaults := map[string]any{}
	for _, s := range l.settings {
		defaults[s.name] = s.def
	}
	l.merge(fromDefault, confmap.Provider(defaults, ""), nil)
	path := configPath(flags)
	if path != "" {
		l.merge(fromFile, file.Provider(path), fileParser{l})
	}
	l.merge(fromEnv, env.Provider("", env.Opt{
		EnvironFunc:   func() []string { return environ },
		TransformFunc: l.acceptEnv,
	}), nil)
	if flags != nil && flags.Changed(configFlag) && path == "" {
		l.fault(Fault{Key: "--" + configFlag, Problem: "is empty; wanted the name of a file", From: "flag"})
	}
	if flags != nil {
		l.merge(fromFlag, posflag.ProviderWithFlag(flags, ".", nil, l.acceptFlag), nil)
	}
	return path
}

func configPath(flags *pflag.FlagSet) string {
	if flags == nil || flags.Lookup(configFlag) == nil {
		return ""
	}
	return flags.Lookup(configFlag).Value.String()
}

// merge lays one source over those before it and notes which values it gave.
func (l *loader) merge(from string, p koanf.Provider, parser koanf.Parser) {
	note := koanf.WithMergeFunc(func(src, dest map[string]any) error {
		for key, text := range src {
			dest[key] = text
			l.from[key] = from
		}
		return nil
	})
	if err := l.merged.Load(p, parser, note); err != nil {
		l.fault(Fault{Key: "--" + configFlag, Problem: "the file cannot be used: " + withoutPath(err).Error()})
	}
}

// acceptEnv picks ours from the environment; an empty key drops the variable.
func (l *loader) acceptEnv(key, text string) (string, any) {
	if text == "" || !l.concerns(key, text) || !l.accept(key, fromEnv) {
		return "", nil
	}
	return key, text
}

// acceptFlag picks the settings among a command's flags; an empty key drops the flag.
func (l *loader) acceptFlag(f *pflag.Flag) (string, any) {
	mark := f.Annotations[annotation]
	if mark == nil {
		return "", nil
	}
	return mark[0], cmp.Or(f.Value.String(), l.known[mark[0]].def)
}

func (l *loader) fault(f Fault) { l.faults = append(l.faults, f) }

// faulty tells whether something is known to be wrong with one of the settings.
func (l *loader) faulty(keys ...string) bool {
	return slices.ContainsFunc(l.faults, func(f Fault) bool { return slices.Contains(keys, f.Key) })
}

// fill understands all values and works out those that depend on others.
func (l *loader) fill() *Config {
	c := &Config{values: map[string]value{}}
	for _, s := range l.settings {
		v := value{text: l.merged.String(s.name), from: l.from[s.name]}
		c.values[s.name] = v
		if v.text == "" {
			continue
		}
		problem := ""
		if s.secret == nil && strings.ContainsFunc(v.text, isControl) {
			problem = "holds a line end, a control character or invalid UTF-8; wanted one line of text"
		} else if err := s.value.set(c, v.text); err != nil {
			problem = err.Error()
		}
		if problem != "" {
			l.fault(Fault{Key: s.name, Problem: problem, From: v.from})
		}
	}
	if c.Worker.EventSource == "" {
		c.Worker.EventSource = sourceReal
		if c.Partner.Loopback() {
			c.Worker.EventSource = sourceSimulated
		}
		c.values["WORKER_EVENT_SOURCE"] = value{c.Worker.EventSource, fromDefault, true}
	}
	if c.Worker.ID == "" {
		c.Worker.ID = newIdentity()
		c.values["WORKER_ID"] = value{c.Worker.ID, fromDefault, true}
	}
	return c
}

func isControl(r rune) bool { return r == utf8.RuneError || r < ' ' || (r >= 0x7f && r < 0xa0) }

// newIdentity names this process: the host for people, the suffix because replicas may share a host.
func newIdentity() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "worker"
	}
	host = strings.Map(func(r rune) rune {
		if notInIdentity(r) {
			return '-'
		}
		return r
	}, host)
	suffix := strings.ToLower(rand.Text()[:suffixRunes])
	return host[:min(len(host), identityLimit-suffixRunes-1)] + "-" + suffix
}
