package member

import (
	"fmt"
	"slices"
	"strings"
)

// Progress is how far a node is, as the leader knows it.
type Progress struct {
	Match uint64 // index up to which it has the log
	// Active: it was heard from within the last election time-outs. Raft's own mark is taken away
	// from everybody once in each, so whoever fills this in must look at more than one moment.
	Active bool
}

// Cluster is what the leader sees in one moment: the membership and the table as of the same applied
// entry, which is one of the leader's own term or a later one.
type Cluster struct {
	Self             Node
	Leading          bool
	Voters, Learners []Node
	Joint            bool              // a change of Raft's is agreed, and not yet over
	Table            Table             // empty on a server that serves alone
	Progress         map[Node]Progress // of all; Self need not be in it
	Last             uint64            // index of the end of the log
	Candidates       map[ID]Node       // servers that asked to be let in, lately
}

func (c Cluster) active(n Node) bool { return n == c.Self || c.Progress[n].Active }

// ready tells whether a node is there and has the data.
func (c Cluster) ready(n Node) bool {
	return n == c.Self || c.Progress[n].Active && c.Progress[n].Match+caughtUp >= c.Last
}

// members returns the nodes under a number: usually one, voters before learners.
func (c Cluster) members(id ID) []Node {
	var list []Node
	for _, nodes := range [][]Node{c.sorted(c.Voters), c.sorted(c.Learners)} {
		for _, n := range nodes {
			if n.ID() == id && !slices.Contains(list, n) {
				list = append(list, n)
			}
		}
	}
	return list
}

func (c Cluster) sorted(nodes []Node) []Node { return slices.Sorted(slices.Values(nodes)) }

// choose returns the node that stands for a number, or 0: who is in the cluster and active; else who
// asks to be let in; else who is in the cluster and silent. So a server that came back empty is let
// in as soon as its old node has been silent for long enough, and one that is only slow keeps its
// place.
func (c Cluster) choose(id ID) Node {
	nodes := c.members(id)
	for _, n := range nodes {
		if c.active(n) {
			return n
		}
	}
	if asks, ok := c.Candidates[id]; ok && asks.ID() == id {
		return asks
	}
	if len(nodes) > 0 {
		return nodes[0]
	}
	return 0
}

// belongs tells whether a learner has its place in a table: it observes, and no better node stands
// for its number.
func (c Cluster) belongs(learner Node, t Table) bool {
	m, ok := t.Find(learner.ID())
	if !ok || m.Role != Observer {
		return false
	}
	nodes := c.members(m.ID)
	for _, n := range nodes {
		if c.active(n) {
			return n == learner
		}
	}
	return nodes[0] == learner
}

// live counts the participants of a table who are there, with or without the data.
func (c Cluster) live(t Table) (live, voters int) {
	for _, m := range t.Members {
		if m.Role != Participant {
			continue
		}
		voters++
		if c.there(m.ID) {
			live++
		}
	}
	return live, voters
}

// there tells whether somebody answers for a number. That a voter has asked to be let in says nothing: it
// did so when it began, and has been silent since.
func (c Cluster) there(id ID) bool {
	n := c.choose(id)
	return n != 0 && (c.active(n) || c.Candidates[id] == n && !slices.Contains(c.Voters, n))
}

// absent names the participants of a table who are not there.
func (c Cluster) absent(t Table) string {
	var said []string
	for _, m := range t.Members {
		switch {
		case m.Role != Participant || c.there(m.ID):
		case c.choose(m.ID) == 0:
			said = append(said, fmt.Sprintf("server %d has not asked to be let in", m.ID))
		default:
			said = append(said, fmt.Sprintf("server %d is silent", m.ID))
		}
	}
	return strings.Join(said, ", ")
}

// plan is what lies between a cluster and a table.
type plan struct {
	absent  []ID     // members of the table without a node
	fresh   []Single // nodes that must be added as learners first
	behind  []Node   // new ones that do not have the data yet
	voters  int      // participants of the table
	ready   int      // of them, those who are there and have the data
	changes []Single // what makes the membership that of the table, once the above is done
}

// plan works out what lies between the cluster and t. Of one's own accord members without a node are
// left alone: they are nobody's to add.
func (c Cluster) plan(t Table, own bool) plan {
	var p plan
	chosen := make([]Node, 0, len(t.Members))
	for _, m := range t.Members {
		n := c.choose(m.ID)
		if n == 0 {
			if !own {
				p.absent = append(p.absent, m.ID)
			}
			continue
		}
		chosen = append(chosen, n)
		c.place(&p, m, n)
	}
	for _, n := range c.sorted(slices.Concat(c.Voters, c.Learners)) {
		if !slices.Contains(chosen, n) {
			p.changes = append(p.changes, Single{Remove, n})
		}
	}
	return p
}

// agrees tells whether the voters are those that the table names. That is always so, but for a server
// that serves alone, without a table; and for a look that is of two moments. Then nobody should change
// votes of his own accord.
func (c Cluster) agrees() bool {
	for _, n := range c.Voters {
		if m, ok := c.Table.Find(n.ID()); !ok || m.Role != Participant {
			return false
		}
	}
	return len(c.Voters) > 0 && len(c.Voters) == c.Table.Voters()
}

// place works out what makes n stand for m.
func (c Cluster) place(p *plan, m Member, n Node) {
	voter, learner := slices.Contains(c.Voters, n), slices.Contains(c.Learners, n)
	if !voter && !learner {
		p.fresh = append(p.fresh, Single{AddLearner, n})
	}
	if m.Role == Participant {
		p.voters++
		if c.ready(n) {
			p.ready++
		}
		if !voter {
			p.changes = append(p.changes, Single{AddVoter, n})
		}
	} else if voter {
		p.changes = append(p.changes, Single{AddLearner, n})
	}
	if c.isNew(m, n, voter) && !c.ready(n) {
		p.behind = append(p.behind, n)
	}
}

// isNew tells whether n must have the data before it stands for m: as a voter that was none, or as a
// learner that the table does not know, or that another node still stands for.
func (c Cluster) isNew(m Member, n Node, voter bool) bool {
	if voter {
		return false
	}
	if m.Role == Participant {
		return true
	}
	_, known := c.Table.Find(m.ID)
	return !known || len(c.members(m.ID)) > 1
}
