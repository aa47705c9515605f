package session

import (
	"math/rand/v2"
	"runtime"
	"testing"
)

const crowd = 1_000_000

func crowded(b *testing.B) *Table {
	table := NewTable()
	for id := range ID(crowd) {
		if err := table.Open(Session{ID: id + 1, TimeoutMs: 30_000, Epoch: 1}); err != nil {
			b.Fatal(err)
		}
	}
	return table
}

// BenchmarkCurrent is what every command asks.
func BenchmarkCurrent(b *testing.B) {
	for _, n := range []int{100, 10_000, crowd} {
		b.Run("of "+map[int]string{100: "100", 10_000: "10k", crowd: "1M"}[n], func(b *testing.B) {
			table := NewTable()
			for id := range ID(n) {
				if err := table.Open(Session{ID: id + 1, TimeoutMs: 30_000, Epoch: 1}); err != nil {
					b.Fatal(err)
				}
			}
			rng := rand.New(rand.NewPCG(1, 1))
			ids := make([]ID, 4096)
			for i := range ids {
				ids[i] = ID(rng.IntN(n)) + 1
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := table.Current(ids[i&4095], 1); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

// BenchmarkClone pins a million sessions and changes one, as a batch with one attachment does.
func BenchmarkClone(b *testing.B) {
	table := crowded(b)
	b.Run("pin", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			runtime.KeepAlive(table.Clone())
		}
	})
	b.Run("pin and attach", func(b *testing.B) {
		b.ReportAllocs()
		rng := rand.New(rand.NewPCG(1, 1))
		for b.Loop() {
			runtime.KeepAlive(table.Clone())
			if _, err := table.Attach(ID(rng.IntN(crowd))+1, Password{}, 30_000); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkTouch is a ping of one session among a million, each three times in its timeout; the
// polls that this brings are in the figure.
func BenchmarkTouch(b *testing.B) {
	book := NewExpiry(2000)
	for id := range ID(crowd) {
		book.Touch(id, 30_000, int64(id)/100)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		now := 10_000 + int64(i)/100 // 100 a millisecond: a round of the million takes 10 s
		book.Touch(ID(i%crowd), 30_000, now)
		if i%200_000 == 0 {
			if due := book.Due(now); due != nil {
				b.Fatalf("%d due", len(due))
			}
		}
	}
}

// BenchmarkBytes reports the memory of a session in the table and in the book of deadlines.
func BenchmarkBytes(b *testing.B) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for range b.N {
		start := heap()
		table := crowded(b)
		middle := heap()
		book := NewExpiry(2000)
		book.GrantAll(table, 0)
		end := heap()
		b.ReportMetric(float64(middle-start)/crowd, "B/session")
		b.ReportMetric(float64(end-middle)/crowd, "B/deadline")
		b.ReportMetric(0, "ns/op")
		runtime.KeepAlive(table)
		runtime.KeepAlive(book)
	}
}
