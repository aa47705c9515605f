package member

// Operation says what happens to a node in a step.
type Operation uint8

// The operations, as Raft has them.
const (
	AddLearner Operation = iota // also makes a voter a learner
	AddVoter                    // also makes a learner a voter
	Remove
)

// Single is what happens to one node.
type Single struct {
	Kind Operation
	Node Node
}

// Step is one entry of the log: the changes take effect together, and the table with them.
type Step struct {
	Changes []Single
	Table   *Table // without version; nil: stays as it is
}

// Progress is how far a node is, as the leader knows it.
type Progress struct {
	Match  uint64
	Active bool // heard from within the last election time-outs; must not flap with Raft's own mark
}

// Cluster is what the leader sees. The planner keeps nothing of it.
type Cluster struct {
	Self             Node
	Leading          bool
	Voters, Learners []Node
	Joint            bool              // a change of Raft's is still being carried out
	Table            Table             // as applied here
	Progress         map[Node]Progress // of all but possibly Self, which is always active
	Last             uint64            // index of the log's end
	Candidates       map[ID]Node       // servers that asked to be let in, lately
}

// Planner carries out one change of the membership at a time, on the leader. The zero value is idle.
type Planner struct {
	busy bool
}

// Busy tells whether a change is under way.
func (p *Planner) Busy() bool { return p.busy }

// Check tells whether Begin would take a change, and changes nothing.
func (p *Planner) Check(target Table, now Cluster) error { return ErrInProgress }

// Begin starts the change to target, whose version does not count.
func (p *Planner) Begin(target Table, now Cluster) error { return p.Check(target, now) }

// Replacement starts what the leader does of its own accord, if there is a need: a server that came
// back without its data gets its place, a learner that belongs nowhere is removed.
func (p *Planner) Replacement(now Cluster) bool { return false }

// Next says what to do now. It gives each step once, when the one before is visible in now.
func (p *Planner) Next(now Cluster) (step Step, do, done bool, err error) {
	return Step{}, false, false, nil
}

// Failed says that the step given last was not taken by Raft. Next gives it again.
func (p *Planner) Failed() {}

// Abandon gives the change up. It returns false if it is too late for that.
func (p *Planner) Abandon(why error) bool { return false }

// Waiting says what the change waits for, for people.
func (p *Planner) Waiting(now Cluster) string { return "" }
