package replica

import (
	"maps"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// parted is about members that are none any more: this one, and those that this one, leading, has
// seen go. Raft sends nothing to a member once its removal is in effect, so it would hardly ever hear
// that the removal was agreed, and wait for ever. It is therefore told once more how far the log is
// agreed, as soon as it is known to hold the entry.
type parted struct {
	at      uint64            // index of the entry that removed this member; 0 if it is one
	waiting map[uint64]uint64 // who has yet to acknowledge which entry, of this term
}

// Removed says that this member is none any more, and has applied the entry that made it so. In a
// joint membership it is one as long as it is in either half. A member that waits to be told of the
// membership is not removed.
func (c *Core) Removed() bool { return c.parted.at != 0 && c.applied >= c.parted.at }

func (c *Core) isMember() bool {
	m := c.conf
	return slices.Contains(m.Voters, c.id) || slices.Contains(m.VotersOutgoing, c.id) ||
		slices.Contains(m.Learners, c.id) || slices.Contains(m.LearnersNext, c.id)
}

// from notes whether this member is one from index on.
func (p *parted) from(member bool, index uint64) {
	if member {
		p.at = 0
	} else if p.at == 0 {
		p.at = index
	}
}

// matches returns how far the log of each member is known to be the leader's; nil if this one does
// not lead.
func (c *Core) matches() map[uint64]uint64 {
	if !c.Leads() {
		return nil
	}
	all := map[uint64]uint64{}
	c.node.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) { all[id] = p.Match })
	return all
}

// partFrom notes who is gone with the change at index, of those that were there before.
func (c *Core) partFrom(before map[uint64]uint64, index uint64) {
	c.parted.from(c.isMember(), index)
	now := c.matches()
	for _, id := range slices.Sorted(maps.Keys(before)) {
		if _, stays := now[id]; stays || id == c.id {
			continue
		}
		if before[id] >= index {
			c.farewell(id, index)
			continue
		}
		if c.parted.waiting == nil {
			c.parted.waiting = map[uint64]uint64{}
		}
		c.parted.waiting[id] = index
	}
}

// heard looks out for the acknowledgement of one who is gone.
func (p *parted) heard(c *Core, m *pb.Message) {
	if len(p.waiting) == 0 || m.GetType() != pb.MsgAppResp || m.GetReject() || m.GetTerm() != c.hard.Term {
		return
	}
	if index, ok := p.waiting[m.GetFrom()]; ok && m.GetIndex() >= index {
		delete(p.waiting, m.GetFrom())
		c.farewell(m.GetFrom(), index)
	}
}

// farewell tells a member that is gone that the log is agreed up to index, which it holds.
func (c *Core) farewell(to, index uint64) {
	c.due.Messages = append(c.due.Messages, &pb.Message{
		Type: pb.MsgHeartbeat.Enum(), From: new(c.id), To: new(to), Term: new(c.hard.Term), Commit: new(index),
	})
}
