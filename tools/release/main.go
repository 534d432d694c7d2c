// Command release builds what is given out of the worker: for each target a static binary in an archive, with licences and shell
// completions, a bill of materials beside it, and the checksums of all.
//
//	release -version V -commit C -date SECONDS -out DIR [-bom PATH] [os/arch…]    four targets unless said
//
// It runs in the root of the repository. The same source, toolchain and arguments give the same bytes, wherever and whenever: no time but
// the commit's, no path and no setting of the environment gets in.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

var allTargets = []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64"}

// completions are where shells look for them, by name in the archive.
var completions = map[string]string{
	"completions/worker.bash": "bash", "completions/_worker": "zsh", "completions/worker.fish": "fish", "completions/worker.ps1": "powershell",
}

// documents go into every archive; a licence of the product's own if there is one.
var documents = []string{"README.md", "CHANGELOG.md", "LICENSE"}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release is what all targets have in common.
type release struct {
	version, commit string
	date            time.Time
	out             string
	bom             string // path of the command
	shared          []file // what is the same for all targets
}

func run(args []string) error {
	var r release
	var seconds int64
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.StringVar(&r.version, "version", "", "version to stamp")
	flags.StringVar(&r.commit, "commit", "", "commit to stamp")
	flags.Int64Var(&seconds, "date", 0, "date of the commit, in seconds, for what is in the archives")
	flags.StringVar(&r.out, "out", "", "folder for what is made; it must not be there")
	flags.StringVar(&r.bom, "bom", "bom", "path of the command bom")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if r.version == "" || r.commit == "" || seconds <= 0 || r.out == "" {
		return errors.New("-version, -commit, -date and -out are needed")
	}
	r.date = time.Unix(seconds, 0).UTC()
	targets := flags.Args()
	if len(targets) == 0 {
		targets = allTargets
	}
	if err := os.Mkdir(r.out, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "release-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := r.share(filepath.Join(work, "host")); err != nil {
		return err
	}
	for _, target := range targets {
		goos, goarch, _ := strings.Cut(target, "/")
		if err := r.target(goos, goarch, filepath.Join(work, goos+"-"+goarch)); err != nil {
			return fmt.Errorf("%s: %w", target, err)
		}
	}
	return writeSums(r.out)
}

// share gathers what is the same for all targets. The completions are what a binary for this machine prints.
func (r *release) share(worker string) error {
	for _, name := range documents {
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) && name == "LICENSE" {
			continue
		}
		if err != nil {
			return err
		}
		r.shared = append(r.shared, file{name: name, content: text})
	}
	if err := r.build(runtime.GOOS, runtime.GOARCH, worker); err != nil {
		return err
	}
	for name, shell := range completions {
		text, err := output(worker, "completion", shell)
		if err != nil {
			return err
		}
		r.shared = append(r.shared, file{name: name, content: text})
	}
	return nil
}

// kept are the settings of the go command that a release needs: where modules come from, and where they are.
var kept = []string{"GOPROXY", "GONOPROXY", "GOPRIVATE", "GOINSECURE", "GOSUMDB", "GONOSUMDB", "GOMODCACHE", "GOCACHE", "GOTOOLCHAIN"}

// settings are an environment of the go command in which none of its other settings are, of the environment or of go env -w.
func settings() ([]string, error) {
	out, err := output("go", append([]string{"env"}, kept...)...)
	if err != nil {
		return nil, err
	}
	env := append(os.Environ(), "GOENV=off", "CGO_ENABLED=0", "GOFLAGS=", "GOEXPERIMENT=", "GOFIPS140=off", "GOAMD64=v1", "GOARM64=v8.0", "GOWORK=off")
	for i, value := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		env = append(env, kept[i]+"="+value)
	}
	return env, nil
}

// build makes a static binary. No setting of the go command is to change it.
func (r *release) build(goos, goarch, path string) error {
	env, err := settings()
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X main.version="+r.version+" -X main.commit="+r.commit, "-o", path, "./cmd/worker")
	cmd.Env = append(env, "GOOS="+goos, "GOARCH="+goarch)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	return nil
}

// target writes archive and bill of materials of one target.
func (r *release) target(goos, goarch, worker string) error {
	if err := r.build(goos, goarch, worker); err != nil {
		return err
	}
	binary, err := os.ReadFile(worker)
	if err != nil {
		return err
	}
	licences, err := output(r.bom, "-texts", worker)
	if err != nil {
		return err
	}
	materials, err := output(r.bom, "-version", r.version, worker)
	if err != nil {
		return err
	}
	name := "activation-worker_" + strings.TrimPrefix(r.version, "v") + "_" + goos + "_" + goarch
	files := append([]file{{name: "worker", content: binary, executable: true}, {name: "LICENSES.txt", content: licences}}, r.shared...)
	if err := writeArchive(filepath.Join(r.out, name+".tar.gz"), name, files, r.date); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, name+".cdx.json"), materials, 0o644)
}

// output is what a command prints. What it has to say against that is for people.
func output(name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", filepath.Base(name), strings.Join(args, " "), err)
	}
	return out, nil
}
