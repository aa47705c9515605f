package replica

import "context"

// Hand moves a Replica by hand, in one goroutine, instead of Run: each method is one turn of one of
// the three goroutines that Run starts, in the same code. Whoever holds it decides when the log has
// written and when the applier has applied; nothing else happens in between. It is how a simulation
// runs whole clusters under a seed.
type Hand struct {
	raft    *loop
	log     *logWriter
	applier *applier
	appends []*Append
	applies []applyJob
}

// Hand returns the hand of a Replica that nobody runs.
func (r *Replica) Hand() *Hand {
	h := &Hand{
		raft: &loop{Replica: r, core: r.core, changes: map[uint64]func([]byte, error){}},
		log:  &logWriter{log: r.cfg.Log, in: r.appends, out: r.durable, applies: r.applies},
		applier: &applier{
			applier: r.cfg.Applier, images: r.cfg.Images,
			in: r.applies, out: r.applied, reached: &r.reached,
		},
	}
	h.log.meanwhile = func() error { _, err := h.Apply(); return err }
	h.raft.read(func(index uint64, _ error) { h.raft.fresh = index })
	return h
}

// Tick is the raft goroutine when a unit of time has passed: longer than most wait to succeed a leader
// that is gone.
func (h *Hand) Tick() error {
	if err := h.raft.tick(); err != nil {
		return err
	}
	if h.raft.heir.timer != nil {
		if err := h.raft.campaign(); err != nil {
			return err
		}
	}
	return h.Turn()
}

// Turn is the raft goroutine when something has come for it, until nothing is left to do.
func (h *Hand) Turn() error {
	for l := h.raft; ; {
		if err := l.turn(); err != nil {
			return err
		}
		if l.roomy() && l.received.Len() > 0 || l.wants() && l.proposals.Len() > 0 {
			continue
		}
		return nil
	}
}

// Writing returns how much waits for Write.
func (h *Hand) Writing() int { return h.log.in.Len() }

// Write is the log goroutine: it makes durable what waits, and reports it. What waits to be applied
// is applied too, if an image is to be installed.
func (h *Hand) Write() error {
	h.appends = take(h.log.in, h.appends)
	return h.log.write(context.Background(), h.appends)
}

// Applying returns how much waits for Apply.
func (h *Hand) Applying() int { return h.applier.in.Len() }

// Apply is the applier goroutine: it applies what waits, and reports it. It says whether the raft
// goroutine would notice.
func (h *Hand) Apply() (noticed bool, err error) {
	h.applies = take(h.applier.in, h.applies)
	err = h.applier.work(h.applies)
	l := h.raft
	return !l.roomy() || !l.caught || l.core.NeedsApplied(), err
}
