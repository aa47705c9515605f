package feed

import (
	"github.com/grovekeeper/grove/internal/bug"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/znode"
)

// CheckpointPolicy says when applied state is worth writing down. Whichever bound is reached first
// counts; a zero bound never does.
type CheckpointPolicy struct {
	Entries int // applied since the last checkpoint
	Bytes   int // of log since the last checkpoint
}

// Pinned is applied state on its way into a checkpoint. What differs from the last one is for the
// writer to find, by comparing views: noting it here would cost every write.
type Pinned struct {
	View       *state.View
	Term       uint64         // of the entry at View.Zxid
	ConfState  []byte         // the membership as of that entry
	Recent     []znode.Change // the changes that fire watches, since the last Pinned, oldest first
	RecentFrom znode.Zxid     // Recent has every one after this zxid
}

// pinner decides when to hand applied state over, and keeps the changes since the last time. The
// applier owns it; what is handed over is the writer's.
type pinner struct {
	policy  CheckpointPolicy
	out     chan *Pinned
	recent  []znode.Change
	from    znode.Zxid // recent is complete after it
	max     int        // changes held, and a quarter more between two trimmings
	entries int
	bytes   int
	term    uint64 // of the last entry applied
	conf    []byte // the membership as of it
}

func (p *pinner) init(cfg *Config) {
	p.policy, p.max = cfg.Checkpoint, max(cfg.RecentMax, 1)
	p.out = make(chan *Pinned, 1)
	p.term, p.conf = cfg.Term, cfg.ConfState
	p.reset(cfg.Machine.Zxid())
}

func (p *pinner) reset(zxid znode.Zxid) {
	p.recent, p.from = nil, zxid
	p.entries, p.bytes = 0, 0
}

func (p *pinner) applied(e *replica.Entry) {
	p.entries++
	p.bytes += len(e.Data)
	p.term = e.Term
	if e.ConfState != nil && !bug.On(bug.OldMembership) {
		p.conf = e.ConfState
	}
}

func (p *pinner) note(changes []znode.Change) {
	for i := range changes {
		if changes[i].Kind != znode.Touched {
			p.recent = append(p.recent, changes[i])
		}
	}
	if over := len(p.recent) - p.max; over > p.max/4 {
		p.from = p.recent[over-1].Zxid
		p.recent = append([]znode.Change(nil), p.recent[over:]...)
	}
}

func (p *pinner) due() bool {
	over := func(n, bound int) bool { return bound > 0 && n >= bound }
	return over(p.entries, p.policy.Entries) || over(p.bytes, p.policy.Bytes)
}

// Checkpoints yields applied state whenever the policy finds it worth writing down and the one before
// has been taken.
func (f *Feed) Checkpoints() <-chan *Pinned { return f.apply.pinner.out }

// handOver passes the state on if it is time and the writer is free.
// A busy writer is not waited for: there is one state to be written, only a later one.
func (a *applier) handOver(v *state.View) {
	p := &a.pinner
	if !p.due() || len(p.out) > 0 {
		return
	}
	p.out <- p.pin(v)
	p.reset(v.Zxid)
}

func (p *pinner) pin(v *state.View) *Pinned {
	return &Pinned{View: v, Term: p.term, ConfState: p.conf, Recent: p.recent, RecentFrom: p.from}
}

// Final returns what has not been handed over yet, for the checkpoint of a clean end. The applier
// must have stopped, and so must the writer. It returns nil if everything was handed over and taken.
func (f *Feed) Final() *Pinned {
	p := &f.apply.pinner
	select {
	case waiting := <-p.out: // nobody has taken it
		if p.entries == 0 {
			return waiting
		}
		if p.from == waiting.View.Zxid { // nothing was forgotten in between
			p.recent, p.from = append(waiting.Recent, p.recent...), waiting.RecentFrom
		}
	default:
		if p.entries == 0 {
			return nil
		}
	}
	return p.pin(f.View())
}
