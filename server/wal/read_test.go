package wal

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/grovekeeper/grove/internal/disk"
)

// TestTermBelowFirst asks for the term of the entry before the first, which a follower's first
// missing entry is compared with.
func TestTermBelowFirst(t *testing.T) {
	w := newTwin(t, tiny())
	for i := uint64(1); i < 200; i += 10 {
		w.must(w.append(Batch{Entries: entriesFrom(i, 1+i/50, 10), Hard: HardState{9, 1, i}}))
	}
	w.released = 150
	w.must(w.log.Release(150))
	first := w.log.First()
	if first <= 100 || first > 150 {
		t.Fatalf("first is %d", first)
	}
	for range 2 {
		if term, err := w.log.Term(first - 1); err != nil || term != entryTerm(first-1) {
			t.Errorf("term before %d: %d, %v", first, term, err)
		}
		if _, err := w.log.Term(first - 2); !errors.Is(err, ErrCompacted) {
			t.Errorf("term long before: %v", err)
		}
		if _, err := w.log.Term(w.log.Last() + 1); !errors.Is(err, ErrUnavailable) {
			t.Errorf("term after the end: %v", err)
		}
		for w.log.Tend() {
		}
		w.must(w.close())
		w.reopen()
	}
	w.must(w.reset(1000, 42))
	if term, err := w.log.Term(1000); err != nil || term != 42 {
		t.Errorf("term of the image: %d, %v", term, err)
	}
}

// entryTerm is the term that the batch with the entry was given.
func entryTerm(index uint64) uint64 { return 1 + ((index-1)/10*10+1)/50 }

// TestEntries reads by range and size.
func TestEntries(t *testing.T) {
	w := newTwin(t, tiny())
	for i := uint64(1); i <= 100; i += 10 {
		w.must(w.append(Batch{Entries: entriesFrom(i, 1, 10), Hard: HardState{1, 1, i}}))
	}
	for _, c := range []struct {
		lo, hi, bytes uint64
		n             int
		err           error
	}{
		{1, 101, 1 << 40, 100, nil},
		{1, 1, 1 << 40, 0, nil},
		{101, 101, 1 << 40, 0, nil},
		{40, 60, 0, 1, nil},
		{40, 60, 60, 2, nil},
		{0, 5, 1 << 40, 0, ErrCompacted},
		{90, 102, 1 << 40, 0, ErrUnavailable},
		{9, 8, 1 << 40, 0, ErrOrder},
	} {
		got, err := w.log.Entries(c.lo, c.hi, c.bytes)
		if len(got) != c.n || !errors.Is(err, c.err) {
			t.Errorf("[%d,%d) in %d bytes: %d entries, %v", c.lo, c.hi, c.bytes, len(got), err)
		}
		for i, e := range got {
			if e.Index != c.lo+uint64(i) || string(e.Data) != string(dataOf(e.Index, e.Term)) {
				t.Errorf("[%d,%d): entry %d is %d, %q", c.lo, c.hi, i, e.Index, e.Data)
			}
		}
	}
}

// TestEntriesDamagedSince flips a bit of an entry after the log was opened.
func TestEntriesDamagedSince(t *testing.T) {
	w := newTwin(t, small())
	w.must(w.append(Batch{Entries: entriesFrom(1, 1, 10)}))
	_, s := w.log.index.find(5)
	data, _ := w.fs.Bytes(w.log.tail.path)
	data[s.off+recordBytes] ^= 4
	w.fs.Put(w.log.tail.path, data)
	if _, err := w.log.Entries(1, 5, 1<<40); err != nil {
		t.Errorf("entries before the damaged one: %v", err)
	}
	c := (*CorruptError)(nil)
	if _, err := w.log.Entries(3, 8, 1<<40); !errors.As(err, &c) || c.Offset != int64(s.off) {
		t.Errorf("a damaged entry: %v", err)
	}
	w.must(w.log.Append(Batch{Entries: entriesFrom(11, 1, 1)}))
}

// TestReadersKeepSegments releases a segment that is being read: it is not recycled before the
// reader is done, and nor are those after it.
func TestReadersKeepSegments(t *testing.T) {
	w := newTwin(t, tiny())
	for i := uint64(1); i <= 200; i += 10 {
		w.must(w.append(Batch{Entries: entriesFrom(i, 1, 10), Hard: HardState{1, 1, i}}))
	}
	sources, err := w.log.locate(1, 11, 1<<40)
	w.must(err)
	before := len(files(t, w.fs))
	w.must(w.log.Release(150))
	for w.log.Tend() {
	}
	if got, err := fetch(nil, sources, 1); err != nil || len(got) != 10 {
		t.Fatalf("a reader of a released segment got %d entries: %v", len(got), err)
	}
	if n := len(files(t, w.fs)); n < before {
		t.Fatalf("%d files became %d: %v", before, n, files(t, w.fs))
	}
	w.log.letGo(sources)
	for w.log.Tend() {
	}
	if n := len(w.log.retired); n > 0 {
		t.Fatalf("%d segments are not put away", n)
	}
}

// TestConcurrent reads while the log is written, released and tended by its keeper.
func TestConcurrent(t *testing.T) {
	fs := disk.NewMemory()
	o := tiny()
	o.Manual = false
	l := mustOpen(t, fs, o)
	var done atomic.Bool
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for !done.Load() {
				first, last := l.First(), l.Last()
				got, err := l.Entries(first, last+1, 2000)
				if err != nil && !errors.Is(err, ErrCompacted) {
					t.Errorf("entries: %v", err)
					return
				}
				for i, e := range got {
					if e.Index != first+uint64(i) || string(e.Data) != string(dataOf(e.Index, e.Term)) {
						t.Errorf("entry %d is %d: %q", first+uint64(i), e.Index, e.Data)
						return
					}
				}
				l.Term(last)
				l.Hard()
				l.Stats()
			}
		})
	}
	for i := uint64(1); i < 6000; i += 3 {
		mustAppend(t, l, Batch{Entries: entriesFrom(i, 1+i/500, 3), Hard: HardState{1 + i/500, 1, i}})
		if i%30 == 1 && i > 100 {
			if err := l.Release(i - 100); err != nil {
				t.Fatal(err)
			}
		}
	}
	done.Store(true)
	readers.Wait()
	mustClose(t, l)
}
