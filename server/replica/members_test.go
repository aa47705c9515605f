package replica

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// What comes with a change must not be larger than a message may be.
func TestChangePayloadIsBounded(t *testing.T) {
	_, m := alone(t, Limits{})
	if _, err := m.Change(make([]byte, changePayloadMax+1), learner(6)); !errors.Is(err, ErrChangeInvalid) {
		t.Errorf("a payload beyond the bound: %v", err)
	}
	if _, err := m.Change(make([]byte, changePayloadMax), learner(6)); err != nil {
		t.Errorf("a payload within the bound: %v", err)
	}
}

// A change that an older log holds came without a payload: with a mark, with less, or with nothing.
func TestChangesOfOlderLogs(t *testing.T) {
	v2 := func(context []byte, change *pb.ConfChangeSingle) []byte {
		data, err := proto.Marshal(&pb.ConfChangeV2{Changes: list(change), Context: context})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	v1, err := proto.Marshal(&pb.ConfChange{Type: pb.ConfChangeAddLearnerNode.Enum(), NodeId: new(uint64(4))})
	if err != nil {
		t.Fatal(err)
	}
	log := newMemLog(Bootstrap(1))
	entries := []*pb.Entry{entry(2, 1, ""), entry(3, 1, string(v2(make([]byte, 16), learner(2)))),
		entry(4, 1, string(v2(nil, learner(3)))), entry(5, 1, string(v1))}
	entries[1].Type, entries[2].Type = pb.EntryConfChangeV2.Enum(), pb.EntryConfChangeV2.Enum()
	entries[3].Type = pb.EntryConfChange.Enum()
	log.now.entries = toLog(nil, entries)
	log.now.hard.Term, log.now.hard.Commit = 1, 5
	log.safe = log.now
	c := newCluster(t)
	m := &member{id: 1, log: log, checkpoint: state{Start: Bootstrap(1)}}
	c.members[1], c.ids = m, []uint64{1}
	c.boot(m)
	var applied []Entry
	for _, a := range m.applies {
		applied = a.plain(applied)
	}
	c.settle()
	if len(applied) != 4 || len(m.Members().Learners) != 3 || m.Soft().Role != Leader {
		t.Fatalf("%d applied, membership %v, %+v", len(applied), m.Members(), m.Soft())
	}
	for _, e := range applied {
		if e.Data != nil || (e.ConfState == nil) != (e.Index == 2) {
			t.Errorf("entry %d: %q, membership %q", e.Index, e.Data, e.ConfState)
		}
	}
}

// alter changes the membership through m and returns what it led to.
func (m *running) alter(changes ...*pb.ConfChangeSingle) []byte {
	m.t.Helper()
	var conf []byte
	done := func(c []byte, err error) {
		if conf = c; err != nil {
			m.t.Errorf("change: %v", err)
		}
	}
	if err := m.Change(done, nil, changes...); err != nil {
		m.t.Fatal(err)
	}
	pass(time.Second)
	return conf
}

// Whoever is removed ends with ErrRemoved, after it has applied the entry that removed it: a voter,
// a learner, one that leaves by way of a joint membership, and the leader itself. Started again on
// a state that contains the entry, it ends at once.
func TestRemovedEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, lead := trio(t)
		lead.alter(learner(4), learner(5))
		n.join(4, Start{}, Limits{})
		n.join(5, Start{}, Limits{})
		pass(2 * time.Second)
		for _, step := range [][]*pb.ConfChangeSingle{
			list(gone(5)), // a learner
			list(gone(lead.Status().ID%3+1), voter(4)),     // one for another
			list(gone((lead.Status().ID+1)%3 + 1)),         // a voter
			list(voter(lead.Status().ID), gone(lead.id())), // the leader itself
		} {
			out := step[0].GetNodeId()
			if step[len(step)-1].GetType() == pb.ConfChangeRemoveNode {
				out = step[len(step)-1].GetNodeId()
			}
			conf := lead.alter(step...)
			r := n.removed(out)
			if last := r.app.conf; slices.Contains(confOf(t, last).Voters, out) || slices.Contains(confOf(t, last).VotersOutgoing, out) {
				t.Errorf("%d ended with %s, the change led to %s", out, members(last), members(conf))
			}
			again := begin(t, Config{
				ID: out, Log: newMemLog(Start{Index: r.app.last.Index, Term: r.app.last.Term}), Peers: port{n, out},
				Start: Start{Index: r.app.last.Index, Term: r.app.last.Term, ConfState: r.app.conf},
			})
			if <-again.ended; !errors.Is(again.err, ErrRemoved) {
				t.Errorf("started again: %v", again.err)
			}
		}
		pass(5 * time.Second)
		if s := n.members[4].Status(); s.Role != Leader || !slices.Equal(s.Voters, []uint64{4}) {
			t.Errorf("who is left: %+v", s)
		}
		n.end()
	})
}

