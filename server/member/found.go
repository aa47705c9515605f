package member

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Kind says what an empty server does next.
type Kind uint8

// The verdicts.
const (
	Wait      Kind = iota // ask all again, with Sees taken over
	Bootstrap             // be founded, now, with Cluster, Voters and Learners
	Join                  // ask Cluster to be let in or, if Known, begin as the member that one is already
	Refuse                // stop, with Err
)

// Verdict is what an empty server knows after a round of answers.
type Verdict struct {
	Kind             Kind
	Missing          []ID   // Wait: who has not answered
	Unsure           []ID   // Wait: who has answered, and does not see what this one sees
	Sees             uint64 // Wait: what to say in the next round, asking and answering
	Cluster          uint64 // Bootstrap and Join
	Voters, Learners []Node // Bootstrap: the membership to begin with. Join: as one member has it
	Table            Table  // Bootstrap: to begin with, the same on all; each member's line is its own
	Known            bool   // Join: this node is among Voters or Learners
	Err              error  // Refuse. Wait: what will be refused if those who are missing say no better
}

// Found is the decision of an empty server after a round. In a round it asks every other member of
// its table, saying mine, and gathers answers from nothing; answers of earlier rounds do not count.
// Between rounds it takes over Sees; in between it says the same to all who ask, and once the verdict
// is Bootstrap it changes nothing any more before it is founded on its disk.
//
// A server founds only what every other has said to see, too, after it began to see it itself. Two
// servers can therefore never found two clusters, in whatever order they hear of one another and
// whoever crashes or comes back empty meanwhile. Say A founds X, for which C said X; and C founds Y,
// for which A said Y. C began to see Y after it had said X, and asked A only then. But A has seen X
// since before it asked C, until it was founded: it cannot have said Y.
//
// So a first start waits for all, and a server that lost its directory founds nothing as long as one
// that is founded can be asked: it must be, and will say so.
func Found(mine Answer, table Table, answers map[ID]Answer) Verdict {
	if _, listed := table.Find(mine.Node.ID()); !listed {
		return refuse(fmt.Errorf("%w: number %d", ErrNotListed, mine.Node.ID()))
	}
	heard := round{mine: mine, table: table, answers: answers}
	if v, founded := heard.founded(); founded {
		return v
	}
	missing, err := heard.missing(), heard.disagreement()
	switch {
	case len(missing) > 0:
		return Verdict{Kind: Wait, Missing: missing, Err: err}
	case err != nil:
		return refuse(err)
	}
	return heard.together()
}

func refuse(err error) Verdict { return Verdict{Kind: Refuse, Err: err} }

// round is what one server has heard from the others.
type round struct {
	mine    Answer
	table   Table
	answers map[ID]Answer
}

// others yields the members of the table but this one, in order of their numbers, with what they
// answered: nil if nothing.
func (r round) others(yield func(Member, *Answer) bool) {
	for _, m := range r.table.Members {
		if m.ID == r.mine.Node.ID() {
			continue
		}
		var said *Answer
		if a, ok := r.answers[m.ID]; ok {
			said = &a
		}
		if !yield(m, said) {
			return
		}
	}
}

// founded joins the cluster that somebody is of, unless others are of another.
func (r round) founded() (Verdict, bool) {
	v := Verdict{Kind: Join}
	var first ID
	for m, a := range r.others {
		if a == nil || a.Cluster == 0 {
			continue
		}
		known := slices.Contains(a.Voters, r.mine.Node) || slices.Contains(a.Learners, r.mine.Node)
		switch {
		case v.Cluster == 0:
			first, v.Cluster, v.Voters, v.Learners, v.Known = m.ID, a.Cluster, a.Voters, a.Learners, known
		case v.Cluster != a.Cluster:
			return refuse(fmt.Errorf("%w: server %d to %x, server %d to %x",
				ErrTwoClusters, first, v.Cluster, m.ID, a.Cluster)), true
		case known && !v.Known:
			v.Voters, v.Learners, v.Known = a.Voters, a.Learners, true
		}
	}
	return v, v.Cluster != 0
}

