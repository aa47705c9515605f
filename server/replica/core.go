package replica

import (
	"fmt"
	"log/slog"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/grovekeeper/grove/internal/bug"
	"github.com/grovekeeper/grove/server/wal"
)

// Core is one member's side of Raft as a value: inputs are methods, and what is to be done about
// them is read with Output. It has no goroutine, clock, chance or file of its own, reads only the
// log it was given, and is not safe for concurrent use.
//
// Whoever drives it owes it this: call Output until it says there is nothing more; carry out
// appends one after the other and report each with Appended once it is durable; hand over entries
// to apply one after the other and report each with Applied; and stop at the first error, after
// which the Core is of no use.
type Core struct {
	id     uint64
	limits Limits
	takes  bool // images can be installed
	node   *raft.RawNode
	store  *store

	soft Soft          // as of the last Output, as are the next three
	hard wal.HardState //
	conf *pb.ConfState // the membership; replaced, never written
	solo solitude      // what conf means for this member

	handed  uint64 // entries up to here were handed out to be applied
	applied uint64 // entries up to here have been

	props  proposals
	reads  reads
	change change
	parted parted
	peers  peers
	due    Output // what the next Output adds to what Raft says
}

// solitude says how far a member has company.
type solitude struct {
	voter bool // no other votes
	alone bool // no other member at all, learners included
}

// CoreConfig is what a Core is made of.
type CoreConfig struct {
	ID    uint64
	Boot  uint64 // differs at every start of this member: it tells answers to a former life apart
	Log   Reader
	Start Start

	// Image names the image to send to a peer too far behind. Nil if there are none.
	Image func() (Image, bool)
	// Installs says whether images can be installed; if not, those received are ignored.
	Installs bool

	ElectionTicks, HeartbeatTicks int
	Limits                        Limits
	Logger                        raft.Logger // nil means silence
}

// NewCore returns the Core of a member that has just started.
func NewCore(cfg CoreConfig) (c *Core, err error) {
	s, err := openStore(cfg.Log, cfg.Start)
	if err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = raftLogger{slog.New(slog.DiscardHandler)}
	}
	limits := cfg.Limits.complete()
	c = &Core{
		id: cfg.ID, limits: limits, takes: cfg.Installs, store: s,
		hard:   hardState(s.hard),
		handed: cfg.Start.Index, applied: cfg.Start.Index,
		reads: reads{boot: cfg.Boot, patience: cfg.ElectionTicks},
		peers: peers{patience: uint64(cfg.ElectionTicks)},
	}
	c.soft.Term, c.change.effective = c.hard.Term, cfg.Start.Index
	c.settle(s.conf)
	c.parted.from(c.isMember(), cfg.Start.Index)
	if cfg.Image != nil {
		s.image = func() (Image, bool) { return c.current(cfg.Image()) }
	}
	defer c.guard(&err)
	c.node, err = raft.NewRawNode(&raft.Config{
		ID:                        cfg.ID,
		ElectionTick:              cfg.ElectionTicks,
		HeartbeatTick:             cfg.HeartbeatTicks,
		Storage:                   s,
		Applied:                   cfg.Start.Index,
		AsyncStorageWrites:        true,
		MaxSizePerMsg:             uint64(limits.MessageBytes),
		MaxCommittedSizePerReady:  uint64(limits.ApplyBytes),
		MaxUncommittedEntriesSize: uint64(limits.InflightBytes), // ours is stricter, see feed
		MaxInflightMsgs:           limits.PeerMessages,
		MaxInflightBytes:          uint64(max(limits.PeerBytes, limits.MessageBytes)),
		CheckQuorum:               true,
		PreVote:                   true,
		ReadOnlyOption:            raft.ReadOnlySafe,
		Logger:                    cfg.Logger,
		DisableProposalForwarding: true, // whoever originates commands forwards and numbers them
		StepDownOnRemoval:         true,
	})
	if err != nil {
		return nil, fmt.Errorf("replica: %w", err)
	}
	c.campaignIfLone()
	return c, nil
}

