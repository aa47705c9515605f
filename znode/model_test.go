package znode

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// FuzzTree runs an arbitrary script of edits on the tree and on its naive twin. Results must
// agree; so must everything that can be read; views pinned on the way must stay what they were;
// and the changes told must account for every difference.
func FuzzTree(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(randomScript(seed, 400))
	}
	f.Fuzz(func(t *testing.T, script []byte) { runModel(t, script) })
}

func TestTreeModel(t *testing.T) {
	for seed := range uint64(30) {
		runModel(t, randomScript(1000+seed, 6000))
	}
}

func randomScript(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// model drives a tree and its twin with choices read from a script.
type model struct {
	t      *testing.T
	script []byte
	tree   *Tree
	twin   *twin
	mirror map[string]string // stored form of each node, kept up by changes alone
	pinned []pin
}

type pin struct {
	tree *Tree
	was  string
	sum  uint64
}

func runModel(t *testing.T, script []byte) {
	m := &model{t: t, script: script, tree: New(), twin: newTwin(), mirror: map[string]string{}}
	m.tree.Walk(func(n *Node) bool { m.reflect(n.Path()); return true })
	for step := 0; len(m.script) > 0; step++ {
		m.step()
		if step%64 == 63 {
			m.compare()
			m.pin()
		}
	}
	m.compare()
	for _, p := range m.pinned {
		if dump(p.tree) != p.was || p.tree.Digest() != p.sum {
			t.Fatal("a pinned view changed")
		}
	}
}

// pick returns a number below n, 0 at the end of the script.
func (m *model) pick(n int) int {
	if len(m.script) == 0 {
		return 0
	}
	b := m.script[0]
	m.script = m.script[1:]
	return int(b) % n
}

func one[T any](m *model, choices ...T) T { return choices[m.pick(len(choices))] }

func (m *model) path() string {
	if m.pick(16) == 0 {
		return one(m, "", "a", "/", "//", "/a/", "/a//b", "/./a", "/a/..", "/a\x00", "/a\x1f", "/\U0001F600",
			"/a\xff", "/zookeeper", "/zookeeper/config", "/zookeeper/quota", "/a/\u0085", "/\ue000/a")
	}
	path := one(m, "", "", "", "/zookeeper/quota")
	for range 1 + m.pick(3) {
		path += one(m, "/a", "/b", "/a-b", "/.a", "/é", "/zookeeper_limits", "/zookeeper_stats")
	}
	return path
}

func (m *model) data() []byte {
	return one(m, nil, []byte{}, []byte("x"), []byte("longer data"), []byte("countHardLimit=4"),
		[]byte("byteHardLimit=25;count=3"), []byte("count=2,bytes=3"), []byte("count=no"))
}

func (m *model) version(v int32) int32 { return one(m, -1, -1, v, v, v, 0, -2, 1) }

func (m *model) perms() int32 {
	return one[int32](m, 31, 31, 31, 31, 31, 31, 31, 31, 31, 15, 27, 23, 29, 30, -1)
}

func listFor(perms int32) []ACE {
	if perms < 0 {
		return nil
	}
	return []ACE{{Perms: perms, Scheme: "world", ID: "anyone"}}
}

func (m *model) step() {
	e := &Edit{Zxid: m.twin.zxid + 1, Session: int64(m.pick(3)) - 1, EnforceQuota: m.pick(2) == 0}
	m.twin.enforce = e.EnforceQuota
	m.twin.now += int64(m.pick(3))
	e.Time = m.twin.now
	sum := m.tree.Digest()
	got, want := m.edit(e)
	if got != want {
		m.t.Fatalf("tree: %s, twin: %s", got, want)
	}
	if len(e.Changes) == 0 && m.tree.Digest() != sum {
		m.t.Fatalf("%s: no change told, another digest", got)
	}
	for _, c := range e.Changes {
		m.reflect(c.Path)
		if c.Kind == Created || c.Kind == Deleted {
			m.reflect(twinParent(c.Path))
		}
		if c.Zxid != e.Zxid || c.ACL == nil || (c.ParentACL != nil) != (c.Kind == Created || c.Kind == Deleted) {
			m.t.Fatalf("change %+v", c)
		}
	}
}

// edit makes one edit on both and returns what came of it.
func (m *model) edit(e *Edit) (got, want string) {
	path := m.path()
	n := m.twin.nodes[path]
	say := func(err error) string { return fmt.Sprint(e.Zxid, " ", path, " ", err) }
	switch m.pick(10) {
	case 0, 1, 2, 3:
		return m.create(e, path)
	case 4:
		v := m.version(n.stat.Version)
		return say(m.tree.Delete(e, path, v)), say(m.twin.delete(path, v))
	case 5, 6:
		data, v := m.data(), m.version(n.stat.Version)
		_, err := m.tree.Set(e, path, data, v)
		return say(err), say(m.twin.set(path, data, v))
	case 7:
		perms, v := m.perms(), m.version(n.stat.Aversion)
		_, err := m.tree.SetACL(e, path, listFor(perms), v)
		return say(err), say(m.twin.setACL(path, perms, v))
	case 8:
		if m.pick(2) == 0 {
			v := m.version(n.stat.Version)
			return say(m.tree.Check(e, path, v)), say(m.twin.check(path, v))
		}
		czxid := n.stat.Czxid - Zxid(m.pick(8)/7)
		unused := int64(m.pick(3))
		return say(m.tree.Reap(e, path, czxid, unused)), say(m.twin.reap(path, czxid, unused))
	}
	return fmt.Sprint("dropped ", m.tree.DropEphemerals(e, e.Session)), fmt.Sprint("dropped ", m.twin.drop(e.Session))
}

func (m *model) create(e *Edit, path string) (got, want string) {
	op := twinCreate{
		path: path + one(m, "", "", "", "/"), data: m.data(), perms: m.perms(),
		flags: int32(m.pick(9) - 1), ttl: one[int64](m, 1, 2, 0, -1, 0xFFFFFFFFFF+1),
		class: one(m, ClassPlain, ClassPlain, ClassContainer, ClassTTL), owner: e.Session,
	}
	n, err := m.tree.Create(e, Create{
		Path: op.path, Data: op.data, ACL: listFor(op.perms), Flags: op.flags, TTL: op.ttl, Class: op.class,
	})
	made, twinErr := m.twin.create(op)
	got = fmt.Sprint(op.path, " ", err)
	if err == nil {
		got = n.Path() + " <nil>"
	}
	if twinErr != nil {
		made = op.path
	}
	return got, fmt.Sprint(made, " ", twinErr)
}

func (m *model) reflect(path string) {
	if n := m.tree.Get(path); n != nil {
		m.mirror[path] = string(AppendNode(nil, n))
	} else {
		delete(m.mirror, path)
	}
}

func (m *model) pin() {
	if m.pick(4) == 0 {
		c := m.tree.Clone()
		m.pinned = append(m.pinned, pin{c, dump(c), c.Digest()})
	}
	switch m.pick(8) {
	case 0: // a multi that holds: go on with the fork
		m.tree, m.twin = m.tree.Clone(), m.twin.clone()
	case 1, 2: // one that fails: edit a fork, then drop it
		trunk, twin, mirror := m.tree, m.twin, maps.Clone(m.mirror)
		m.tree, m.twin = trunk.Clone(), twin.clone()
		for range 8 {
			m.step()
		}
		m.compare()
		m.tree, m.twin, m.mirror = trunk, twin, mirror
		m.compare()
	}
}

func showNode(n *Node) string {
	return fmt.Sprintln(n.Path(), n.Kind(), n.TTL(), n.Data() == nil, string(n.Data()), n.ACL().Entries()[0].Perms, n.Stat())
}

func dump(t *Tree) string {
	var b strings.Builder
	for n := range t.Walk {
		b.WriteString(showNode(n))
	}
	t.Owners(func(owner int64, path string) bool { fmt.Fprintln(&b, owner, path); return true })
	t.Reapable(func(n *Node) bool { fmt.Fprintln(&b, n.Path()); return true })
	t.quotas.from("", func(path string) bool { fmt.Fprintln(&b, path); return true })
	return b.String()
}

// compare looks at everything there is to read.
func (m *model) compare() {
	t, w := m.tree, m.twin
	if t.Len() != len(w.nodes) || len(m.mirror) != len(w.nodes) {
		m.t.Fatalf("%d nodes, twin %d, mirror %d", t.Len(), len(w.nodes), len(m.mirror))
	}
	size, ephemerals, reapable := 0, 0, []string{}
	for path, n := range w.nodes {
		got := t.Get(path)
		if got == nil || showNode(got) != w.show(path) {
			m.t.Fatalf("tree: %s twin: %s", showNode(got), w.show(path))
		}
		if m.mirror[path] != string(AppendNode(nil, got)) {
			m.t.Fatalf("%s changed, and no change told", path)
		}
		for unused := range int64(3) {
			if got.Reapable(w.now, unused) != w.due(path, unused) {
				m.t.Fatalf("%s: reapable %v", path, got.Reapable(w.now, unused))
			}
		}
		m.compareBelow(path)
		size += len(path) + len(n.data)
		if n.kind == Ephemeral {
			ephemerals++
		}
		if n.kind == Container || n.kind == TTL {
			reapable = append(reapable, path)
		}
	}
	if t.Bytes() != int64(size) || t.EphemeralCount() != ephemerals {
		m.t.Fatalf("%d bytes, %d ephemerals; twin %d, %d", t.Bytes(), t.EphemeralCount(), size, ephemerals)
	}
	slices.Sort(reapable)
	for n := range t.Reapable {
		if len(reapable) == 0 || n.Path() != reapable[0] {
			m.t.Fatalf("%s is listed as reapable", n.Path())
		}
		reapable = reapable[1:]
	}
	for owner := int64(-2); owner < 3; owner++ {
		var paths []string
		t.Ephemerals(owner, func(path string) bool { paths = append(paths, path); return true })
		if !slices.Equal(paths, w.owned(owner)) {
			m.t.Fatalf("ephemerals of %d: %q, twin %q", owner, paths, w.owned(owner))
		}
	}
	m.reload()
}

func (m *model) compareBelow(path string) {
	var paths []string
	m.tree.Children(path, func(n *Node) bool { paths = append(paths, n.Path()); return true })
	if !slices.Equal(paths, m.twin.children(path)) {
		m.t.Fatalf("children of %s: %q, twin %q", path, paths, m.twin.children(path))
	}
	if got, want := m.tree.CountBelow(path), len(m.twin.below(path)); got != want {
		m.t.Fatalf("%d below %s, twin %d", got, path, want)
	}
}

// reload stores the tree, reads it back and asserts that nothing is lost.
func (m *model) reload() {
	t := New()
	for n := range m.tree.Walk {
		stored := AppendNode(nil, n)
		back, err := DecodeNode(stored)
		if err != nil || !bytes.Equal(AppendNode(nil, back), stored) {
			m.t.Fatalf("decode %s: %v", n.Path(), err)
		}
		if err := t.Restore(back); err != nil {
			m.t.Fatal(err)
		}
	}
	if t.Digest() != m.tree.Digest() || t.Bytes() != m.tree.Bytes() || dump(t) != dump(m.tree) ||
		t.EphemeralCount() != m.tree.EphemeralCount() || t.quotas.len() != m.tree.quotas.len() ||
		t.reapable.len() != m.tree.reapable.len() {
		m.t.Fatal("a tree differs once it is stored and read back")
	}
	checkIndex(m.t, &t.nodes)
	checkIndex(m.t, &m.tree.nodes)
}
