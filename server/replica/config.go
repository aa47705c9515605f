package replica

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/grovekeeper/grove/server/wal"
)

// The reasons for which a replica refuses. Match them with errors.Is.
var (
	// ErrOverloaded says that a queue is full; nothing was taken.
	ErrOverloaded = errors.New("replica: overloaded")
	// ErrStopped says that the replica has stopped, or stopped before it knew the answer.
	ErrStopped = errors.New("replica: stopped")
	// ErrNotLeader says that only a leader can do this, and this replica is none.
	ErrNotLeader = errors.New("replica: not the leader")
	// ErrNoSuccessor says that there is no other voter that could lead.
	ErrNoSuccessor = errors.New("replica: no other voter is there to lead")
	// ErrChangePending says that another change of the membership is still under way.
	ErrChangePending = errors.New("replica: a membership change is pending")
	// ErrChangeInvalid says that the membership cannot be changed in this way.
	ErrChangeInvalid = errors.New("replica: invalid membership change")
	// ErrUndecided says that leadership changed before a membership change was decided: it may
	// still happen, or never.
	ErrUndecided = errors.New("replica: leadership changed before the outcome was known")
	// ErrRemoved says that this member is none any more: the entry that removed it has been applied.
	ErrRemoved = errors.New("replica: removed from the membership")
	// ErrMessage says that a received message is not one that a sound peer sends.
	ErrMessage = errors.New("replica: malformed message")
	// ErrStart says that the log and the state to start from do not fit together.
	ErrStart = errors.New("replica: log does not fit the state")
)

// Entry is one slot of the agreed log. Data is nil for the first entry of a term, and for a change of
// the membership that came without a payload. ConfState is set for such a change only: the membership
// from this entry on, in the form that Start takes it back.
type Entry struct {
	Index, Term uint64
	Data        []byte
	ConfState   []byte
}

// Applier is told what has been agreed.
type Applier interface {
	// Apply takes the next entries: their indexes follow one another without a gap, across
	// calls too. It is called by one goroutine, never concurrently. The slice is reused after
	// Apply returns; the Data is not, and must not be written to.
	Apply(entries []Entry)
}

// Transport carries messages to peers.
type Transport interface {
	// Send takes messages for other members (Message.To). It must not block and may drop, also
	// reorder, any of them; it should then report the peer as Unreachable. It is called by one
	// goroutine. Messages share memory with the log: they are read-only for ever.
	Send(messages []*pb.Message)
}

// Image names a state that stands for the log up to Index: what a peer gets that needs entries
// which the log no longer holds. Data tells the receiver how to get the body; the replica does
// not look into it.
type Image struct {
	Index, Term uint64
	ConfState   []byte // the membership at Index
	Data        []byte
}

// Images is where images come from and go to.
type Images interface {
	// Latest names the image that a peer too far behind should be sent, or false while there is
	// none, and will be asked again. The state that Bootstrap stands for is one: a member that
	// knows nobody needs it before it can take the first entry. The log must still hold every entry
	// after it; one from before the newest change of the membership is not sent. It is called by the
	// raft goroutine and must not block.
	Latest() (Image, bool)
	// Install makes the image the applied state, durably, before it returns; the next entry applied
	// is the one after it. It is called by the applier goroutine. An error ends the replica.
	Install(Image) error
}

// Log is where entries become durable; *wal.Log is one.
type Log interface {
	Reader
	Append(wal.Batch) error
	Release(index uint64) error
	Reset(index, term uint64) error
}

// Reader is the half of a Log that a Core reads. It may be read while the other half writes.
type Reader interface {
	First() uint64
	Last() uint64
	Term(index uint64) (uint64, error)
	Entries(lo, hi, maxBytes uint64) ([]wal.Entry, error)
	Hard() wal.HardState
}

// Start is where a replica begins: the applied state and the membership as of it. All of it zero
// means a replica that joins: it knows nobody, does not campaign, and waits to be sent an image. It
// may be a voter already for those who know, if it stopped before it had founded the cluster with
// them; asked for its vote it gives it, since it is as good as a voter with an empty log.
type Start struct {
	Index, Term uint64 // of the last entry the applied state contains
	ConfState   []byte // the membership as of Index
	// Installed says that the state came from a leader's image and may be ahead of the log, which
	// then begins anew after it. Otherwise a log that ends before the state is refused.
	Installed bool
}

