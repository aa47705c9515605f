package member

import (
	"fmt"
	"strings"
)

// Request is what a client asks to be changed. An empty string is as good as none.
type Request struct {
	Joining, Leaving string // incremental: lists with commas
	Members          string // the whole membership; if given, the two above do not count
	From             int64  // version that it was made for; -1: any
}

// Target returns the table that a request leads to. The first reason to refuse it counts, in
// ZooKeeper's order: the version, what cannot be read, too few participants. There must be votersMin
// of them: 2 for clients, as ZooKeeper has it unless told otherwise; 1 for Grove's own command, by
// which a quorum can shrink to one server.
func (r Request) Target(now Table, votersMin int) (Table, error) {
	if r.From != -1 && r.From != int64(now.Version) {
		return Table{}, fmt.Errorf("%w: it has %x, the request is for %x", ErrVersion, now.Version, r.From)
	}
	target, err := r.target(now)
	if err != nil {
		return Table{}, err
	}
	n, least := target.Voters(), max(votersMin, 1)
	switch {
	case n >= least:
		return target, nil
	case r.Members != "" && len(target.Members) > n:
		return Table{}, fmt.Errorf("%w: observers with only %d participants", ErrUnreadable, n)
	}
	return Table{}, fmt.Errorf("%w: %d participants: must be at least %d", ErrBadArguments, n, least)
}

func (r Request) target(now Table) (Table, error) {
	if r.Members != "" {
		return Whole(now, r.Members)
	}
	return Incremental(now, r.Joining, r.Leaving)
}

// Incremental returns t without the servers that leaving lists by number, and with those that
// joining lists as server.N=host:port:port[:role];[host:]port. Numbers that nobody has may leave; a
// number that somebody has may join, and takes his place. The version stays that of t.
func Incremental(t Table, joining, leaving string) (Table, error) {
	for _, number := range list(leaving, ",") {
		id, known, err := leaver(number)
		if err != nil {
			return Table{}, err
		}
		if known {
			t = t.without(id)
		}
	}
	for _, text := range list(joining, ",") {
		m, err := joiner(text)
		if err != nil {
			return Table{}, fmt.Errorf("joining %q: %w", text, err)
		}
		if err := t.room(m); err != nil {
			return Table{}, err
		}
		t = t.with(m)
	}
	return t, nil
}

// leaver reads a number; one that cannot be a server's is nobody's.
func leaver(text string) (id ID, known bool, err error) {
	n, err := parseInt(text)
	if err != nil {
		return 0, false, fmt.Errorf("leaving %q: %w", text, err)
	}
	id, err = checkID(n)
	return id, err == nil, nil
}

func joiner(text string) (Member, error) {
	parts := list(text, "=")
	if len(parts) != 2 {
		return Member{}, fmt.Errorf("%w: must be server.N=host:port:port;port", ErrBadArguments)
	}
	id, err := parseID(parts[0][strings.LastIndexByte(parts[0], '.')+1:])
	if err != nil {
		return Member{}, err
	}
	m, err := parseSpec(id, parts[1])
	if err != nil {
		return Member{}, err
	}
	if m.ClientPort == 0 {
		return Member{}, fmt.Errorf("%w: the port for clients is missing", ErrBadArguments)
	}
	return m, m.twoPorts()
}

// twoPorts refuses a server whose two ports for servers are one: the Java clients that read the
// table would not take it.
func (m Member) twoPorts() error {
	for _, a := range m.Addrs {
		if a.QuorumPort == a.ElectionPort {
			return fmt.Errorf("%w: port %d is given for the quorum and for the election", ErrBadArguments, a.QuorumPort)
		}
	}
	return nil
}

// room refuses m if it shares an address with another member.
func (t Table) room(m Member) error {
	for _, other := range t.Members {
		if other.ID == m.ID {
			continue
		}
		addr, shared := m.PeerAddr(), m.PeerAddr() == other.PeerAddr()
		if !shared {
			addr, shared = clash(m, other)
		}
		if shared {
			return fmt.Errorf("%w: server.%d and server.%d are both at %s", ErrBadArguments, m.ID, other.ID, addr)
		}
	}
	return nil
}

// Whole returns the table that newMembers gives: lines as of /zookeeper/config, ended by new lines
// or commas, with the version of t, whatever they say.
func Whole(t Table, newMembers string) (Table, error) {
	target, err := ParseTable([]byte(strings.ReplaceAll(newMembers, ",", "\n")))
	if err != nil {
		return Table{}, err
	}
	for _, m := range target.Members {
		if err := m.twoPorts(); err != nil {
			return Table{}, fmt.Errorf("server.%d: %w", m.ID, err)
		}
		if err := target.room(m); err != nil {
			return Table{}, err
		}
	}
	target.Version = t.Version
	return target, nil
}

// list cuts a text and leaves out what is empty, as ZooKeeper does.
func list(text, at string) []string {
	var items []string
	for item := range strings.SplitSeq(text, at) {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
