package config

import (
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Print writes the effective settings as a settings file, one a line in the table's order, each with where it comes
// from. What is hidden, what was found out at this start, and what a file named by a setting holds, is commented out: read
// back, the rest means the same.
func (c *Config) Print(w io.Writer) error {
	var b strings.Builder
	for _, s := range settings() {
		v := c.values[s.name]
		if s.standard && v.text == "" {
			continue
		}
		text, hiding := c.shownValue(s)
		line, err := yaml.Marshal(text)
		if err != nil {
			return fmt.Errorf("print %s: %w", s.name, err)
		}
		if hiding || v.computed {
			b.WriteString("# ")
		}
		fmt.Fprintf(&b, "%s: %s # %s", s.name, strings.TrimSuffix(string(line), "\n"), v.from)
		if v.text == "" && s.auto != "" {
			b.WriteString(": " + strings.ReplaceAll(s.auto, "`", ""))
		}
		b.WriteString("\n")
		if s.name == "WORKER_CLASSIFICATION" {
			for _, entry := range c.Worker.Classification {
				fmt.Fprintf(&b, "#   %s\n", entry)
			}
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("print settings: %w", err)
	}
	return nil
}

// shownValue is a value as it may be shown, and whether something of it was hidden.
func (c *Config) shownValue(s setting) (string, bool) {
	text := c.values[s.name].text
	if text == "" {
		return "", false
	}
	if s.secret != nil {
		return hidden, true
	}
	// A server list may hold users and passwords, and a password may hold a comma: everything before the last @ goes.
	if at := strings.LastIndex(text, "@"); at >= 0 && s.value.kind == serverList().name {
		return hidden + text[at:], true
	}
	return text, false
}

// Markdown is the table of all settings for docs/configuration.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| variable | flag | default | meaning |\n|---|---|---|---|\n")
	for _, s := range settings() {
		flag, def := "", s.auto
		if s.standard {
			continue
		}
		if s.flag() != "" {
			flag = "`--" + s.flag() + "`"
		}
		if s.def != "" {
			def = "`" + s.def + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.name, flag, def, s.help)
	}
	b.WriteString("| `OTEL_EXPORTER_OTLP_ENDPOINT` … |  | off | the standard variables of OpenTelemetry for traces, see docs/tracing-and-logs.md |\n")
	return b.String()
}