// guard turns a panic into an error if the log failed: Raft has no other way to say so, and the
// error names the file. Every other panic is a broken invariant and goes on.
func (c *Core) guard(err *error) {
	if c.store.fail == nil {
		return // before recover: a panic that is not ours keeps its stack
	}
	_ = recover()
	*err = c.store.fail
}

// settle makes conf the membership.
func (c *Core) settle(conf *pb.ConfState) {
	others := len(conf.VotersOutgoing) + len(conf.Learners) + len(conf.LearnersNext)
	c.conf = conf
	c.solo.voter = len(conf.Voters) == 1 && conf.Voters[0] == c.id && len(conf.VotersOutgoing) == 0
	c.solo.alone = c.solo.voter && others == 0
}

// campaignIfLone spares a lone voter the election time-out: nobody else could win. It waits until
// everything known to be agreed is applied: Raft refuses while that contains a change of the
// membership, and would read all of it again to find out.
func (c *Core) campaignIfLone() {
	if c.solo.voter && c.soft.Role == Follower && c.applied >= c.hard.Commit {
		_ = c.node.Campaign() // dropped or not, there is nothing to do about it
	}
}

// Tick says that one unit of time has passed.
func (c *Core) Tick() (err error) {
	defer c.guard(&err)
	c.node.Tick()
	c.campaignIfLone()
	c.reads.tick()
	c.peers.now++
	c.survey()
	c.props.refused = false
	return nil
}

// Appended says that a and everything issued before it is durable.
func (c *Core) Appended(a *Append) (err error) {
	defer c.guard(&err)
	if len(a.Entries) > 0 {
		c.props.writing--
	}
	if a.Image != nil {
		c.applied = max(c.applied, a.Image.Index)
	}
	c.store.stable(a.number, a.final)
	c.deliver(a.responses)
	c.trim()
	return nil
}

// Applied says that a and everything handed over before it has been applied.
func (c *Core) Applied(a *Apply) (err error) {
	defer c.guard(&err)
	c.applied = max(c.applied, a.Entries[len(a.Entries)-1].GetIndex())
	c.props.done(a.Entries)
	c.deliver(a.responses)
	c.trim()
	c.campaignIfLone()
	return nil
}

// deliver takes the messages that waited for some work of this member: its own to Raft, the others
// to their peers with the next Output.
func (c *Core) deliver(responses []*pb.Message) {
	for _, m := range responses {
		if m.GetTo() != c.id {
			c.due.Messages = append(c.due.Messages, m)
			continue
		}
		_ = c.node.Step(m) // refused if this member has been removed meanwhile
	}
}

func (c *Core) trim() { c.store.trim(c.applied, c.solo.alone, c.limits.TailBytes) }

// Compact lets the log go up to and including index: the state on disk contains it. Peers that
// still need it will get an image.
func (c *Core) Compact(index uint64) (err error) {
	defer c.guard(&err)
	index = min(index, c.applied, c.store.durable)
	if index <= c.store.base.index {
		return nil
	}
	if err := c.store.compact(index); err != nil {
		return err
	}
	// The entry itself stays: at the next start it lends the term that the one after it follows.
	c.append().Release = index
	return nil
}

// append returns the Append of the next Output.
func (c *Core) append() *Append {
	if c.due.Append == nil {
		c.due.Append = &Append{}
	}
	return c.due.Append
}

// Output returns what is to be done now, or false if there is nothing.
func (c *Core) Output() (out Output, ok bool, err error) {
	defer c.guard(&err)
	c.ask()
	c.feed()
	if c.node.HasReady() {
		c.ready(c.node.Ready())
	} else if !c.due.some() {
		return Output{}, false, nil
	}
	out, c.due = c.due, Output{}
	return out, true, nil
}

func (o *Output) some() bool {
	return o.Append != nil || len(o.Messages) > 0 || o.Change != nil || o.Reads > 0
}

