package server

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/grovekeeper/grove/server/front"
	"github.com/grovekeeper/grove/server/member"
	"github.com/grovekeeper/grove/server/replica"
)

// A server that waits for the others of its first start can be told to end, and that is no failure.
func TestAFounderWhoWaitsCanBeToldToEnd(t *testing.T) {
	q := newQuorum(t, 3)
	q.start(1, 2)
	q.eventually("waiting", func() bool {
		q.servers[1].members.mu.Lock()
		defer q.servers[1].members.mu.Unlock()
		return true
	})
	time.Sleep(50 * time.Millisecond)
	q.stop(1)
	q.stop(2)
}

// What a server has on its disk before it has ever served is in order.
func TestCheckFindsNothingWrongWithWhoHasJustBegun(t *testing.T) {
	q := newQuorum(t, 3)
	q.start(1)
	time.Sleep(50 * time.Millisecond)
	q.kill(1)
	q.check(1) // a founder that was never founded
	q.start(1, 2, 3)
	q.await(1, 2, 3)
	for id := range member.ID(3) {
		q.kill(id + 1)
		q.check(id + 1)
	}
	q.start(1, 2, 3)
	q.await(1, 2, 3)
	joiner := q.invent(4)
	q.run(joiner, member.Table{Members: append(q.table.Members, joiner)})
	q.eventually("joining", func() bool { return q.servers[4].replica.Load() != nil })
	q.kill(4)
	q.check(4)
}

func (q *quorum) check(id member.ID) {
	q.t.Helper()
	var out bytes.Buffer
	if ok, err := Check(q.path(id), &out); !ok || err != nil {
		q.t.Errorf("check of server %d: %v %v\n%s", id, ok, err, &out)
	}
}

// A server that has no state yet shows nobody an empty tree.
func TestAJoinerShowsNobodyAnEmptyTree(t *testing.T) {
	q := newQuorum(t, 3)
	q.start(1, 2, 3)
	q.await(1, 2, 3)
	joiner := q.invent(4)
	q.run(joiner, member.Table{Members: append(q.table.Members, joiner)})
	q.eventually("joining", func() bool { return q.servers[4].replica.Load() != nil })
	for end := time.Now().Add(lonelyAfter + time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if m := q.servers[4].front.Mode(); m != front.Closed {
			t.Fatalf("the joiner is %v and has nothing", m)
		}
	}
}

// A joiner that starts again, without what was asked of it, says what is missing.
func TestAJoinerWithoutPeersIsRefused(t *testing.T) {
	q := newQuorum(t, 3)
	q.start(1, 2, 3)
	q.await(1, 2, 3)
	joiner := q.invent(4)
	q.run(joiner, member.Table{Members: append(q.table.Members, joiner)})
	q.eventually("joining", func() bool { return q.servers[4].replica.Load() != nil })
	q.kill(4)
	_, err := Open(q.config(joiner, member.Table{}))
	if err == nil || !strings.Contains(err.Error(), "no peers") {
		t.Errorf("opened with %v", err)
	}
}

// A joiner was given the founders as its peers, and another server leads: it is let in all the same.
func TestAJoinerNeedNotKnowWhoLeads(t *testing.T) {
	q := newQuorum(t, 1)
	founders := q.table
	q.run(founders.Members[0], member.Table{})
	q.await(1)
	q.stop(1)
	q.start(1)
	q.await(1)
	c := q.dial(1, nil)
	c.create("/q", 0)
	q.joinWith(c, 2, founders)
	q.joinWith(c, 3, founders)
	for q.leader() != 3 {
		if err := q.servers[q.leader()].replica.Load().Transfer(uint64(q.servers[3].node)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	q.joinWith(c, 4, founders)
	c.create("/q/a", 0)
	q.agree(c.zxid)
}

// joinWith starts a server that was given peers besides itself, and has it let in.
func (q *quorum) joinWith(c *client, id member.ID, peers member.Table) {
	q.t.Helper()
	one := q.invent(id)
	q.table.Members = append(q.table.Members[:len(q.table.Members):len(q.table.Members)], one)
	q.run(one, member.Table{Members: append(peers.Members[:len(peers.Members):len(peers.Members)], one)})
	q.asked(id)
	c.reconfigure(one.String(), "")
	q.await(id)
}

// asked waits until a server has asked the one that leads to be let in.
func (q *quorum) asked(id member.ID) {
	q.t.Helper()
	q.eventually("the leader being asked", func() bool {
		m := q.servers[q.leader()].members
		m.mu.Lock()
		defer m.mu.Unlock()
		_, ok := m.candidates[id]
		return ok
	})
}

// A server that loses its directory twice has two nodes of one number waiting; the last counts.
func TestAServerIsWipedTwice(t *testing.T) {
	q := newQuorum(t, 3)
	q.start(1, 2, 3)
	q.await(1, 2, 3)
	wiped := q.leader()%3 + 1
	c := q.dial(q.leader(), nil)
	c.create("/q", 0)
	for range 3 {
		q.kill(wiped)
		if err := os.RemoveAll(q.path(wiped)); err != nil {
			t.Fatal(err)
		}
		q.start(wiped)
		q.asked(wiped)
	}
	q.await(wiped)
	c.create("/q/a", 0)
	q.agree(c.zxid)
	q.eventually("three voters", func() bool {
		s := q.servers[q.leader()].replica.Load().Status()
		return len(s.Voters) == 3 && len(s.Learners) == 0
	})
}

// A server that was away while the membership changed follows who leads now, though it has never heard
// of that one.
func TestWhoWasAwayFindsANewLeader(t *testing.T) {
	q := newQuorum(t, 3)
	founders := q.table
	q.start(1, 2, 3)
	q.await(1, 2, 3)
	away := q.leader()%3 + 1
	c := q.dial(away%3+1, nil)
	q.kill(away)
	q.joinWith(c, 4, founders)
	for q.leader() != 4 {
		if err := q.servers[q.leader()].replica.Load().Transfer(uint64(q.servers[4].node)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	q.start(away)
	q.await(away)
	c.create("/q", 0)
	q.agree(c.zxid)
}

// A server that was away while it was removed is told so when it comes back.
func TestWhoWasAwayHearsOfItsRemoval(t *testing.T) {
	q := newQuorum(t, 3)
	q.start(1, 2, 3)
	q.await(1, 2, 3)
	away := q.leader()%3 + 1
	c := q.dial(away%3+1, nil)
	q.kill(away)
	c.reconfigure("", fmt.Sprint(away))
	q.start(away)
	select {
	case err := <-q.servers[away].ended:
		if !errors.Is(err, replica.ErrRemoved) {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it is still there")
	}
	delete(q.servers, away)
	c.create("/q", 0)
}
