package replica

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/grovekeeper/grove/server/wal"
)

// cluster is a few members in one goroutine. Nothing happens unless the test says so: not the
// delivery of a message, nor the end of a write. It checks, at every step, what must always hold.
type cluster struct {
	t       *testing.T
	limits  Limits
	members map[uint64]*member
	ids     []uint64 // of members, sorted
	wires   []*pb.Message
	cut     map[uint64]bool   // whose messages are lost, both ways
	agreed  map[uint64]string // what was applied at an index, by whoever was first
	confs   map[uint64][]byte // the membership from an index on
	trace   func(format string, args ...any)
}

// member is one Core and what its shell would hold.
type member struct {
	*Core
	id       uint64
	boots    uint64
	installs int
	down     bool
	log      *memLog
	appends  []*Append
	applies  []*Apply

	state      state   // applied so far, lost when the member stops
	checkpoint state   // what survives
	reads      []readQ // waiting, oldest first
	answers    []uint64
	changed    []Changed
}

// state is an application: a running checksum of everything applied.
type state struct {
	Start
	sum uint32
}

// readQ is a read that waits: it must not see less than what had been applied anywhere when it was
// asked.
type readQ struct{ atLeast uint64 }

func newCluster(t *testing.T, voters ...uint64) *cluster {
	c := &cluster{
		t: t, members: map[uint64]*member{}, cut: map[uint64]bool{}, agreed: map[uint64]string{},
		confs: map[uint64][]byte{}, trace: func(string, ...any) {},
	}
	for _, id := range voters {
		c.add(id, Bootstrap(voters...))
	}
	return c
}

// add starts a new member.
func (c *cluster) add(id uint64, start Start) {
	m := &member{id: id, log: newMemLog(start), checkpoint: state{Start: start}}
	c.members[id], c.ids = m, append(c.ids, id)
	slices.Sort(c.ids)
	c.boot(m)
}

// boot starts m from what it has on disk.
func (c *cluster) boot(m *member) {
	c.t.Helper()
	m.boots++
	m.down = false
	m.state = m.checkpoint
	m.appends, m.applies, m.reads = nil, nil, nil
	core, err := NewCore(CoreConfig{
		ID: m.id, Boot: m.boots, Log: m.log, Start: m.checkpoint.Start, Image: m.image, Installs: true,
		ElectionTicks: 10, HeartbeatTicks: 1, Limits: c.limits,
	})
	if err != nil {
		c.t.Fatalf("start %d: %v", m.id, err)
	}
	m.Core = core
	c.pump(m)
}

// crash stops m, with or without the power going too.
func (c *cluster) crash(m *member, power bool) {
	if power {
		m.log.cutPower()
	}
	m.down = true
}

// image is the newest checkpoint, if there is one.
func (m *member) image() (Image, bool) {
	s := m.checkpoint
	if s.Index == 0 {
		return Image{}, false
	}
	return Image{s.Index, s.Term, s.ConfState, binary.BigEndian.AppendUint32(nil, s.sum)}, true
}

// pump takes all output of m.
func (c *cluster) pump(m *member) {
	c.t.Helper()
	for {
		out, ok, err := m.Output()
		if err != nil {
			c.t.Fatalf("member %d: %v", m.id, err)
		}
		if !ok {
			return
		}
		if out.Append != nil {
			m.appends = append(m.appends, out.Append)
		}
		if out.Apply != nil {
			m.applies = append(m.applies, out.Apply)
		}
		for _, w := range out.Messages {
			c.promised(m, w)
			c.wires = append(c.wires, w)
		}
		if s := out.Soft; s != nil {
			c.trace("%d is %s of term %d, leader %d", m.id, s.Role, s.Term, s.Leader)
		}
		for _, q := range m.reads[:out.Reads] {
			if out.Read < q.atLeast {
				c.t.Fatalf("member %d: stale read: index %d, but %d was applied before it was asked",
					m.id, out.Read, q.atLeast)
			}
			m.answers = append(m.answers, out.Read)
			c.trace("%d may read at %d", m.id, out.Read)
		}
		m.reads = m.reads[out.Reads:]
		if out.Change != nil {
			m.changed = append(m.changed, *out.Change)
			c.trace("%d: change decided: %s", m.id, outcome(out.Change))
		}
	}
}

