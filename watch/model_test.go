package watch

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/grovekeeper/grove/znode"
)

// model is the slow and obvious twin of Table, built the way ZooKeeper describes itself: two tables,
// each from a path to the modes in which each connection watches it.
type model struct {
	data, child map[string]map[ID]mode
}

// mode is a set of the modes of one connection in one of the tables.
type mode struct{ standard, persistent, recursive bool }

func newModel() *model {
	return &model{map[string]map[ID]mode{}, map[string]map[ID]mode{}}
}

// edit changes the modes of a connection in one table, and forgets it when none is left.
func edit(table map[string]map[ID]mode, path string, id ID, change func(*mode)) {
	if table[path] == nil {
		table[path] = map[ID]mode{}
	}
	m := table[path][id]
	change(&m)
	table[path][id] = m
	if m == (mode{}) {
		delete(table[path], id)
	}
	if len(table[path]) == 0 {
		delete(table, path)
	}
}

func (m *model) assign(id ID, path string, kind Kind, to bool) {
	if kind&Data != 0 {
		edit(m.data, path, id, func(m *mode) { m.standard = to })
	}
	if kind&Child != 0 {
		edit(m.child, path, id, func(m *mode) { m.standard = to })
	}
	if kind&Persistent != 0 {
		edit(m.data, path, id, func(m *mode) { m.persistent = to })
		edit(m.child, path, id, func(m *mode) { m.persistent = to })
	}
	if kind&Recursive != 0 {
		edit(m.data, path, id, func(m *mode) { m.recursive = to })
	}
}

func (m *model) kind(id ID, path string) (k Kind) {
	d, c := m.data[path][id], m.child[path][id]
	for _, has := range []struct {
		mode bool
		kind Kind
	}{{d.standard, Data}, {c.standard, Child}, {d.persistent, Persistent}, {d.recursive, Recursive}} {
		if has.mode {
			k |= has.kind
		}
	}
	return k
}

// trigger collects the connections with any mode on the path, spends the standard one, and, in the
// table that has them, adds those with a recursive watch above.
func trigger(table map[string]map[ID]mode, path string) map[ID]bool {
	told := map[ID]bool{}
	for id := range table[path] {
		told[id] = true
	}
	for id := range told {
		edit(table, path, id, func(m *mode) { m.standard = false })
	}
	for above := path; above != "/"; {
		above = above[:max(1, strings.LastIndex(above, "/"))]
		for id, m := range table[above] {
			if m.recursive {
				told[id] = true
			}
		}
	}
	return told
}

// fire returns the events of a change, one a line, as record writes them.
func (m *model) fire(c znode.Change) []string {
	var out []string
	tell := func(told map[ID]bool, e EventType, path string, acl znode.ACL) {
		for _, id := range slices.Sorted(keys(told)) {
			out = append(out, record(id, Event{e, path, c.Zxid}, acl))
		}
	}
	switch c.Kind {
	case znode.Created:
		tell(trigger(m.data, c.Path), Created, c.Path, c.ACL)
	case znode.DataSet:
		tell(trigger(m.data, c.Path), DataChanged, c.Path, c.ACL)
	case znode.Deleted:
		// Two triggers, one event each: the second leaves out whom the first told. Both at the same
		// place in the order, so the receivers may come as one list.
		told := trigger(m.data, c.Path)
		for id := range trigger(m.child, c.Path) {
			told[id] = true
		}
		tell(told, Deleted, c.Path, c.ACL)
	}
	if c.Kind == znode.Created || c.Kind == znode.Deleted {
		above := c.Path[:max(1, strings.LastIndex(c.Path, "/"))]
		tell(trigger(m.child, above), ChildrenChanged, above, c.ParentACL)
	}
	return out
}

func record(id ID, e Event, acl znode.ACL) string {
	return fmt.Sprintf("%d <- %v %s @%d by %s", id, e.Type, e.Path, e.Zxid, aclName(acl))
}

