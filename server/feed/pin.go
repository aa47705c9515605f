package feed

import (
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// CheckpointPolicy says when applied state is worth writing down. Whichever bound is reached first
// counts; a zero bound never does.
type CheckpointPolicy struct {
	Entries int // applied since the last checkpoint
	Nodes   int // changed since the last checkpoint
	Bytes   int // of log since the last checkpoint
}

// Pinned is applied state on its way into a checkpoint: a view, and what differs from the last one.
type Pinned struct {
	View       *state.View
	Term       uint64 // of the entry at View.Zxid
	Nodes      map[string]struct{}
	Sessions   map[session.ID]struct{}
	Recent     []znode.Change // the changes that fire watches, since the last Pinned, oldest first
	RecentFrom znode.Zxid     // Recent has every one after this zxid
}

// pinner collects what changed since the last checkpoint. The applier owns it; the set travels to the
// checkpoint writer with the view it belongs to, so neither needs a lock.
type pinner struct {
	policy   CheckpointPolicy
	out      chan *Pinned
	nodes    map[string]struct{}
	sessions map[session.ID]struct{}
	recent   []znode.Change
	from     znode.Zxid // recent is complete after it
	max      int        // changes kept in recent; up to twice as many are held
	entries  int
	bytes    int
	term     uint64
}

func (p *pinner) init(policy CheckpointPolicy, recentMax int, zxid znode.Zxid) {
	p.policy, p.max = policy, max(recentMax, 1)
	p.out = make(chan *Pinned, 1)
	p.reset(zxid)
}

func (p *pinner) reset(zxid znode.Zxid) {
	p.nodes, p.sessions, p.recent = map[string]struct{}{}, map[session.ID]struct{}{}, nil
	p.entries, p.bytes, p.from = 0, 0, zxid
}

func (p *pinner) applied(term uint64, size int) {
	p.entries++
	p.bytes += size
	p.term = term
}

func (p *pinner) note(changes []znode.Change, sessions []state.SessionChange) {
	for i := range changes {
		c := &changes[i]
		p.nodes[c.Path] = struct{}{}
		if c.Kind == znode.Created || c.Kind == znode.Deleted {
			parent, _ := znode.KeyOf(c.Path)
			p.nodes[parent] = struct{}{}
		}
		if c.Kind != znode.Touched {
			p.recent = append(p.recent, *c)
		}
	}
	if over := len(p.recent) - p.max; over > p.max {
		p.from = p.recent[over-1].Zxid
		p.recent = append([]znode.Change(nil), p.recent[over:]...)
	}
	for i := range sessions {
		p.sessions[sessions[i].Session.ID] = struct{}{}
	}
}

func (p *pinner) due() bool {
	over := func(n, bound int) bool { return bound > 0 && n >= bound }
	return over(p.entries, p.policy.Entries) || over(len(p.nodes), p.policy.Nodes) || over(p.bytes, p.policy.Bytes)
}

// Checkpoints yields applied state whenever the policy finds it worth writing down and the one before
// has been taken.
func (f *Feed) Checkpoints() <-chan *Pinned { return f.apply.pinner.out }

// handOver notes what the batch changed and passes everything on if it is time and the writer is free.
// A busy writer is not waited for: the set grows, by at most one key a node.
func (a *applier) handOver(f *Feed) {
	p := &a.pinner
	p.note(a.changes, a.sessions)
	if !p.due() || len(p.out) > 0 {
		return
	}
	p.out <- p.pin(f.View())
	p.reset(f.View().Zxid)
}

func (p *pinner) pin(v *state.View) *Pinned {
	return &Pinned{View: v, Term: p.term, Nodes: p.nodes, Sessions: p.sessions, Recent: p.recent, RecentFrom: p.from}
}

// Final returns what has not been handed over yet, for the checkpoint of a clean end. The applier
// must have stopped. It returns nil if nothing was applied since the last one.
func (f *Feed) Final() *Pinned {
	if f.apply.pinner.entries == 0 {
		return nil
	}
	return f.apply.pinner.pin(f.View())
}
