// Package compose holds deploy/compose against Compose's own loader, and runs its services as plain processes, with the command lines,
// environments and files that the containers would have.
package compose

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"activation-worker/deploy/check/deploytest"
)

// workerImage is the image that this repository builds, whose entry point and environment are in the Dockerfile.
const workerImage = "activation-worker"

// load reads a project as docker compose does: schema, anchors, interpolation, consistency, with all profiles and no environment.
func load(ctx context.Context, file string, text []byte) (*types.Project, error) {
	return loader.LoadWithContext(ctx, types.ConfigDetails{
		WorkingDir: deploytest.Shipped("compose"), ConfigFiles: []types.ConfigFile{{Filename: file, Content: text}}, Environment: types.Mapping{},
	}, func(o *loader.Options) {
		o.Profiles = []string{"*"}
		o.SetProjectName("activation", true)
	})
}

// faults is what is wrong with a project that Compose takes.
func faults(p *types.Project, known deploytest.Known) []string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for name, s := range p.Services {
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				add("%s is open to other machines at port %s", name, port.Published)
			}
		}
		if s.Image != workerImage {
			continue
		}
		if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			add("%s may do more than it needs", name)
		}
		for key, value := range s.Environment {
			if err := known.Check(key, *value); err != nil {
				add("%s: %v", name, err)
			}
			if strings.HasPrefix(*value, "/") && key != "WORKER_EVENT_SOURCE" && !mounted(s, *value) {
				add("%s: %s names %s, which nothing mounts", name, key, *value)
			}
		}
	}
	return all
}

func mounted(s types.ServiceConfig, file string) bool {
	return slices.ContainsFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool { return strings.HasPrefix(file, v.Target+"/") })
}

// missing are the files that a project mounts and that are not there.
func missing(p *types.Project) []string {
	var all []string
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind {
				if _, err := os.Stat(v.Source); err != nil {
					all = append(all, fmt.Sprintf("%s mounts what is not there: %v", name, err))
				}
			}
		}
	}
	return all
}
