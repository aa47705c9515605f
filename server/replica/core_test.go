package replica

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// three returns a cluster of three that 1 leads, settled.
func three(t *testing.T) *cluster {
	c := newCluster(t, 1, 2, 3)
	for c.leader() == nil {
		c.tick(c.members[1])
		c.settle()
	}
	return c
}

// alone returns a cluster of one with the given limits, settled.
func alone(t *testing.T, l Limits) (*cluster, *member) {
	c := newCluster(t)
	c.limits = l
	c.add(1, Bootstrap(1))
	c.settle()
	return c, c.members[1]
}

func learner(id uint64) *pb.ConfChangeSingle {
	return &pb.ConfChangeSingle{Type: pb.ConfChangeAddLearnerNode.Enum(), NodeId: &id}
}

func voter(id uint64) *pb.ConfChangeSingle {
	return &pb.ConfChangeSingle{Type: pb.ConfChangeAddNode.Enum(), NodeId: &id}
}

func gone(id uint64) *pb.ConfChangeSingle {
	return &pb.ConfChangeSingle{Type: pb.ConfChangeRemoveNode.Enum(), NodeId: &id}
}

func list(changes ...*pb.ConfChangeSingle) []*pb.ConfChangeSingle { return changes }

func appliedOf(c *cluster, from uint64) []string {
	var out []string
	for i := from; c.agreed[i] != ""; i++ {
		_, data, _ := strings.Cut(c.agreed[i], " ")
		out = append(out, strings.Trim(data, `"`))
	}
	return out
}

// The window bounds what Raft holds; the rest waits, in order, and one that is larger than the
// window goes alone.
func TestWindow(t *testing.T) {
	const window = 10 * (entryOverhead + 10)
	c, m := alone(t, Limits{InflightBytes: window, Appends: 4})
	var want []string
	for i := range 40 {
		want = append(want, fmt.Sprintf("payload %2d", i))
	}
	want = slices.Insert(want, 20, strings.Repeat("x", window+1))
	c.propose(m, want...)
	for m.props.holds() || m.props.flight > 0 {
		inFlight := 0
		for _, a := range m.appends {
			for _, e := range a.Entries {
				inFlight += weigh(e)
			}
		}
		for _, a := range m.applies {
			for _, e := range a.Entries {
				inFlight += weigh(e)
			}
		}
		if inFlight > window && inFlight != window+1+entryOverhead {
			t.Fatalf("%d bytes in flight, bound is %d", inFlight, window)
		}
		if m.Wants() && m.props.holds() {
			t.Fatal("wants more while it holds some")
		}
		if len(m.appends) > 0 {
			c.write(m)
		} else {
			c.apply(m)
		}
	}
	if got := appliedOf(c, 3); !slices.Equal(got, want) {
		t.Errorf("applied %q", got)
	}
}

// Entries that were in flight when leadership was lost, and then replaced, do not narrow the window
// for ever.
func TestWindowReopens(t *testing.T) {
	c := newCluster(t)
	c.limits = Limits{InflightBytes: 3 * (entryOverhead + 10)}
	for _, id := range []uint64{1, 2, 3} {
		c.add(id, Bootstrap(1, 2, 3))
	}
	m := c.members[1]
	for c.leader() == nil {
		c.tick(m)
		c.settle()
	}
	c.cut[1] = true
	c.propose(m, "never to  ", "be agreed ", "on by any ")
	if m.Wants() {
		t.Fatal("the window is not full")
	}
	for c.leader() == m {
		c.tick(c.members[2])
		c.tick(c.members[3])
		c.settle()
	}
	c.cut[1] = false
	c.tick(c.leader())
	c.settle()
	_ = c.leader().Transfer(1)
	c.pump(c.leader())
	c.settle()
	if c.leader() != m {
		t.Fatal("1 does not lead again")
	}
	c.propose(m, "1", "2", "3", "4", "5", "6")
	c.settle()
	if got := appliedOf(c, 2); !slices.Contains(got, "6") || m.props.flight != 0 {
		t.Errorf("applied %q, %d bytes still in flight", got, m.props.flight)
	}
}

