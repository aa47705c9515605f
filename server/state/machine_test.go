package state

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// restored makes a machine out of the image of a view, through every encoding.
func restored(v *View) (*Machine, error) {
	meta, err := DecodeMeta(AppendMeta(nil, v.Meta()))
	if err != nil {
		return nil, err
	}
	nodes, sessions := znode.New(), session.NewTable()
	v.Nodes.Walk(func(n *znode.Node) bool {
		if n, err = znode.DecodeNode(znode.AppendNode(nil, n)); err == nil {
			err = nodes.Restore(n)
		}
		return err == nil
	})
	v.Sessions.Walk(func(s session.Session) bool {
		if s, err = session.DecodeSession(session.AppendSession(nil, s)); err == nil {
			err = sessions.Restore(s)
		}
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	return Restore(meta, nodes, sessions)
}

var somePaths = []string{"/", "/a", "/b", "/a/", "/a/x", "/a/x/y", "/b/s-", "/c/d", "/zookeeper/x"}

// player draws commands that are right often enough to get somewhere.
type author struct {
	*rapid.T
	twin *twin
	zxid znode.Zxid
	seq  uint64
	boot uint64
}

func (a *author) pick(label string, n int) int { return rapid.IntRange(0, n-1).Draw(a.T, label) }

func (a *author) command() Command {
	c := Command{Time: int64(a.pick("time", 1000))}
	switch a.pick("origin", 10) {
	case 0: // outside any stream
	case 1: // a repeat, or the first of all over again
		c.Origin = Origin{Server: 1, Boot: a.boot, Seq: a.seq}
	case 2: // a hole
		c.Origin = Origin{Server: 1, Boot: a.boot, Seq: a.seq + 2}
	case 3: // the server was started again
		a.boot, a.seq = a.boot+1, 1
		c.Origin = Origin{Server: 1, Boot: a.boot, Seq: 1}
	default:
		a.seq++
		c.Origin = Origin{Server: 1, Boot: a.boot, Seq: a.seq}
	}
	c.Kind = rapid.SampledFrom([]Kind{
		OpenSession, OpenSession, AttachSession, CloseSession, ExpireSession, Noop, Reap, Reap, Configure,
		Create, Create, Create, Create, Delete, Delete, Set, Set, Check, Multi, Multi, Multi,
	}).Draw(a.T, "kind")
	a.attend(&c)
	switch kinds[c.Kind].body {
	case bodyOp:
		c.Op = a.op(c.Kind)
	case bodyMulti:
		for range a.pick("operations", 5) {
			c.Multi = append(c.Multi, a.op(rapid.SampledFrom([]Kind{Create, Create, Set, Delete, Check}).Draw(a.T, "inside")))
		}
	}
	return c
}

// attend fills in a session, mostly one that is alive, mostly as it should be known.
func (a *author) attend(c *Command) {
	c.TimeoutMs, c.Random = int32(1000+a.pick("timeout", 9)), [16]byte{byte(a.zxid)}
	ids := make([]session.ID, 0, len(a.twin.sessions))
	for id := range a.twin.sessions {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if len(ids) == 0 {
		return
	}
	s := a.twin.sessions[ids[a.pick("session", len(ids))]]
	c.Session, c.Epoch, c.Password = s.ID, s.Epoch, s.Password
	switch a.pick("knowledge", 12) {
	case 0:
		c.Epoch--
	case 1:
		c.Session++
	case 2:
		c.Password[15]++
	}
}

func (a *author) op(kind Kind) Op {
	op := Op{Kind: kind, Path: rapid.SampledFrom(somePaths).Draw(a.T, "path")}
	if kind == Create || kind == Set || kind == Configure {
		op.Data = rapid.SampledFrom([][]byte{nil, {}, []byte("one"), []byte("two and more")}).Draw(a.T, "data")
	}
	if kind == Create {
		a.mode(&op)
		return op
	}
	if kind == Reap {
		op.Czxid = a.twin.nodes[op.Path].stat.Czxid + znode.Zxid(a.pick("other node", 5)/4)
		return op
	}
	op.Version = int32(a.pick("version", 4)) - 1
	return op
}

func (a *author) mode(op *Op) {
	op.ACL = []znode.ACE{{Perms: znode.PermAll, Scheme: "world", ID: "anyone"}}
	op.Flags, op.TTL = int32(a.pick("flags", 6)), -1
	switch op.Flags {
	case 4:
		op.Class = znode.ClassContainer
	case 5:
		op.Class, op.TTL = znode.ClassTTL, int64(1+a.pick("ttl", 400))
	}
}

// The machine says and does what its twin says and does; what was pinned never changes; two
// replicas are one, also when one of them is made from an image now and then, and never lets go
// of its Outcome while the other takes a new one each time.
func TestTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, replica, w := New(), New(), newTwin()
		a := &author{T: t, twin: w, boot: 1}
		type pin struct {
			view *View
			dump string
		}
		var pins []pin
		var reused Outcome
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			a.zxid += znode.Zxid(1 + a.pick("zxid", 2))
			c := a.command()
			data := AppendCommand(nil, &c)
			want := w.apply(a.zxid, &c)

			var out Outcome
			m.Apply(a.zxid, data, &out)
			replica.Apply(a.zxid, data, &reused)
			clear(data) // nothing may refer to the entry
			compareOutcome(t, want, &out)
			compareOutcome(t, want, &reused)

			view := m.View()
			dump := dumpView(view)
			if d := cmp.Diff(w.dump(a.zxid), dump); d != "" {
				t.Fatalf("after %+v (-twin +machine):\n%s", c, d)
			}
			if a.pick("pin", 4) == 0 {
				pins = append(pins, pin{view, dump})
			}
			if a.pick("restart", 8) == 0 {
				var err error
				if replica, err = restored(replica.View()); err != nil {
					t.Fatal(err)
				}
			}
			if m.Digest() != replica.Digest() || view.Digest() != m.Digest() {
				t.Fatalf("digests %#x, replica %#x, view %#x", m.Digest(), replica.Digest(), view.Digest())
			}
		}
		for _, p := range pins {
			if d := cmp.Diff(p.dump, dumpView(p.view)); d != "" {
				t.Fatalf("the view at %d has changed:\n%s", p.view.Zxid, d)
			}
		}
	})
}