// promised checks that what m promises to others would survive losing power now.
func (c *cluster) promised(m *member, w *pb.Message) {
	safe := m.log.safe
	switch w.GetType() {
	case pb.MsgAppResp:
		if !w.GetReject() && safe.last() < w.GetIndex() && m.checkpoint.Index < w.GetIndex() {
			c.t.Fatalf("member %d acknowledges %d, durable is %d", m.id, w.GetIndex(), safe.last())
		}
	case pb.MsgVoteResp:
		lost := safe.hard.Term < w.GetTerm() || safe.hard.Term == w.GetTerm() && safe.hard.Vote != w.GetTo()
		if !w.GetReject() && lost {
			c.t.Fatalf("member %d votes for %d in term %d, durable is %+v",
				m.id, w.GetTo(), w.GetTerm(), safe.hard)
		}
	}
}

// write does the oldest append of m, as the log goroutine would.
func (c *cluster) write(m *member) {
	c.t.Helper()
	a := m.appends[0]
	m.appends = m.appends[1:]
	if a.Image != nil {
		c.install(m, *a.Image)
	}
	err := m.log.Append(wal.Batch{Entries: toLog(nil, a.Entries), Hard: a.Hard, Sync: a.Sync})
	if err != nil {
		c.t.Fatalf("member %d: %v", m.id, err)
	}
	if a.Release > 0 {
		_ = m.log.Release(a.Release)
	}
	if !a.Silent() {
		if err := m.Appended(a); err != nil {
			c.t.Fatalf("member %d: %v", m.id, err)
		}
	}
	c.pump(m)
}

// install is what applier and log goroutine do together.
func (c *cluster) install(m *member, i Image) {
	for len(m.applies) > 0 {
		c.apply(m)
	}
	if i.Index <= m.state.Index {
		c.t.Fatalf("member %d: image at %d, state is at %d", m.id, i.Index, m.state.Index)
	}
	m.state = state{Start{i.Index, i.Term, i.ConfState, true}, binary.BigEndian.Uint32(i.Data)}
	m.checkpoint = m.state
	m.installs++
	_ = m.log.Reset(i.Index, i.Term)
	c.trace("%d installs image at %d", m.id, i.Index)
}

// apply does the oldest apply of m.
func (c *cluster) apply(m *member) {
	c.t.Helper()
	a := m.applies[0]
	m.applies = m.applies[1:]
	for _, e := range a.plain(nil) {
		c.check(m, e)
		m.state.Index, m.state.Term = e.Index, e.Term
		if e.ConfState != nil {
			m.state.ConfState = e.ConfState
		}
		c.trace("%d applies %d of term %d: %s", m.id, e.Index, e.Term, content(e))
		m.state.sum = crc32.Update(m.state.sum, crc32.IEEETable, e.Data)
	}
	if err := m.Applied(a); err != nil {
		c.t.Fatalf("member %d: %v", m.id, err)
	}
	c.pump(m)
}

func content(e Entry) string {
	if e.ConfState != nil && e.Data != nil {
		return fmt.Sprintf("%s, with %q", members(e.ConfState), e.Data)
	} else if e.ConfState != nil {
		return members(e.ConfState)
	}
	return fmt.Sprintf("%q", e.Data)
}

func members(state []byte) string {
	conf := &pb.ConfState{}
	if err := proto.Unmarshal(state, conf); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("voters %v of %v, learners %v",
		conf.Voters, conf.VotersOutgoing, append(conf.Learners, conf.LearnersNext...))
}

func outcome(c *Changed) string {
	if c.Err != nil {
		return c.Err.Error()
	}
	return members(c.ConfState)
}

// ofTerm returns a payload that may be applied in one term only.
func ofTerm(name string, number int, term uint64) string {
	return fmt.Sprintf("%s%d@%d", name, number, term)
}

