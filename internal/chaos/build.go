package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// tools are the programs of others, by the name of their binary: packages of the module of tools, pinned there.
var tools = map[string]string{
	"nats-server":      "github.com/nats-io/nats-server/v2",
	"toxiproxy-server": "github.com/Shopify/toxiproxy/v2/cmd/server",
}

// buildTools builds them, so that none of an older pin is left; of what has not changed the go command keeps what it built.
func buildTools(ctx context.Context, dir string) error {
	for name, path := range tools {
		if err := goBuild(ctx, "tools", filepath.Join(dir, name), path); err != nil {
			return err
		}
	}
	return nil
}

// buildWorker builds the worker into a directory, where no other is named.
func buildWorker(ctx context.Context, o options, dir string) (string, error) {
	if o.worker != "" {
		return filepath.Abs(o.worker)
	}
	to := filepath.Join(dir, "worker")
	args := []string{"./cmd/worker"}
	if o.tags {
		args = []string{"-tags", "faults", "./cmd/worker"}
	}
	return to, goBuild(ctx, ".", to, args...)
}

func goBuild(ctx context.Context, dir, to string, args ...string) error {
	if out, err := exec.CommandContext(ctx, "go", append([]string{"-C", dir, "build", "-buildvcs=false", "-o", to}, args...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("build %s, from the root of the repository: %w\n%s", filepath.Base(to), err, out)
	}
	return nil
}

// pointsOf asks a worker with the tag faults where it can be told to kill itself.
func pointsOf(ctx context.Context, o options, binary string) ([]string, error) {
	if !o.points {
		return nil, nil
	}
	cmd := exec.CommandContext(ctx, binary)
	cmd.Env = []string{"FAULTS_LIST=1"}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the points of %s: %w", binary, err)
	}
	// Nobody asks for a replay or the like here.
	points := slices.DeleteFunc(strings.Fields(string(out)), func(point string) bool {
		return slices.ContainsFunc([]string{"forget.", "cancel.", "announce.replay", "disarm", "ack.request", "sweep.erase"}, func(of string) bool {
			return strings.HasPrefix(point, of)
		})
	})
	if len(points) == 0 {
		return nil, errors.New("a worker built with the tag faults lists no points; leave them out with -points=false")
	}
	return points, nil
}
