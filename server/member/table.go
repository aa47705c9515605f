package member

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/grovekeeper/grove/internal/zoocfg"
)

const tableBytesMax = 256 << 10 // 255 members with several long addresses

// Append adds the table to b as /zookeeper/config has it:
//
//	server.1=host:2888:3888:participant;0.0.0.0:2181
//	server.2=…
//	version=100000005
//
// without an end of line after the last. The members are in the order of their numbers.
func (t Table) Append(b []byte) []byte {
	b = t.AppendLines(b)
	return strconv.AppendUint(append(b, "version="...), t.Version, 16)
}

// AppendLines adds the lines of the members, each with its end of line, and no version: who applies
// a change adds it.
func (t Table) AppendLines(b []byte) []byte {
	for _, m := range t.Members {
		b = append(m.append(b), '\n')
	}
	return b
}

// String returns what Append adds.
func (t Table) String() string { return string(t.Append(nil)) }

func (m Member) append(b []byte) []byte {
	b = m.appendPeers(b)
	if m.ClientPort == 0 {
		return b
	}
	b = append(append(b, ';'), bracketed(m.ClientHost)...)
	return strconv.AppendInt(append(b, ':'), int64(m.ClientPort), 10)
}

// appendPeers adds what matters between servers: all but where clients connect.
func (m Member) appendPeers(b []byte) []byte {
	b = strconv.AppendUint(append(b, "server."...), uint64(m.ID), 10)
	for i, a := range m.Addrs {
		b = append(append(b, "=|"[min(i, 1)]), bracketed(a.Host)...)
		b = strconv.AppendInt(append(b, ':'), int64(a.QuorumPort), 10)
		b = strconv.AppendInt(append(b, ':'), int64(a.ElectionPort), 10)
	}
	return append(append(b, ':'), m.Role.String()...)
}

// peers returns the lines on which founding servers must agree.
func (t Table) peers() string {
	var b []byte
	for _, m := range t.Members {
		b = append(m.appendPeers(b), '\n')
	}
	return string(b)
}

// Hash is a number for the peers of a table: numbers, addresses between servers and roles. Where
// clients connect does not count, as every server may know only its own.
func (t Table) Hash() uint64 { return hash(t.peers()) }

func hash(text string) uint64 {
	sum := sha1.Sum([]byte(text))
	return max(binary.BigEndian.Uint64(sum[:]), 1) // 0 stands for none
}

// ParseTable reads what Append writes, and what ZooKeeper has in /zookeeper/config or in the file
// that dynamicConfigFile names. Groups and weights are refused: Grove knows majorities only. An empty
// text is the empty table, as on a server that serves alone.
func ParseTable(text []byte) (Table, error) {
	if len(text) > tableBytesMax {
		return Table{}, fmt.Errorf("%w: %d bytes: at most %d", ErrBadArguments, len(text), tableBytesMax)
	}
	var t Table
	n := 0
	for line := range bytes.Lines(text) {
		n++
		key, value, ok := property(string(line))
		if !ok {
			continue
		}
		if err := t.take(key, value); err != nil {
			return Table{}, fmt.Errorf("line %d: %s: %w", n, key, err)
		}
	}
	return t, nil
}

// property cuts one line of a properties file in two. Comments and empty lines are none.
func property(line string) (key, value string, ok bool) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' || line[0] == '!' {
		return "", "", false
	}
	end := strings.IndexAny(line, "=: \t")
	if end < 0 {
		return line, "", true
	}
	key, value = line[:end], strings.TrimSpace(line[end:])
	if value != "" && (value[0] == '=' || value[0] == ':') {
		value = strings.TrimSpace(value[1:])
	}
	return key, value, true
}

func (t *Table) take(key, value string) error {
	number, server := strings.CutPrefix(key, "server.")
	switch {
	case key == "version":
		version, err := strconv.ParseUint(value, 16, 64)
		if err != nil {
			return fmt.Errorf("%w: %q is not a version", ErrUnreadable, value)
		}
		t.Version = version
		return nil
	case strings.HasPrefix(key, "group"), strings.HasPrefix(key, "weight"):
		return fmt.Errorf("%w: groups and weights are not supported, only majorities", ErrBadArguments)
	case !server:
		return fmt.Errorf("%w: only server.N and version are known here", ErrBadArguments)
	}
	id, err := parseID(number)
	if err != nil {
		return err
	}
	if _, twice := t.Find(id); twice {
		return fmt.Errorf("%w: given twice", ErrBadArguments)
	}
	m, err := parseSpec(id, value)
	if err != nil {
		return err
	}
	*t = t.with(m)
	return nil
}

