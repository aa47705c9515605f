package server

import (
	"fmt"
	"testing"
	"time"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/member"
)

// The one that leads is removed; who asked for it through another hears that it was done.
func TestTheLeaderIsRemoved(t *testing.T) {
	q := newQuorum(t, 3)
	q.start(1, 2, 3)
	q.await(1, 2, 3)
	for range 2 {
		leader := q.leader()
		c := q.dial(q.other(leader), nil)
		c.create(fmt.Sprintf("/%d", leader), 0)
		q.settled()
		c.reconfigure("", fmt.Sprint(leader))
		q.gone(leader)
		c.create(fmt.Sprintf("/%d/a", leader), 0)
		q.agree(c.zxid)
	}
}

// settled waits until the leader knows all voters to be there: a moment after the first start it does not.
func (q *quorum) settled() {
	q.t.Helper()
	q.eventually("voters who are there", func() bool {
		s := q.servers[q.leader()].replica.Load().Status()
		for _, v := range s.Voters {
			if v != s.ID && !s.Progress[v].Active {
				return false
			}
		}
		return s.Progress != nil
	})
}

// other returns a server that runs, but for one.
func (q *quorum) other(than member.ID) member.ID {
	for id := range q.servers {
		if id != than {
			return id
		}
	}
	q.t.Fatal("there is no other")
	return 0
}

// gone waits for the end of a server that is to end by itself.
func (q *quorum) gone(id member.ID) {
	q.t.Helper()
	select {
	case <-q.servers[id].ended:
	case <-time.After(patience):
		q.t.Fatalf("server %d is still there", id)
	}
	delete(q.servers, id)
}

// Somebody has the server removed that he is connected to, be it the one that leads: he hears of it, or his
// connection ends. Elsewhere he finds it done.
func TestAClientHasItsServerRemoved(t *testing.T) {
	q := newQuorum(t, 3)
	q.start(1, 2, 3)
	q.await(1, 2, 3)
	for _, leads := range []bool{false, true} {
		gone := q.leader()
		if !leads {
			gone = q.other(gone)
		}
		q.settled()
		c := q.dial(gone, nil)
		c.send(wire.OpReconfig, &wire.ReconfigRequest{Leaving: fmt.Sprint(gone), CurrentVersion: -1})
		answered, code := c.outcome()
		t.Logf("leads: %v, answered: %v %v", leads, answered, code)
		if answered && code != wire.CodeOK {
			t.Errorf("the removal of server %d: %v", gone, code)
		}
		q.gone(gone)
		c = q.dial(q.other(0), c)
		c.create(fmt.Sprintf("/%d", gone), 0)
		if _, ok := q.servers[q.other(0)].table().Find(gone); ok {
			t.Errorf("server %d is still a member", gone)
		}
	}
}

// outcome takes a reply, or the end of the connection.
func (c *client) outcome() (answered bool, code wire.Code) {
	c.t.Helper()
	c.nc.SetDeadline(time.Now().Add(patience))
	for {
		frame, rest, err := wire.NextFrame(c.buf, wire.MaxFrame)
		if err == nil && frame != nil {
			c.buf = rest
			r := codec.NewReader(frame)
			var h wire.ReplyHeader
			h.Decode(&r)
			c.zxid = max(c.zxid, h.Zxid)
			return true, h.Err
		}
		chunk := make([]byte, 4096)
		n, err := c.nc.Read(chunk)
		if c.buf = append(c.buf, chunk[:n]...); err != nil {
			return false, 0
		}
	}
}

// A quorum of one grows to three and shrinks to one again, which is another than the first.
func TestFromOneToThreeAndBack(t *testing.T) {
	q := newQuorum(t, 1)
	founders := q.table
	q.start(1)
	q.await(1)
	c := q.dial(1, nil)
	c.create("/q", 0)
	q.joinWith(c, 2, founders)
	q.joinWith(c, 3, founders)
	c = q.dial(3, c)
	c.create("/q/three", 0)
	q.settled()
	c.reconfigure("", "1,2")
	q.gone(1)
	q.gone(2)
	c.create("/q/one", 0)
	q.kill(3)
	q.start(3)
	q.await(3)
	c = q.dial(3, c)
	if got := c.children("/q"); len(got) != 2 {
		t.Errorf("children %q", got)
	}
}

