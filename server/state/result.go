package state

import (
	"errors"
	"fmt"

	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// Marks on the operations of a failed multi, beside the one that failed.
var (
	// ErrRolledBack marks an operation that held before a later one failed: on the wire an error
	// result with code 0.
	ErrRolledBack = errors.New("rolled back")
	// ErrRuntimeInconsistency marks an operation after the failed one: it was never tried.
	ErrRuntimeInconsistency = errors.New("not tried: an earlier operation failed")
)

// Verdicts on the bytes of a command. All of them are znode.ErrMarshalling to errors.Is; a shell
// that meets ErrNewer had better stop its server, for the others may know what it does not.
var (
	// ErrMalformed: the bytes are no command of this version.
	ErrMalformed = fmt.Errorf("malformed command: %w", znode.ErrMarshalling)
	// ErrNewer: the command has a version, kind, flag or feature level this build does not know.
	ErrNewer = fmt.Errorf("command of a newer version: %w", znode.ErrMarshalling)
)

// Result is what the command, or one operation of a multi, came to.
type Result struct {
	Zxid znode.Zxid // of the command, also when it failed
	Err  error      // nil, or a sentinel of znode, session or state: match with errors.Is

	Path    string          // Create: the final path, suffix included
	Stat    znode.Stat      // Create, Set, SetACL: right after this operation
	Session session.Session // OpenSession, AttachSession

	// Multi holds one result per operation of a Multi. When operation Failed failed, Err above is
	// nil all the same, nothing was changed, results before it carry ErrRolledBack, its own the
	// cause, those after it ErrRuntimeInconsistency. A Multi refused as a whole (its session is
	// gone or has moved, its bytes make no sense) has Err set and no results.
	Multi  []Result
	Failed int // index into Multi of the first failure; -1: none
}

// SessionChangeKind says what became of a session.
type SessionChangeKind uint8

// The four turns of a session's life.
const (
	Opened   SessionChangeKind = 1
	Attached SessionChangeKind = 2
	Closed   SessionChangeKind = 3
	Expired  SessionChangeKind = 4
)

// SessionChange is one turn in the life of a session. For Opened and Attached, Session is as it is
// now; for Closed and Expired, as it last was.
type SessionChange struct {
	Kind    SessionChangeKind
	Session session.Session
}

// Outcome is everything Apply has to say. It is reused between calls: its slices (Changes,
// Sessions, Multi) hold until the next Apply into it; the values in them may be kept.
type Outcome struct {
	Result
	Origin    Origin
	Kind      Kind // 0 if the command was empty, a duplicate or unreadable
	Duplicate bool // a repeat or a gap in the origin's sequence: nothing was done, nobody waits for it

	Changes  []znode.Change  // in the order made; empty if the command failed
	Sessions []SessionChange // at most one today
}

// reset empties o for the command at index, keeping its memory.
func (o *Outcome) reset(index znode.Zxid) {
	*o = Outcome{
		Result:   Result{Zxid: index, Multi: reusable(o.Multi), Failed: -1},
		Changes:  reusable(o.Changes),
		Sessions: reusable(o.Sessions),
	}
}
