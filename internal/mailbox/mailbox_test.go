package mailbox

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"weak"
)

// TestBound: what fits is kept, what does not is refused and changes nothing.
func TestBound(t *testing.T) {
	m := New[string]("inbox", 10)
	if m.Name() != "inbox" {
		t.Error(m.Name())
	}
	for _, c := range []struct {
		item   string
		weight int
		want   error
		held   int // weight afterwards
	}{
		{"a", 4, nil, 4},
		{"b", 7, ErrFull, 4},
		{"c", 6, nil, 10},
		{"d", 1, ErrFull, 10},
		{"e", 0, nil, 10},
		{"f", int(^uint(0) >> 1), ErrFull, 10},
	} {
		if err := m.Put(c.item, c.weight); !errors.Is(err, c.want) || m.Weight() != c.held {
			t.Errorf("%s: %v, weight %d; want %v, %d", c.item, err, m.Weight(), c.want, c.held)
		}
	}
	if got := m.Drain(nil); !slices.Equal(got, []string{"a", "c", "e"}) {
		t.Error(got)
	}
	if m.Len() != 0 || m.Weight() != 0 {
		t.Errorf("%d items of %d left", m.Len(), m.Weight())
	}
	if err := m.Put("g", 10); err != nil {
		t.Error(err)
	}
}

// TestHeavy: an item beyond the bound passes when it is alone, so that it can be delivered at all.
func TestHeavy(t *testing.T) {
	m := New[int]("inbox", 10)
	if err := m.Put(1, 100); err != nil || m.Weight() != 100 {
		t.Fatalf("%v, weight %d", err, m.Weight())
	}
	if err := m.Put(2, 1); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	if got := m.Drain(nil); !slices.Equal(got, []int{1}) {
		t.Error(got)
	}
}

func TestRefusalsNameTheMailbox(t *testing.T) {
	m := New[int]("session 7", 0)
	m.Put(1, 0)
	if err := m.Put(2, 1); err == nil || err.Error() != "session 7: mailbox is full" {
		t.Error(err)
	}
	m.Close()
	if err := m.Put(3, 0); err == nil || err.Error() != "session 7: mailbox is closed" {
		t.Error(err)
	}
}

func TestNegativeWeight(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a negative weight was accepted")
		}
	}()
	New[int]("inbox", 1).Put(1, -1)
}

// TestClose: what was put before can be drained, nothing can be put after, and the consumer's loop
// ends.
func TestClose(t *testing.T) {
	m := New[int]("inbox", 10)
	m.Put(1, 1)
	if m.Closed() {
		t.Error("closed before Close")
	}
	m.Close()
	m.Close()
	if err := m.Put(2, 1); !errors.Is(err, ErrClosed) || !m.Closed() {
		t.Error(err)
	}
	var got, batch []int
	for range m.Ready() {
		batch = m.Drain(batch)
		got = append(got, batch...)
	}
	got = append(got, m.Drain(batch)...)
	if !slices.Equal(got, []int{1}) {
		t.Error(got)
	}
}

// ready reports whether the consumer would be woken now, and takes the token.
func ready[T any](m *Mailbox[T]) bool {
	select {
	case _, ok := <-m.Ready():
		return ok
	default:
		return false
	}
}

// TestReady: one token a batch, and never silence while there is something to drain.
func TestReady(t *testing.T) {
	m := New[int]("inbox", 10)
	if ready(m) {
		t.Error("ready when new")
	}
	m.Put(1, 1)
	m.Put(2, 1)
	if !ready(m) || ready(m) {
		t.Error("two items did not leave one token")
	}
	m.Drain(nil)
	m.Put(3, 1)
	if !ready(m) {
		t.Error("the next batch left no token")
	}
	m.Drain(nil)
	m.Put(4, 1)
	m.Drain(nil) // without waiting: the token stays
	m.Put(5, 1)
	if !ready(m) || ready(m) {
		t.Error("a batch drained unasked left no token, or two")
	}
	if err := m.Put(6, 100); !errors.Is(err, ErrFull) || ready(m) {
		t.Error("a refused item woke the consumer")
	}
}