// Two requests at once: one is carried out, the other told that it is.
func TestTwoChangesAtOnce(t *testing.T) {
	q := newQuorum(t, 5)
	q.start(1, 2, 3, 4, 5)
	q.await(1, 2, 3, 4, 5)
	leader := q.leader()
	q.settled()
	from := int64(q.servers[leader].table().Version)
	var clients []*client
	for id := range q.servers {
		if id != leader {
			c := q.dial(id, nil)
			clients = append(clients, c)
			m, _ := q.table.Find(id)
			m.Role = member.Observer
			c.send(wire.OpReconfig, &wire.ReconfigRequest{Joining: m.String(), CurrentVersion: from})
			if len(clients) == 2 {
				break
			}
		}
	}
	done := 0
	for _, c := range clients {
		answered, code := c.outcome()
		switch {
		case answered && code == wire.CodeOK:
			done++
		case answered && (code == wire.CodeReconfigInProgress || code == wire.CodeBadVersion):
		default:
			t.Errorf("answered %v with %v", answered, code)
		}
	}
	if done != 1 {
		t.Errorf("%d of 2 changes from the same version were made", done)
	}
	clients[0].create("/q", 0)
	q.agree(clients[0].zxid)
}

// A member moves to another address: the change is made first, and then it is started there.
func TestAMemberMoves(t *testing.T) {
	q := newQuorum(t, 3)
	q.start(1, 2, 3)
	q.await(1, 2, 3)
	for _, leads := range []bool{false, true} {
		moves := q.leader()
		if !leads {
			moves = q.other(moves)
		}
		c := q.dial(q.other(moves), nil)
		there := q.invent(moves)
		c.reconfigure(there.String(), "")
		for i := range q.table.Members {
			if q.table.Members[i].ID == moves {
				q.table.Members[i] = there
			}
		}
		c.create(fmt.Sprintf("/%d", moves), 0)
		q.stop(moves)
		c.create(fmt.Sprintf("/%d/a", moves), 0)
		q.start(moves)
		q.await(moves)
		c.create(fmt.Sprintf("/%d/b", moves), 0)
		q.agree(c.zxid)
		if got, want := q.servers[moves].doors.peers.Addr().String(), there.PeerAddr(); got != want {
			t.Errorf("server %d is at %s, not at %s", moves, got, want)
		}
	}
}

// A change that would leave too few is refused, and nothing has happened.
func TestAChangeThatLosesTheQuorumIsRefused(t *testing.T) {
	q := newQuorum(t, 3)
	q.start(1, 2, 3)
	q.await(1, 2, 3)
	leader := q.leader()
	c := q.dial(leader, nil)
	dead := q.other(leader)
	q.kill(dead)
	var alive member.ID
	for id := range q.servers {
		if id != leader {
			alive = id
		}
	}
	q.eventually("silence", func() bool {
		return !q.servers[leader].replica.Load().Status().Progress[uint64(q.servers[leader].members.nodeOf(dead))].Active
	})
	c.send(wire.OpReconfig, &wire.ReconfigRequest{Leaving: fmt.Sprint(alive), CurrentVersion: -1})
	if answered, code := c.outcome(); !answered || code != wire.CodeNewConfigNoQuorum {
		t.Errorf("answered %v with %v", answered, code)
	}
	c.create("/q", 0)
	if got := q.servers[leader].table(); got.Voters() != 3 {
		t.Errorf("the table is %q", got)
	}
}

func (m *members) nodeOf(id member.ID) member.Node {
	for _, n := range m.s.replica.Load().Status().Voters {
		if member.Node(n).ID() == id {
			return member.Node(n)
		}
	}
	return 0
}
