package znode

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func bare(path string) *Node {
	return newNode(facts{acl: openACL}, Persistent, 0, path, nil)
}

// checkIndex walks every page and asserts what index.go and fence.go promise of them.
func checkIndex(t testing.TB, x *index) {
	t.Helper()
	count, depth := 0, -1
	var walk func(b *branch, level int, low, high string)
	walk = func(b *branch, level int, low, high string) {
		if len(b.kids)+len(b.leaves) != b.width() || len(b.kids) != 0 && len(b.leaves) != 0 {
			t.Fatalf("branch with %d kids, %d leaves, %d separators", len(b.kids), len(b.leaves), len(b.fence.seps))
		}
		if b.width() > fanMax || b != x.top && b.width() < fanMin {
			t.Fatalf("branch of width %d at level %d", b.width(), level)
		}
		for _, kid := range b.kids[len(b.kids):cap(b.kids)] {
			if kid != nil {
				t.Fatal("a branch holds on to a branch that it no longer has")
			}
		}
		for _, l := range b.leaves[len(b.leaves):cap(b.leaves)] {
			if l != nil {
				t.Fatal("a branch holds on to a leaf that it no longer has")
			}
		}
		bounds := append(append([]string{low}, b.fence.seps...), high)
		if !slices.IsSorted(bounds[:len(bounds)-1]) || high != "" && bounds[len(bounds)-2] >= high {
			t.Fatalf("separators out of order: %q", bounds)
		}
		for i, kid := range b.kids {
			walk(kid, level+1, bounds[i], bounds[i+1])
		}
		for i, l := range b.leaves {
			if depth >= 0 && depth != level {
				t.Fatalf("leaves at levels %d and %d", depth, level)
			}
			depth = level
			count += int(l.count)
			checkLeaf(t, l, bounds[i], bounds[i+1])
			if l.count == 0 && (b != x.top || len(b.leaves) > 1) {
				t.Fatal("empty leaf")
			}
		}
	}
	walk(x.top, 0, "", "")
	if count != x.count {
		t.Fatalf("index counts %d nodes, has %d", x.count, count)
	}
}

func checkLeaf(t testing.TB, l *leaf, low, high string) {
	t.Helper()
	last := ""
	for i, n := range l.nodes {
		if i >= int(l.count) {
			if n != nil {
				t.Fatal("a leaf holds on to a node that it no longer has")
			}
			continue
		}
		flat := string(keyOf(n.Path(), nil).flat)
		if flat < low || high != "" && flat >= high || i > 0 && flat <= last {
			t.Fatalf("%q after %q in a leaf from %q to %q", flat, last, low, high)
		}
		if l.tags[i] != tagOf(n.Path()) {
			t.Fatalf("wrong tag for %q", n.Path())
		}
		last = flat
	}
}

func checkAgainst(t testing.TB, x *index, model map[string]*Node) {
	t.Helper()
	checkIndex(t, x)
	paths := make([]string, 0, len(model))
	for path, n := range model {
		paths = append(paths, path)
		if x.get(path) != n {
			t.Fatalf("get %q: another node", path)
		}
	}
	slices.SortFunc(paths, func(a, b string) int {
		return strings.Compare(string(keyOf(a, nil).flat), string(keyOf(b, nil).flat))
	})
	var walked []string
	x.walk(func(n *Node) bool { walked = append(walked, n.Path()); return true })
	if !slices.Equal(walked, paths) {
		t.Fatalf("walk yields %d paths, the model has %d, or another order", len(walked), len(paths))
	}
}

// An index behaves as a map, and clones of it do not notice each other's edits.
func TestIndexModel(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 7))
		type pair struct {
			x index
			m map[string]*Node
		}
		live := []*pair{{newIndex(), map[string]*Node{}}}
		name := func() string {
			p := ""
			for range 1 + r.IntN(3) {
				p += fmt.Sprintf("/%s%d", []string{"a", "node-", "zzzzzzzzzzzzz-", "-"}[r.IntN(4)], r.IntN(20))
			}
			return p
		}
		for step := range 20_000 {
			p := live[r.IntN(len(live))]
			path := name()
			grow := step/4000%2 == 0
			if r.IntN(10) < 3 == grow {
				if got := p.x.remove(path); got != p.m[path] {
					t.Fatalf("seed %d: remove %q", seed, path)
				}
				delete(p.m, path)
			} else {
				n := bare(path)
				if got := p.x.put(n); got != p.m[path] {
					t.Fatalf("seed %d: put %q", seed, path)
				}
				p.m[path] = n
			}
			if r.IntN(700) == 0 {
				m := map[string]*Node{}
				for k, v := range p.m {
					m[k] = v
				}
				c := &pair{p.x.clone(), m}
				if len(live) < 5 {
					live = append(live, c)
				} else {
					i := r.IntN(len(live))
					checkAgainst(t, &live[i].x, live[i].m)
					live[i] = c
				}
			}
		}
		for _, p := range live {
			checkAgainst(t, &p.x, p.m)
			for path := range p.m {
				p.x.remove(path)
			}
			checkAgainst(t, &p.x, map[string]*Node{})
		}
	}
}

// Runs of ascending names, in one directory or in many, fill their leaves.
func TestIndexRunsFillLeaves(t *testing.T) {
	for _, dirs := range []int{1, 50} {
		x := newIndex()
		x.put(bare("/zookeeper/config"))
		for i := range 100_000 {
			x.put(bare(fmt.Sprintf("/dir%02d/n%07d", i%dirs, i)))
		}
		checkIndex(t, &x)
		leaves := 0
		var count func(b *branch)
		count = func(b *branch) {
			leaves += len(b.leaves)
			for _, kid := range b.kids {
				count(kid)
			}
		}
		count(x.top)
		if fill := float64(x.count) / float64(leaves*leafMax); fill < 0.9 {
			t.Errorf("%d directories: leaves are filled to %.0f %%", dirs, 100*fill)
		}
	}
}

// An index of several levels shrinks to nothing again, from either end and from the middle.
func TestIndexShrinks(t *testing.T) {
	const n = 150_000 // three levels of branches
	full := newIndex()
	for i := range n {
		full.put(bare(fmt.Sprintf("/dir%d/n%07d", i%3, i)))
	}
	for name, at := range map[string]func(i int) int{
		"front":  func(i int) int { return i },
		"back":   func(i int) int { return n - 1 - i },
		"middle": func(i int) int { return (i + n/2) % n },
		"spread": func(i int) int { return i * 7919 % n },
	} {
		t.Run(name, func(t *testing.T) {
			x := full.clone()
			for i := range n {
				path := fmt.Sprintf("/dir%d/n%07d", at(i)%3, at(i))
				if x.remove(path) == nil || x.get(path) != nil {
					t.Fatalf("remove %s", path)
				}
				if i%20_000 == 0 || n-i < 100 {
					checkIndex(t, &x)
				}
			}
			if x.count != 0 || x.top.width() != 1 || x.top.kids != nil {
				t.Errorf("%d nodes, a top of width %d", x.count, x.top.width())
			}
		})
	}
	checkIndex(t, &full)
	if full.count != n {
		t.Error("clones changed what they were cloned from")
	}
}
