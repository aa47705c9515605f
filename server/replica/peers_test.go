package replica

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// network is the Transport of all members of a test: it hands messages over at once, or loses them.
type network struct {
	t *testing.T

	mu      sync.Mutex
	members map[uint64]*running
	cut     map[uint64]bool // whose messages are lost, both ways
}

// port is one member's end of it.
type port struct {
	net *network
	id  uint64
}

func (p port) Send(messages []*pb.Message) {
	for _, m := range messages {
		from, to := p.net.ends(p.id, m.GetTo())
		lost := to == nil || to.Receive(m) != nil
		switch {
		case from == nil: // not even begun
		case m.GetType() == pb.MsgSnap:
			_ = from.ImageSent(m.GetTo(), !lost)
		case lost:
			_ = from.Unreachable(m.GetTo())
		}
	}
}

// ends returns the members at both ends of a connection; to is nil if there is none.
func (n *network) ends(one, other uint64) (from, to *running) {
	n.mu.Lock()
	defer n.mu.Unlock()
	from, to = n.members[one], n.members[other]
	if n.cut[one] || n.cut[other] {
		to = nil
	}
	return from, to
}

func (n *network) part(id uint64) { n.mu.Lock(); defer n.mu.Unlock(); n.cut[id] = true }
func (n *network) heal()          { n.mu.Lock(); defer n.mu.Unlock(); clear(n.cut) }

func (n *network) add(id uint64, r *running) { n.mu.Lock(); defer n.mu.Unlock(); n.members[id] = r }

// join opens and runs a member.
func (n *network) join(id uint64, start Start, limits Limits) *running {
	app := &recorder{base: start.Index, last: Entry{Index: start.Index, Term: start.Term}, conf: start.ConfState}
	r := begin(n.t, Config{
		ID: id, Start: start, Log: newMemLog(start), Applier: app, Images: app, Peers: port{n, id}, Limits: limits,
	})
	n.add(id, r)
	return r
}

// pass lets time pass, and everything that then happens.
func pass(d time.Duration) {
	time.Sleep(d) // of the bubble: no real time passes
	synctest.Wait()
}

// trio starts three members and waits for a leader.
func trio(t *testing.T) (*network, *running) { return crowd(t, 1, 2, 3) }

// crowd starts members that vote and waits for a leader.
func crowd(t *testing.T, voters ...uint64) (*network, *running) {
	n := &network{t: t, members: map[uint64]*running{}, cut: map[uint64]bool{}}
	for _, id := range voters {
		n.join(id, Bootstrap(voters...), Limits{})
	}
	return n, n.await()
}

// await lets time pass until somebody who is not cut off leads and is ready.
func (n *network) await() *running {
	n.t.Helper()
	for range 100 {
		pass(100 * time.Millisecond)
		for id, m := range n.members {
			if s := m.Status(); s.Role == Leader && !n.cut[id] && s.Committed == s.LastIndex {
				return m
			}
		}
	}
	n.t.Fatal("no leader")
	return nil
}

// removed wants the member to have ended because it is none any more.
func (n *network) removed(id uint64) *running {
	n.t.Helper()
	m := n.members[id]
	if synctest.Wait(); !isClosed(m.ended) || !errors.Is(m.err, ErrRemoved) {
		n.t.Fatalf("member %d: status %+v, run: %v", id, m.Status(), m.err)
	}
	delete(n.members, id)
	return m
}

func (n *network) end() {
	for _, m := range n.members {
		m.end()
	}
}

func TestThreeReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, lead := trio(t)
		for id, m := range n.members {
			if !isClosed(m.Ready()) {
				t.Errorf("member %d is not ready", id)
			}
		}
		lead.mustPropose("a", "b")
		pass(time.Second)

		n.part(lead.Status().ID)
		lead.mustPropose("lost")
		next := n.await()
		if next == lead {
			t.Fatal("who is cut off leads")
		}
		next.mustPropose("c")
		pass(time.Second)

		n.heal()
		pass(time.Second)
		for id, m := range n.members {
			if got := m.app.all(); !slices.Equal(got, []string{"a", "b", "c"}) {
				t.Errorf("member %d applied %q", id, got)
			}
		}
		n.end()
	})
}

// A read of a member that is cut off waits, and is answered when it is back, by what was agreed
// meanwhile.
func TestReadWaitsForQuorum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, lead := trio(t)
		lead.mustPropose("a")
		pass(time.Second)
		n.part(lead.Status().ID)
		answer := uint64(0)
		_ = lead.ReadIndex(func(index uint64, err error) { answer = index })
		next := n.await()
		next.mustPropose("b")
		pass(5 * time.Second)
		if answer != 0 {
			t.Errorf("answered %d without a quorum", answer)
		}
		n.heal()
		pass(5 * time.Second)
		if want := next.Status().Applied; answer != want {
			t.Errorf("answered %d, should be %d", answer, want)
		}
		n.end()
	})
}

