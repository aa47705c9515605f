package watch

import (
	"testing"

	"github.com/grovekeeper/grove/znode"
)

// TestNobody states what an empty table costs: nothing is allocated, nobody is told.
func TestNobody(t *testing.T) {
	table := New()
	table.Arm(1, "/a", All)
	table.Drop(1)
	c := change("create", "/a/b", 1)
	deliver := func([]ID, Event, znode.ACL) { t.Error("told") }
	if n := testing.AllocsPerRun(100, func() { table.Fire(c, deliver) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestFireAllocates states that telling those whose watches last allocates nothing.
func TestFireAllocates(t *testing.T) {
	table := New()
	for id := range ID(1000) {
		table.Arm(id, "/a", Persistent)
		table.Arm(id, "/", Recursive)
	}
	told := 0
	deliver := func(ids []ID, _ Event, _ znode.ACL) { told += len(ids) }
	c := change("create", "/a/b", 1)
	table.Fire(c, deliver)
	if n := testing.AllocsPerRun(10, func() { table.Fire(c, deliver) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if told != 12*2000 {
		t.Errorf("told %d, want %d", told, 12*2000)
	}
}

// TestHeldMax states that the layout's limit refuses a path more, but not a kind more.
func TestHeldMax(t *testing.T) {
	w := newWatcher(7, HeldMax-1, Recursive)
	if w.place() != HeldMax-1 || w.kind() != Recursive {
		t.Fatalf("the last place is %d, of kind %v", w.place(), w.kind())
	}
	table := New()
	table.Arm(1, "/a", Data)
	table.Arm(1, "/b", Data)
	full := make([]ref, HeldMax) // as if it held so many
	copy(full, table.conns.refs(1))
	table.conns.pages[0].conns[1].more = &full
	if table.Arm(1, "/c", Data) {
		t.Error("armed one path too many")
	}
	if !table.Arm(1, "/a", Child) || !table.Armed(1, "/a", Child) {
		t.Error("refused a kind on a path it holds")
	}
	if !table.Arm(2, "/c", Data) || table.Paths() != 3 {
		t.Error("another connection is refused")
	}
}

// TestNothing states that arming no kind arms nothing.
func TestNothing(t *testing.T) {
	table := New()
	table.Arm(1, "/a", 0)
	table.Arm(1, "/a", ^All)
	if !table.Empty() || table.Paths() != 0 {
		t.Error("armed")
	}
}

// TestStopListing states that listings end when they are told to.
func TestStopListing(t *testing.T) {
	table := New()
	for _, path := range []string{"/a", "/b", "/c"} {
		table.Arm(1, path, Data)
		table.Arm(2, path, Data)
	}
	n := 0
	table.ByPath(func(string, ID, Kind) bool { n++; return n < 3 })
	table.ByWatcher(func(ID, string, Kind) bool { n++; return n < 7 })
	table.Of(1, func(string, Kind) bool { n++; return n < 9 })
	if n != 9 {
		t.Errorf("yielded %d times, want 9", n)
	}
}
