package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/grovekeeper/grove/server/admin"
)

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "say which Grove this is",
		Description: "Example:\n\n" +
			"   $ grove version\n" +
			"   grove 0.1.0, speaks ZooKeeper 3.9.5, built 2026-02-11 20:18 UTC with go1.26.8 for linux/amd64",
		OnUsageError: wrongUsage,
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			_, err := fmt.Fprintln(c.App.Writer, "grove", release())
			return err
		},
	}
}

// build is what the binary knows about itself. It is taken from the module and the commit it was
// built from; there is nothing to be set by hand.
type build struct {
	version string    // without v; "dev" if the module has none
	made    time.Time // of the commit; zero if unknown
}

func release() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return build{version: "dev"}
	}
	return buildOf(info)
}

func buildOf(info *debug.BuildInfo) build {
	b := build{version: strings.TrimPrefix(info.Main.Version, "v")}
	if b.version == "" || b.version == "(devel)" {
		b.version = "dev"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			b.made, _ = time.Parse(time.RFC3339, s.Value) // zero if it is no time
		}
	}
	return b
}

// plain is the version in the letters that parsers of ZooKeeper's version line accept.
func (b build) plain() string { return strings.ReplaceAll(b.version, "+", ".") }

func (b build) String() string {
	made := ""
	if !b.made.IsZero() {
		made = " " + b.made.UTC().Format("2006-01-02 15:04 MST")
	}
	return fmt.Sprintf("%s, speaks ZooKeeper %s, built%s with %s for %s/%s",
		b.version, admin.CompatVersion, made, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
