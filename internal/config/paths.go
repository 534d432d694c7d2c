package config

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// checkFiles looks at the file that a setting names or, where it is a secret, stands in. configPath is the settings
// file's. Where a file is to hold a secret its path is not shown: people do put the secret itself there.
func (l *loader) checkFiles(c *Config, s setting, configPath string) {
	from := c.values[s.name].from
	switch {
	case s.secret != nil && c.has(s.name+fileSuffix):
		l.fault(Fault{Key: s.name, Problem: "is set, and so is " + s.name + fileSuffix + "; wanted one or the other"})
	case from == fromFile && c.holdsSecret(s):
		if info, err := os.Stat(configPath); err == nil {
			l.warnExposed("--"+configFlag, info)
		}
	case from == fromFlag && c.holdsSecret(s):
		l.exposed = append(l.exposed, fmt.Sprintf("%s: the flag holds a secret, which everybody on this machine can see in the list of processes; "+
			"set it in the environment, or name a file with the secret, such as NATS_PASSWORD_FILE or NATS_CREDS", s.name))
	case s.value.kind == path().name:
		if problem := l.checkPath(c.values[s.name].text, s); problem != "" {
			l.fault(Fault{s.name, problem + "; wanted the path of a file", from})
		}
	}
}

// holdsSecret tells whether a setting's own text is or holds a secret: a server list may have users and passwords in it.
func (c *Config) holdsSecret(s setting) bool {
	return s.secret != nil || s.value.kind == serverList().name && strings.Contains(c.values[s.name].text, "@")
}

// checkPath returns what is wrong with the path of a file, empty if nothing is.
func (l *loader) checkPath(name string, s setting) string {
	info, err := os.Stat(name)
	switch {
	case err != nil && s.private:
		return "names no file that can be found: " + withoutPath(err).Error()
	case err != nil:
		return "names no file that can be found: " + err.Error()
	case info.IsDir():
		return "names a directory"
	case s.private:
		l.warnExposed(s.name, info)
	}
	return ""
}

func (l *loader) warnExposed(key string, info fs.FileInfo) {
	mode := info.Mode().Perm()
	self := uint32(os.Geteuid())
	if !exposed(mode, ownerOf(info, self), self) {
		return
	}
	l.exposed = append(l.exposed, fmt.Sprintf(
		"%s: the file holds a secret and not only its owner has rights on it (mode %04o); take them away with chmod 0600",
		key, mode))
}

// exposed tells whether others than who reads it have rights on a file that holds a secret. Kubernetes and systemd hand over files
// of root's that a service may read as one of their group, with nobody else in it: that much is theirs to give.
func exposed(mode fs.FileMode, owner, self uint32) bool {
	if owner != self {
		return mode&0o037 != 0
	}
	return mode&0o077 != 0
}

// ownerOf is the owner of a file, and unknown where the system does not say.
func ownerOf(info fs.FileInfo, unknown uint32) uint32 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Uid
	}
	return unknown
}