func compareOutcome(t *rapid.T, want twinResult, out *Outcome) {
	t.Helper()
	if !errors.Is(out.Err, want.err) || out.Duplicate != want.ignored || out.Path != want.path || out.Stat != want.stat {
		t.Fatalf("outcome %+v, twin %+v", out, want)
	}
	var changes []string
	for _, c := range out.Changes {
		changes = append(changes, fmt.Sprintf("%v %s", c.Kind, c.Path))
	}
	if d := cmp.Diff(want.changes, changes); d != "" {
		t.Fatalf("changes (-twin +machine):\n%s", d)
	}
	if len(out.Multi) != len(want.errs) {
		t.Fatalf("%d results, twin %d", len(out.Multi), len(want.errs))
	}
	failed := -1
	for i, err := range want.errs {
		if !errors.Is(out.Multi[i].Err, err) {
			t.Fatalf("operation %d: %v, twin %v", i, out.Multi[i].Err, err)
		}
		if err != nil && err != ErrRolledBack && err != ErrRuntimeInconsistency {
			failed = i
		}
	}
	if out.Failed != failed {
		t.Fatalf("failed at %d, twin %d", out.Failed, failed)
	}
}

// FuzzApply: no bytes stop a machine, and no bytes part two replicas. The input is cut into
// entries at each 0xff 0xfe; the replica restarts from an image now and then.
func FuzzApply(f *testing.F) {
	for i := range 20 {
		var log []byte
		for j := range 5 {
			c := anyCommand().Example(7*i + j)
			log = append(AppendCommand(log, &c), 0xff, 0xfe)
		}
		f.Add(log)
	}
	f.Add(lifeOfASession())
	f.Fuzz(func(t *testing.T, log []byte) {
		m, replica := New(), New()
		var reused Outcome
		for i, entry := range split(log) {
			var out Outcome
			index := znode.Zxid(i + 3)
			m.Apply(index, entry, &out)
			replica.Apply(index, slices.Clone(entry), &reused)
			if d := cmp.Diff(plain(&out), plain(&reused)); d != "" {
				t.Fatalf("outcomes differ:\n%s", d)
			}
			if out.Err != nil && len(out.Changes) > 0 {
				t.Fatalf("failed with %v, and changed %v", out.Err, out.Changes)
			}
			if i%4 == 3 {
				var err error
				if replica, err = restored(m.View()); err != nil {
					t.Fatal(err)
				}
			}
			if m.Digest() != replica.Digest() {
				t.Fatalf("digest %#x, replica %#x", m.Digest(), replica.Digest())
			}
		}
	})
}