// check holds e against what others applied at its index, and against the term it was meant for.
func (c *cluster) check(m *member, e Entry) {
	if _, term, ok := strings.Cut(string(e.Data), "@"); ok && term != fmt.Sprint(e.Term) {
		c.t.Fatalf("member %d: %q applied in term %d", m.id, e.Data, e.Term)
	}
	if e.Index != m.state.Index+1 || e.Term < m.state.Term {
		c.t.Fatalf("member %d: applies %d of term %d after %d of %d", m.id, e.Index, e.Term, m.state.Index, m.state.Term)
	}
	is := fmt.Sprintf("%d %q", e.Term, e.Data)
	if was, ok := c.agreed[e.Index]; ok && was != is {
		c.t.Fatalf("member %d: entry %d is %s, elsewhere %s", m.id, e.Index, is, was)
	}
	if was, ok := c.confs[e.Index]; ok && !bytes.Equal(was, e.ConfState) {
		c.t.Fatalf("member %d: membership from %d differs", m.id, e.Index)
	}
	c.agreed[e.Index], c.confs[e.Index] = is, e.ConfState
}

// deliver takes the i-th message off the wire and, unless it is lost, to its receiver.
func (c *cluster) deliver(i int) {
	w := c.wires[i]
	m := c.members[w.GetTo()]
	if m == nil || m.down || c.cut[w.GetTo()] || c.cut[w.GetFrom()] {
		c.drop(i)
		return
	}
	c.wires = slices.Delete(c.wires, i, i+1)
	if err := m.Receive(w); err != nil {
		c.t.Fatalf("member %d: %v", m.id, err)
	}
	c.pump(m)
	c.imageSent(w, true) // the body came with the message
}

// drop loses the i-th message on the wire.
func (c *cluster) drop(i int) {
	w := c.wires[i]
	c.wires = slices.Delete(c.wires, i, i+1)
	c.imageSent(w, false)
}

// imageSent tells the sender of an image what became of it, as a transport must.
func (c *cluster) imageSent(w *pb.Message, arrived bool) {
	from := c.members[w.GetFrom()]
	if w.GetType() != pb.MsgSnap || from.down {
		return
	}
	if err := from.ImageSent(w.GetTo(), arrived); err != nil {
		c.t.Fatalf("member %d: %v", from.id, err)
	}
	c.pump(from)
}

// settle lets everything happen that does not need time, oldest first.
func (c *cluster) settle() {
	c.t.Helper()
	for busy := true; busy; {
		busy = len(c.wires) > 0
		if busy {
			c.deliver(0)
		}
		for _, id := range c.ids {
			m := c.members[id]
			for !m.down && len(m.appends) > 0 {
				c.write(m)
				busy = true
			}
			for !m.down && len(m.applies) > 0 {
				c.apply(m)
				busy = true
			}
		}
	}
}

// tick lets time pass for m.
func (c *cluster) tick(m *member) {
	if err := m.Tick(); err != nil {
		c.t.Fatalf("member %d: %v", m.id, err)
	}
	c.pump(m)
}

// propose gives payloads to m, for the term it is in.
func (c *cluster) propose(m *member, payloads ...string) {
	var data [][]byte
	for _, p := range payloads {
		data = append(data, []byte(p))
	}
	m.Propose(m.Soft().Term, data)
	c.pump(m)
}

// read asks m for an index.
func (c *cluster) read(m *member) {
	most := uint64(0)
	for _, id := range c.ids {
		most = max(most, c.members[id].state.Index)
	}
	for i := range c.agreed {
		most = max(most, i)
	}
	m.reads = append(m.reads, readQ{most})
	m.ReadIndex()
	c.pump(m)
}

// leader returns the member that leads in the highest term, or nil.
func (c *cluster) leader() *member {
	var found *member
	for _, id := range c.ids {
		m := c.members[id]
		if !m.down && m.Soft().Role == Leader && (found == nil || m.Soft().Term > found.Soft().Term) {
			found = m
		}
	}
	return found
}
