package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/grovekeeper/grove/internal/group"
	"github.com/grovekeeper/grove/internal/heap"
	"github.com/grovekeeper/grove/server"
)

func serveCommand() *cli.Command {
	return &cli.Command{
		Name:         "serve",
		Usage:        "run a server",
		Description:  serveDescription,
		Flags:        flags(),
		OnUsageError: wrongUsage,
		Action:       serve,
	}
}

const serveDescription = `Serves ZooKeeper clients until SIGTERM or Ctrl-C, which close it cleanly; a second one
ends it at once.

A setting is taken from its flag, else from the environment, else from the file, else it has its default.

Examples:

   $ grove serve
   $ grove serve --dir /var/lib/grove --client-addrs :2181 --admin-addr 127.0.0.1:8080
   $ GROVE_LOG_FORMAT=json grove serve --config /etc/grove/grove.toml
   $ grove serve --config /etc/zookeeper/conf/zoo.cfg

A file whose name ends in .toml is Grove's own. It has the names of the flags, with _ for -:

   dir = "/var/lib/grove"
   client_addrs = ["0.0.0.0:2181", "[::1]:2181"]
   tick_ms = 2000
   enforce_quota = true

Any other file is an unmodified zoo.cfg of Apache ZooKeeper. What has no effect here is named in one warning.`

func serve(c *cli.Context) error {
	if err := wantArgs(c); err != nil {
		return err
	}
	s, err := gather(inputs{flags: given(c), env: os.LookupEnv, read: os.ReadFile})
	if err != nil {
		return err
	}
	log := s.logger(c.App.ErrWriter)
	s.warn(log)
	b := release()
	s.Logger, s.Version, s.Built = log, b.plain(), b.made

	ctx, stop := signal.NotifyContext(c.Context, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal finds the handler gone, and ends the process

	g, side := group.New(ctx)
	g.Go("heap", func() error { return heap.Tune(side) }) // before the state is loaded
	err = serveUntil(ctx, g, side, s.Config, c.App.Writer)
	g.Stop()
	return errors.Join(err, g.Wait())
}

// serveUntil opens the server and runs it until ctx ends; what runs beside it does so in g.
func serveUntil(ctx context.Context, g *group.Group, side context.Context, cfg server.Config, w io.Writer) error {
	one, err := server.Open(cfg)
	if err != nil {
		return err
	}
	g.Go("announcer", func() error {
		announce(side, one, cfg, w)
		return nil
	})
	return one.Run(ctx)
}

// announce says once that the server is ready, where, and with what. That nobody may be reading is
// no reason not to serve.
func announce(ctx context.Context, one *server.Server, c server.Config, w io.Writer) {
	select {
	case <-one.Ready():
		fmt.Fprintln(w, readyLine(one.Addrs(), c, one.Zxid(), release()))
	case <-ctx.Done():
	}
}

func readyLine(clients []net.Addr, c server.Config, zxid int64, b build) string {
	addrs := make([]string, len(clients))
	for i, a := range clients {
		addrs[i] = a.String()
	}
	admin := ""
	if c.AdminAddr != "" {
		admin = ", status on http://" + c.AdminAddr
	}
	return fmt.Sprintf("grove %s is ready: clients on %s%s, data in %s, zxid 0x%x",
		b.version, strings.Join(addrs, " "), admin, c.Dir, zxid)
}

// logger writes one line per change of state in the chosen form.
func (s settings) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: levels[s.LogLevel]}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// warn says what of the configuration has no effect, and what else an operator should know of it.
func (s settings) warn(log *slog.Logger) {
	if len(s.ineffective) > 0 {
		log.Warn("settings without effect", s.ineffective...)
	}
	if _, err := os.Stat(filepath.Join(s.Dir, "version-2")); err == nil {
		log.Warn("the data of Apache ZooKeeper in this directory is not read", "dir", s.Dir)
	}
	if s.SkipACL {
		log.Warn("every client may do everything: skip-acl is set")
	}
}
