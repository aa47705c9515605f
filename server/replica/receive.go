package replica

import (
	"fmt"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// Receive takes a message from a peer. One that no sound peer sends is refused with ErrMessage and
// does nothing: Raft trusts what it is given, and would panic on some of them.
func (c *Core) Receive(m *pb.Message) (err error) {
	if err := c.admissible(m); err != nil {
		return fmt.Errorf("%w: %v from %d: %w", ErrMessage, m.GetType(), m.GetFrom(), err)
	}
	if m.GetType() == pb.MsgReadIndex && c.solo.voter && !c.answerable() {
		return nil // Raft would answer a lone voter's learners too early, see answerable
	}
	defer c.guard(&err)
	c.peers.listen(m.GetFrom())
	_ = c.node.Step(m) // refused if the sender is not a member any more
	c.parted.heard(c, m)
	return nil
}

// admissible says why m is not to be given to Raft, nil if it may be.
func (c *Core) admissible(m *pb.Message) error {
	switch from := m.GetFrom(); {
	case m.GetTo() != c.id:
		return fmt.Errorf("it is for %d", m.GetTo())
	case from == 0 || from == c.id || raft.IsLocalMsgTarget(from):
		return fmt.Errorf("no peer has this id")
	case len(m.GetResponses()) > 0:
		return fmt.Errorf("it carries responses")
	case (m.GetTerm() == 0) != (m.GetType() == pb.MsgReadIndex):
		return fmt.Errorf("term %d", m.GetTerm()) // 0 is how Raft knows what comes from itself
	}
	switch m.GetType() {
	case pb.MsgVote, pb.MsgVoteResp, pb.MsgPreVote, pb.MsgPreVoteResp,
		pb.MsgAppResp, pb.MsgTimeoutNow:
		return nil
	case pb.MsgApp:
		return consecutive(m)
	case pb.MsgHeartbeat, pb.MsgHeartbeatResp:
		if n := len(m.GetContext()); n != 0 && n != 8 {
			return fmt.Errorf("context of %d bytes", n)
		}
		return nil
	case pb.MsgReadIndex, pb.MsgReadIndexResp:
		if n := len(m.GetEntries()); n != 1 {
			return fmt.Errorf("%d entries", n)
		}
		return nil
	case pb.MsgSnap:
		return c.installable(m)
	default: // what a member says to itself, and proposals, which peers do not forward in this way
		return fmt.Errorf("peers do not send this")
	}
}

// consecutive checks that the entries of a MsgApp follow one another and the entry they are said
// to.
func consecutive(m *pb.Message) error {
	index, term := m.GetIndex(), m.GetLogTerm()
	for _, e := range m.GetEntries() {
		index++
		if e.GetIndex() != index || e.GetTerm() < term || e.GetTerm() > m.GetTerm() {
			return fmt.Errorf("entry %d of term %d at place %d after term %d",
				e.GetIndex(), e.GetTerm(), index, term)
		}
		term = e.GetTerm()
		if err := decodable(e); err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
	}
	return nil
}

func decodable(e *pb.Entry) error {
	switch e.GetType() {
	case pb.EntryNormal:
		return nil
	case pb.EntryConfChange:
		return proto.Unmarshal(e.GetData(), &pb.ConfChange{})
	case pb.EntryConfChangeV2:
		return proto.Unmarshal(e.GetData(), &pb.ConfChangeV2{})
	default:
		return fmt.Errorf("unknown kind %d", e.GetType())
	}
}

// installable checks the image a MsgSnap names.
func (c *Core) installable(m *pb.Message) error {
	meta := m.GetSnapshot().GetMetadata()
	switch {
	case !c.takes:
		return fmt.Errorf("images are not taken here")
	case meta.GetIndex() == 0 || meta.GetTerm() == 0 || meta.GetTerm() > m.GetTerm():
		return fmt.Errorf("image at %d of term %d", meta.GetIndex(), meta.GetTerm())
	case len(meta.GetConfState().GetVoters()) == 0:
		return fmt.Errorf("image without voters")
	}
	return nil
}

// adopt makes a carry the image that Raft accepted. From here on the log begins after it.
func (c *Core) adopt(a *Append, snap *pb.Snapshot) {
	meta := snap.GetMetadata()
	state, err := proto.Marshal(meta.GetConfState())
	if err != nil {
		panic(err) // lists of numbers always marshal
	}
	at := mark{meta.GetIndex(), meta.GetTerm()}
	a.Image = &Image{Index: at.index, Term: at.term, ConfState: state, Data: snap.GetData()}
	a.Release = 0 // of a log that is given up
	c.store.reset(at)
	c.handed = at.index
	c.settle(meta.GetConfState())
	c.change.effective = at.index
	c.due.Members = c.conf
	c.parted.from(c.isMember(), at.index)
}

// current says whether image may be sent. One from before the newest change of the membership may
// not know its receiver, who would then refuse it, and be sent it again at once, without end.
func (c *Core) current(image Image, ok bool) (Image, bool) {
	return image, ok && image.Index >= c.change.effective
}

// Unreachable says that messages to a peer were lost.
func (c *Core) Unreachable(peer uint64) (err error) {
	defer c.guard(&err)
	c.node.ReportUnreachable(peer)
	return nil
}

// ImageSent says whether the image that a peer was told of (a MsgSnap among the messages) has
// arrived there. It must be said of every one: until then that peer gets nothing more.
func (c *Core) ImageSent(peer uint64, arrived bool) (err error) {
	defer c.guard(&err)
	status := raft.SnapshotFinish
	if !arrived {
		status = raft.SnapshotFailure
	}
	c.node.ReportSnapshot(peer, status)
	return nil
}
