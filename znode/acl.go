package znode

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Permission bits of an access list entry.
const (
	PermRead   int32 = 1 << iota // data, stat, children
	PermWrite                    // set the data
	PermCreate                   // create children
	PermDelete                   // delete children
	PermAdmin                    // set the access list
	PermAll    = PermRead | PermWrite | PermCreate | PermDelete | PermAdmin
)

// Identity is who a connection has shown itself to be: {"ip", "127.0.0.1"},
// {"digest", "user:hash"}, {"super", ""}.
type Identity struct{ Scheme, ID string }

// ACE is one entry of an access list as a client writes it. The null flags keep apart what the
// protocol keeps apart; in a stored list both are false.
type ACE struct {
	Perms      int32
	Scheme, ID string

	SchemeNull, IDNull bool
}

// ACL is an access list: immutable, shared by the nodes that have the same entries.
// A nil ACL allows everything.
type ACL = *List

// List is the body of an ACL.
type List struct {
	rules []rule
	hash  uint64 // of the entries, for sharing and for the digest
}

// rule is an entry made ready to be asked: what is costly to parse is parsed once.
type rule struct {
	ACE
	scheme *scheme
	prefix netip.Prefix // of an "ip" entry
}

// Two lists are everywhere. They have one address each, so that the usual answer of Allows is
// a comparison of pointers.
var (
	openACL = newList([]ACE{{Perms: PermAll, Scheme: "world", ID: "anyone"}})
	readACL = newList([]ACE{{Perms: PermRead, Scheme: "world", ID: "anyone"}})
)

// Open returns the list that lets anyone do anything.
func Open() ACL { return openACL }

// newList makes a list of entries that need no more checks: they come from FixUp or from disk.
func newList(entries []ACE) ACL {
	l := &List{rules: make([]rule, len(entries))}
	var b []byte
	for i, e := range entries {
		l.rules[i] = rule{ACE: e, scheme: schemeOf(e.Scheme)}
		if e.Scheme == "ip" {
			l.rules[i].prefix, _ = parseIP(e.ID)
		}
		b = binary.BigEndian.AppendUint32(b, uint32(e.Perms))
		b = append(append(b, e.Scheme...), 0)
		b = append(append(b, e.ID...), 0)
	}
	l.hash = xxhash.Sum64(b)
	return l
}

// listOf returns the list with the given entries, one of the two common ones if it can.
func listOf(entries []ACE) ACL {
	if len(entries) == 1 && entries[0].Scheme == "world" && entries[0].ID == "anyone" {
		switch entries[0].Perms {
		case PermAll:
			return openACL
		case PermRead:
			return readACL
		}
	}
	return newList(entries)
}

// Allows says whether one of ids may do perms; of several bits, one suffices.
func (l *List) Allows(ids []Identity, perms int32) bool {
	return l == openACL || l.allows(ids, perms)
}

func (l *List) allows(ids []Identity, perms int32) bool {
	if l == nil || len(l.rules) == 0 {
		return true
	}
	for _, id := range ids {
		if id.Scheme == "super" {
			return true
		}
	}
	for i := range l.rules {
		if r := &l.rules[i]; r.Perms&perms != 0 && r.matches(ids) {
			return true
		}
	}
	return false
}

// matches says whether the rule speaks of one of ids. A scheme this server does not know
// matches nobody.
func (r *rule) matches(ids []Identity) bool {
	if r.scheme == nil {
		return false
	}
	if r.scheme.anyone {
		return r.ID == "anyone"
	}
	for _, id := range ids {
		if id.Scheme == r.Scheme && r.scheme.matches(id.ID, r) {
			return true
		}
	}
	return false
}

// Entries returns the list as it is stored.
func (l *List) Entries() []ACE {
	if l == nil {
		return nil
	}
	entries := make([]ACE, len(l.rules))
	for i := range l.rules {
		entries[i] = l.rules[i].ACE
	}
	return entries
}

// Masked returns the list as it is shown to who may read but not administer the node: the
// hashes of digest entries are hidden.
func (l *List) Masked() []ACE {
	entries := l.Entries()
	for i, e := range entries {
		if user, _, cut := strings.Cut(e.ID, ":"); cut && e.Scheme == "digest" {
			entries[i].ID = user + ":x"
		}
	}
	return entries
}

// equal says whether two lists have the same entries in the same order.
func (l *List) equal(m *List) bool {
	if l == m || l == nil || m == nil {
		return l == m
	}
	if l.hash != m.hash || len(l.rules) != len(m.rules) {
		return false
	}
	for i := range l.rules {
		if l.rules[i].ACE != m.rules[i].ACE {
			return false
		}
	}
	return true
}