// While the log is this far behind, proposals gather, and then go as one.
func TestProposalsGather(t *testing.T) {
	c, m := alone(t, Limits{Appends: 2})
	for i := range 10 {
		c.propose(m, fmt.Sprint(i))
	}
	if len(m.appends) != 2 || m.Wants() {
		t.Fatalf("%d appends for a log that takes 2; wants %v", len(m.appends), m.Wants())
	}
	c.write(m)
	if last := m.appends[len(m.appends)-1]; len(last.Entries) != 8 {
		t.Errorf("%d entries gathered, should be 8", len(last.Entries))
	}
}

// Payloads are taken for the term that a member leads, and for no other.
func TestProposalsAreOfATerm(t *testing.T) {
	c := newCluster(t, 1, 2, 3)
	m := c.members[2]
	for term := range uint64(5) {
		m.Propose(term, payloads("too early"))
	}
	for c.leader() == nil {
		c.tick(m)
		c.settle()
	}
	for term := range m.Soft().Term + 5 {
		m.Propose(term, payloads(fmt.Sprint("of term ", term)))
	}
	c.settle()
	c.pump(m)
	c.settle()
	want := []string{fmt.Sprint("of term ", m.Soft().Term)}
	if got := appliedOf(c, 3); !slices.Equal(got, want) {
		t.Errorf("applied %q", got)
	}
}

// What is held when leadership is lost is dropped: it does not come up when the member leads again.
func TestHeldIsDroppedWithTheTerm(t *testing.T) {
	c := three(t)
	m := c.members[1]
	if err := m.Transfer(2); err != nil {
		t.Fatal(err)
	}
	c.propose(m, "held", "too")
	if !m.props.holds() {
		t.Fatal("nothing is held while leadership is handed over")
	}
	c.settle()
	if err := c.members[2].Transfer(1); err != nil {
		t.Fatal(err)
	}
	c.pump(c.members[2])
	c.settle()
	if c.leader() != m || m.props.holds() {
		t.Fatalf("leader %d, holds %v", c.leader().id, m.props.holds())
	}
	c.propose(m, "new")
	c.settle()
	if got := appliedOf(c, 3); slices.Contains(got, "held") || !slices.Contains(got, "new") {
		t.Errorf("applied %q", got)
	}
}

// What moves only the commit index needs no sync, and nobody waits for it.
func TestCommitIsNotSynced(t *testing.T) {
	c, m := alone(t, Limits{})
	c.propose(m, "a")
	c.write(m)
	if len(m.appends) != 1 {
		t.Fatalf("%d appends after an entry became durable", len(m.appends))
	}
	if a := m.appends[0]; a.Sync || !a.Silent() || len(a.Entries) > 0 || a.Hard.Commit != 3 {
		t.Errorf("append for the commit index: %+v", a)
	}
	c.settle()
	before := m.log.syncs
	c.propose(m, "b")
	c.settle()
	if n := m.log.syncs - before; n != 1 {
		t.Errorf("%d syncs for one entry", n)
	}
}

// A server without peers keeps in memory what is not applied, and never reads its log for it.
func TestAloneKeepsNothing(t *testing.T) {
	c, m := alone(t, Limits{})
	c.propose(m, slices.Repeat([]string{"payload"}, 100)...)
	if m.store.tail.bytes < 100*entryOverhead {
		t.Errorf("tail of %d bytes while nothing is applied", m.store.tail.bytes)
	}
	c.settle()
	if m.props.head != 0 || len(m.props.queue) != 0 {
		t.Errorf("the queue begins at %d and ends at %d", m.props.head, len(m.props.queue))
	}
	if m.store.tail.bytes != 0 || m.store.tail.entries != nil || m.log.reads != 0 {
		t.Errorf("tail of %d bytes after %d reads of the log", m.store.tail.bytes, m.log.reads)
	}
}

// With peers the tail is bounded by bytes; a peer that is further behind is served from the log.
func TestTailIsBounded(t *testing.T) {
	c := newCluster(t)
	c.limits = Limits{TailBytes: 10 * entryOverhead}
	for _, id := range []uint64{1, 2, 3} {
		c.add(id, Bootstrap(1, 2, 3))
	}
	m := c.members[1]
	for c.leader() == nil {
		c.tick(m)
		c.settle()
	}
	c.cut[3] = true
	for i := range 200 {
		c.propose(m, fmt.Sprint(i))
		c.settle()
	}
	if n := m.store.tail.bytes; n == 0 || n > c.limits.TailBytes {
		t.Errorf("tail of %d bytes, bound is %d", n, c.limits.TailBytes)
	}
	if m.log.reads != 0 {
		t.Errorf("%d reads of the log though nobody was behind", m.log.reads)
	}
	c.cut[3] = false
	c.tick(m)
	c.settle()
	if m.log.reads == 0 || c.members[3].state.sum != m.state.sum {
		t.Errorf("the third did not catch up from the log: %d, %d", c.members[3].state.Index, m.state.Index)
	}
}