// TestDrainReuses: two buffers alternate, so a steady flow allocates nothing.
func TestDrainReuses(t *testing.T) {
	m := New[int]("inbox", 1000)
	batch := make([]int, 0, 8)
	m.Drain(batch)
	round := func() {
		for i := range 8 {
			m.Put(i, 1)
		}
		if batch = m.Drain(batch); len(batch) != 8 || batch[7] != 7 {
			t.Fatal(batch)
		}
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

// TestDrainEmpty: with nothing to take, the caller's buffer comes back for the next time.
func TestDrainEmpty(t *testing.T) {
	m := New[int]("inbox", 10)
	buffer := []int{1, 2, 3}
	if got := m.Drain(buffer); len(got) != 0 || cap(got) != cap(buffer) {
		t.Error(len(got), cap(got))
	}
	if got := m.Drain(nil); len(got) != 0 {
		t.Error(got)
	}
}

// TestDrainLetsGo: what a drained batch referred to is not kept by its buffer.
func TestDrainLetsGo(t *testing.T) {
	m := New[*[64]byte]("inbox", 10)
	gone := func() weak.Pointer[[64]byte] {
		item := new([64]byte)
		m.Put(item, 1)
		return weak.Make(item)
	}()
	batch := m.Drain(nil)
	m.Drain(batch)
	runtime.GC()
	if gone.Value() != nil {
		t.Error("a drained item is still referred to")
	}
	runtime.KeepAlive(m)
	runtime.KeepAlive(batch)
}

// TestDrainShrinks: the buffer of a burst is not kept for the trickle after it.
func TestDrainShrinks(t *testing.T) {
	m := New[int]("inbox", 1<<20)
	for i := range 10_000 {
		m.Put(i, 1)
	}
	batch := m.Drain(nil)
	for range 2 {
		m.Put(1, 1)
		batch = m.Drain(batch)
	}
	if cap(batch) > keepCap {
		t.Errorf("a batch of 1 has a buffer of %d", cap(batch))
	}
}

// TestConsumer: with producers on many goroutines, every accepted item arrives once, in the order
// its producer put it, and the consumer sleeps when there is nothing.
func TestConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const producers, each = 8, 500
		type item struct{ producer, number int }
		m := New[item]("inbox", 64)
		var got []item
		done := make(chan struct{})
		go func() {
			defer close(done)
			var batch []item
			for range m.Ready() {
				batch = m.Drain(batch)
				got = append(got, batch...)
			}
			got = append(got, m.Drain(batch)...)
		}()
		synctest.Wait() // asleep

		refused := make([]int, producers)
		var group sync.WaitGroup
		for p := range producers {
			group.Go(func() {
				for n := range each {
					if err := m.Put(item{p, n}, 1); err != nil {
						refused[p]++
						runtime.Gosched()
					}
				}
			})
		}
		group.Wait()
		synctest.Wait() // asleep again: if a wake-up was lost, something is left
		if m.Len() != 0 {
			t.Errorf("%d items left with the consumer asleep", m.Len())
		}
		m.Close()
		<-done

		accepted, last := make([]int, producers), make([]int, producers)
		for _, it := range got {
			if accepted[it.producer]++; it.number < last[it.producer] {
				t.Errorf("producer %d: %d after %d", it.producer, it.number, last[it.producer])
			}
			last[it.producer] = it.number
		}
		for p := range producers {
			if accepted[p]+refused[p] != each {
				t.Errorf("producer %d: %d arrived, %d refused", p, accepted[p], refused[p])
			}
		}
	})
}

// FuzzMailbox runs a script against a plain slice.
func FuzzMailbox(f *testing.F) {
	f.Add([]byte{1, 2, 3, 0, 4, 0, 0, 255, 1, 0})
	f.Add([]byte{200, 9, 100, 0, 100, 100, 100, 0, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		const bound = 100
		m := New[int]("inbox", bound)
		var model, batch []int
		weight, closed := 0, false
		for i, b := range script {
			switch b {
			case 0:
				if batch = m.Drain(batch); !slices.Equal(batch, model) {
					t.Fatalf("step %d: drained %v, want %v", i, batch, model)
				}
				model, weight = nil, 0
			case 255:
				m.Close()
				closed = true
			default:
				var want error
				if closed {
					want = ErrClosed
				} else if len(model) > 0 && weight+int(b) > bound {
					want = ErrFull
				} else {
					model, weight = append(model, i), weight+int(b)
				}
				if err := m.Put(i, int(b)); !errors.Is(err, want) {
					t.Fatalf("step %d: %v, want %v", i, err, want)
				}
			}
			if m.Len() != len(model) || m.Weight() != weight || m.Closed() != closed {
				t.Fatalf("step %d: %d items of %d, closed %t", i, m.Len(), m.Weight(), m.Closed())
			}
			if len(model) > 0 && len(m.ready) == 0 && !closed {
				t.Fatalf("step %d: silent with %d items", i, len(model))
			}
		}
	})
}

func BenchmarkPutDrain(b *testing.B) {
	for _, size := range []int{1, 16} {
		b.Run(map[int]string{1: "one", 16: "sixteen"}[size], func(b *testing.B) {
			m := New[[4]int]("inbox", 1<<20)
			var batch [][4]int
			b.ReportAllocs()
			for b.Loop() {
				for range size {
					m.Put([4]int{}, 1)
				}
				<-m.Ready()
				batch = m.Drain(batch)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/item")
		})
	}
}
