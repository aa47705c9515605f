package replica

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/grovekeeper/grove/server/wal"
)

// Role is what a member does in its term.
type Role uint8

// The roles.
const (
	Follower Role = iota
	PreCandidate
	Candidate
	Leader
)

// String returns the role in lower case.
func (r Role) String() string {
	return [...]string{"follower", "pre-candidate", "candidate", "leader"}[r]
}

func roleOf(state raft.StateType) Role {
	switch state {
	case raft.StateLeader:
		return Leader
	case raft.StateCandidate:
		return Candidate
	case raft.StatePreCandidate:
		return PreCandidate
	default:
		return Follower
	}
}

// Soft is who leads, as far as a member knows.
type Soft struct {
	Leader uint64 // 0 while nobody is known
	Term   uint64
	Role   Role
}

// Output is what is to be done. Its parts do not wait for one another.
type Output struct {
	Append   *Append       // for the log; nil if nothing is to be written
	Apply    *Apply        // for the applier; nil if nothing is
	Messages []*pb.Message // for peers
	Soft     *Soft         // set when it changed
	Reads    int           // that many of the oldest reads are answered …
	Read     uint64        // … by this index: a state that has applied it is fresh enough
	Change   *Changed      // a membership change was decided
	Members  *pb.ConfState // set when it changed; read-only
}

// Append is one piece of work for the log: Image if there is one, then Entries and Hard, then
// Release. Successive appends may be made durable together, but none without those before it.
type Append struct {
	Entries []*pb.Entry   // may replace a suffix of what earlier ones wrote
	Hard    wal.HardState // zero if it has not changed
	Sync    bool          // must be durable before it is reported
	Image   *Image        // to be installed, and the log begun anew after it
	Release uint64        // entries below it are not needed any more; 0 means no news

	begun uint64  // for the loop: the tick in which it was handed to the log,
	next  *Append // and the one handed after it

	number    uint64 // in the order of issue
	final     uint64 // index of the newest entry the log holds after it
	responses []*pb.Message
}

// Silent says that nobody waits to hear that a is done: it need not be reported to the Core.
func (a *Append) Silent() bool { return len(a.responses) == 0 }

// Apply is a run of agreed entries.
type Apply struct {
	Entries []*pb.Entry

	confs     []confAt
	responses []*pb.Message
}

// confAt is the membership from one entry on, and what came with the change.
type confAt struct {
	index   uint64
	state   []byte
	payload []byte
}
