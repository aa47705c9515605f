package znode

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"unsafe"
)

// grown returns a tree with n nodes of 100 bytes below /bench, made through Create.
func grown(t testing.TB, n int) *Tree {
	tree := New()
	e := &Edit{Zxid: 1, Time: 1_700_000_000_000}
	open, data := Open().Entries(), make([]byte, 100)
	if _, err := tree.Create(e, Create{Path: "/bench", ACL: open}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		e.Zxid++
		e.Changes = e.Changes[:0]
		if _, err := tree.Create(e, Create{Path: benchPath(i), Data: data, ACL: open}); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

func benchPath(i int) string { return fmt.Sprintf("/bench/n%09d", i) }

// The size of a node is what a million of them are a million times of.
func TestNodeSize(t *testing.T) {
	if headSize != 72 || headSize+roomMin != 80 {
		t.Errorf("the head of a node takes %d bytes", headSize)
	}
	if size := unsafe.Sizeof(within[[roomMax]byte]{}); size != 512 {
		t.Errorf("the largest node with its content takes %d bytes", size)
	}
	// Above 512 bytes the allocator adds a header of 8 to what holds pointers.
	if size := unsafe.Sizeof(leaf{}); size > 512 {
		t.Errorf("a leaf takes %d bytes, which the allocator rounds up", size)
	}
}

func TestReadsDoNotAllocate(t *testing.T) {
	tree := grown(t, 1000)
	ids := []Identity{{"ip", "127.0.0.1"}, {"digest", "u:h"}}
	guarded, err := FixUp([]ACE{
		{Perms: 31, Scheme: "ip", ID: "10.0.0.0/8"}, {Perms: 31, Scheme: "ip", ID: "::1"}, {Perms: 31, Scheme: "digest", ID: "u:h"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	path, absent := benchPath(500), "/bench/no"
	for name, read := range map[string]func() bool{
		"get":     func() bool { return tree.Get(path) != nil },
		"absent":  func() bool { return tree.Get(absent) == nil },
		"data":    func() bool { return len(tree.Get(path).Data()) == 100 },
		"stat":    func() bool { return tree.Get(path).Stat().DataLength == 100 },
		"open":    func() bool { return tree.Get(path).ACL().Allows(ids, PermRead) },
		"guarded": func() bool { return guarded.Allows(ids, PermRead) && !guarded.Allows(ids[:1], PermRead) },
		"children": func() bool {
			count := 0
			tree.Children("/bench", func(*Node) bool { count++; return true })
			return count == 1000
		},
		"check": func() bool { return tree.Check(&Edit{IDs: ids}, path, 0) == nil },
	} {
		if !read() {
			t.Errorf("%s: wrong answer", name)
		}
		if n := testing.AllocsPerRun(100, func() { read() }); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

// Readers of views may be many while the tree goes on. Run with -race this shows that an edit
// never writes what a view can reach.
func TestViewsAreReadWhileTheTreeIsEdited(t *testing.T) {
	tree := grown(t, 500)
	e := &Edit{Zxid: 1000, Session: 1}
	var readers sync.WaitGroup
	for round := range 50 {
		view, digest, size := tree.Clone(), tree.Digest(), tree.Len()
		readers.Go(func() {
			if view.Len() != size || view.Digest() != digest || view.Get(benchPath(round)) == nil {
				t.Error("a view changed")
			}
			count := 0
			for range view.Walk {
				count++
			}
			if count != size || view.CountBelow("/bench") != size-5 {
				t.Errorf("a view of %d nodes walks over %d", size, count)
			}
		})
		for i := range 20 {
			e.Zxid++
			if _, err := tree.Set(e, benchPath(100+i), []byte("new"), AnyVersion); err != nil {
				t.Fatal(err)
			}
			op := Create{Path: "/bench/n", Flags: int32(i % 5), ACL: Open().Entries()}
			if _, err := tree.Create(e, op); err != nil && err != ErrNodeExists {
				t.Fatal(err)
			}
		}
		if tree.DropEphemerals(e, 1) == 0 {
			t.Fatal("nothing dropped")
		}
	}
	readers.Wait()
}

func TestAccessors(t *testing.T) {
	tree := New()
	e := &Edit{Zxid: 9, Time: 100, Session: 77}
	open := Open().Entries()
	for _, path := range []string{"/e2", "/e1"} {
		if _, err := tree.Create(e, Create{Path: path, Flags: 1, ACL: open}); err != nil {
			t.Fatal(err)
		}
	}
	e.Session = -3
	if _, err := tree.Create(e, Create{Path: "/e3", Flags: 1, ACL: open}); err != nil {
		t.Fatal(err)
	}
	e.Zxid = 10
	n, err := tree.Set(e, "/e1", []byte("x"), 0)
	if err != nil {
		t.Fatal(err)
	}
	st := n.Stat()
	if n.Name() != "e1" || n.Parent() != "/" || n.EphemeralOwner() != 77 || n.Czxid() != 9 || n.Mzxid() != 10 ||
		n.Pzxid() != 9 || n.Version() != 1 || st.EphemeralOwner != 77 || st.Version != 1 || tree.Get("/").NumChildren() != 4 {
		t.Errorf("%s in %s, %+v", n.Name(), n.Parent(), st)
	}
	var owners []string
	tree.Owners(func(owner int64, path string) bool {
		owners = append(owners, fmt.Sprint(owner, path))
		return path != "/e1"
	})
	if want := []string{"-3/e3", "77/e1"}; !slices.Equal(owners, want) {
		t.Errorf("owners %q, want %q", owners, want)
	}
}

// Equal lists of neighbours are one list.
func TestListsAreShared(t *testing.T) {
	tree := New()
	mine := []ACE{{Perms: 31, Scheme: "digest", ID: "u:h"}}
	for i := range 10 {
		if _, err := tree.Create(&Edit{Zxid: 1}, Create{Path: fmt.Sprintf("/n%d", i), ACL: slices.Clone(mine)}); err != nil {
			t.Fatal(err)
		}
	}
	loaded := New()
	for n := range tree.Walk {
		back, err := DecodeNode(AppendNode(nil, n))
		if err != nil {
			t.Fatal(err)
		}
		if err := loaded.Restore(back); err != nil {
			t.Fatal(err)
		}
	}
	for _, tree := range []*Tree{tree, loaded} {
		if tree.Get("/n0").ACL() != tree.Get("/n9").ACL() || tree.Get("/").ACL() != Open() {
			t.Error("equal lists are kept apart")
		}
	}
}
