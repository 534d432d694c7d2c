package main

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version and commit are stamped by the linker.
var version, commit string

func buildVersion() string {
	if version != "" {
		return version
	}
	return "devel"
}

func buildCommit(info *debug.BuildInfo) string {
	if commit != "" {
		return commit
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "unknown"
}

// reported are the dependencies whose versions matter when something is reported.
var reported = []string{
	"github.com/nats-io/nats.go", "github.com/nats-io/nats-server/v2", "github.com/cenkalti/backoff/v4",
	"golang.org/x/oauth2", "go.uber.org/zap",
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Version, commit, Go and dependency versions",
		Example: "  worker version",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			info, ok := debug.ReadBuildInfo()
			if !ok {
				info = &debug.BuildInfo{GoVersion: "unknown"}
			}
			var b strings.Builder
			fmt.Fprintf(&b, "worker %s\ncommit %s\ngo     %s\n", buildVersion(), buildCommit(info), info.GoVersion)
			for _, path := range reported {
				for _, dep := range info.Deps {
					if dep.Path == path {
						fmt.Fprintf(&b, "%s %s\n", dep.Path, dep.Version)
					}
				}
			}
			_, err := cmd.OutOrStdout().Write([]byte(b.String()))
			return err
		},
	}
}