// An answer to a question of a former life must not pass for one to a new question: both were asked
// in the same term.
func TestReadMarksAreNotReused(t *testing.T) {
	c := three(t)
	m := c.members[2]
	c.read(m)
	asked := c.wires[0]
	c.wires = nil
	answer := &pb.Message{
		Type: pb.MsgReadIndexResp.Enum(), From: new(uint64(1)), To: new(uint64(2)), Term: new(m.Soft().Term),
		Index: new(uint64(1)), Entries: asked.GetEntries(),
	}
	c.crash(m, true)
	c.boot(m)
	c.tick(c.members[1])
	c.settle()
	c.read(m)
	again := c.wires[len(c.wires)-1]
	if slices.Equal(again.GetEntries()[0].GetData(), asked.GetEntries()[0].GetData()) {
		t.Fatal("a mark is used twice")
	}
	if err := m.Receive(answer); err != nil {
		t.Fatal(err)
	}
	c.pump(m) // fails if the read is answered with 1
	if len(m.reads) != 1 {
		t.Error("the read was answered by an answer to another")
	}
}

// A lone voter that has just started does not know yet how far it had come; neither it nor a
// learner that asks it may read.
func TestLoneVoterDoesNotAnswerTooEarly(t *testing.T) {
	c, m := alone(t, Limits{})
	if _, err := m.Change(nil, learner(2)); err != nil {
		t.Fatal(err)
	}
	c.pump(m)
	c.settle()
	c.propose(m, "acknowledged")
	c.settle()
	m.checkpoint = m.state
	c.crash(m, false)
	m.log.now.hard.Commit = 3 // as if the power had taken what was not synced
	m.checkpoint.Start = Start{Index: 3, Term: 2, ConfState: m.checkpoint.ConfState}
	c.boot(m)
	for m.Soft().Role != Leader {
		c.write(m)
	}
	ask := &pb.Message{
		Type: pb.MsgReadIndex.Enum(), From: new(uint64(2)), To: new(uint64(1)),
		Entries: []*pb.Entry{{Data: []byte("mark")}},
	}
	if err := m.Receive(ask); err != nil {
		t.Fatal(err)
	}
	c.read(m)
	for _, w := range c.wires {
		if w.GetType() == pb.MsgReadIndexResp {
			t.Errorf("a learner may read at %d; %d was acknowledged", w.GetIndex(), 4)
		}
	}
	c.settle()
	if err := m.Receive(ask); err != nil {
		t.Fatal(err)
	}
	c.pump(m)
	if !slices.ContainsFunc(c.wires, func(w *pb.Message) bool {
		return w.GetType() == pb.MsgReadIndexResp && w.GetIndex() >= 4
	}) {
		t.Error("the learner gets no answer when it is time")
	}
}

// A leader that loses leadership cannot say what becomes of a change it proposed.
func TestChangeUndecided(t *testing.T) {
	c := three(t)
	m := c.members[1]
	c.cut[1] = true
	token, err := m.Change(nil, learner(4))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Change(nil, learner(5)); !errors.Is(err, ErrChangePending) {
		t.Errorf("a second change: %v", err)
	}
	for range 20 {
		c.tick(m)
	}
	c.settle()
	if len(m.changed) != 1 || m.changed[0].Token != token || !errors.Is(m.changed[0].Err, ErrUndecided) {
		t.Errorf("outcome %+v", m.changed)
	}
}

