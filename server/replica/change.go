package replica

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"go.etcd.io/raft/v3/confchange"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"
)

// change is the one change of the membership that this member has proposed and not yet seen
// decided.
type change struct {
	token     uint64 // 0 if there is none
	term      uint64 // it was proposed in; after that its outcome is nobody's to tell
	mark      []byte // what the entry's context begins with, to be recognised by
	issued    uint64 // the newest token
	effective uint64 // index of the newest change in effect, whoever proposed it
}

// An agreed change carries, in its context, what it is recognised by and what its proposer sent
// along:
//
//	0       8        16
//	+-------+--------+--- ... ---+
//	| boot  | token  | payload   |
//	+-------+--------+--- ... ---+
const (
	changeMark = 16
	// changePayloadMax bounds what a change may carry: it counts neither with the window nor with
	// the queue of proposals. It is the size of a message to a peer.
	changePayloadMax = 1 << 20
)

// Changed is what became of a change of the membership.
type Changed struct {
	Token     uint64 // as returned by Change
	ConfState []byte // the membership it led to; nil if Err is set
	Err       error  // ErrUndecided
}

// Change proposes a change of the membership: one member added, promoted or removed, or several, by
// way of a joint membership that is left automatically. It must be this member that leads
// (ErrNotLeader), and no other change may be under way (ErrChangePending). A change that Raft could
// not carry out is refused here (ErrChangeInvalid): once agreed, it would stop every member. What
// becomes of it comes with Output.Change under the token returned. The applier gets the payload, on
// every member, with the entry from which on the change is in effect: for several at once that is the
// one that begins the joint membership.
func (c *Core) Change(payload []byte, changes ...*pb.ConfChangeSingle) (token uint64, err error) {
	defer c.guard(&err)
	if c.soft.Role != Leader {
		return 0, ErrNotLeader
	}
	if c.change.token != 0 || c.change.effective > c.applied || len(c.conf.VotersOutgoing) > 0 {
		return 0, ErrChangePending
	}
	if len(payload) > changePayloadMax {
		return 0, fmt.Errorf("%w: payload of %d bytes", ErrChangeInvalid, len(payload))
	}
	cc := &pb.ConfChangeV2{Changes: changes}
	if err := c.rehearse(cc); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrChangeInvalid, err)
	}
	c.change.issued++
	mark := binary.BigEndian.AppendUint64(make([]byte, 0, changeMark+len(payload)), c.reads.boot)
	mark = binary.BigEndian.AppendUint64(mark, c.change.issued)
	cc.Context = append(mark, payload...)
	if err := c.proposeChange(cc); err != nil {
		return 0, err
	}
	c.change.token, c.change.term, c.change.mark = c.change.issued, c.hard.Term, mark
	return c.change.token, nil
}

// proposeChange gives cc to Raft. One that Raft refuses it replaces by an entry without content.
func (c *Core) proposeChange(cc *pb.ConfChangeV2) error {
	data, err := proto.Marshal(cc)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrChangeInvalid, err)
	}
	e := &pb.Entry{Type: pb.EntryConfChangeV2.Enum(), Data: data}
	m := &pb.Message{Type: pb.MsgProp.Enum(), From: new(c.id), Entries: []*pb.Entry{e}}
	if err := c.node.Step(m); err != nil {
		return fmt.Errorf("%w: %w", ErrChangePending, err)
	}
	if m.Entries[0] != e {
		return ErrChangePending
	}
	return nil
}

// rehearse carries cc out on a copy of the membership.
func (c *Core) rehearse(cc *pb.ConfChangeV2) error {
	if len(cc.Changes) == 0 {
		return fmt.Errorf("nothing is changed")
	}
	for _, s := range cc.Changes {
		if s.GetNodeId() == 0 {
			return fmt.Errorf("member 0 cannot be")
		}
	}
	now := c.node.Status()
	t := tracker.MakeProgressTracker(c.limits.PeerMessages, uint64(c.limits.PeerBytes))
	t.Config = now.Config
	for id, p := range now.Progress {
		t.Progress[id] = &p
	}
	changer := confchange.Changer{Tracker: t, LastIndex: c.store.last.index}
	var err error
	if leave, joint := cc.EnterJoint(); joint {
		_, _, err = changer.EnterJoint(leave, cc.Changes...)
	} else {
		_, _, err = changer.Simple(cc.Changes...)
	}
	return err
}

// reconfigure puts the agreed change e into effect and returns the membership it leads to, and what
// the change carried. An entry that does not decode, or cannot be carried out, stops this member as
// it stops every other.
func (c *Core) reconfigure(e *pb.Entry) confAt {
	var cc pb.ConfChangeI
	if e.GetType() == pb.EntryConfChange {
		v1 := &pb.ConfChange{}
		mustUnmarshal(e, v1)
		cc = v1
	} else {
		v2 := &pb.ConfChangeV2{}
		mustUnmarshal(e, v2)
		cc = v2
	}
	before := c.matches()
	c.settle(c.node.ApplyConfChange(cc))
	c.change.effective = e.GetIndex()
	c.due.Members = c.conf
	c.partFrom(before, e.GetIndex())
	c.survey()
	state, err := proto.Marshal(c.conf)
	if err != nil {
		panic(err) // lists of numbers always marshal
	}
	context := cc.AsV2().GetContext()
	if c.change.token != 0 && bytes.HasPrefix(context, c.change.mark) {
		c.due.Change = &Changed{Token: c.change.token, ConfState: state}
		c.change.token = 0
	}
	return confAt{e.GetIndex(), state, payloadOf(context)}
}

// payloadOf returns what came with a change; nil if nothing did, as in the first logs.
func payloadOf(context []byte) []byte {
	if len(context) <= changeMark {
		return nil
	}
	return context[changeMark:]
}

func mustUnmarshal(e *pb.Entry, into proto.Message) {
	if err := proto.Unmarshal(e.GetData(), into); err != nil {
		panic(fmt.Sprintf("replica: agreed change of the membership at %d: %v", e.GetIndex(), err))
	}
}

// abandon gives up on the change under way if its term is over.
func (c *Core) abandon() {
	if c.change.token == 0 || c.soft.Role == Leader && c.soft.Term == c.change.term {
		return
	}
	c.due.Change = &Changed{Token: c.change.token, Err: ErrUndecided}
	c.change.token = 0
}

// Transfer hands leadership to another voter, if this member leads. Proposals are held until that
// one leads or an election time-out has passed.
func (c *Core) Transfer(to uint64) (err error) {
	defer c.guard(&err)
	if c.soft.Role != Leader || to == c.id {
		return nil
	}
	c.node.TransferLeader(to)
	return nil
}

// Transferring says whether leadership is on its way to somebody else.
func (c *Core) Transferring() bool {
	return c.Leads() && c.node.BasicStatus().LeadTransferee != 0
}
