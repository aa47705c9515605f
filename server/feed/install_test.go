package feed_test

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/image"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/watch"
	"github.com/grovekeeper/grove/znode"
)

// elsewhere is a machine that goes on without a desk: what a leader has applied meanwhile.
type elsewhere struct {
	t testing.TB
	m *state.Machine
}

// copied makes a machine out of the image of a view.
func copied(t testing.TB, v *state.View) *state.Machine {
	t.Helper()
	var b bytes.Buffer
	if err := image.Write(&b, v); err != nil {
		t.Fatal(err)
	}
	m, err := image.Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// ahead returns what goes on from the state of the desk.
func (d *desk) ahead() *elsewhere { return &elsewhere{d.t, copied(d.t, d.View())} }

func (e *elsewhere) apply(c state.Command) znode.Zxid { return e.entry(state.AppendCommand(nil, &c)) }

func (e *elsewhere) entry(data []byte) znode.Zxid {
	var out state.Outcome
	e.m.Apply(e.m.Zxid()+1, data, &out)
	return e.m.Zxid()
}

// edit applies an edit of the session.
func (e *elsewhere) edit(s *seat, kind state.Kind, path string) znode.Zxid {
	op := state.Op{Kind: kind, Path: path, ACL: anyone, Version: -1}
	if kind == state.Create {
		op.Version = 0
	}
	now, _ := e.m.View().Sessions.Get(s.id)
	return e.apply(state.Command{Kind: kind, Session: s.id, Epoch: now.Epoch, Op: op})
}

// install makes the state the desk's, by way of an image.
func (d *desk) install(e *elsewhere) {
	d.t.Helper()
	d.log.index = uint64(e.m.Zxid())
	d.Install(copied(d.t, e.m.View()), 9, []byte("members"))
	if d.View().Digest() != e.m.Digest() {
		d.t.Fatal("another state was installed")
	}
}

// What came between is told once a node, in the order of zxids, as far as the nodes have kept them.
func TestAnInstalledStateIsToldAsADifference(t *testing.T) {
	d := newDesk(t, nil)
	a := d.open() // 2
	for _, path := range []string{"/set", "/gone", "/again", "/same", "/parent", "/parent/old"} {
		a.create(path) // 3 to 8
	}
	d.apply()
	a.taken()
	all, names, once := d.join(), d.join(), d.join()
	all.arm("/", watch.Recursive)
	for _, path := range []string{"/set", "/gone", "/again", "/same", "/new", "/parent"} {
		names.arm(path, watch.Persistent)
		once.arm(path, watch.Data|watch.Child)
	}
	e := d.ahead()
	e.edit(a, state.Set, "/set")            // 9
	e.edit(a, state.Create, "/new")         // 10
	e.edit(a, state.Set, "/set")            // 11
	e.edit(a, state.Delete, "/gone")        // 12
	e.edit(a, state.Delete, "/again")       // 13
	e.edit(a, state.Create, "/again")       // 14
	e.edit(a, state.Create, "/parent/x")    // 15
	e.edit(a, state.Delete, "/parent/old")  // 16
	e.edit(a, state.Create, "/again/below") // 17
	e.edit(a, state.Create, "/brief")       // 18
	e.edit(a, state.Delete, "/brief")       // 19
	d.install(e)
	want(t, "recursive", all.taken(), "Deleted /again @9", "Deleted /gone @9", "Deleted /parent/old @9", "Created /new @10",
		"DataChanged /set @11", "Created /again @14", "Created /parent/x @15", "Created /again/below @17")
	want(t, "persistent", names.taken(), "Deleted /again @9", "Deleted /gone @9", "Created /new @10", "DataChanged /set @11",
		"Created /again @14", "ChildrenChanged /parent @16", "ChildrenChanged /again @17")
	want(t, "one-shot", once.taken(), "Deleted /again @9", "Deleted /gone @9", "Created /new @10", "DataChanged /set @11",
		"ChildrenChanged /parent @16")
	want(t, "nobody else", a.taken())

	// It goes on from there, with what one-shot watches are left.
	a.set("/set")
	a.set("/parent")
	d.apply()
	want(t, "later, recursive", all.taken(), "DataChanged /set @20", "DataChanged /parent @21")
	want(t, "later, one-shot", once.taken(), "DataChanged /parent @21")
	want(t, "later, the writer", a.taken(), "8: <nil>", "9: <nil>")
	if v, term, conf := d.Latest(); v != d.View() || term != 1 || string(conf) != "members" {
		t.Errorf("latest is @%d in term %d with %q", v.Zxid, term, conf)
	}
}

// Who may not read a node hears nothing of it.
func TestAnInstalledStateKeepsSecrets(t *testing.T) {
	d := newDesk(t, nil)
	a := d.open()
	e := d.ahead()
	secret := []znode.ACE{{Perms: znode.PermAll, Scheme: "digest", ID: "x:y"}}
	e.apply(state.Command{Kind: state.Create, Session: a.id, Epoch: 1, Op: state.Op{Kind: state.Create, Path: "/secret", ACL: secret}})
	a.arm("/", watch.Recursive)
	d.install(e)
	want(t, "a", a.taken())
}

// Sessions that have gone or moved, and commands that are in the new state, end their connections; others
// stay, and what they have under way completes.
func TestAnInstalledStateEndsWhatNobodyCanAnswer(t *testing.T) {
	var turns []string
	d := newDesk(t, func(c *feed.Config) {
		c.OnSessions = func(changes []state.SessionChange) {
			for _, s := range changes {
				turns = append(turns, fmt.Sprint(s.Kind, " ", s.Session.ID&0xff, " ", s.Session.Epoch))
			}
		}
	})
	gone, moved, asked, kept := d.open(), d.open(), d.open(), d.open()
	turns = nil
	e := d.ahead()
	e.apply(state.Command{Kind: state.CloseSession, Session: gone.id, Epoch: 1})
	e.apply(state.Command{Kind: state.AttachSession, Session: moved.id, Password: moved.pass, TimeoutMs: 4000})
	asked.create("/asked")
	kept.create("/kept")
	e.entry(d.log.pending[0]) // and nobody knows its outcome here
	late := uint64(e.apply(state.Command{Kind: state.OpenSession, TimeoutMs: 4000}))
	d.Sync(kept.Inbox, 100)
	d.Sync(kept.Inbox, 101)
	d.log.reads[0](late, nil)
	d.log.reads[1](late+2, nil)
	d.install(e)
	want(t, "gone", gone.taken(), "end")
	want(t, "moved", moved.taken(), "end")
	want(t, "asked", asked.taken(), "end")
	want(t, "kept", kept.taken(), "100: <nil>")
	want(t, "told", turns, fmt.Sprintf("%d 0x%x 1", state.Opened, late), fmt.Sprint(state.Attached, " 0x3 2"),
		fmt.Sprint(state.Closed, " 0x2 1"))
	if n, _ := d.Pending(); n != 1 || d.Attached() != 2 {
		t.Errorf("%d commands are pending, %d sessions attached", n, d.Attached())
	}
	d.apply() // the one that was in the image, which is ignored, and the one that was not
	want(t, "kept", kept.taken(), "2: <nil>", "101: <nil>")
	if n, bytes := d.Pending(); n != 0 || bytes != 0 {
		t.Errorf("%d commands of %d bytes are pending", n, bytes)
	}
}

// The checkpoint that waited is of the past, and so are the changes that were kept.
func TestAnInstalledStateBeginsAnew(t *testing.T) {
	d := newDesk(t, func(c *feed.Config) { c.Checkpoint.Entries = 2 })
	a := d.open()
	a.create("/a")
	d.apply() // 3: handed over
	e := d.ahead()
	for e.m.Zxid() < 2*1024 {
		e.edit(a, state.Set, "/a")
	}
	d.install(e)
	if got := d.checkpoint(); got != "nothing" {
		t.Errorf("%s waits to be written", got)
	}
	if got := shown(d.Final()); got != "nothing" {
		t.Errorf("%s is still to be written", got)
	}
	if digest, ok := d.DigestAt(2 * 1024); !ok || digest != d.View().Digest() {
		t.Errorf("digest %x, %v", digest, ok)
	}
	a.set("/a")
	a.set("/a")
	d.apply()
	if got := d.checkpoint(); got != "@2050 with [2049 2050] after 2048" {
		t.Errorf("then %s", got)
	}
	if p := d.Final(); p != nil {
		t.Errorf("and %s", shown(p))
	}
	var m feed.Missed
	d.Watching(func(v *state.View, _ *watch.Table) {
		m = d.Missed(a.Inbox, v, feed.Rearm{Since: 3, Persistent: []string{"/a"}})
	})
	var got []string
	m.Tell(func(ev watch.Event) bool { got = append(got, told(ev)); return true })
	want(t, "missed", got, "DataChanged /a @2049", "DataChanged /a @2050")
}

func TestAnOlderStateIsNotInstalled(t *testing.T) {
	d := newDesk(t, nil)
	e := d.ahead()
	d.open()
	defer func() {
		if recover() == nil {
			t.Error("it was")
		}
	}()
	d.Install(e.m, 1, nil)
}

// installer publishes by installing: every state is that of another machine.
type installer struct {
	*realPublisher
	e *elsewhere
}

func (p *installer) publish(n int) {
	for range n {
		p.e.edit(p.writer, state.Set, "/a")
	}
	p.install(p.e)
}

func (p *installer) read(r int) (seen, held znode.Zxid) {
	v := p.View()
	if in := p.seats[r].Inbox; in.Waiting() {
		for _, ev := range in.TakeEvents(v.Zxid, nil) {
			if ev.Zxid <= p.held[r] || ev.Zxid > v.Zxid {
				panic(fmt.Sprintf("event %d after %d, at %d", ev.Zxid, p.held[r], v.Zxid))
			}
			p.held[r] = ev.Zxid
		}
	}
	return v.Zxid, p.held[r]
}

// Whoever sees zxid Z holds every event up to Z, also if Z is that of an image.
func TestAReaderThatSeesAnInstalledStateHoldsItsEvents(t *testing.T) {
	for seed := range uint64(orderSeeds) {
		p := newRealPublisher(t, orderReads)
		if n := experiment(&installer{p, p.ahead()}, orderReads, orderWrites/10, seed); n != 0 {
			t.Fatalf("seed %d: %d times a reader saw what it had not been told of", seed, n)
		}
	}
}

// A client that keeps a copy of the tree by a recursive watch, and reads again what it is told of, has the
// state that was installed, whatever happened in between.
func TestACopyFollowsAnInstalledState(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := newDesk(t, nil)
		a := d.open()
		paths := []string{"/a", "/a/x", "/a/y", "/b", "/b/x"}
		play := func(do func(kind state.Kind, path string), n int) {
			for range n {
				kind := rapid.SampledFrom([]state.Kind{state.Create, state.Create, state.Set, state.Delete}).Draw(rt, "kind")
				do(kind, rapid.SampledFrom(paths).Draw(rt, "path"))
			}
		}
		play(func(kind state.Kind, path string) {
			map[state.Kind]func(string) uint64{state.Create: a.create, state.Set: a.set, state.Delete: a.delete}[kind](path)
		}, rapid.IntRange(0, 20).Draw(rt, "before"))
		d.apply()
		a.taken()
		follower := d.join()
		follower.arm("/", watch.Recursive)
		dump := func(v *state.View) map[string]string {
			m := map[string]string{}
			v.Nodes.Walk(func(n *znode.Node) bool {
				m[n.Path()] = fmt.Sprint(n.Czxid(), n.Mzxid())
				return true
			})
			return m
		}
		held := dump(d.View())
		e := d.ahead()
		from := e.m.Zxid()
		play(func(kind state.Kind, path string) { e.edit(a, kind, path) }, rapid.IntRange(1, 30).Draw(rt, "meanwhile"))
		d.install(e)
		last := from
		for _, ev := range follower.TakeEvents(d.View().Zxid, nil) {
			if ev.Zxid < last || ev.Zxid <= from {
				rt.Fatalf("%s after %d", told(ev), last)
			}
			last = ev.Zxid
			n := d.View().Nodes.Get(ev.Path)
			if there := held[ev.Path] != ""; ev.Type == watch.Created == there {
				rt.Fatalf("%s, of a node that was there: %v", told(ev), there)
			}
			switch {
			case ev.Type == watch.Deleted:
				delete(held, ev.Path)
			case n == nil:
				rt.Fatalf("%s, of no node", told(ev))
			default:
				held[ev.Path] = fmt.Sprint(n.Czxid(), n.Mzxid())
			}
		}
		if got, want := fmt.Sprint(held), fmt.Sprint(dump(d.View())); got != want {
			rt.Fatalf("copy  %s\nstate %s", got, want)
		}
	})
}

