package replica

// Status is what a replica knows of itself and its cluster at one moment, for status pages.
type Status struct {
	ID         uint64
	Leader     uint64 // 0 while nobody is known
	Term       uint64
	Role       Role
	Applied    uint64   // entries up to here have been applied
	Committed  uint64   // entries up to here are agreed
	FirstIndex uint64   // lowest index in the log
	LastIndex  uint64   // highest index in the log, or about to be
	Voters     []uint64 // not to be written to, as is all that follows
	Outgoing   []uint64 // the voters before, while the membership is a joint one
	Learners   []uint64

	// Progress is how far the members are, this one included, as of the last tick or change of the
	// membership. Nil unless this member leads.
	Progress map[uint64]Progress
	// Stalled says that the log has not finished what it was handed half an election time-out ago.
	Stalled bool
}

// Status returns a recent snapshot; it takes no lock and never waits. Applied is of this moment,
// the rest of the last turn of the raft goroutine.
func (r *Replica) Status() Status {
	s := *r.status.Load()
	s.Applied = r.reached.Load()
	s.Committed = max(s.Committed, s.Applied) // what is applied was agreed
	s.LastIndex = max(s.LastIndex, s.Committed)
	return s
}

// publish makes the core's state visible to Status.
func (r *Replica) publish(c *Core, stalled bool) {
	soft, conf := c.Soft(), c.Members()
	first, last := c.Bounds()
	r.status.Store(&Status{
		ID: r.cfg.ID, Leader: soft.Leader, Term: soft.Term, Role: soft.Role,
		Committed: c.Committed(), FirstIndex: first, LastIndex: last,
		Voters: conf.Voters, Outgoing: conf.VotersOutgoing, Learners: conf.Learners,
		Progress: c.Progress(), Stalled: stalled,
	})
}
