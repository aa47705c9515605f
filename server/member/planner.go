package member

import (
	"fmt"
	"slices"
)

// Operation says what happens to a node in a step.
type Operation uint8

// The operations, as Raft has them.
const (
	AddLearner Operation = iota // also makes a voter a learner
	AddVoter                    // also makes a learner a voter
	Remove
)

func (o Operation) String() string { return [...]string{"add learner", "add voter", "remove"}[o] }

// Single is what happens to one node.
type Single struct {
	Kind Operation
	Node Node
}

func (s Single) String() string { return s.Kind.String() + " " + s.Node.String() }

// Step is one entry of the log: the changes take effect together, and the table with them. A step
// without changes is an entry that Raft does not look into.
type Step struct {
	Changes []Single
	Table   *Table // its version does not count: the entry's zxid is; nil: stays as it is
}

// caughtUp is how many entries a node may be behind the end of the log, which moves on meanwhile,
// and be taken for one that has the data.
const caughtUp = 1000

// Planner carries out one change of the membership at a time, on the leader. A change is two entries
// at most: one adds all nodes that are new as learners, who count in no quorum; one, when they have
// the data, makes everything as it is to be, the table included. Until that second entry is given a
// change can be abandoned and leaves nothing behind.
//
//	         Begin            every learner caught up,
//	         (checked)        quorum of the target live       visible
//	idle ──────────► learners ───────────────────────► last ──────────► idle: done
//	                    │ Abandon                        │ no longer leads
//	                    ▼                                ▼
//	                   back ──► idle: error             idle: ErrUndecided
//
// The planner keeps nothing of what it sees but what it gave last, so a step never rests on an old
// look. A leader that is elected in the middle of a change begins with a planner of its own: what it
// finds is the old membership and learners too many, which Replacement removes, or the new one.
//
// The zero value is idle. Its methods are called on one goroutine, or under one lock.
type Planner struct {
	stage  stage
	own    bool  // of the leader's own accord: Begin may take over
	target Table // where the change leads to
	before Table // where it came from
	why    error // on the way back: why

	given   *Step // given and not yet visible; nil if there is none
	refused bool  // given, but Raft did not take it
}

type stage uint8

const (
	idle stage = iota
	learners
	last // the entry that decides is given
	back
)

// Busy tells whether a change is under way, so that Next must be asked.
func (p *Planner) Busy() bool { return p.stage != idle }

// Taken tells whether a change that somebody asked for is under way, so that Begin refuses another.
func (p *Planner) Taken() bool { return p.stage != idle && !p.own }

// Check tells whether Begin would take a change, and changes nothing. The first reason counts, in
// ZooKeeper's order: ErrNotLeading, ErrInProgress, ErrBadArguments, ErrNoQuorum.
func (p *Planner) Check(target Table, now Cluster) error {
	switch {
	case !now.Leading:
		return ErrNotLeading
	case p.Taken() || p.stage == last || now.Joint:
		return ErrInProgress
	case target.Voters() == 0:
		return fmt.Errorf("%w: there must be a participant", ErrBadArguments)
	}
	live, voters := now.live(target)
	if live <= voters/2 {
		return fmt.Errorf("%w: %d of %d participants are there: %s",
			ErrNoQuorum, live, voters, now.absent(target))
	}
	return nil
}

// Begin starts the change to target. Its version does not count.
func (p *Planner) Begin(target Table, now Cluster) error {
	if err := p.Check(target, now); err != nil {
		return err
	}
	p.stage, p.own = learners, false
	p.target, p.before, p.why = target, now.Table, nil
	return nil
}

// Replacement starts what a leader does of its own accord, if there is a need: a server that came
// back under another node takes the place of its old one, if that is silent; a learner that belongs
// to no member is removed. The table stays. A change that is asked for may begin meanwhile, and takes
// care of it.
func (p *Planner) Replacement(now Cluster) bool {
	if p.stage != idle || !now.Leading || now.Joint || !now.agrees() {
		return false
	}
	plan := now.plan(now.Table, true)
	if len(plan.fresh) == 0 && len(plan.changes) == 0 {
		return false
	}
	p.stage, p.own = learners, true
	p.target, p.before, p.why = now.Table, now.Table, nil
	return true
}