func keys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// armed returns what is armed, one watch a line, sorted.
func (m *model) armed() []string {
	var out []string
	for _, table := range []map[string]map[ID]mode{m.data, m.child} {
		for path, ids := range table {
			for id := range ids {
				out = append(out, fmt.Sprintf("%d %s %v", id, path, m.kind(id, path)))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// The world of the fuzz test: names that are prefixes of one another, depths on both sides of what
// tally tells apart, ids on several pages.
var (
	worldPaths = []string{
		"/", "/a", "/a/b", "/a/b/c", "/a/b/cc", "/a/bb", "/ab", "/ab/b", "/b", "/b/a", "/b/a/b",
		deep(depths - 2), deep(depths - 1), deep(depths), deep(depths + 1), deep(depths + 5),
	}
	worldIDs = []ID{0, 1, 2, 3, 63, 64, 65, 1<<32 - 1}
)

func deep(n int) string { return strings.Repeat("/d", n) }

// FuzzTable runs a script of three bytes a step against a table and its model.
func FuzzTable(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		script := make([]byte, 3000)
		for i := range script {
			script[i] = byte(rng.Uint32())
		}
		f.Add(script)
	}
	f.Add(bytes.Repeat([]byte{0, 1, 0xff, 4, 1, 2}, 40))
	f.Fuzz(func(t *testing.T, script []byte) {
		table, model := New(), newModel()
		for zxid := znode.Zxid(1); len(script) >= 3; zxid++ {
			step3(t, table, model, zxid, script[0], script[1], script[2])
			check(t, table)
			script = script[3:]
		}
		compare(t, table, model)
	})
}

// step3 does one step to both and compares what they say.
func step3(t *testing.T, table *Table, model *model, zxid znode.Zxid, verb, who, what byte) {
	id, kind := worldIDs[who%8], Kind(who>>4)
	path := worldPaths[what%16]
	switch verb % 8 {
	case 0, 1, 2, 3:
		if !table.Arm(id, path, kind) {
			t.Fatalf("arm %d %v %s: full", id, kind, path)
		}
		model.assign(id, path, kind, true)
	case 4:
		want := model.kind(id, path)&kind != 0
		if armed := table.Armed(id, path, kind); armed != want {
			t.Fatalf("armed %d %v %s: %v, want %v", id, kind, path, armed, want)
		}
		if got := table.Disarm(id, path, kind); got != want {
			t.Fatalf("disarm %d %v %s: %v, want %v", id, kind, path, got, want)
		}
		model.assign(id, path, kind, false)
	case 5:
		if what < 32 { // seldom, or the table never fills
			table.Drop(id)
			for _, path := range worldPaths {
				model.assign(id, path, All, false)
			}
		}
	default:
		verbs := []string{"create", "delete", "set", "touch"}
		if path == "/" {
			verbs = []string{"set", "touch"} // the root is always there
		}
		fireBoth(t, table, model, change(verbs[int(who>>2)%len(verbs)], path, zxid))
	}
}

// fireBoth compares the events of one change, and those that Matches predicts for the watches that
// are armed.
func fireBoth(t *testing.T, table *Table, model *model, c znode.Change) {
	var predicted, got []string
	table.ByWatcher(func(id ID, path string, kind Kind) bool {
		for _, e := range Matches(kind, path, c) {
			predicted = append(predicted, record(id, e, Governs(c, e.Type)))
		}
		return true
	})
	table.Fire(c, func(ids []ID, e Event, acl znode.ACL) {
		for _, id := range ids {
			got = append(got, record(id, e, acl))
		}
	})
	if want := model.fire(c); !slices.Equal(got, want) {
		t.Fatalf("%v %s @%d\n got %q\nwant %q", c.Kind, c.Path, c.Zxid, got, want)
	}
	slices.Sort(predicted)
	slices.Sort(got)
	if predicted = slices.Compact(predicted); !slices.Equal(got, predicted) {
		t.Fatalf("%v %s @%d\n fired   %q\nmatches %q", c.Kind, c.Path, c.Zxid, got, predicted)
	}
}

// compare compares all that is armed, by every listing.
func compare(t *testing.T, table *Table, model *model) {
	want := model.armed()
	var byPath, byWatcher []string
	table.ByPath(func(path string, id ID, kind Kind) bool {
		byPath = append(byPath, fmt.Sprintf("%d %s %v", id, path, kind))
		return true
	})
	held := 0
	for _, id := range table.IDs() {
		held += table.Held(id)
		table.Of(id, func(path string, kind Kind) bool {
			byWatcher = append(byWatcher, fmt.Sprintf("%d %s %v", id, path, kind))
			return true
		})
	}
	slices.Sort(byPath)
	slices.Sort(byWatcher)
	if !slices.Equal(byPath, want) || !slices.Equal(byWatcher, want) {
		t.Fatalf("armed\n by path    %q\n by watcher %q\nwant        %q", byPath, byWatcher, want)
	}
	paths := len(model.data)
	for path := range model.child {
		if model.data[path] == nil {
			paths++
		}
	}
	if table.Watches() != len(want) || held != len(want) || table.Paths() != paths || table.Empty() != (len(want) == 0) {
		t.Fatalf("%d watches, %d held, on %d paths, empty %v; want %d on %d", table.Watches(), held,
			table.Paths(), table.Empty(), len(want), paths)
	}
}
