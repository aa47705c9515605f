// Package member knows who belongs to a quorum: which servers there are, under which numbers, where
// they are reached and who of them votes; how that is changed, one change at a time; and how servers
// that are all empty find one another.
//
// A server has a number, given by its operator, and a node, made by itself. The number is what
// people, session ids and /zookeeper/config speak of. The node is what Raft counts: the number with
// an incarnation above it, drawn when a directory is new. A node is never used again, because Raft
// believes a member that it has whatever it once acknowledged. A server that lost its directory
// comes back under the same number with another node, and is let in like a new one.
//
//	 63                               8 7        0
//	+----------------------------------+----------+
//	| incarnation                      | number   |     incarnation 0: a directory from before there
//	+----------------------------------+----------+     were incarnations; never drawn
//
// Nothing in here has a clock, a socket, a file or chance: those are arguments.
package member

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/grovekeeper/grove/internal/zoocfg"
)

// ID is a server's number, from 1 to 255: ZooKeeper's myid, and the top byte of session ids.
type ID = uint8

// Node is a server's name in Raft: its number and an incarnation. 0 is nobody.
type Node uint64

const (
	incarnationFirst = 1 << 8
	incarnationMask  = ^Node(0xff)
)

// NewNode returns a node of the server with number id. The incarnation is the upper 56 bits of
// random. It is neither 0, which stands for directories from before there were incarnations, nor all
// ones, where raft names its own threads.
func NewNode(id ID, random uint64) Node {
	incarnation := Node(random) & incarnationMask
	if incarnation == 0 || incarnation == incarnationMask {
		incarnation = incarnationFirst
	}
	return incarnation | Node(id)
}

// ID returns the number of the server.
func (n Node) ID() ID { return ID(n) }

// String prints the number and the incarnation, as in 3.8f0a2b: what logs show.
func (n Node) String() string {
	return strconv.FormatUint(uint64(n&0xff), 10) + "." + strconv.FormatUint(uint64(n>>8), 16)
}

// Role says what a server does in a quorum.
type Role uint8

// The roles. An observer has the data and serves clients, and never votes.
const (
	Participant Role = iota
	Observer
)

func (r Role) String() string {
	if r == Observer {
		return "observer"
	}
	return "participant"
}

// Member is one server of a quorum. It is a value: its addresses are not changed once it is in a
// table.
type Member struct {
	ID         ID
	Addrs      []zoocfg.MemberAddr // where other servers reach it; at least one; the first is dialled
	Role       Role
	ClientHost string // "" if ClientPort is 0
	ClientPort int    // 0: where clients reach it is not told
}

// PeerAddr returns the host:port that other servers dial.
func (m Member) PeerAddr() string {
	if len(m.Addrs) == 0 {
		return ""
	}
	return bracketed(m.Addrs[0].Host) + ":" + strconv.Itoa(m.Addrs[0].QuorumPort)
}

// ClientAddr returns the host:port that clients dial, or "" if it is not told. A wildcard stands for
// the host that other servers dial, as clients read it.
func (m Member) ClientAddr() string {
	if m.ClientPort == 0 {
		return ""
	}
	host := m.ClientHost
	if addr, err := netip.ParseAddr(host); (host == "" || err == nil && addr.IsUnspecified()) && len(m.Addrs) > 0 {
		host = m.Addrs[0].Host
	}
	return bracketed(host) + ":" + strconv.Itoa(m.ClientPort)
}

// Equal tells whether two members are the same in everything that a table says of them.
func (m Member) Equal(other Member) bool {
	return m.ID == other.ID && m.Role == other.Role && slices.Equal(m.Addrs, other.Addrs) &&
		m.ClientHost == other.ClientHost && m.ClientPort == other.ClientPort
}

// String prints the line of /zookeeper/config.
func (m Member) String() string { return string(m.append(nil)) }

// Table is the membership as people see it: the data of /zookeeper/config.
type Table struct {
	Members []Member // ascending by ID, each once
	Version uint64   // zxid of the entry that set it; 0 if none has yet
}

// Find returns the member with a number.
func (t Table) Find(id ID) (Member, bool) {
	at, ok := t.find(id)
	if !ok {
		return Member{}, false
	}
	return t.Members[at], true
}

func (t Table) find(id ID) (int, bool) {
	return slices.BinarySearchFunc(t.Members, id, func(m Member, id ID) int { return cmp.Compare(m.ID, id) })
}

// Same tells whether two tables have the same members, whatever their versions.
func (t Table) Same(other Table) bool {
	return slices.EqualFunc(t.Members, other.Members, Member.Equal)
}

// Voters counts the participants.
func (t Table) Voters() int {
	n := 0
	for _, m := range t.Members {
		if m.Role == Participant {
			n++
		}
	}
	return n
}

// with returns t with m in place of the member of its number, or as one more. t stays as it is.
func (t Table) with(m Member) Table {
	at, ok := t.find(m.ID)
	members := slices.Clone(t.Members)
	if ok {
		members[at] = m
	} else {
		members = slices.Insert(members, at, m)
	}
	return Table{Members: members, Version: t.Version}
}

// without returns t without the member of a number, if there is one. t stays as it is.
func (t Table) without(id ID) Table {
	at, ok := t.find(id)
	if !ok {
		return t
	}
	return Table{Members: slices.Delete(slices.Clone(t.Members), at, at+1), Version: t.Version}
}

// bracketed returns a host as it stands before a colon.
func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// parseID reads a number of a server.
func parseID(text string) (ID, error) {
	n, err := parseInt(text)
	if err != nil {
		return 0, err
	}
	return checkID(n)
}

func parseInt(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %q is not a server number", ErrUnreadable, text)
	}
	return n, nil
}

func checkID(n int64) (ID, error) {
	if n < 1 || n > 255 {
		return 0, fmt.Errorf("%w: server number %d: must be from 1 to 255", ErrBadArguments, n)
	}
	return ID(n), nil
}
