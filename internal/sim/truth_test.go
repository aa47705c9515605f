package sim

import (
	"errors"
	"fmt"
	"hash/crc32"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// truth is what has been agreed, as seen from outside: every entry as it was first applied anywhere,
// the state after it, and what must hold of both.
type truth struct {
	s       *sim
	machine *state.Machine
	records []record // by index, from first on
	first   uint64

	votes     map[vote]uint64   // who was voted for
	leaders   map[uint64]uint64 // who led, by term
	terms     map[uint64]uint64 // the newest term a node is known to have promised
	confs     map[uint64]string // the membership from an index on
	newest    string            // the newest of them
	newestAt  uint64
	decoded   *pb.ConfState // newest, as of decodedAt
	decodedAt uint64

	origins  map[uint8]state.Origin    // the last applied of each server
	effects  map[uint64]uint64         // zxid of each client operation that took effect, by its number
	asked    map[uint64]*op            // every operation a client ever sent, by its number
	sessions map[session.ID]*biography // all there ever were
	suffixes map[parentOf]string       // the newest sequential name handed out
	early    map[verdict]string        // verdicts that came too early
	changes  map[string][]touch        // what happened to nodes and lists of children, by path
	done     uint64                    // the highest zxid of a write that a client was told of
	command  state.Command
}

// record is one entry of the agreed log, and what it came to.
type record struct {
	term    uint64
	sum     uint32
	digest  uint64
	view    *state.View
	outcome state.Outcome
	op      uint64 // the client's number for it
	session session.ID
}

// verdict is one on a session, of a term.
type verdict struct {
	id    session.ID
	epoch uint32
	term  uint64
}

// parentOf is one life of a node below which sequential names are handed out.
type parentOf struct {
	path  string
	czxid znode.Zxid
}

// touch is something that watches hear.
type touch struct {
	kind   znode.ChangeKind
	zxid   znode.Zxid
	parent bool // it happened to a child
}

// biography is what became of a session.
type biography struct {
	opened, closed znode.Zxid // closed is 0 while it lives
	expired        bool
	epoch          uint32
	timeout        int32
	heard          map[uint64]int64 // when the newest sign of life left that a leader was told of, by leader
	granted        int64            // when its present life began: opened or attached
	judged         uint64           // the newest term in which a leader found it silent
}

func (s *sim) openTruth(start replica.Start) {
	t := &s.truth
	*t = truth{
		s: s, machine: state.New(), first: start.Index + 1,
		votes: map[vote]uint64{}, leaders: map[uint64]uint64{}, terms: map[uint64]uint64{}, confs: map[uint64]string{},
		origins: map[uint8]state.Origin{}, effects: map[uint64]uint64{}, asked: map[uint64]*op{},
		sessions: map[session.ID]*biography{}, suffixes: map[parentOf]string{}, early: map[verdict]string{},
		changes: map[string][]touch{},
	}
	var out state.Outcome
	t.machine.Apply(znode.Zxid(start.Index), configure(foundingTable(s.opt.servers)), &out)
	t.newest, t.newestAt = string(start.ConfState), start.Index
}

// last returns the index of the newest agreed entry.
func (t *truth) last() uint64 { return uint64(t.machine.Zxid()) }

// at returns what is known of an index, nil for what was before the beginning.
func (t *truth) at(index uint64) *record {
	if index < t.first || index > t.last() {
		return nil
	}
	return &t.records[index-t.first]
}

// applied is A1 and M1: n applies an entry, and everybody else has applied the same.
func (t *truth) applied(n *server, e *replica.Entry) {
	sum := crc32.ChecksumIEEE(e.Data)
	if e.Index == t.last()+1 {
		t.extend(e, sum)
	}
	r := t.at(e.Index)
	if r == nil {
		t.s.broken("A1", "server %d applies %d, agreed is up to %d", n.id, e.Index, t.last())
	}
	if r.term != e.Term || r.sum != sum {
		t.s.broken("A1", "server %d applies %d of term %d with sum %x, elsewhere it is of term %d with sum %x",
			n.id, e.Index, e.Term, sum, r.term, r.sum)
	}
	if e.ConfState != nil {
		if was, ok := t.confs[e.Index]; ok && was != string(e.ConfState) {
			t.s.broken("M1", "server %d has another membership from %d on", n.id, e.Index)
		}
		t.confs[e.Index] = string(e.ConfState)
		if e.Index > t.newestAt {
			t.newest, t.newestAt = string(e.ConfState), e.Index
		}
	}
}

// compare is the other half of A1: equal digests at equal zxid.
func (t *truth) compare(n *server, v *state.View) {
	r := t.at(uint64(v.Zxid))
	if r != nil && r.digest != v.Digest() {
		t.s.broken("A1", "server %d at %d has digest %x, it should be %x", n.id, v.Zxid, v.Digest(), r.digest)
	}
}

// extend takes in a newly agreed entry.
func (t *truth) extend(e *replica.Entry, sum uint32) {
	t.records = append(t.records, record{term: e.Term, sum: sum})
	r := &t.records[len(t.records)-1]
	before := t.machine.View()
	t.machine.Apply(znode.Zxid(e.Index), e.Data, &r.outcome)
	r.view, r.digest = t.machine.View(), t.machine.Digest()
	if len(e.Data) == 0 {
		return
	}
	c := &t.command
	if err := state.DecodeCommand(e.Data, c); err != nil {
		t.s.broken("D2", "entry %d: %v", e.Index, err)
	}
	r.op, r.session = c.ClientOp, c.Session
	t.once(r, c)
	if r.outcome.Duplicate {
		return
	}
	t.lives(r, c)
	t.owners(r)
	t.sequence(r, c, before)
	t.expected(r, c, before)
	for i := range r.outcome.Changes {
		t.touched(&r.outcome.Changes[i])
	}
}

// once is exactly-once forwarding, as far as the log tells: the commands of an origin take effect in
// the order of their numbers, without a gap, and no operation of a client does twice. And D2: what
// nobody sent is not there.
func (t *truth) once(r *record, c *state.Command) {
	o, zxid := c.Origin, uint64(r.outcome.Zxid)
	if o.Boot != 0 {
		last := t.origins[o.Server]
		next := o.Boot == last.Boot && o.Seq == last.Seq+1 || o.Boot > last.Boot && o.Seq == 1
		if next == r.outcome.Duplicate {
			t.s.broken("exactly once", "entry %d: number %d of start %d of server %d, after %d of start %d: duplicate is %v",
				zxid, o.Seq, o.Boot, o.Server, last.Seq, last.Boot, r.outcome.Duplicate)
		}
		if next {
			t.origins[o.Server] = o
		}
	}
	if c.ClientOp == 0 || r.outcome.Duplicate {
		return
	}
	if was, ok := t.effects[c.ClientOp]; ok {
		t.s.broken("exactly once", "operation %d was carried out at %d and again at %d", c.ClientOp, was, zxid)
	}
	if t.asked[c.ClientOp] == nil {
		t.s.broken("D2", "entry %d: operation %d was never asked for", zxid, c.ClientOp)
	}
	t.effects[c.ClientOp] = zxid
}

// lives is E3 and E5: what is done in the name of a session is done while it lives, through its
// newest attachment.
func (t *truth) lives(r *record, c *state.Command) {
	out := &r.outcome
	if out.Err == nil && c.Session != 0 && c.Kind != state.AttachSession {
		b := t.sessions[c.Session]
		switch {
		case b == nil || b.closed != 0:
			t.s.broken("E3", "entry %d (%v) takes effect for session %v, which is gone", out.Zxid, c.Kind, c.Session)
		case b.epoch != c.Epoch:
			t.s.broken("E5", "entry %d (%v) takes effect for session %v under epoch %d, it is at %d",
				out.Zxid, c.Kind, c.Session, c.Epoch, b.epoch)
		}
	}
	for _, one := range out.Sessions {
		b := t.sessions[one.Session.ID]
		switch one.Kind {
		case state.Opened:
			if b != nil {
				t.s.broken("E3", "session %v is opened a second time at %d", one.Session.ID, out.Zxid)
			}
			b = &biography{opened: out.Zxid, heard: map[uint64]int64{}}
			t.sessions[one.Session.ID] = b
			b.begin(t.s.now, one.Session)
		case state.Attached:
			if b == nil || b.closed != 0 {
				t.s.broken("E3", "session %v, which is gone, is attached at %d", one.Session.ID, out.Zxid)
			}
			b.begin(t.s.now, one.Session)
			t.s.mark(markMoved)
		case state.Closed, state.Expired:
			b.closed, b.expired = out.Zxid, one.Kind == state.Expired
			if text := t.early[verdict{one.Session.ID, one.Session.Epoch, r.term}]; b.expired && text != "" {
				t.s.broken("E1", "entry %d: %s", out.Zxid, text)
			}
			if b.expired && b.judged != r.term {
				t.s.broken("E1", "entry %d of term %d ends session %v, which was judged in term %d",
					out.Zxid, r.term, one.Session.ID, b.judged)
			}
			if b.expired {
				t.s.cared(one.Session.ID)
				t.s.mark(markExpired)
			}
		}
	}
}

func (b *biography) begin(now int64, s session.Session) {
	b.epoch, b.timeout, b.granted = s.Epoch, s.TimeoutMs, now
}

// owners is E4: ephemerals belong to sessions that live, and a session that goes takes them along.
func (t *truth) owners(r *record) {
	if len(r.outcome.Sessions) == 0 && r.outcome.Zxid%64 != 0 {
		return
	}
	r.view.Nodes.Owners(func(owner int64, path string) bool {
		if b := t.sessions[session.ID(owner)]; b == nil || b.closed != 0 {
			t.s.broken("E4", "at %d, %s is owned by session %x, which is gone", r.outcome.Zxid, path, owner)
		}
		return true
	})
}

// sequence is L9: the numbers in sequential names only rise while the parent lives.
func (t *truth) sequence(r *record, c *state.Command, before *state.View) {
	each := func(op *state.Op, res *state.Result) {
		if op.Kind != state.Create || res.Err != nil || op.Flags&flagSequential == 0 || op.Class != znode.ClassPlain {
			return
		}
		parent := parentPath(res.Path)
		n := r.view.Nodes.Get(parent)
		if n == nil {
			return // gone within the same multi
		}
		key := parentOf{parent, n.Czxid()}
		number := res.Path[len(res.Path)-10:]
		if number <= t.suffixes[key] {
			t.s.broken("L9", "%s is handed out at %d, after %s", res.Path, r.outcome.Zxid, t.suffixes[key])
		}
		t.suffixes[key] = number
	}
	if r.outcome.Err != nil || r.outcome.Failed >= 0 {
		return
	}
	if c.Kind != state.Multi {
		each(&c.Op, &r.outcome.Result)
		return
	}
	for i := range c.Multi {
		each(&c.Multi[i], &r.outcome.Multi[i])
	}
}

// expected is L7 and L8, from outside: versions and counts go on by one, failures change nothing, and
// a condition on a version is held to.
func (t *truth) expected(r *record, c *state.Command, before *state.View) {
	failed := r.outcome.Err != nil || r.outcome.Failed >= 0
	if failed && (len(r.outcome.Changes) > 0 || r.view.Nodes.Digest() != before.Nodes.Digest()) {
		t.s.broken("L7", "entry %d (%v) failed and changed something", r.outcome.Zxid, c.Kind)
	}
	if failed {
		return
	}
	if c.Kind == state.Delete {
		up := parentPath(c.Op.Path)
		was, is := before.Nodes.Get(up).Stat(), r.view.Nodes.Get(up).Stat()
		if is.Pzxid != r.outcome.Zxid || is.Cversion != was.Cversion+1 || is.NumChildren != was.NumChildren-1 {
			t.s.broken("L8", "entry %d deletes %s: its parent was %+v, and is %+v", r.outcome.Zxid, c.Op.Path, was, is)
		}
	}
	if c.Kind != state.Set {
		return
	}
	was, is := before.Nodes.Get(c.Op.Path).Stat(), r.view.Nodes.Get(c.Op.Path).Stat()
	if is.Version != was.Version+1 || is.Mzxid != r.outcome.Zxid || is.Czxid != was.Czxid ||
		c.Op.Version != -1 && c.Op.Version != was.Version {
		t.s.broken("L8", "entry %d sets %s at version %d: %+v became %+v", r.outcome.Zxid, c.Op.Path, c.Op.Version, was, is)
	}
}

// touched files a change where those who watch will look for it.
func (t *truth) touched(c *znode.Change) {
	if c.Kind == znode.Touched {
		return
	}
	t.changes[c.Path] = append(t.changes[c.Path], touch{c.Kind, c.Zxid, false})
	if c.Kind != znode.DataSet {
		up := parentPath(c.Path)
		t.changes[up] = append(t.changes[up], touch{c.Kind, c.Zxid, true})
	}
}

// judged is E1 and E6: no verdict on a session that was heard of, nor before a new leader has given it
// a full time-out. A leader that has been succeeded without knowing may judge as it likes: its verdicts
// come to nothing, so what counts is one that takes effect in its term.
func (t *truth) judged(n *server, c *state.Command) {
	b := t.sessions[c.Session]
	if c.Kind != state.ExpireSession || b == nil || b.closed != 0 || b.epoch != c.Epoch {
		return // stale: the machine will say so
	}
	b.judged = n.soft.Term
	since := max(b.heard[n.node], b.granted, n.since)
	least := int64(float64(b.timeout) * float64(milli) / maxRate)
	if t.s.now-since < least-milli {
		t.early[verdict{c.Session, c.Epoch, n.soft.Term}] = fmt.Sprintf(
			"server %d judges session %v after %d ms of its %d (heard %d ms ago, attached %d ms ago, led for %d ms)",
			n.id, c.Session, (t.s.now-since)/milli, b.timeout, (t.s.now-b.heard[n.node])/milli, (t.s.now-b.granted)/milli,
			(t.s.now-n.since)/milli)
	}
}

// grown is X1: the tree is well-formed.
func (t *truth) grown(v *state.View) error {
	children := map[string]int32{}
	var err error
	v.Nodes.Walk(func(n *znode.Node) bool {
		if n.Path() == "/" {
			return true
		}
		up := v.Nodes.Get(n.Parent())
		if up == nil || up.EphemeralOwner() != 0 {
			err = errors.New(n.Path() + " has no parent, or one that is ephemeral")
		}
		children[n.Parent()]++
		return err == nil
	})
	v.Nodes.Walk(func(n *znode.Node) bool {
		if n.Stat().NumChildren != children[n.Path()] {
			err = errors.New(n.Path() + " miscounts its children")
		}
		return err == nil
	})
	return err
}
