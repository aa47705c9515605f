package member

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// of returns the table of some servers on some hosts: 1 for a participant, 4o for an observer, 3@x
// for one on another host than its own.
func of(text string) Table {
	var lines []string
	for word := range strings.FieldsSeq(text) {
		word, host, moved := strings.Cut(word, "@")
		number, observes := strings.CutSuffix(word, "o")
		if !moved {
			host = "h" + number
		}
		role := Participant
		if observes {
			role = Observer
		}
		lines = append(lines, fmt.Sprintf("server.%s=%s:1:2:%s;%s:3", number, host, role, host))
	}
	table, err := ParseTable([]byte(strings.Join(lines, "\n")))
	if err != nil {
		panic(err)
	}
	return table
}

// nd is a node of a server: of its first directory, its second, …
func nd(id ID, life int) Node { return NewNode(id, uint64(life)<<8) }

// scene is a cluster of which all are well, led by server 1.
func scene(text string) Cluster {
	c := Cluster{
		Self: nd(1, 1), Leading: true, Table: of(text), Last: 5000,
		Progress: map[Node]Progress{}, Candidates: map[ID]Node{},
	}
	for _, m := range c.Table.Members {
		n := nd(m.ID, 1)
		if m.Role == Observer {
			c.Learners = append(c.Learners, n)
		} else {
			c.Voters = append(c.Voters, n)
		}
		c.Progress[n] = Progress{c.Last, true}
	}
	return c
}

func (c *Cluster) silent(nodes ...Node) {
	for _, n := range nodes {
		c.Progress[n] = Progress{c.Progress[n].Match, false}
	}
}

func (c *Cluster) ask(nodes ...Node) {
	for _, n := range nodes {
		c.Candidates[n.ID()] = n
	}
}

func (c *Cluster) caughtUp(nodes ...Node) {
	for _, n := range nodes {
		c.Progress[n] = Progress{c.Last - caughtUp, true}
	}
}

// take carries out what a step says.
func (c *Cluster) take(s Step) {
	c.Voters, c.Learners = slices.Clone(c.Voters), slices.Clone(c.Learners)
	for _, change := range s.Changes {
		n := change.Node
		same := func(other Node) bool { return other == n }
		wasThere := slices.Contains(c.Voters, n) || slices.Contains(c.Learners, n)
		c.Voters, c.Learners = slices.DeleteFunc(c.Voters, same), slices.DeleteFunc(c.Learners, same)
		switch change.Kind {
		case AddVoter:
			c.Voters = append(c.Voters, n)
		case AddLearner:
			c.Learners = append(c.Learners, n)
		}
		if !wasThere {
			c.Progress[n] = Progress{0, true} // as Raft has it
		}
		if change.Kind == Remove {
			delete(c.Progress, n)
		}
	}
	if s.Table != nil {
		c.Table = *s.Table
		c.Table.Version = c.Last
	}
	slices.Sort(c.Voters)
	slices.Sort(c.Learners)
	c.Leading = c.Leading && slices.Contains(c.Voters, c.Self)
}

func gives(t *testing.T, p *Planner, c *Cluster, want string) Step {
	t.Helper()
	s, do, done, err := p.Next(*c)
	if err != nil || done || !do {
		t.Fatalf("gives %v %v, done %v, error %v; want %s; waits for %s", s, do, done, err, want, p.Waiting(*c))
	}
	var said []string
	for _, change := range s.Changes {
		said = append(said, change.String())
	}
	if s.Table != nil {
		said = append(said, "table")
	}
	if got := strings.Join(said, ", "); got != want {
		t.Fatalf("gives %s, want %s", got, want)
	}
	waits(t, p, c, "agreement")
	return s
}

func waits(t *testing.T, p *Planner, c *Cluster, want string) {
	t.Helper()
	for range 2 {
		if s, do, done, err := p.Next(*c); do || done || err != nil {
			t.Fatalf("gives %v %v, done %v, error %v; want it to wait for %s", s, do, done, err, want)
		}
	}
	if got := p.Waiting(*c); got != want {
		t.Fatalf("waits for %q, want %q", got, want)
	}
}

func ends(t *testing.T, p *Planner, c *Cluster, want error) {
	t.Helper()
	s, do, done, err := p.Next(*c)
	if do || done != (want == nil) || !errors.Is(err, want) {
		t.Fatalf("gives %v %v, done %v, error %v; want the end: %v", s, do, done, err, want)
	}
	if p.Busy() || p.Taken() {
		t.Fatal("it has ended, and is not idle")
	}
}

func begin(t *testing.T, p *Planner, c *Cluster, target string) {
	t.Helper()
	if err := p.Begin(of(target), *c); err != nil {
		t.Fatal(err)
	}
}

