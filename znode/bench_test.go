package znode

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
)

// The benchmarks share a tree of a million nodes of 100 bytes. Edits go to clones of it.
var million = sync.OnceValues(func() (*Tree, float64) {
	before := live()
	tree := grown(nil, 1_000_000)
	return tree, float64(live()-before) / float64(tree.Len())
})

func live() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// order returns paths of the tree in an order that caches cannot guess.
func order() []string {
	r := rand.New(rand.NewPCG(1, 2))
	paths := make([]string, 1<<18)
	for i := range paths {
		paths[i] = benchPath(r.IntN(1_000_000))
	}
	return paths
}

// BenchmarkMemory reports what a node of 100 bytes costs in a tree of a million, everything
// included but the garbage.
func BenchmarkMemory(b *testing.B) {
	_, bytes := million()
	for b.Loop() {
	}
	b.ReportMetric(bytes, "B/node")
}

func BenchmarkGet(b *testing.B) {
	tree, _ := million()
	paths, i := order(), 0
	b.ReportAllocs()
	for b.Loop() {
		if tree.Get(paths[i%len(paths)]) == nil {
			b.Fatal(paths[i])
		}
		i++
	}
}

// BenchmarkGetHot asks for one of a thousand nodes.
func BenchmarkGetHot(b *testing.B) {
	tree, _ := million()
	paths, i := order()[:1000], 0
	b.ReportAllocs()
	for b.Loop() {
		if tree.Get(paths[i%len(paths)]) == nil {
			b.Fatal(paths[i])
		}
		i++
	}
}

// BenchmarkSet sets nodes at random, publishing a view every so many writes.
func BenchmarkSet(b *testing.B) {
	for _, every := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("view-every-%d", every), func(b *testing.B) {
			full, _ := million()
			tree := full.Clone()
			paths, data, i := order(), make([]byte, 100), 0
			e := &Edit{Time: 1}
			var view *Tree
			b.ReportAllocs()
			for b.Loop() {
				if i%every == 0 {
					view = tree.Clone()
				}
				e.Zxid++
				e.Changes = e.Changes[:0]
				if _, err := tree.Set(e, paths[i%len(paths)], data, AnyVersion); err != nil {
					b.Fatal(err)
				}
				i++
			}
			runtime.KeepAlive(view)
		})
	}
}

// BenchmarkCreate makes nodes one after the other in one directory, and deletes them.
func BenchmarkCreateDelete(b *testing.B) {
	full, _ := million()
	tree := full.Clone()
	data, open := make([]byte, 100), Open().Entries()
	e := &Edit{Time: 1}
	b.ReportAllocs()
	for b.Loop() {
		e.Zxid++
		e.Changes = e.Changes[:0]
		n, err := tree.Create(e, Create{Path: "/bench/s-", Data: data, ACL: open, Flags: 2})
		if err != nil {
			b.Fatal(err)
		}
		if e.Zxid%4 == 0 {
			continue
		}
		if err := tree.Delete(e, n.Path(), 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCreate(b *testing.B) {
	tree := New()
	data, open := make([]byte, 100), Open().Entries()
	e := &Edit{Time: 1}
	var view *Tree
	b.ReportAllocs()
	for b.Loop() {
		if e.Zxid%100 == 0 {
			view = tree.Clone()
		}
		e.Zxid++
		e.Changes = e.Changes[:0]
		if _, err := tree.Create(e, Create{Path: "/s-", Data: data, ACL: open, Flags: 2}); err != nil {
			b.Fatal(err)
		}
	}
	runtime.KeepAlive(view)
}

func BenchmarkClone(b *testing.B) {
	tree, _ := million()
	b.ReportAllocs()
	for b.Loop() {
		tree.Clone()
	}
}

func BenchmarkChildren1000(b *testing.B) {
	tree := grown(b, 1000)
	b.ReportAllocs()
	for b.Loop() {
		names := 0
		tree.Children("/bench", func(n *Node) bool { names += len(n.Name()); return true })
	}
}

// BenchmarkRestore decodes and restores a million nodes in order.
func BenchmarkRestore(b *testing.B) {
	full, _ := million()
	var stored [][]byte
	for n := range full.Walk {
		stored = append(stored, AppendNode(nil, n))
	}
	b.ReportAllocs()
	for b.Loop() {
		tree := New()
		for _, s := range stored {
			n, err := DecodeNode(s)
			if err != nil {
				b.Fatal(err)
			}
			if err := tree.Restore(n); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(stored)), "ns/node")
}

func BenchmarkAppendNode(b *testing.B) {
	n := grown(b, 1).Get(benchPath(0))
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendNode(buf[:0], n)
	}
	b.SetBytes(int64(len(buf)))
}
