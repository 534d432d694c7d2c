package compose

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"activation-worker/deploy/check/deploytest"
)

// machine runs services of a project as processes. A container is a loopback address and a folder: where its text names a
// service the process gets the address, and where it names a mounted path, the path in the folder.
type machine struct {
	t       *testing.T
	project *types.Project
	dir     string
	net     string // 127.x.y: the containers' addresses are in it
}

func newMachine(t *testing.T, p *types.Project) *machine {
	t.Helper()
	m := &machine{t: t, project: p, dir: t.TempDir(), net: fmt.Sprintf("127.%d.%d", 64+rand.IntN(128), rand.IntN(256))}
	for name := range p.Volumes {
		if err := os.MkdirAll(filepath.Join(m.dir, "volumes", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// address is a service's.
func (m *machine) address(service string) string {
	names := m.project.ServiceNames()
	slices.Sort(names)
	return fmt.Sprintf("%s.%d", m.net, slices.Index(names, service)+1)
}

// file is where a path of a container is.
func (m *machine) file(service, path string) string {
	return filepath.Join(m.dir, "roots", service, path)
}

// command is what a container of the service would run; with arguments, in place of its own.
func (m *machine) command(service string, args ...string) deploytest.Command {
	m.t.Helper()
	s := m.project.Services[service]
	targets := []string{}
	for _, v := range s.Volumes {
		source := v.Source
		if v.Type == types.VolumeTypeVolume {
			source = filepath.Join(m.dir, "volumes", v.Source)
		}
		place := m.file(service, v.Target)
		if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
			m.t.Fatal(err)
		}
		if _, err := os.Lstat(place); err != nil {
			if err := os.Symlink(source, place); err != nil {
				m.t.Fatal(err)
			}
		}
		targets = append(targets, v.Target)
	}
	here := func(text string) string {
		for _, target := range targets {
			// As a path by itself, not within another one.
			whole := regexp.MustCompile(`(^|[ ;])` + regexp.QuoteMeta(target) + `(/|$|[ ;])`)
			for whole.MatchString(text) {
				text = whole.ReplaceAllString(text, "${1}"+strings.ReplaceAll(m.file(service, target), "$", "$$")+"${2}")
			}
		}
		for _, name := range m.project.ServiceNames() {
			host := regexp.MustCompile(`(^|//)` + regexp.QuoteMeta(name) + `(:\d|$)`)
			text = host.ReplaceAllString(text, "${1}"+m.address(name)+"${2}")
		}
		return strings.NewReplacer("0.0.0.0:", m.address(service)+":", "127.0.0.1:", m.address(service)+":").Replace(text)
	}
	line := append(slices.Clone(s.Entrypoint), s.Command...)
	if s.Image == workerImage {
		line = append([]string{deploytest.Worker(m.t)}, s.Command...)
	}
	if len(args) > 0 {
		line = append(line[:1:1], args...)
	}
	for i := range line[1:] {
		if i > 0 || s.Image != workerImage { // not the worker's verbs
			line[i+1] = here(line[i+1])
		}
	}
	env := []string{deploytest.Path(m.t), "HOME=" + m.t.TempDir()}
	for key, value := range s.Environment {
		text := *value
		if key != "ACTIVATION_NATS_NODE" { // a name that stays one
			text = here(text)
		}
		env = append(env, key+"="+text)
	}
	dir := ""
	if s.WorkingDir != "" {
		dir = m.file(service, s.WorkingDir)
	}
	return deploytest.Command{Path: line[0], Args: line[1:], Env: env, Dir: dir}
}