// A member that joins gets an image, then entries; then it is made a voter, then another one goes.
func TestMembersComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, lead := trio(t)
		lead.mustPropose("a", "b")
		change := func(typ pb.ConfChangeType, id uint64) (conf []byte, err error) {
			t.Helper()
			done := make(chan struct{})
			if err := lead.Change(func(c []byte, e error) { conf, err = c, e; close(done) }, nil,
				&pb.ConfChangeSingle{Type: typ.Enum(), NodeId: &id}); err != nil {
				t.Fatal(err)
			}
			<-done
			pass(time.Second)
			return conf, err
		}
		if _, err := change(pb.ConfChangeAddLearnerNode, 4); err != nil {
			t.Fatal(err)
		}
		fourth := n.join(4, Start{}, Limits{})
		pass(2 * time.Second)
		if fourth.app.base == 0 || fourth.log.First() != fourth.app.base+1 {
			t.Errorf("image at %d, log from %d", fourth.app.base, fourth.log.First())
		}
		lead.mustPropose("c")
		pass(time.Second)
		if got := fourth.app.all(); !slices.Equal(got, []string{"c"}) {
			t.Errorf("the learner applied %q", got)
		}
		if _, err := change(pb.ConfChangeAddNode, 4); err != nil {
			t.Error(err)
		}
		if conf, err := change(pb.ConfChangeRemoveNode, 4); err != nil || conf == nil {
			t.Error(err)
		}
		if s := lead.Status(); !slices.Equal(s.Voters, []uint64{1, 2, 3}) {
			t.Errorf("status %+v", s)
		}
		n.removed(4)
		if _, err := change(pb.ConfChangeAddNode, 0); !errors.Is(err, ErrChangeInvalid) {
			t.Errorf("member 0: %v", err)
		}
		n.end()
	})
}

// A member that was away while the others let their logs go is brought back with an image, in the
// midst of proposals, and again after a restart.
func TestImageInTheMidst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, lead := trio(t)
		away := n.members[lead.Status().ID%3+1]
		id := away.Status().ID
		n.part(id)
		for i := range 50 {
			lead.mustPropose(fmt.Sprint("x", i))
		}
		pass(time.Second)
		if err := lead.Released(lead.Status().Applied); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		n.heal()
		for i := range 50 {
			lead.mustPropose(fmt.Sprint("y", i))
			pass(20 * time.Millisecond)
		}
		pass(3 * time.Second)
		if s := away.Status(); s.Applied != lead.Status().Applied || away.app.base < 52 {
			t.Errorf("status %+v, image at %d", s, away.app.base)
		}
		away.end()
		start := Start{Index: away.app.base, Term: 2, ConfState: Bootstrap(1, 2, 3).ConfState, Installed: true}
		if term, err := away.log.Term(start.Index); err == nil {
			start.Term = term
		}
		again := begin(t, Config{ID: id, Start: start, Log: away.log, Peers: port{n, id}})
		n.add(id, again)
		pass(3 * time.Second)
		if s := again.Status(); s.Applied != lead.Status().Applied {
			t.Errorf("status after a restart %+v", s)
		}
		n.end()
	})
}

// Leadership can be handed over, and the proposals of the meantime are not lost if it is refused.
func TestTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, lead := trio(t)
		to := lead.Status().ID%3 + 1
		if err := lead.Transfer(to); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if s := n.members[to].Status(); s.Role != Leader {
			t.Errorf("status %+v", s)
		}
		lead = n.members[to]
		to = to%3 + 1
		n.part(to) // it will never answer
		if err := lead.Transfer(to); err != nil {
			t.Fatal(err)
		}
		lead.mustPropose("meanwhile")
		pass(5 * time.Second)
		if got := lead.app.all(); lead.Status().Role != Leader || !slices.Equal(got, []string{"meanwhile"}) {
			t.Errorf("applied %q by %+v", got, lead.Status())
		}
		n.end()
	})
}

// A follower whose log is stuck takes messages up to its bounds, and goes on when the log does.
func TestStuckLogOfFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{t: t, members: map[uint64]*running{}, cut: map[uint64]bool{}}
		for _, id := range []uint64{1, 2, 3} {
			n.join(id, Bootstrap(1, 2, 3), Limits{PeerMessages: 5000})
		}
		lead := n.await()
		stuck := n.members[lead.Status().ID%3+1]
		block := make(chan struct{})
		stuck.log.mu.Lock()
		stuck.log.block = block
		stuck.log.mu.Unlock()
		for i := range 1000 {
			lead.mustPropose(fmt.Sprint(i))
			synctest.Wait()
			if jobs := stuck.appends.Len(); jobs > jobsHigh+10 {
				t.Fatalf("%d jobs for a log that is stuck", jobs)
			}
		}
		if stuck.received.Len() == 0 {
			t.Error("no message had to wait: this tests nothing")
		}
		close(block)
		pass(time.Second)
		if got := len(stuck.app.all()); got != 1000 {
			t.Errorf("applied %d", got)
		}
		n.end()
	})
}
