package wal

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grovekeeper/grove/internal/disk"
)

// TestReplacedSuffix lets a new term replace entries in every segment, down to where an earlier
// one began, and opens the log again.
func TestReplacedSuffix(t *testing.T) {
	for from := uint64(300); from > 1; from -= 13 {
		w := newTwin(t, tiny())
		for i := uint64(1); i < 300; i += 10 {
			w.must(w.append(Batch{Entries: entriesFrom(i, 1+i/100, 10)}))
		}
		w.must(w.append(Batch{Entries: entriesFrom(from, 7, 3), Hard: HardState{7, 2, 0}}))
		w.check()
		w.must(w.append(Batch{Entries: entriesFrom(from+1, 8, 30), Hard: HardState{8, 2, from}}))
		w.check()
		w.released = from
		w.must(w.log.Release(from))
		for w.log.Tend() {
		}
		w.check()
		w.must(w.close())
		w.reopen()
	}
}

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

// TestMisplaced moves whole records to other places: they are valid where they were written only.
func TestMisplaced(t *testing.T) {
	w := newTwin(t, small())
	w.must(w.append(Batch{Entries: entriesFrom(1, 1, 20)}))
	data, _ := w.fs.Bytes(w.log.tail.path)
	for i := range uint64(20) {
		g, s := w.log.index.find(i + 1)
		for _, at := range []uint32{s.off - 8, s.off + 8, uint32(w.log.place.off), 2048} {
			moved := append([]byte(nil), data...)
			copy(moved[at:], data[s.off:s.off+s.size])
			w.fs.Put(g.path, moved)
			scan := newScanner(g.file, &header{identity: identity, seq: 1, capacity: g.capacity})
			if _, _, ok, err := scan.record(int64(at)); ok || err != nil {
				t.Errorf("the record of %d is whole at %d: %v", s.off, at, err)
			}
		}
	}
}

// TestForked mixes the segments of two logs that were one until a moment ago.
func TestForked(t *testing.T) {
	w := newTwin(t, tiny())
	w.must(w.append(Batch{Entries: entriesFrom(1, 1, 5)}))
	w.must(w.close())
	fork := &twin{t: t, fs: w.fs.Clone(), opts: w.opts, states: w.states}
	for term, x := range []*twin{w, fork} {
		x.reopen()
		for i := uint64(6); i < 100; i += 2 {
			x.must(x.append(Batch{Entries: entriesFrom(i, uint64(term+2), 2)}))
		}
		x.must(x.close())
	}
	file := "log/0000000000000002.log"
	theirs, _ := fork.fs.Bytes(file)
	w.fs.Put(file, theirs)
	if _, err := Open(w.fs, "log", w.opts); !errors.As(err, new(*CorruptError)) {
		t.Errorf("a segment of another history: %v", err)
	}
}

// TestSpliced joins the beginning of one segment and the end of another that was the same until
// a moment ago. Every record is whole and in its place; but they do not follow each other.
func TestSpliced(t *testing.T) {
	w := newTwin(t, small())
	w.must(w.append(Batch{Entries: entriesFrom(1, 1, 5)}))
	w.must(w.close())
	fork := &twin{t: t, fs: w.fs.Clone(), opts: w.opts, states: w.states}
	var middle int64
	for term, x := range []*twin{w, fork} {
		x.reopen()
		for i := range uint64(8) {
			x.must(x.append(Batch{Entries: []Entry{{6 + i, uint64(term + 2), 0, make([]byte, 64)}}}))
			if i == 4 {
				middle = x.log.place.off
			}
		}
		x.must(x.close())
	}
	file := "log/0000000000000001.log"
	ours, _ := w.fs.Bytes(file)
	theirs, _ := fork.fs.Bytes(file)
	w.fs.Put(file, append(ours[:middle:middle], theirs[middle:]...))
	w.fs.Remove("log/" + watermarkName)
	c := (*CorruptError)(nil)
	if _, err := Open(w.fs, "log", w.opts); !errors.As(err, &c) || c.Offset != middle {
		t.Errorf("two histories in one segment: %v", err)
	}
}

// TestBegunButPrepared zeroes the only batch of the newest segment, and takes the watermark away.
// The segment prepared after it is proof that there was one.
func TestBegunButPrepared(t *testing.T) {
	w := newTwin(t, tiny())
	for w.log.tail.seq == 1 {
		w.must(w.append(Batch{Entries: entriesFrom(w.now().last()+1, 1, 15)}))
	}
	for w.log.Tend() {
	}
	data, _ := w.fs.Bytes(w.log.tail.path)
	clear(data[headerBytes:])
	w.fs.Put(w.log.tail.path, data)
	w.fs.Remove("log/" + watermarkName)
	c := (*CorruptError)(nil)
	if _, err := Open(w.fs, "log", w.opts); !errors.As(err, &c) || c.File != w.log.tail.path ||
		c.Offset != headerBytes {
		t.Fatal(err)
	}
}