func (r *running) id() uint64 { return r.Status().ID }

func confOf(t *testing.T, state []byte) *pb.ConfState {
	conf := &pb.ConfState{}
	if err := proto.Unmarshal(state, conf); err != nil {
		t.Fatal(err)
	}
	return conf
}

// A change of the membership is a line for operators.
func TestMembershipIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		r := begin(t, Config{Logger: slog.New(slog.NewTextHandler(&out, nil))})
		synctest.Wait()
		r.alter(learner(2))
		r.end()
		if want := "msg=raft member=1 voters=[1] outgoing=[] learners=[2]"; !strings.Contains(out.String(), want) {
			t.Errorf("no line %q in\n%s", want, out.String())
		}
	})
}

// The vote of a founder that knows no members is a promise like any other: it outlives power, and is
// not given to another in the same term.
func TestFounderVotesOnce(t *testing.T) {
	c := newCluster(t)
	c.add(1, Bootstrap(1, 2, 3))
	c.add(2, Bootstrap(1, 2, 3))
	c.add(3, Start{})
	c.cut[2] = true
	one, two, three := c.members[1], c.members[2], c.members[3]
	if err := one.Campaign(); err != nil {
		t.Fatal(err)
	}
	for c.pump(one); three.log.safe.hard.Vote == 0; {
		switch {
		case len(one.appends) > 0:
			c.write(one)
		case len(three.appends) > 0:
			c.write(three)
		default:
			c.deliver(0)
		}
	}
	if s := one.Soft(); s.Role != Candidate || s.Term != 2 || len(three.Members().Voters) > 0 {
		t.Fatalf("%+v, vote %+v of one that knows %v", s, three.log.safe.hard, three.Members())
	}
	c.crash(one, true)
	c.crash(three, true)
	c.boot(three)
	c.cut[2] = false
	for range 100 {
		c.tick(two)
		for len(c.wires) > 0 || len(two.appends)+len(three.appends) > 0 {
			c.settle()
			if s := two.Soft(); s.Role == Leader && s.Term == 2 {
				t.Fatal("two leaders of one term")
			}
		}
	}
	if s := two.Soft(); s.Role != Leader || s.Term < 3 {
		t.Errorf("it does not vote again in a later term: %+v", s)
	}
}

// A member that joins with nothing gets an image, then entries, and is then ready, as a learner and as
// a voter alike: it may ask for reads like everybody.
func TestJoinersBecomeReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, lead := trio(t)
		lead.mustPropose("a", "b")
		lead.alter(learner(4))
		four := n.join(4, Start{}, Limits{})
		pass(2 * time.Second)
		if s := four.Status(); !isClosed(four.Ready()) || s.Applied != lead.Status().Applied || four.app.base == 0 {
			t.Errorf("a learner: ready %v, %+v", isClosed(four.Ready()), s)
		}
		n.part(5)
		lead.alter(voter(5)) // that has not begun
		five := n.join(5, Start{}, Limits{})
		pass(time.Second)
		if isClosed(five.Ready()) {
			t.Error("one that is cut off is ready")
		}
		n.heal()
		pass(2 * time.Second)
		for _, m := range []*running{four, five} {
			if err := m.Gone(99); err != nil {
				t.Fatal(err)
			}
			lead.mustPropose("c")
			synctest.Wait()
			answer := uint64(0)
			if err := m.ReadIndex(func(index uint64, err error) { answer = index }); err != nil {
				t.Fatal(err)
			}
			pass(time.Second)
			if want := lead.Status().Applied; answer != want || m.Status().Applied != want || !isClosed(m.Ready()) {
				t.Errorf("member %d: read %d, should be %d; %+v", m.id(), answer, want, m.Status())
			}
		}
		n.end()
	})
}

// Two of three found a cluster, one of them stops, and the third, which had not founded it yet, comes
// up knowing nothing: it votes, gets an image of the beginning, and is ready.
func TestAFounderThatIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{t: t, members: map[uint64]*running{}, cut: map[uint64]bool{}}
		one := n.join(1, Bootstrap(1, 2, 3), Limits{})
		three := n.join(3, Start{}, Limits{})
		if lead := n.await(); lead != one {
			t.Fatal("who knows nobody leads")
		}
		one.mustPropose("a")
		pass(2 * time.Second)
		if got := three.app.all(); !isClosed(three.Ready()) || !slices.Equal(got, []string{"a"}) {
			t.Errorf("ready %v, applied %q", isClosed(three.Ready()), got)
		}
		n.end()
	})
}