// Next says what to do now: a step, or nothing yet, or that the change is done, or err: that it ended
// otherwise. It is asked whenever the cluster may have changed, as often as one likes: it gives each
// step once, and only when the one before is visible.
func (p *Planner) Next(now Cluster) (step Step, do, done bool, err error) {
	if p.stage == idle {
		return Step{}, false, false, nil
	}
	if p.given != nil && !p.refused && now.shows(*p.given) {
		p.given = nil
		if p.stage == last {
			return p.end(nil)
		}
	}
	switch {
	case !now.Leading && p.stage == last:
		return p.end(ErrUndecided)
	case !now.Leading:
		return p.end(ErrNotLeading)
	case p.given != nil && !p.refused || now.Joint:
		return Step{}, false, false, nil
	}
	if p.refused {
		p.retract()
	}
	if p.stage == back {
		return p.withdraw(now)
	}
	return p.advance(now)
}

// retract forgets a step that Raft did not take. What to do is worked out again.
func (p *Planner) retract() {
	p.given, p.refused = nil, false
	if p.stage == last {
		p.stage = learners
	}
}

// advance adds who is missing, then waits until everything can change at once.
func (p *Planner) advance(now Cluster) (step Step, do, done bool, err error) {
	plan := now.plan(p.target, p.own)
	switch {
	case len(plan.absent) > 0:
		return Step{}, false, false, nil
	case len(plan.fresh) > 0:
		return p.give(Step{Changes: plan.fresh})
	case len(plan.behind) > 0 || plan.ready <= plan.voters/2:
		return Step{}, false, false, nil
	case len(plan.changes) == 0 && now.Table.Same(p.target):
		return p.end(nil)
	}
	step = Step{Changes: plan.changes}
	if !now.Table.Same(p.target) {
		target := p.target
		step.Table = &target
	}
	p.stage = last
	return p.give(step)
}

// withdraw removes the learners that have no place in the table as it was.
func (p *Planner) withdraw(now Cluster) (step Step, do, done bool, err error) {
	var changes []Single
	for _, n := range now.sorted(now.Learners) {
		if !now.belongs(n, p.before) {
			changes = append(changes, Single{Remove, n})
		}
	}
	if len(changes) == 0 {
		return p.end(p.why)
	}
	return p.give(Step{Changes: changes})
}

func (p *Planner) give(step Step) (Step, bool, bool, error) {
	p.given = &step
	return step, true, false, nil
}

func (p *Planner) end(err error) (Step, bool, bool, error) {
	*p = Planner{}
	return Step{}, false, err == nil, err
}

// Failed says that Raft did not take the step given last, which is not in the log and never will be.
// Next works out anew what to do.
func (p *Planner) Failed() { p.refused = p.given != nil }

// Abandon gives the change up: because it takes too long, or who asked for it is gone. Next removes
// the learners that were added, and then returns why. It returns false if there is nothing to
// abandon, or it is too late: the entry that decides is given.
func (p *Planner) Abandon(why error) bool {
	if p.refused {
		p.retract()
	}
	if p.stage != learners {
		return false
	}
	p.stage, p.why = back, why
	return true
}

// Shows tells whether the table is what the change under way leads to. Then it is agreed, though Raft may
// still be busy with it.
func (p *Planner) Shows(now Cluster) bool {
	return p.stage == last && now.Table.Same(p.target) && now.Table.Version > p.before.Version
}

// Waiting says what the change waits for, for people. It is empty if the next step can be taken.
func (p *Planner) Waiting(now Cluster) string {
	if p.stage == idle {
		return ""
	}
	if p.given != nil && !p.refused || now.Joint {
		return "agreement"
	}
	plan := now.plan(p.target, p.own)
	switch {
	case p.stage == back:
		return ""
	case len(plan.absent) > 0:
		return fmt.Sprintf("servers %v to ask to be let in", plan.absent)
	case len(plan.fresh) > 0:
		return ""
	case len(plan.behind) > 0:
		return fmt.Sprintf("%v to catch up", plan.behind)
	case plan.ready <= plan.voters/2:
		return fmt.Sprintf("a quorum: %d of %d participants are there and have the data", plan.ready, plan.voters)
	}
	return ""
}

// shows tells whether a step has taken effect.
func (c Cluster) shows(s Step) bool {
	if c.Joint || s.Table != nil && !c.Table.Same(*s.Table) {
		return false
	}
	for _, change := range s.Changes {
		voter, learner := slices.Contains(c.Voters, change.Node), slices.Contains(c.Learners, change.Node)
		if voter != (change.Kind == AddVoter) || learner != (change.Kind == AddLearner) {
			return false
		}
	}
	return true
}