// TestHeaderLost zeroes the first sector of a log's only segment, and takes the watermark away.
func TestHeaderLost(t *testing.T) {
	w := newTwin(t, small())
	for i := uint64(1); i < 10; i++ {
		w.must(w.append(Batch{Entries: entriesFrom(i, 1, 1)}))
	}
	data, _ := w.fs.Bytes(w.log.tail.path)
	clear(data[:disk.Sector])
	w.fs.Put(w.log.tail.path, data)
	w.fs.Remove("log/" + watermarkName)
	c := (*CorruptError)(nil)
	_, err := Open(w.fs, "log", w.opts)
	if !errors.As(err, &c) || c.File != w.log.tail.path || c.Offset != 0 {
		t.Fatal(err)
	}
}

// TestIdentity opens a log as somebody else.
func TestIdentity(t *testing.T) {
	w := newTwin(t, small())
	w.must(w.close())
	for _, id := range []Identity{{0xc106, 3, 7}, {0xc105, 4, 7}, {0xc105, 3, 8}} {
		o := small()
		o.Identity = id
		if _, err := Open(w.fs, "log", o); !errors.Is(err, ErrIdentity) {
			t.Errorf("%+v: %v", id, err)
		}
	}
}

// TestWitness opens logs with what a checkpoint knows.
func TestWitness(t *testing.T) {
	for _, c := range []struct {
		entries        int
		start, witness uint64
		refused        bool
	}{
		{10, 1, 10, false},
		{10, 11, 10, false},
		{10, 11, 11, true},
		{10, 50, 0, false}, // an image was installed: the caller resets
		{0, 1, 1, true},
	} {
		w := newTwin(t, small())
		if c.entries > 0 {
			w.must(w.append(Batch{Entries: entriesFrom(1, 1, c.entries)}))
		}
		w.must(w.close())
		o := small()
		o.Start, o.Witness = c.start, c.witness
		_, err := Open(w.fs, "log", o)
		if refused := errors.As(err, new(*CorruptError)); refused != c.refused || !refused && err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	o := small()
	o.Start, o.Witness = 101, 100
	if _, err := Open(disk.NewMemory(), "log", o); !errors.As(err, new(*CorruptError)) {
		t.Errorf("a missing log with a witness: %v", err)
	}
	o.Start, o.Witness = 2, 1 // a state that was just founded
	l := mustOpen(t, disk.NewMemory(), o)
	if l.First() != 2 || l.Last() != 1 {
		t.Errorf("a founded log holds %d to %d", l.First(), l.Last())
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

// TestKeeper watches the keeper: it prepares the next segment in small steps with pauses, and
// notes the watermark within a tenth of a second.
func TestKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := disk.NewMemory()
		o := Options{Identity: identity, FirstBytes: 1 << 20, SegmentBytes: 4 << 20}
		l := mustOpen(t, fs, o)
		var times []time.Time
		largest := 0
		fs.Hook(func(op disk.Op) error {
			if op.Kind == disk.OpWrite && op.Name == "log/"+prepareName {
				times, largest = append(times, time.Now()), max(largest, op.Len)
			}
			return nil
		})
		big := []Entry{{1, 1, 0, make([]byte, 300<<10)}}
		mustAppend(t, l, Batch{Entries: big})
		time.Sleep(time.Second)
		synctest.Wait()
		if !l.Stats().Spare || len(times) != 8 || largest > chunkBytes {
			t.Errorf("%+v after %d steps of up to %d bytes", l.Stats(), len(times), largest)
		}
		for i := 1; i < len(times); i++ {
			if pause := times[i].Sub(times[i-1]); pause < chunkPause {
				t.Errorf("a pause of %v", pause)
			}
		}
		p, _, ok, err := readWatermark(fs, "log/watermark", identity)
		if err != nil || !ok || p != l.durable {
			t.Errorf("watermark %+v, %v, %v; the log is at %+v", p, ok, err, l.durable)
		}
		mustClose(t, l)
	})
}

// TestFreshIsSmall says what a server that is tried and left alone has written.
func TestFreshIsSmall(t *testing.T) {
	fs := disk.NewMemory()
	written := 0
	fs.Hook(func(op disk.Op) error {
		if op.Kind == disk.OpWrite {
			written += op.Len
		}
		return nil
	})
	l := mustOpen(t, fs, Options{Identity: identity})
	mustAppend(t, l, Batch{Entries: entriesFrom(1, 1, 1)})
	mustClose(t, l)
	if written > firstBytes+4096 {
		t.Errorf("%d bytes written", written)
	}
}

// TestLargeBatch appends more than a segment holds.
func TestLargeBatch(t *testing.T) {
	w := newTwin(t, tiny())
	for i := range 5 {
		next := w.now().last() + 1
		large := []Entry{{next, 1, 0, make([]byte, 10_000*i)}, {next + 1, 1, 0, []byte(fmt.Sprint(i))}}
		w.must(w.append(Batch{Entries: large}))
		w.must(w.append(Batch{Entries: entriesFrom(next+2, 1, 3)}))
		for w.log.Tend() {
		}
	}
	w.check()
	w.must(w.close())
	w.reopen()
}