// BenchmarkInstall makes a state of a million nodes the feed's, of which one in a hundred differs, with
// somebody who watches all of it.
func BenchmarkInstall(b *testing.B) {
	const nodes, edits = 1_000_000, 10_000
	d := newDesk(b, func(c *feed.Config) { c.InboxBytesMax = 1 << 30 })
	a := d.open()
	e := d.ahead()
	for i := range nodes {
		if i%1000 == 0 {
			e.edit(a, state.Create, fmt.Sprintf("/dir-%03d", i/1000))
		}
		e.edit(a, state.Create, fmt.Sprintf("/dir-%03d/node-%06d", i/1000, i))
	}
	d.install(e)
	s := d.join()
	s.arm("/", watch.Recursive)
	for b.Loop() {
		b.StopTimer()
		for i := range edits {
			e.edit(a, state.Set, fmt.Sprintf("/dir-%03d/node-%06d", i/10, i*100))
		}
		next := copied(b, e.m.View())
		b.StartTimer()
		d.Install(next, 1, nil)
		b.StopTimer()
		if got := len(s.TakeEvents(d.View().Zxid, nil)); got != edits {
			b.Fatal("told", got)
		}
		b.StartTimer()
	}
}

// A state that knows a later start of this server: what was under way may be in it or not, so it ends; what
// comes then is numbered above.
func TestAnInstalledStateMayKnowALaterStart(t *testing.T) {
	d := newDesk(t, nil)
	a, b := d.open(), d.open()
	e := d.ahead()
	a.create("/a")
	later := d.Origin().Boot + 50
	e.apply(state.Command{Kind: state.Noop, Origin: state.Origin{Server: 1, Boot: later, Seq: 1}})
	d.install(e)
	want(t, "a", a.taken(), "end")
	if n, _ := d.Pending(); n != 0 || d.Origin().Boot <= later {
		t.Errorf("%d commands are pending in start %d", n, d.Origin().Boot)
	}
	b.create("/b")
	d.apply()
	want(t, "b", b.taken(), "2: <nil>")
}
