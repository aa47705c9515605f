package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/grovekeeper/grove/internal/group"
	"github.com/grovekeeper/grove/internal/zoocfg"
	"github.com/grovekeeper/grove/server"
	"github.com/grovekeeper/grove/server/member"
)

func devCommand() *cli.Command {
	return &cli.Command{
		Name:  "dev",
		Usage: "run a whole quorum in one process, to try things out",
		Description: `Starts several servers on loopback and takes commands about them:

   status      what each server is doing
   kill N      ends server N as a crash would
   stop N      ends server N cleanly
   start N     starts server N again
   quit        ends all of them

Example:

   $ grove dev --servers 3`,
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "servers", Value: 3, Usage: "how many, from 1 to 9"},
			&cli.StringFlag{Name: "dir", Value: "grove-dev", Usage: "directory of their data"},
			&cli.IntFlag{Name: "client-port", Value: 2181, Usage: "of the first server; the others follow"},
			&cli.IntFlag{Name: "peer-port", Value: 2881, Usage: "of the first server; the others follow"},
			&cli.BoolFlag{Name: "verbose", Usage: "log what the servers say"},
		},
		OnUsageError: wrongUsage,
		Action:       dev,
	}
}

func dev(c *cli.Context) error {
	if err := wantArgs(c); err != nil {
		return err
	}
	n := c.Int("servers")
	if n < 1 || n > 9 {
		return usageError(fmt.Sprintf("--servers is %d: must be from 1 to 9", n))
	}
	ctx, stop := signal.NotifyContext(c.Context, os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.DiscardHandler)
	if c.Bool("verbose") {
		log = slog.New(slog.NewTextHandler(c.App.ErrWriter, nil))
	}
	p := &playground{out: c.App.Writer, members: make([]*devMember, n)}
	table := devTable(n, c.Int("peer-port"), c.Int("client-port"))
	for i := range p.members {
		p.members[i] = &devMember{cfg: devConfig(i, table, c.String("dir"), log)}
	}
	return p.run(ctx, c.App.Reader)
}

// devTable is the membership of n servers on loopback.
func devTable(n, peerPort, clientPort int) member.Table {
	t := member.Table{Members: make([]member.Member, n)}
	for i := range t.Members {
		port := peerPort + i
		t.Members[i] = member.Member{
			ID:         member.ID(i + 1),
			Addrs:      []zoocfg.MemberAddr{{Host: "127.0.0.1", QuorumPort: port, ElectionPort: port + 1000}},
			ClientHost: "127.0.0.1", ClientPort: clientPort + i,
		}
	}
	return t
}

func devConfig(i int, t member.Table, dir string, log *slog.Logger) server.Config {
	cfg := server.DefaultConfig()
	one := t.Members[i]
	cfg.ID = i + 1
	if len(t.Members) > 1 {
		cfg.Peers = t
	}
	cfg.Dir = filepath.Join(dir, strconv.Itoa(cfg.ID))
	cfg.ClientAddrs = []string{net.JoinHostPort(one.ClientHost, strconv.Itoa(one.ClientPort))}
	cfg.FourLetterWords = []string{"*"}
	cfg.ConnectionsPerAddressMax = 0
	cfg.Logger = log.With("server", cfg.ID)
	return cfg
}

// playground is a quorum whose servers come and go at a person's word.
type playground struct {
	out     io.Writer
	members []*devMember
}

// devMember is one server, or the place where it was.
type devMember struct {
	cfg  server.Config
	one  *server.Server // nil: not running
	stop context.CancelFunc
	done chan error
}

func (p *playground) run(ctx context.Context, in io.Reader) error {
	g, ctx := group.New(ctx)
	for i := range p.members {
		if err := p.start(ctx, g, i); err != nil {
			g.Stop()
			return errors.Join(err, g.Wait())
		}
	}
	p.announce(ctx)
	lines := make(chan string)
	prompt, _ := group.New(ctx) // not waited for: a read of a terminal cannot be called off
	prompt.Go("prompt", func() error { return readLines(ctx, in, lines) })
	p.obey(ctx, g, lines)
	g.Stop()
	return g.Wait()
}

