package sim

import (
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/grovekeeper/grove/internal/disk"
	"github.com/grovekeeper/grove/server/wal"
)

// What servers promise each other must outlive the loss of power: invariants A2 and D1.

type vote struct{ node, term uint64 }

// promised holds a message that leaves n against what the disk of n would hold if the power went now.
func (n *server) promised(m *pb.Message) {
	if m.GetReject() || m.GetType() != pb.MsgAppResp && m.GetType() != pb.MsgVoteResp {
		return
	}
	deep := n.s.order.IntN(n.s.opt.deepChecks) == 0
	switch m.GetType() {
	case pb.MsgVoteResp:
		n.s.truth.votedOnce(n, m)
		if !backsVote(n.durable, m) {
			n.s.broken("D1", "server %d votes for %d in term %d, durable is %+v", n.id, m.GetTo(), m.GetTerm(), n.durable)
		}
	case pb.MsgAppResp:
		if m.GetIndex() > max(n.last, n.meta.index) {
			n.s.broken("D1", "server %d acknowledges entry %d, durable is %d", n.id, m.GetIndex(), n.last)
		}
	}
	if deep {
		n.s.mark(markDeepChecks)
		n.survives(m)
	}
}

// backsVote says whether a hard state is enough of a memory for the vote of m: a vote that was
// answered again in a later term is not asked for any more.
func backsVote(h wal.HardState, m *pb.Message) bool {
	return h.Term > m.GetTerm() || h.Term == m.GetTerm() && h.Vote == m.GetTo()
}

// survives loses the power on a copy of the disk and looks whether the promise of m is there.
func (n *server) survives(m *pb.Message) {
	d := n.fs.Clone()
	d.CutPower(func(disk.Unit) int { return disk.Lost })
	at, _, err := readCheckpoint(d)
	if err != nil {
		n.s.broken("D1", "server %d: checkpoint after a power cut: %v", n.id, err)
	}
	log, err := wal.Open(d, walDir, n.logOptions(at))
	if err != nil {
		n.s.broken("D1", "server %d: log after a power cut: %v", n.id, err)
	}
	switch index := m.GetIndex(); {
	case m.GetType() == pb.MsgVoteResp && !backsVote(log.Hard(), m):
		n.s.broken("D1", "server %d votes for %d in term %d, after a power cut it knows of %+v",
			n.id, m.GetTo(), m.GetTerm(), log.Hard())
	case m.GetType() == pb.MsgAppResp && index > max(log.Last(), at.index):
		n.s.broken("D1", "server %d acknowledges entry %d, after a power cut it has up to %d",
			n.id, index, log.Last())
	}
}

// votedOnce is A2: one candidate in a term, for ever.
func (t *truth) votedOnce(n *server, m *pb.Message) {
	key := vote{n.node, m.GetTerm()}
	if was, ok := t.votes[key]; ok && was != m.GetTo() {
		t.s.broken("A2", "server %d votes for %d and for %d in term %d", n.id, was, m.GetTo(), m.GetTerm())
	}
	t.votes[key] = m.GetTo()
}

// led is the other half of A2: one leader in a term.
func (t *truth) led(n *server) {
	if was, ok := t.leaders[n.soft.Term]; ok && was != n.node {
		t.s.broken("A2", "servers %d and %d lead in term %d", was, n.node, n.soft.Term)
	}
	t.leaders[n.soft.Term] = n.node
}

// remembers holds what a server finds at its start against what it knew before: the term never goes
// back (D4), and what was agreed and known to be durable here is still there.
func (t *truth) remembers(n *server) {
	if was := t.terms[n.node]; n.durable.Term < was {
		t.s.broken("D4", "server %d starts in term %d, it had promised %d", n.id, n.durable.Term, was)
	}
}
