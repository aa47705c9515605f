package znode

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// diffSlow is what Diff says, found by looking at every node of both trees.
func diffSlow(old, now *Tree) []string {
	var out []string
	old.Walk(func(n *Node) bool {
		if m := now.Get(n.Path()); m == nil {
			out = append(out, "- "+n.Path())
		} else if m != n {
			out = append(out, "* "+n.Path())
		}
		return true
	})
	now.Walk(func(n *Node) bool {
		if old.Get(n.Path()) == nil {
			out = append(out, "+ "+n.Path())
		}
		return true
	})
	slices.Sort(out)
	return out
}

func diffFast(t *testing.T, old, now *Tree) []string {
	t.Helper()
	var out []string
	var last *Node
	now.Diff(old, func(before, after *Node) bool {
		n, mark := after, "*"
		switch {
		case before == nil:
			mark = "+"
		case after == nil:
			n, mark = before, "-"
		}
		if last != nil && !sortsBefore(last, n) {
			t.Fatalf("%s after %s", n.Path(), last.Path())
		}
		last = n
		out = append(out, mark+" "+n.Path())
		return true
	})
	slices.Sort(out)
	return out
}

func TestDiffFindsWhatAWalkFinds(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		tree := New()
		old := tree.Clone()
		var zxid Zxid
		for range 12 {
			for range 1 + r.IntN(1500) {
				zxid++
				e := &Edit{Zxid: zxid, Time: int64(zxid)}
				path := fmt.Sprintf("/%c", 'a'+r.IntN(4))
				if r.IntN(3) > 0 {
					path += fmt.Sprintf("/%d", r.IntN(2000))
				}
				switch r.IntN(8) {
				case 0, 1:
					tree.Delete(e, path, AnyVersion)
				case 2:
					tree.Set(e, path, []byte("x"), AnyVersion)
				default:
					tree.Create(e, Create{Path: path, ACL: Open().Entries()})
				}
			}
			now := tree.Clone()
			if want, got := diffSlow(old, now), diffFast(t, old, now); !slices.Equal(want, got) {
				t.Fatalf("seed %d: Diff found %d changes, a walk %d", seed, len(got), len(want))
			}
			if r.IntN(2) == 0 {
				old = now
			}
		}
	}
}

func TestDiffStopsWhenToldTo(t *testing.T) {
	old := New()
	now := old.Clone()
	for i := range 10 {
		now.Create(&Edit{Zxid: Zxid(i + 1)}, Create{Path: fmt.Sprintf("/%d", i), ACL: Open().Entries()})
	}
	calls := 0
	now.Diff(old, func(_, _ *Node) bool { calls++; return calls < 3 })
	if calls != 3 {
		t.Fatalf("%d calls, want 3", calls)
	}
}

func BenchmarkDiff(b *testing.B) {
	const nodes = 1_000_000
	tree := New()
	for i := range nodes {
		tree.Create(&Edit{Zxid: Zxid(i + 1)}, Create{Path: fmt.Sprintf("/n%07d", i), ACL: Open().Entries()})
	}
	for _, changed := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprint(changed), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 1))
			old := tree.Clone()
			for i := range changed {
				tree.Set(&Edit{Zxid: Zxid(nodes + i)}, fmt.Sprintf("/n%07d", r.IntN(nodes)), nil, AnyVersion)
			}
			now := tree.Clone()
			b.ReportAllocs()
			for b.Loop() {
				now.Diff(old, func(_, _ *Node) bool { return true })
			}
		})
	}
}
