package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// embeddedIn finds what others have written and the binary's own module has checked in and embedded: the folders of embedded files that
// have a licence of their own. The source is at root; that it is the one which the binary was built from is seen by the binary, which
// holds each file as it is.
func embeddedIn(root, binary string) ([]module, error) {
	folders, err := embeddedFolders(root, binary)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	var all []module
	var faults []error
	for within, files := range folders {
		m, err := checkedIn(filepath.Join(root, within), files, content)
		switch {
		case errors.Is(err, errNoLicence): // our own
		case err != nil:
			faults = append(faults, fmt.Errorf("%s: %w", within, err))
		default:
			m.within = within
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return all, errors.Join(faults...)
}

// embeddedFolders are the folders, within the binary's own module, of the files that its packages embed, with the files' names.
func embeddedFolders(root, binary string) (map[string][]string, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	list := exec.Command("go", "list", "-deps", "-json=Dir,Module,EmbedFiles", info.Path)
	list.Dir, list.Stderr = root, os.Stderr
	list.Env = list.Environ()
	for _, s := range info.Settings {
		if s.Key == "GOOS" || s.Key == "GOARCH" || s.Key == "CGO_ENABLED" {
			list.Env = append(list.Env, s.Key+"="+s.Value)
		}
	}
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("what %s embeds is not known: go list %s: %w", binary, info.Path, err)
	}
	folders := map[string][]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir        string
			EmbedFiles []string
			Module     *struct {
				Main bool
				Dir  string
			}
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return folders, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if p.Module == nil || !p.Module.Main {
			continue // the licence of its module holds for its files too
		}
		for _, name := range p.EmbedFiles {
			within, err := filepath.Rel(p.Module.Dir, filepath.Join(p.Dir, filepath.Dir(filepath.FromSlash(name))))
			if err != nil {
				return nil, err
			}
			folders[within] = append(folders[within], filepath.Base(name))
		}
	}
}

// whatItIs is how a file that was made to be passed on by itself says where it is from.
var whatItIs = regexp.MustCompile(`https://github\.com/[\w.-]+/([\w.-]+) \(v(\d+\.\d+\.\d+[\w.+-]*)\)`)

// checkedIn reads what is in a folder of embedded files.
func checkedIn(folder string, names []string, binary []byte) (module, error) {
	m := module{folder: folder}
	var err error
	if m.licences, err = licencesIn(folder); err != nil {
		return module{}, err
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return module{}, err
		}
		if !bytes.Contains(binary, text) {
			return module{}, fmt.Errorf("%s is not in the binary as it is here: build it anew", name)
		}
		if licenceFile.MatchString(name) {
			continue
		}
		m.files = append(m.files, fileOf(name, text))
		if found := whatItIs.FindSubmatch(text); found != nil {
			m.path, m.version = string(found[1]), string(found[2])
		}
	}
	if m.path == "" {
		return module{}, errors.New("none of its files says what it is, as in: https://github.com/owner/name (v1.2.3)")
	}
	return m, nil
}