// ready takes apart what Raft wants done.
func (c *Core) ready(rd raft.Ready) {
	c.turn(rd.SoftState, rd.HardState)
	for _, r := range rd.ReadStates {
		c.answered(r)
	}
	peers := len(rd.Messages)
	for peers > 0 && raft.IsLocalMsgTarget(rd.Messages[peers-1].GetTo()) {
		peers-- // work for this member comes last
	}
	for _, m := range rd.Messages[peers:] {
		if m.GetTo() == raft.LocalAppendThread {
			c.handAppend(m, rd.MustSync)
		} else {
			c.handApply(m)
		}
	}
	c.due.Messages = append(c.due.Messages, rd.Messages[:peers]...)
}

// turn notes who leads and what was agreed, and gives up what a former term was asked for.
func (c *Core) turn(soft *raft.SoftState, hard *pb.HardState) {
	was := c.soft
	if soft != nil {
		c.soft.Leader, c.soft.Role = soft.Lead, roleOf(soft.RaftState)
	}
	if !raft.IsEmptyHardState(hard) {
		c.hard = hardState(hard)
		c.soft.Term = c.hard.Term
	}
	if c.soft == was {
		return
	}
	c.due.Soft = &Soft{Leader: c.soft.Leader, Term: c.soft.Term, Role: c.soft.Role}
	c.props.reset()
	c.reads.lost()
	c.parted.waiting = nil
	c.peers.heard = nil
	c.survey()
	c.abandon()
}

func hardState(h *pb.HardState) wal.HardState {
	return wal.HardState{Term: h.GetTerm(), Vote: h.GetVote(), Commit: h.GetCommit()}
}

// handAppend turns Raft's order to write into an Append.
func (c *Core) handAppend(m *pb.Message, sync bool) {
	a := c.append()
	if snap := m.GetSnapshot(); !raft.IsEmptySnap(snap) {
		c.adopt(a, snap)
	}
	if m.Vote != nil { // or else it has not changed
		a.Hard = c.hard
	}
	a.Entries, a.Sync, a.responses = m.GetEntries(), sync || a.Image != nil, m.GetResponses()
	if bug.On(bug.AckBeforeWrite) {
		c.deliver(a.responses)
		a.responses = nil
	}
	a.number = c.store.append(a.Entries)
	a.final = c.store.last.index
	if len(a.Entries) > 0 {
		c.props.writing++
	}
}

// handApply turns Raft's order to apply into an Apply. Changes of the membership take effect here:
// they are agreed, and the applier is to be told what they led to.
func (c *Core) handApply(m *pb.Message) {
	a := &Apply{Entries: m.GetEntries(), responses: m.GetResponses()}
	for _, e := range a.Entries {
		if e.GetType() != pb.EntryNormal {
			a.confs = append(a.confs, c.reconfigure(e))
		}
	}
	c.handed = a.Entries[len(a.Entries)-1].GetIndex()
	c.due.Apply = a
}

// NeedsApplied says whether something waits for the applier. While it does not, reports of Applied
// may be late, to be brought along with something else.
func (c *Core) NeedsApplied() bool {
	return c.props.flight > c.limits.InflightBytes/2 || c.props.holds() ||
		c.handed < c.hard.Commit || c.change.effective > c.applied ||
		c.solo.voter && c.soft.Role == Follower
}

// Failed says that the log failed: the Core is of no use any more.
func (c *Core) Failed() bool { return c.store.fail != nil }

// Soft returns who leads, as of the last Output.
func (c *Core) Soft() Soft { return c.soft }

// Committed returns the index up to which entries are agreed, as of the last Output.
func (c *Core) Committed() uint64 { return c.hard.Commit }

// Bounds returns the lowest and the highest index the log holds, or is about to.
func (c *Core) Bounds() (first, last uint64) { return c.store.base.index + 1, c.store.last.index }

// Members returns the membership. It must not be written to.
func (c *Core) Members() *pb.ConfState { return c.conf }

// AppliedIndex returns the index up to which entries were reported as applied.
func (c *Core) AppliedIndex() uint64 { return c.applied }
