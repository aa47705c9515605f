package watch

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/grovekeeper/grove/znode"
)

func nodePath(i int) string { return fmt.Sprintf("/app/services/node-%07d", i) }

// BenchmarkBytes reports the memory of a watch beyond the bytes of the path's text. The header of
// the string is in the figure, since the table has to hold it.
func BenchmarkBytes(b *testing.B) {
	for _, c := range []struct {
		name  string
		pairs int
		paths int // connection i watches path i modulo paths, or the next hundred
		held  int
	}{
		{"10k connections on one path", 10_000, 1, 1},
		{"1M paths, 100 a connection", 1_000_000, 1_000_000, 100},
		{"1M watches on 1k paths, 100 a connection", 1_000_000, 1000, 100},
		{"1M watches on 500k paths, 100 a connection", 1_000_000, 500_000, 100},
	} {
		b.Run(c.name, func(b *testing.B) {
			paths := make([]string, c.paths)
			for i := range paths {
				paths[i] = nodePath(i)
			}
			for range b.N {
				before := heap(b)
				table := New()
				for i := range c.pairs {
					table.Arm(ID(i/c.held), paths[i%c.paths], Data)
				}
				b.ReportMetric(float64(heap(b)-before)/float64(table.Watches()), "B/watch")
				runtime.KeepAlive(table)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.pairs), "ns/arm")
			b.ReportMetric(0, "ns/op")
			runtime.KeepAlive(paths)
		})
	}
}

// heap returns the bytes in use. The timer does not see it.
func heap(b *testing.B) uint64 {
	b.StopTimer()
	defer b.StartTimer()
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// bench fires a change of a node five deep, over and over.
func bench(b *testing.B, table *Table, verb string) {
	told := 0
	deliver := func(ids []ID, _ Event, _ znode.ACL) { told += len(ids) }
	c := change(verb, nodePath(77)+"/config/primary", 1)
	b.ReportAllocs()
	for b.Loop() {
		table.Fire(c, deliver)
	}
	b.ReportMetric(float64(told)/float64(b.N), "told/op")
}

func BenchmarkFireNobody(b *testing.B) { bench(b, New(), "create") }

// BenchmarkFireElsewhere is the usual case: many watch, but not this node.
func BenchmarkFireElsewhere(b *testing.B) {
	table := New()
	for i := range 100_000 {
		table.Arm(ID(i/100), nodePath(i), Data|Child)
	}
	b.Run("set", func(b *testing.B) { bench(b, table, "set") })
	b.Run("create", func(b *testing.B) { bench(b, table, "create") })
}

// BenchmarkFireRecursive has nothing but recursive watches: that hear it, that do not, and that
// could be above at every depth.
func BenchmarkFireRecursive(b *testing.B) {
	b.Run("told", func(b *testing.B) {
		table := New()
		table.Arm(1, "/app", Recursive)
		bench(b, table, "create")
	})
	b.Run("elsewhere", func(b *testing.B) {
		table := New()
		for i := range 1000 {
			table.Arm(ID(i), fmt.Sprintf("/other-%d", i), Recursive)
		}
		bench(b, table, "create")
	})
	b.Run("every depth", func(b *testing.B) {
		table := New()
		for i := range 6 {
			table.Arm(ID(i), "/x"+strings.Repeat("/x", i), Recursive)
		}
		bench(b, table, "create")
	})
}

// BenchmarkFire10k tells 10,000 connections: whose watches last, and whose are spent and armed
// again, which is in the figure.
func BenchmarkFire10k(b *testing.B) {
	const watchers = 10_000
	path := nodePath(1)
	for _, kind := range []Kind{Persistent, Data} {
		b.Run(kind.String(), func(b *testing.B) {
			table, told := New(), 0
			deliver := func(ids []ID, _ Event, _ znode.ACL) { told += len(ids) }
			b.ReportAllocs()
			for b.Loop() {
				for id := range ID(watchers) {
					if kind == Data || told == 0 {
						table.Arm(id, path, kind)
					}
				}
				table.Fire(change("set", path, 1), deliver)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(told), "ns/told")
		})
	}
}

// BenchmarkArmFire is the life of a one-shot watch among a million others: armed by a read, spent
// by a write.
func BenchmarkArmFire(b *testing.B) {
	table := New()
	for i := range 1_000_000 {
		table.Arm(ID(i/100), nodePath(i), Data)
	}
	paths := make([]string, 1024)
	for i := range paths {
		paths[i] = nodePath(1_000_000 + i)
	}
	deliver := func([]ID, Event, znode.ACL) {}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		path := paths[i%len(paths)]
		table.Arm(ID(i%10_000), path, Data)
		table.Fire(znode.Change{Kind: znode.DataSet, Path: path}, deliver)
	}
}

// BenchmarkDrop ends a connection with 100 watches on paths of its own, among a million others;
// arming them is in the figure.
func BenchmarkDrop(b *testing.B) {
	table := New()
	for i := range 1_000_000 {
		table.Arm(ID(i/100), nodePath(i), Data)
	}
	paths := make([]string, 100)
	for i := range paths {
		paths[i] = nodePath(1_000_000 + i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		for _, path := range paths {
			table.Arm(20_000, path, Data)
		}
		table.Drop(20_000)
	}
}
