package main

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
)

// machine says on what was measured, in one line.
func machine(ctx context.Context, o options) string {
	parts := []string{
		firstOf("/proc/cpuinfo", "model name"), strconv.Itoa(runtime.NumCPU()) + " cores",
		runtime.GOOS + " " + strings.TrimSpace(read("/proc/sys/kernel/osrelease")), runtime.GOARCH, runtime.Version(),
	}
	if out, err := exec.CommandContext(ctx, o.server, "--version").Output(); err == nil {
		parts = append(parts, strings.ReplaceAll(strings.TrimSpace(string(out)), ": v", " "))
	}
	return strings.Join(parts, ", ")
}

func read(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(raw)
}

// firstOf is the value of the first line of a file of names and values that has the name.
func firstOf(path, name string) string {
	for line := range strings.SplitSeq(read(path), "\n") {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}