func TestThreeBecomeFiveBecomeThree(t *testing.T) {
	p, c := &Planner{}, scene("1 2 3")
	begin(t, p, &c, "1 2 3 4 5")
	waits(t, p, &c, "servers [4 5] to ask to be let in")
	c.ask(nd(4, 1))
	waits(t, p, &c, "servers [5] to ask to be let in")
	c.ask(nd(5, 1))
	s := gives(t, p, &c, "add learner 4.1, add learner 5.1")
	c.Joint = true
	waits(t, p, &c, "agreement")
	c.Joint = false
	c.take(s)
	waits(t, p, &c, "[4.1 5.1] to catch up")
	c.caughtUp(nd(4, 1))
	waits(t, p, &c, "[5.1] to catch up")
	c.caughtUp(nd(5, 1))
	c.take(gives(t, p, &c, "add voter 4.1, add voter 5.1, table"))
	ends(t, p, &c, nil)

	begin(t, p, &c, "3 4 5")
	c.take(gives(t, p, &c, "remove 1.1, remove 2.1, table")) // the leader among them
	ends(t, p, &c, nil)
	if c.Leading || len(c.Voters) != 3 {
		t.Errorf("%+v", c)
	}
}

func TestOneBecomesThreeBecomesOne(t *testing.T) {
	p, c := &Planner{}, scene("1")
	c.Table, c.Progress = Table{}, map[Node]Progress{} // it has served alone
	if err := p.Begin(of("1 2 3"), c); !errors.Is(err, ErrNoQuorum) ||
		!strings.Contains(err.Error(), "server 2 has not asked to be let in, server 3 has not") {
		t.Fatalf("the others are not there: %v", err)
	}
	c.ask(nd(2, 1), nd(3, 1))
	begin(t, p, &c, "1 2 3")
	c.take(gives(t, p, &c, "add learner 2.1, add learner 3.1"))
	c.caughtUp(nd(2, 1), nd(3, 1))
	c.take(gives(t, p, &c, "add voter 2.1, add voter 3.1, table"))
	ends(t, p, &c, nil)
	begin(t, p, &c, "1")
	c.take(gives(t, p, &c, "remove 2.1, remove 3.1, table"))
	ends(t, p, &c, nil)
}

func TestRolesChange(t *testing.T) {
	p, c := &Planner{}, scene("1 2 3 4o")
	begin(t, p, &c, "1 2 3o 4")
	c.take(gives(t, p, &c, "add learner 3.1, add voter 4.1, table"))
	ends(t, p, &c, nil)
	c.silent(nd(3, 1))
	begin(t, p, &c, "1 2 3o@elsewhere 4 5o") // that an observer is silent holds nothing up
	c.ask(nd(5, 1))
	c.take(gives(t, p, &c, "add learner 5.1"))
	waits(t, p, &c, "[5.1] to catch up")
	c.caughtUp(nd(5, 1))
	c.take(gives(t, p, &c, "table"))
	ends(t, p, &c, nil)
	begin(t, p, &c, "1o 2 4 5o")
	c.take(gives(t, p, &c, "add learner 1.1, remove 3.1, table"))
	ends(t, p, &c, nil)
}

func TestOnlyAnAddressChanges(t *testing.T) {
	p, c := &Planner{}, scene("1 2 3")
	begin(t, p, &c, "1 2 3@moved")
	c.take(gives(t, p, &c, "table"))
	ends(t, p, &c, nil)
	begin(t, p, &c, "1 2 3@moved")
	ends(t, p, &c, nil)
}

func TestWhatIsNotBegun(t *testing.T) {
	p, c := &Planner{}, scene("1 2 3")
	c.silent(nd(3, 1))
	if err := p.Begin(of("1 3"), c); !errors.Is(err, ErrNoQuorum) {
		t.Errorf("a quorum needs one who is silent: %v", err)
	}
	if err := p.Begin(of("1o"), c); !errors.Is(err, ErrBadArguments) {
		t.Errorf("nobody votes: %v", err)
	}
	c.Joint = true
	if err := p.Begin(of("1 2"), c); !errors.Is(err, ErrInProgress) {
		t.Errorf("a change is not over: %v", err)
	}
	c.Joint, c.Leading = false, false
	if err := p.Begin(of("1 2"), c); !errors.Is(err, ErrNotLeading) {
		t.Errorf("another leads: %v", err)
	}
	c.Leading = true
	begin(t, p, &c, "1 2")
	if err := p.Begin(of("1o"), c); !errors.Is(err, ErrInProgress) {
		t.Errorf("another change is under way: %v", err)
	}
}

func TestAQuorumThatLagsIsWaitedFor(t *testing.T) {
	p, c := &Planner{}, scene("1 2 3")
	c.Progress[nd(3, 1)] = Progress{c.Last - caughtUp - 1, true}
	begin(t, p, &c, "1 3")
	waits(t, p, &c, "a quorum: 1 of 2 participants are there and have the data")
	c.caughtUp(nd(3, 1))
	c.take(gives(t, p, &c, "remove 2.1, table"))
	ends(t, p, &c, nil)
}

