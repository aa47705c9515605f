package state

import (
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// Kind says what a command, or one operation inside a multi, asks for. The values are written to
// the log: they are never reused and never renumbered.
type Kind uint8

// The kinds of command. Only Create, Delete, Set, SetACL and Check may stand inside a Multi.
const (
	Noop          Kind = 1  // moves the zxid, the time and the origin's sequence; changes nothing else
	OpenSession   Kind = 2  // Server (of the origin), TimeoutMs, Random; session id and zxid go together
	AttachSession Kind = 3  // Session, TimeoutMs, Password; raises the epoch
	CloseSession  Kind = 4  // Session, Epoch; its ephemerals are derived at apply
	ExpireSession Kind = 5  // Session, Epoch it was judged silent under; a stale verdict does nothing
	Create        Kind = 6  // Op: Path, Data, ACL, Flags, Class, TTL
	Delete        Kind = 7  // Op: Path, Version
	Set           Kind = 8  // Op: Path, Data, Version
	SetACL        Kind = 9  // Op: Path, ACL, Version (compared with aversion)
	Check         Kind = 10 // Op: Path, Version
	Multi         Kind = 11 // Multi: all or none
	Reap          Kind = 12 // Op: Path, Czxid, TTL (ms an unused container may live, 0: for ever); judged again at apply
	Configure     Kind = 13 // Op: Data, the table of members; comes with the entry that changes the membership
)

// String names the kind for logs and metrics.
func (k Kind) String() string {
	if int(k) < len(kinds) && kinds[k].name != "" {
		return kinds[k].name
	}
	return "unknown"
}

// body is the shape of what follows the header of a command.
type body uint8

const (
	bodyNone   body = iota + 1 // nothing
	bodyOpen                   // timeout, random
	bodyAttach                 // timeout, password
	bodyOp                     // one operation
	bodyMulti                  // a count and that many operations, each behind its kind
)

// kinds holds one row per kind. The encoder, the decoder, the session rule of Apply and the names
// all read it; TestKinds fails if a kind has no row.
var kinds = [...]struct {
	name   string
	body   body
	fenced bool // the session must be alive and its epoch current before anything else is looked at
	inside bool // may stand inside a multi
}{
	Noop:          {name: "noop", body: bodyNone},
	OpenSession:   {name: "open", body: bodyOpen},
	AttachSession: {name: "attach", body: bodyAttach},
	CloseSession:  {name: "close", body: bodyNone, fenced: true},
	ExpireSession: {name: "expire", body: bodyNone, fenced: true},
	Create:        {name: "create", body: bodyOp, fenced: true, inside: true},
	Delete:        {name: "delete", body: bodyOp, fenced: true, inside: true},
	Set:           {name: "set", body: bodyOp, fenced: true, inside: true},
	SetACL:        {name: "setacl", body: bodyOp, fenced: true, inside: true},
	Check:         {name: "check", body: bodyOp, fenced: true, inside: true},
	Multi:         {name: "multi", body: bodyMulti, fenced: true},
	Reap:          {name: "reap", body: bodyOp},
	Configure:     {name: "configure", body: bodyOp},
}

// known reports whether k has a row.
func (k Kind) known() bool { return int(k) < len(kinds) && kinds[k].body != 0 }

// Policy carries the settings of the server that admitted the command, so that every replica
// judges it alike whatever its own settings are.
type Policy uint8

const (
	SkipACL      Policy = 1 << iota // access lists are not consulted
	EnforceQuota                    // hard quotas refuse
	policyAll    = 1<<iota - 1
)

// Origin numbers the commands a server originates. Seq counts from 1 in every Boot and has no
// holes; Boot is never 0 and grows with every start of that server. Boot and Seq 0 mark a command
// outside any stream: it is always applied, and it is the proposer's business that it stands in
// the log once.
type Origin struct {
	Server uint8
	Boot   uint64
	Seq    uint64
}

// Class says which family of create request an operation came from: it decides which Flags are
// legal (see znode.Create).
type Class = znode.Class

// Op is one edit of the tree. Which fields matter is said at its Kind; the others stay zero.
type Op struct {
	Kind    Kind
	Class   Class
	Flags   int32
	Version int32 // -1: any
	Path    string
	Data    []byte // nil and empty are different values
	ACL     []znode.ACE
	TTL     int64      // ms
	Czxid   znode.Zxid // Reap: the node that was judged, not a later one of that name
}

// Command is what a server proposes to the log: everything the outcome depends on besides the
// state itself. Time, chance and identity are in it, because the machine has none of its own.
type Command struct {
	Kind    Kind
	Policy  Policy
	Epoch   uint32 // of the attachment the request came through
	Origin  Origin
	Session session.ID
	Time    int64 // ms since 1970, the proposer's clock

	IDs      []znode.Identity // identities the connection had when the request was received
	ClientOp uint64           // the client's own number for this operation; 0: none given
	Feature  uint16           // lowest feature level that may apply it; 0: every one

	Op    Op   // Kind is copied from the command
	Multi []Op // for Kind Multi

	TimeoutMs int32            // OpenSession, AttachSession: already negotiated
	Random    [16]byte         // OpenSession: becomes the password
	Password  session.Password // AttachSession: as the client presented it
}