func sortAddrs(addrs []zoocfg.MemberAddr) {
	slices.SortStableFunc(addrs, func(a, b zoocfg.MemberAddr) int { return cmp.Compare(a.Host, b.Host) })
}

// FromConfig makes a table of the server.N lines of a zoo.cfg. A member whose line does not say
// where clients connect gets clientPort, unless that is 0.
func FromConfig(members []zoocfg.Member, clientPort int) (Table, error) {
	var t Table
	for _, given := range members {
		m, err := fromConfig(given, clientPort)
		if err != nil {
			return Table{}, fmt.Errorf("server.%d: %w", given.ID, err)
		}
		if _, twice := t.Find(m.ID); twice {
			return Table{}, fmt.Errorf("server.%d: %w: given twice", m.ID, ErrBadArguments)
		}
		t = t.with(m)
	}
	return t, t.founding()
}

func fromConfig(given zoocfg.Member, clientPort int) (Member, error) {
	id, err := checkID(given.ID)
	if err != nil {
		return Member{}, err
	}
	if len(given.Addrs) == 0 || len(given.Addrs) > addrsMax {
		return Member{}, fmt.Errorf("%w: must have 1 to %d addresses", ErrBadArguments, addrsMax)
	}
	m := Member{ID: id, Addrs: slices.Clone(given.Addrs), ClientHost: given.ClientHost, ClientPort: given.ClientPort}
	for _, a := range m.Addrs {
		if err := checkHost(a.Host); err != nil {
			return Member{}, err
		}
	}
	sortAddrs(m.Addrs)
	if given.Observer {
		m.Role = Observer
	}
	if m.ClientPort == 0 {
		m.ClientPort = clientPort
	}
	if m.ClientHost == "" && m.ClientPort != 0 {
		m.ClientHost = wildcard
	}
	return m, nil
}

// ParsePeers reads Grove's own way to name the peers: 1=host:port,2=host:port:observer. Grove has one
// port between servers. The election port that ZooKeeper's format asks for is the usual thousand
// above it: the same number twice would be refused by the Java clients that read the table.
func ParsePeers(text string) (Table, error) {
	var t Table
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		m, err := ParsePeer(item)
		if err != nil {
			return Table{}, fmt.Errorf("peer %q: %w", item, err)
		}
		if _, twice := t.Find(m.ID); twice {
			return Table{}, fmt.Errorf("peer %q: %w: number given twice", item, ErrBadArguments)
		}
		t = t.with(m)
	}
	return t, t.founding()
}

// ParsePeer reads one item of ParsePeers.
func ParsePeer(item string) (Member, error) {
	number, spec, ok := strings.Cut(item, "=")
	if !ok {
		return Member{}, fmt.Errorf("%w: must be number=host:port", ErrBadArguments)
	}
	id, err := parseID(strings.TrimSpace(number))
	if err != nil {
		return Member{}, err
	}
	parts, err := splitHost(strings.TrimSpace(spec))
	if err != nil {
		return Member{}, err
	}
	if len(parts) < 2 || len(parts) > 3 {
		return Member{}, fmt.Errorf("%w: must be number=host:port or number=host:port:observer", ErrBadArguments)
	}
	if err := checkHost(parts[0]); err != nil {
		return Member{}, err
	}
	port, err := parsePort(parts[1])
	if err != nil {
		return Member{}, err
	}
	m := Member{ID: id, Addrs: []zoocfg.MemberAddr{{Host: parts[0], QuorumPort: port, ElectionPort: electionPort(port)}}}
	if len(parts) == 3 {
		role, err := parseRole(parts[2])
		if err != nil {
			return Member{}, err
		}
		if role == Observer.String() {
			m.Role = Observer
		}
	}
	return m, nil
}

func electionPort(port int) int {
	if port > 65535-1000 {
		return port - 1000
	}
	return port + 1000
}

// founding checks a table that a quorum is to begin with.
func (t Table) founding() error {
	if t.Voters() == 0 {
		return fmt.Errorf("%w: there must be a participant", ErrBadArguments)
	}
	for i, m := range t.Members {
		for _, other := range t.Members[:i] {
			if m.PeerAddr() == other.PeerAddr() {
				return fmt.Errorf("%w: servers %d and %d are both at %s", ErrBadArguments, other.ID, m.ID, m.PeerAddr())
			}
		}
	}
	return nil
}
