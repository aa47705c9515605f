package client

import (
	"time"

	"github.com/grovekeeper/grove/internal/wire"
)

// Zxid numbers the changes of the service: of two changes, the later has the larger one.
type Zxid int64

// SessionID names a session. No two sessions of a service have the same.
type SessionID int64

// Version counts how often the data of a node was set. It begins anew when the node is created anew,
// so two versions are comparable only for the same Stat.Czxid.
type Version int32

// AnyVersion switches the comparison of versions off. It is never a default.
const AnyVersion Version = -1

// Stat is what is known of a node beside its data.
type Stat struct {
	Czxid Zxid // the change that created the node: its identity
	Mzxid Zxid // the change that last set its data
	Pzxid Zxid // the change that last created or deleted a child

	Ctime time.Time // when it was created, by the clock of a server, to the millisecond
	Mtime time.Time // when its data was last set

	Version  Version // how often its data was set
	Cversion Version // how often its children were created and deleted
	Aversion Version // how often its access list was set

	EphemeralOwner SessionID // the session the node ends with, or 0
	DataLength     int       // bytes
	NumChildren    int
}

// SameNode reports whether s and o are of the same node, not of one that was deleted and another that
// was created later under its path.
func (s Stat) SameNode(o Stat) bool { return s.Czxid == o.Czxid }

func statOf(w *wire.Stat) Stat {
	return Stat{
		Czxid:          Zxid(w.Czxid),
		Mzxid:          Zxid(w.Mzxid),
		Pzxid:          Zxid(w.Pzxid),
		Ctime:          time.UnixMilli(w.Ctime),
		Mtime:          time.UnixMilli(w.Mtime),
		Version:        Version(w.Version),
		Cversion:       Version(w.Cversion),
		Aversion:       Version(w.Aversion),
		EphemeralOwner: SessionID(w.EphemeralOwner),
		DataLength:     int(w.DataLength),
		NumChildren:    int(w.NumChildren),
	}
}

// Node is a node as it was read or created.
type Node struct {
	Path string
	Data []byte // the caller's own; nil if the node was given none
	Stat Stat
}

// Children are the children of a node.
type Children struct {
	Path  string
	Names []string // not paths; in no order
	Stat  Stat     // of the parent
}

// Perms is what an entry of an access list permits.
type Perms int32

// The permissions.
const (
	PermRead   Perms = 1 << iota // read data and children
	PermWrite                    // set data
	PermCreate                   // create children
	PermDelete                   // delete children
	PermAdmin                    // set the access list

	PermAll = PermRead | PermWrite | PermCreate | PermDelete | PermAdmin
)

// ACL is one entry of an access list: who may do what.
type ACL struct {
	Perms  Perms
	Scheme string // "world", "auth", "digest", "ip", "x509", "sasl"
	ID     string // in the terms of the scheme
}

// OpenACL permits everything to everybody. It is the access list of nodes created without one.
func OpenACL() []ACL { return []ACL{{PermAll, "world", "anyone"}} }

// ReadACL permits everybody to read.
func ReadACL() []ACL { return []ACL{{PermRead, "world", "anyone"}} }

// CreatorACL permits everything to whoever the session has proved to be. It needs a credential.
func CreatorACL() []ACL { return []ACL{{PermAll, "auth", ""}} }

// openACL is OpenACL on the wire. It is shared, and never written to.
var openACL = []wire.ACL{{Perms: int32(PermAll), Scheme: "world", ID: "anyone"}}

func wireACL(list []ACL) []wire.ACL {
	out := make([]wire.ACL, len(list))
	for i, a := range list {
		out[i] = wire.ACL{Perms: int32(a.Perms), Scheme: a.Scheme, ID: a.ID}
	}
	return out
}

func aclOf(list []wire.ACL) []ACL {
	out := make([]ACL, len(list))
	for i, a := range list {
		out[i] = ACL{Perms: Perms(a.Perms), Scheme: a.Scheme, ID: a.ID}
	}
	return out
}