// readLines sends what is typed until there is no more, and then an end.
func readLines(ctx context.Context, in io.Reader, lines chan<- string) error {
	s := bufio.NewScanner(in)
	for s.Scan() {
		select {
		case lines <- s.Text():
		case <-ctx.Done():
			return nil
		}
	}
	return s.Err() // at the end of the input the servers go on, until a signal ends them
}

// announce says where clients connect, once everybody serves.
func (p *playground) announce(ctx context.Context) {
	addrs := make([]string, len(p.members))
	for i, m := range p.members {
		select {
		case <-m.one.Ready():
		case <-ctx.Done():
			return
		}
		addrs[i] = m.one.Addr().String()
	}
	fmt.Fprintf(p.out, "%d servers are ready: %s\n", len(addrs), strings.Join(addrs, ","))
	fmt.Fprintln(p.out, "commands: status, kill N, stop N, start N, quit")
}

// obey carries out what is typed until it is told to quit or ctx ends.
func (p *playground) obey(ctx context.Context, g *group.Group, lines <-chan string) {
	for {
		fmt.Fprint(p.out, "> ")
		select {
		case line := <-lines:
			if words := strings.Fields(line); len(words) > 0 {
				if words[0] == "quit" || words[0] == "exit" {
					return
				}
				if err := p.command(ctx, g, words); err != nil {
					fmt.Fprintln(p.out, err)
				}
			}
		case <-ctx.Done():
			fmt.Fprintln(p.out)
			return
		}
	}
}

func (p *playground) command(ctx context.Context, g *group.Group, words []string) error {
	if words[0] == "status" {
		p.status()
		return nil
	}
	verbs := []string{"kill", "stop", "start"}
	if !slices.Contains(verbs, words[0]) || len(words) != 2 {
		return errors.New("commands: status, kill N, stop N, start N, quit")
	}
	n, err := strconv.Atoi(words[1])
	if err != nil || n < 1 || n > len(p.members) {
		return fmt.Errorf("%s: servers are 1 to %d", words[1], len(p.members))
	}
	switch words[0] {
	case "kill":
		return p.end(n-1, (*server.Server).Abandon)
	case "stop":
		return p.end(n-1, func(*server.Server) {})
	}
	return p.start(ctx, g, n-1)
}

func (p *playground) status() {
	for i, m := range p.members {
		if m.one == nil {
			fmt.Fprintf(p.out, "%d  down\n", i+1)
			continue
		}
		s := m.one.Stats()
		fmt.Fprintf(p.out, "%d  %-9s %s  zxid 0x%x, %d nodes, %d sessions, %d connections here\n",
			i+1, s.Mode, m.one.Addr(), s.Tree.Zxid, s.Tree.Nodes, s.Tree.Sessions, s.Load.Connections)
	}
}

func (p *playground) start(ctx context.Context, g *group.Group, i int) error {
	m := p.members[i]
	if m.one != nil {
		return fmt.Errorf("server %d is running", i+1)
	}
	one, err := server.Open(m.cfg)
	if err != nil {
		return err
	}
	ctx, m.stop = context.WithCancel(ctx)
	m.one, m.done = one, make(chan error, 1)
	g.Go(fmt.Sprintf("server %d", i+1), func() error {
		m.done <- one.Run(ctx)
		return nil
	})
	return nil
}

// end ends a server: by what how does, or else cleanly.
func (p *playground) end(i int, how func(*server.Server)) error {
	m := p.members[i]
	if m.one == nil {
		return fmt.Errorf("server %d is not running", i+1)
	}
	how(m.one)
	m.stop()
	err := <-m.done
	m.one = nil
	return err
}