// TestHostileMessages: what no sound peer sends is refused before Raft sees it, which trusts it,
// and would panic, take it for its own, or write nonsense to the log.
func TestHostileMessages(t *testing.T) {
	c := three(t)
	sound := func() *pb.Message {
		return &pb.Message{Type: pb.MsgApp.Enum(), From: new(uint64(2)), To: new(uint64(1)), Term: new(uint64(9)),
			Index: new(uint64(2)), LogTerm: new(uint64(2)), Entries: []*pb.Entry{entry(3, 9, "a"), entry(4, 9, "b")}}
	}
	for name, spoil := range map[string]func(m *pb.Message){
		"for another": func(m *pb.Message) { m.To = new(uint64(3)) },
		"from nobody": func(m *pb.Message) { m.From = nil },
		"from itself": func(m *pb.Message) { m.From = new(uint64(1)) },
		"from the log": func(m *pb.Message) {
			m.From = new(raft.LocalAppendThread)
			m.Type = pb.MsgStorageAppendResp.Enum()
		},
		"from the applier": func(m *pb.Message) {
			m.From = new(raft.LocalApplyThread)
			m.Type = pb.MsgStorageApplyResp.Enum()
		},
		"without a term":         func(m *pb.Message) { m.Term = nil },
		"with responses":         func(m *pb.Message) { m.Responses = []*pb.Message{{}} },
		"a proposal":             func(m *pb.Message) { m.Type, m.Term = pb.MsgProp.Enum(), nil },
		"a call to campaign":     func(m *pb.Message) { m.Type, m.Term = pb.MsgHup.Enum(), nil },
		"of no type":             func(m *pb.Message) { m.Type = pb.MessageType(77).Enum() },
		"with a gap":             func(m *pb.Message) { m.Entries[1].Index = new(uint64(5)) },
		"that starts late":       func(m *pb.Message) { m.Index = new(uint64(1)) },
		"with terms that fall":   func(m *pb.Message) { m.Entries[1].Term = new(uint64(8)) },
		"with terms to come":     func(m *pb.Message) { m.Entries[1].Term = new(uint64(10)) },
		"of an unknown kind":     func(m *pb.Message) { m.Entries[0].Type = pb.EntryType(5).Enum() },
		"with garbage to obey":   func(m *pb.Message) { m.Entries[0].Type = pb.EntryConfChangeV2.Enum(); m.Entries[0].Data = []byte{0xff} },
		"heartbeat, odd context": func(m *pb.Message) { m.Type, m.Context = pb.MsgHeartbeatResp.Enum(), []byte("abc") },
		"read without a mark":    func(m *pb.Message) { m.Type, m.Term, m.Entries = pb.MsgReadIndex.Enum(), nil, nil },
		"answer without a mark":  func(m *pb.Message) { m.Type, m.Entries = pb.MsgReadIndexResp.Enum(), nil },
		"no image":               func(m *pb.Message) { m.Type, m.Entries = pb.MsgSnap.Enum(), nil },
		"image without members": func(m *pb.Message) {
			m.Type, m.Entries = pb.MsgSnap.Enum(), nil
			m.Snapshot = &pb.Snapshot{Metadata: &pb.SnapshotMetadata{Index: new(uint64(50)), Term: new(uint64(5))}}
		},
	} {
		m := sound()
		spoil(m)
		if err := c.members[1].Receive(m); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if soft := c.members[1].Soft(); soft.Role != Leader {
		t.Errorf("something got through: %+v", soft)
	}
	if err := c.members[1].Receive(sound()); err != nil {
		t.Errorf("a sound message: %v", err)
	}
	if _, ok, err := c.members[1].Output(); !ok || err != nil || c.members[1].Soft().Role != Follower {
		t.Errorf("a sound message has no effect: %v", err)
	}
}

// Messages of entries may come twice, late and in any order; a peer that is removed may go on
// sending.
func TestStrangersAreIgnored(t *testing.T) {
	c := three(t)
	m := c.members[1]
	for _, typ := range []pb.MessageType{pb.MsgAppResp, pb.MsgHeartbeatResp, pb.MsgVoteResp} {
		w := &pb.Message{
			Type: typ.Enum(), From: new(uint64(17)), To: new(uint64(1)), Term: new(m.Soft().Term),
			Index: new(uint64(1000)),
		}
		if err := m.Receive(w); err != nil {
			t.Errorf("%v: %v", typ, err)
		}
	}
	c.pump(m)
	if m.Soft().Role != Leader || m.Committed() > 2 {
		t.Errorf("a stranger counts: %+v, committed %d", m.Soft(), m.Committed())
	}
}