// plain is an outcome as text: errors and access lists by what they say.
func plain(out *Outcome) string {
	text := fmt.Sprintf("%v %v %v %+v", out.Result, out.Origin, out.Kind, out.Duplicate)
	for _, c := range out.Changes {
		text += fmt.Sprintf("\n%v %s %d %v %v", c.Kind, c.Path, c.Zxid, c.ACL.Masked(), c.ParentACL.Masked())
	}
	for _, c := range out.Sessions {
		text += fmt.Sprintf("\n%+v", c)
	}
	return text
}

// lifeOfASession is a log for FuzzApply in which every command holds: its first entry is applied
// at 3, which makes that the session.
func lifeOfASession() (log []byte) {
	in := func(kind Kind, op Op) Command {
		op.Kind = kind
		return Command{Kind: kind, Session: 3, Epoch: 1, Time: 5, Op: op}
	}
	for _, c := range []Command{
		{Kind: OpenSession, TimeoutMs: 4000},
		in(Create, Op{Path: "/a", ACL: open31, TTL: -1}),
		in(Create, Op{Path: "/a/e", ACL: open31, TTL: -1, Flags: 3}),
		in(Create, Op{Path: "/c", ACL: open31, Flags: 4, Class: znode.ClassContainer}),
		in(Create, Op{Path: "/t", ACL: open31, Flags: 5, TTL: 1, Class: znode.ClassTTL}),
		in(SetACL, Op{Path: "/a", ACL: open31, Version: -1}),
		{Kind: Multi, Session: 3, Epoch: 1, Multi: []Op{
			{Kind: Set, Path: "/a", Data: []byte("x")}, {Kind: Check, Path: "/a", Version: 1}, {Kind: Delete, Path: "/c"},
		}},
		{Kind: Reap, Time: 10, Op: Op{Kind: Reap, Path: "/t", Czxid: 7}},
		in(CloseSession, Op{}),
	} {
		log = append(AppendCommand(log, &c), 0xff, 0xfe)
	}
	return log
}

func split(log []byte) (entries [][]byte) {
	for len(log) > 0 {
		entry, rest, _ := bytes.Cut(log, []byte{0xff, 0xfe})
		entries, log = append(entries, entry), rest
	}
	return entries
}

func TestLifeOfASession(t *testing.T) {
	m, out := New(), new(Outcome)
	for i, entry := range split(lifeOfASession()) {
		if m.Apply(znode.Zxid(i+3), entry, out); out.Err != nil || out.Failed >= 0 {
			t.Fatalf("%v at %d: %v, failed at %d", out.Kind, i+3, out.Err, out.Failed)
		}
	}
	if v := m.View(); v.Nodes.Get("/a") == nil || v.Nodes.EphemeralCount() != 0 || v.Sessions.Len() != 0 {
		t.Fatalf("left behind:\n%s", dumpView(v))
	}
}