func (r round) missing() []ID {
	var ids []ID
	for m, a := range r.others {
		if a == nil {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// disagreement finds the first server that is not who it should be, or was given other peers.
func (r round) disagreement() error {
	for m, a := range r.others {
		switch {
		case a == nil:
		case a.Node.ID() != m.ID:
			return fmt.Errorf("%w: %s is server %d, not %d", ErrWrongServer, m.PeerAddr(), a.Node.ID(), m.ID)
		case a.Table != r.table.Hash():
			return fmt.Errorf("%w: %s", ErrTables, difference(r.mine.Node.ID(), r.table.peers(), m.ID, a.Peers))
		}
	}
	return nil
}

// difference names the first line that only one of two servers has.
func difference(self ID, mine string, other ID, theirs string) string {
	for line := range strings.Lines(mine) {
		if !has(theirs, line) {
			return fmt.Sprintf("only server %d has %q", self, strings.TrimSpace(line))
		}
	}
	for line := range strings.Lines(theirs) {
		if !has(mine, line) {
			return fmt.Sprintf("only server %d has %q", other, strings.TrimSpace(line))
		}
	}
	return fmt.Sprintf("those of servers %d and %d", self, other)
}

func has(text, line string) bool {
	for l := range strings.Lines(text) {
		if strings.TrimSpace(l) == strings.TrimSpace(line) {
			return true
		}
	}
	return false
}

// together decides when all have answered and none is founded.
func (r round) together() Verdict {
	all := founders{table: r.table.withLine(r.mine)}
	for _, a := range r.others {
		all.table = all.table.withLine(*a)
	}
	for _, m := range all.table.Members {
		n := r.mine.Node
		if m.ID != n.ID() {
			n = r.answers[m.ID].Node
		}
		all.nodes = append(all.nodes, n)
	}
	sees := all.cluster()
	v := Verdict{Kind: Wait, Sees: sees}
	for m, a := range r.others {
		if a.Sees != sees {
			v.Unsure = append(v.Unsure, m.ID)
		}
	}
	if len(v.Unsure) > 0 || r.mine.Sees != sees && len(all.nodes) > 1 {
		return v
	}
	if me, _ := r.table.Find(r.mine.Node.ID()); me.Role == Observer {
		// Were it the first, the others would join it: nobody who may lead would know the members.
		return v
	}
	v = Verdict{Kind: Bootstrap, Cluster: sees, Table: all.table}
	v.Voters, v.Learners = all.roles()
	return v
}

// withLine returns t with what a server says of itself about its clients. Of the rest all are agreed;
// and what others think of it does not count, or each would found with another table.
func (t Table) withLine(a Answer) Table {
	m, ok := t.Find(a.Node.ID())
	if !ok {
		return t
	}
	m.ClientHost, m.ClientPort = "", 0
	if said, err := ParseTable([]byte(a.Line)); err == nil {
		own, _ := said.Find(m.ID)
		m.ClientHost, m.ClientPort = own.ClientHost, own.ClientPort
	}
	return t.with(m)
}

// founders are the servers that found a cluster together.
type founders struct {
	table Table
	nodes []Node // of the members of table, in their order
}

// cluster names the cluster that they found.
func (f founders) cluster() uint64 {
	text := f.table.AppendLines(nil)
	for _, n := range f.nodes {
		text = strconv.AppendUint(append(text, "node "...), uint64(n), 16)
		text = append(text, '\n')
	}
	return hash(string(text))
}

func (f founders) roles() (voters, learners []Node) {
	for i, m := range f.table.Members {
		if m.Role == Observer {
			learners = append(learners, f.nodes[i])
		} else {
			voters = append(voters, f.nodes[i])
		}
	}
	slices.Sort(voters)
	slices.Sort(learners)
	return voters, learners
}
