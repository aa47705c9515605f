package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/member"
)

func memberCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "server", Value: "127.0.0.1:2181", Usage: "host:port of a server; several with commas",
			EnvVars: []string{"GROVE_SERVER"}},
		&cli.StringFlag{Name: "auth", Usage: "user:password of somebody who may change the membership",
			EnvVars: []string{"GROVE_AUTH"}},
	}
	sub := func(name, args, usage, example string, action func(*cli.Context, *asker) error) *cli.Command {
		return &cli.Command{
			Name: name, ArgsUsage: args, Usage: usage, Flags: flags, OnUsageError: wrongUsage,
			Description: "Example:\n\n   $ grove member " + example,
			Action:      func(c *cli.Context) error { return withServer(c, action) },
		}
	}
	return &cli.Command{
		Name:        "member",
		Usage:       "list and change the servers of a quorum",
		Description: "Example:\n\n   $ grove member list --server 127.0.0.1:2181",
		Subcommands: []*cli.Command{
			sub("list", "", "print the members", "list", memberList),
			sub("add", "MEMBER", "let a server in that has asked to join: N=host:port[:observer];[host:]port",
				`add "4=10.0.0.4:2881;10.0.0.4:2181"`, memberAdd),
			sub("remove", "N", "take a server out", "remove 4", memberRemove),
			sub("promote", "N", "make an observer a voter", "promote 4", memberPromote),
		},
		OnUsageError: wrongUsage,
	}
}

// withServer runs an action with a session.
func withServer(c *cli.Context, action func(*cli.Context, *asker) error) error {
	if err := wantArgs(c); err != nil {
		return err
	}
	a, err := dialFirst(c.Context, c.String("server"))
	if err != nil {
		return err
	}
	defer a.close()
	if who := c.String("auth"); who != "" {
		if _, err := a.ask(wire.OpAuth, &wire.AuthRequest{Scheme: "digest", Auth: []byte(who)}); err != nil {
			return err
		}
	}
	return action(c, a)
}

func memberList(c *cli.Context, a *asker) error {
	t, err := readTable(a)
	if err != nil {
		return err
	}
	printTable(c.App.Writer, t)
	return nil
}

// memberAdd lets a server in. The part after the semicolon is where clients connect.
func memberAdd(c *cli.Context, a *asker) error {
	text := c.Args().First()
	peers, client, ok := strings.Cut(text, ";")
	m, err := member.ParsePeer(peers)
	if err != nil || !ok {
		return usageError(fmt.Sprintf("%q: must be N=host:port[:observer];[host:]port", text))
	}
	return change(c, a, &wire.ReconfigRequest{Joining: m.String() + ";" + client, CurrentVersion: -1})
}

func memberRemove(c *cli.Context, a *asker) error {
	return change(c, a, &wire.ReconfigRequest{Leaving: c.Args().First(), CurrentVersion: -1})
}

func memberPromote(c *cli.Context, a *asker) error {
	t, err := readTable(a)
	if err != nil {
		return err
	}
	for _, m := range t.Members {
		if fmt.Sprint(m.ID) == c.Args().First() {
			m.Role = member.Participant
			return change(c, a, &wire.ReconfigRequest{Joining: m.String(), CurrentVersion: int64(t.Version)})
		}
	}
	return fmt.Errorf("server %s is no member", c.Args().First())
}

// change asks for another membership and prints the one it comes to.
func change(c *cli.Context, a *asker, m *wire.ReconfigRequest) error {
	r, err := a.ask(wire.OpReconfig, m)
	if errors.Is(err, wire.CodeNoAuth) {
		return fmt.Errorf("%w: who may change the membership has a digest that --auth proves", err)
	}
	if err != nil {
		return err
	}
	var answer wire.GetDataResponse
	if answer.Decode(&r); r.Err() != nil {
		return r.Err()
	}
	t, err := member.ParseTable(answer.Data)
	if err != nil {
		return err
	}
	printTable(c.App.Writer, t)
	return nil
}

func readTable(a *asker) (member.Table, error) {
	r, err := a.ask(wire.OpGetData, &wire.GetDataRequest{Path: "/zookeeper/config"})
	if err != nil {
		return member.Table{}, err
	}
	var answer wire.GetDataResponse
	if answer.Decode(&r); r.Err() != nil {
		return member.Table{}, r.Err()
	}
	return member.ParseTable(answer.Data)
}

func printTable(w io.Writer, t member.Table) {
	for _, m := range t.Members {
		client := m.ClientAddr()
		if client == "" {
			client = "-"
		}
		fmt.Fprintf(w, "%d  %-11s  peers %s  clients %s\n", m.ID, m.Role, m.PeerAddr(), client)
	}
	if len(t.Members) == 0 {
		fmt.Fprintln(w, "this server serves alone")
		return
	}
	fmt.Fprintf(w, "version %x\n", t.Version)
}