// Bootstrap is the Start of a new cluster of the given voters, each of which must begin with it.
// Its index is 1, not 0, so that no log begins before the membership is known: a replica that joins
// later must get an image before it gets entries.
func Bootstrap(voters ...uint64) Start {
	conf, err := proto.Marshal(&pb.ConfState{Voters: voters})
	if err != nil {
		panic(err) // a list of numbers always marshals
	}
	return Start{Index: 1, Term: 1, ConfState: conf}
}

// Limits bound what a replica holds. A zero means the default beside the field. Sizes are in bytes;
// every payload counts with entryOverhead on top, so that many small ones are bounded too.
type Limits struct {
	// ProposedBytes is what waits before it is given to Raft, for the log to keep up. More
	// is refused with ErrOverloaded. 32 MiB.
	ProposedBytes int
	// InflightBytes is what has been given to Raft by this leader and is not yet applied. More
	// waits among the proposed. 16 MiB.
	InflightBytes int
	// ApplyBytes is what the applier may have in hand. More waits in the log. 4 MiB.
	ApplyBytes int
	// TailBytes is what is kept in memory of the newest entries for slow peers; a server without
	// peers keeps only what is not yet applied. Older ones are read from the log. 32 MiB.
	TailBytes int
	// MessageBytes is the size of one message to a peer, unless one entry is larger. 1 MiB.
	MessageBytes int
	// PeerMessages and PeerBytes are what may be on the way to one peer. 64 and 16 MiB.
	PeerMessages int
	PeerBytes    int
	// ReceivedBytes is what waits of messages from peers; more is dropped, which Raft
	// repairs. 32 MiB.
	ReceivedBytes int
	// Appends is how many batches may be with the log, not yet durable, before proposals wait and
	// gather. The log makes all it has durable at once, so a few early small ones cost nothing;
	// with one alone, sixteen clients that each wait for their answer got half as far. 16.
	Appends int
	// Requests is how many reads and other requests may wait. 65536.
	Requests int
}

func (l Limits) complete() Limits {
	for _, f := range []struct {
		field     *int
		otherwise int
	}{
		{&l.ProposedBytes, 32 << 20},
		{&l.InflightBytes, 16 << 20},
		{&l.ApplyBytes, 4 << 20},
		{&l.TailBytes, 32 << 20},
		{&l.MessageBytes, 1 << 20},
		{&l.PeerMessages, 64},
		{&l.PeerBytes, 16 << 20},
		{&l.ReceivedBytes, 32 << 20},
		{&l.Appends, 16},
		{&l.Requests, 65536},
	} {
		if *f.field == 0 {
			*f.field = f.otherwise
		}
	}
	return l
}

// Config is what a Replica is made of.
type Config struct {
	// ID is this member's. Required. It is never given to another member, nor to this one again
	// after it lost its log: a member that forgot what it promised could undo what was agreed.
	ID      uint64
	Log     Log       // required; stays the caller's, who closes it after Run
	Start   Start     // see Bootstrap
	Applier Applier   // required
	Peers   Transport // nil for a server without peers
	Images  Images    // nil if images are neither sent nor taken

	// OnSoft is told who leads, in which term, whenever that changes, the first time when it becomes
	// known. Status shows it already. It is called by the raft goroutine and must not block; it may
	// call the methods of the Replica. Nil if nobody listens.
	OnSoft func(Soft)

	// Tick is the unit of the two below. Zero means 100 ms.
	Tick time.Duration
	// ElectionTicks is how long a leader may be silent, give or take as much again. Zero means 10.
	ElectionTicks int
	// HeartbeatTicks is how often a leader says that it lives. Zero means 1.
	HeartbeatTicks int

	Limits Limits
	Logger *slog.Logger // nil means silence
}

func (c Config) complete() Config {
	if c.Tick == 0 {
		c.Tick = 100 * time.Millisecond
	}
	if c.ElectionTicks == 0 {
		c.ElectionTicks = 10
	}
	if c.HeartbeatTicks == 0 {
		c.HeartbeatTicks = 1
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Limits = c.Limits.complete()
	return c
}

func (c Config) validate() error {
	switch {
	case c.ID == 0:
		return errors.New("replica: ID is 0")
	case c.Log == nil:
		return errors.New("replica: Log is missing")
	case c.Applier == nil:
		return errors.New("replica: Applier is missing")
	case c.Tick < 0:
		return fmt.Errorf("replica: Tick is %v: must be positive", c.Tick)
	}
	return nil
}
