// Package systemd holds the units of deploy/systemd against systemd's own checks, and runs what they say.
package systemd

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// unit is a unit file: the values of each key, by section. An empty value does not reset a list here; no unit of ours needs it.
type unit map[string]map[string][]string

// readUnit reads a unit file as far as ours go: no continued lines, no drop-ins.
func readUnit(path string) (unit, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	u, section := unit{}, ""
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		key, value, pair := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
			u[section] = map[string][]string{}
		case !pair || section == "" || strings.HasSuffix(line, `\`):
			return nil, fmt.Errorf("%s: cannot read %q", path, line)
		default:
			u[section][key] = append(u[section][key], value)
		}
	}
	return u, lines.Err()
}

// one is the only value of a key of the service, and empty where there is none.
func (u unit) one(key string) string {
	if values := u["Service"][key]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// credentials are the service's credentials: their names and the files they are copies of.
func (u unit) credentials() map[string]string {
	files := map[string]string{}
	for _, value := range u["Service"]["LoadCredential"] {
		name, file, _ := strings.Cut(value, ":")
		files[name] = file
	}
	return files
}

// environment is what the service sets by itself, with the folder that the credentials are in.
func (u unit) environment(credentials string) []string {
	var env []string
	for _, value := range u["Service"]["Environment"] {
		env = append(env, strings.ReplaceAll(value, "%d", credentials))
	}
	return env
}
