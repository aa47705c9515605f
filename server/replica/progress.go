package replica

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// Progress is how far a member is, as its leader knows.
type Progress struct {
	Match   uint64 // its log is the leader's up to here, durably
	Active  bool   // Match is known, and a word was heard from it within an election time-out
	Learner bool
}

// peers is what a leader knows of the members. Raft's own notion of who is active will not do: it
// forgets all of them once in every election time-out, and takes one that was just added for active.
type peers struct {
	now      uint64            // ticks, ever
	patience uint64            // ticks after which silence means absence
	heard    map[uint64]uint64 // the tick of the last message from a member
	progress map[uint64]Progress
}

// listen notes that a member lives. For strangers, and while this member does not lead, it does
// nothing.
func (p *peers) listen(from uint64) {
	if _, member := p.progress[from]; member {
		p.heard[from] = p.now
	}
}

// survey looks how far the members are, if this one leads.
func (c *Core) survey() {
	p := &c.peers
	if !c.Leads() {
		p.heard, p.progress = nil, nil
		return
	}
	heard, progress := make(map[uint64]uint64, len(p.heard)), make(map[uint64]Progress, len(p.progress))
	c.node.WithProgress(func(id uint64, typ raft.ProgressType, now tracker.Progress) {
		last, ever := p.heard[id]
		if ever {
			heard[id] = last
		}
		progress[id] = Progress{
			Match: now.Match, Learner: typ == raft.ProgressTypeLearner,
			Active: id == c.id || ever && now.Match > 0 && p.now-last < p.patience,
		}
	})
	p.heard, p.progress = heard, progress
}

// Progress returns how far the members are, as of the last Tick or change of the membership or of
// leadership; nil if this one does not lead. It must not be written to.
func (c *Core) Progress() map[uint64]Progress { return c.peers.progress }

// Successor returns the voter that is best fit to lead in place of this member: active, and the
// furthest of those that are at most so many entries behind.
func (c *Core) Successor(behind uint64) (id uint64, ok bool) {
	c.survey()
	best := uint64(0)
	for _, v := range c.conf.Voters {
		p := c.peers.progress[v]
		if v == c.id || !p.Active || p.Match+behind < c.store.last.index || p.Match <= best {
			continue
		}
		id, best = v, p.Match
	}
	return id, id != 0
}