func TestAWipedServerComesBack(t *testing.T) {
	p, c := &Planner{}, scene("1 2 3 4o")
	if p.Replacement(c) {
		t.Fatal("all is well")
	}
	c.ask(nd(3, 2), nd(4, 2), nd(9, 1))
	if p.Replacement(c) {
		t.Fatal("the old ones are still there")
	}
	c.silent(nd(3, 1), nd(4, 1))
	if !p.Replacement(c) || p.Taken() {
		t.Fatal("they are silent")
	}
	c.take(gives(t, p, &c, "add learner 3.2, add learner 4.2"))
	waits(t, p, &c, "[3.2 4.2] to catch up")
	c.caughtUp(nd(3, 2), nd(4, 2))
	c.take(gives(t, p, &c, "add voter 3.2, remove 3.1, remove 4.1"))
	ends(t, p, &c, nil)
	if p.Replacement(c) {
		t.Fatal("all is well again")
	}
}

func TestAServerIsWipedAgainWhileItIsReplaced(t *testing.T) {
	p, c := &Planner{}, scene("1 2 3")
	c.silent(nd(3, 1))
	c.ask(nd(3, 2))
	p.Replacement(c)
	c.take(gives(t, p, &c, "add learner 3.2"))
	p = &Planner{} // and another leads
	c.silent(nd(3, 2))
	c.ask(nd(3, 3))
	if !p.Replacement(c) {
		t.Fatal("there is a learner too many")
	}
	c.take(gives(t, p, &c, "add learner 3.3"))
	c.caughtUp(nd(3, 3))
	c.take(gives(t, p, &c, "add voter 3.3, remove 3.1, remove 3.2"))
	ends(t, p, &c, nil)
}

func TestAChangeTakesOverFromAReplacement(t *testing.T) {
	p, c := &Planner{}, scene("1 2 3")
	c.silent(nd(3, 1))
	c.ask(nd(3, 2))
	p.Replacement(c)
	s := gives(t, p, &c, "add learner 3.2")
	begin(t, p, &c, "1 2 3@moved")
	waits(t, p, &c, "agreement")
	c.take(s)
	c.caughtUp(nd(3, 2))
	c.take(gives(t, p, &c, "add voter 3.2, remove 3.1, table"))
	ends(t, p, &c, nil)
}

func TestALearnerOfNobodyIsRemoved(t *testing.T) {
	p, c := &Planner{}, scene("1 2 3")
	c.Learners = []Node{nd(4, 1), nd(3, 2)}
	if !p.Replacement(c) {
		t.Fatal("there are learners too many")
	}
	c.take(gives(t, p, &c, "remove 4.1, remove 3.2"))
	ends(t, p, &c, nil)

	c = scene("1")
	c.Table = Table{}
	if p.Replacement(c) {
		t.Error("a server that serves alone has no table, and needs none")
	}
}

func TestNobodysVoteIsTakenUnasked(t *testing.T) {
	p, c := &Planner{}, scene("1 2 3")
	for _, table := range []string{"1 2", "1 2 3 4", "1 2 3o"} {
		c.Table = of(table)
		if p.Replacement(c) {
			t.Errorf("voters %v and the table %s are for people to look at", c.Voters, table)
		}
	}
}

func TestAChangeIsAbandoned(t *testing.T) {
	p, c := &Planner{}, scene("1 2 3")
	why := fmt.Errorf("%w: 4.1 did not catch up", ErrAbandoned)
	if p.Abandon(why) {
		t.Fatal("there is nothing to abandon")
	}
	c.ask(nd(4, 1))
	begin(t, p, &c, "1 2 4")
	s := gives(t, p, &c, "add learner 4.1")
	if !p.Abandon(why) {
		t.Fatal("it is not too late")
	}
	waits(t, p, &c, "agreement")
	c.take(s)
	c.take(gives(t, p, &c, "remove 4.1"))
	ends(t, p, &c, why)
	if diff := cmp.Diff(scene("1 2 3").Voters, c.Voters); diff != "" || len(c.Learners) > 0 {
		t.Error("something was left behind", diff)
	}

	begin(t, p, &c, "1 2")
	gives(t, p, &c, "remove 3.1, table")
	if p.Abandon(why) {
		t.Error("what decides is given")
	}
	p.Failed()
	if !p.Abandon(why) {
		t.Error("what decides was not taken")
	}
	ends(t, p, &c, why)
}

func TestWhatRaftDoesNotTakeIsGivenAgain(t *testing.T) {
	p, c := &Planner{}, scene("1 2 3")
	begin(t, p, &c, "1 2")
	gives(t, p, &c, "remove 3.1, table")
	p.Failed()
	c.take(gives(t, p, &c, "remove 3.1, table"))
	ends(t, p, &c, nil)
}

func TestLeadershipIsLost(t *testing.T) {
	p, c := &Planner{}, scene("1 2 3")
	c.ask(nd(4, 1))
	begin(t, p, &c, "1 2 4")
	s := gives(t, p, &c, "add learner 4.1")
	lost := c
	lost.Leading = false
	ends(t, p, &lost, ErrNotLeading)

	begin(t, p, &c, "1 2 4")
	c.take(s)
	c.caughtUp(nd(4, 1))
	gives(t, p, &c, "add voter 4.1, remove 3.1, table")
	lost = c
	lost.Leading = false
	ends(t, p, &lost, ErrUndecided)
}
