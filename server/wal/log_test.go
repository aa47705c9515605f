package wal

import (
	"errors"
	"fmt"
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

// TestReleaseDuringRoll releases everything while the first batch of a new segment is on its way
// to the disk: until it is there, the old segment is where the log ends.
func TestReleaseDuringRoll(t *testing.T) {
	w := newTwin(t, tiny())
	for w.log.place.off < w.log.tail.capacity-1000 {
		w.must(w.append(Batch{Entries: entriesFrom(w.now().last()+1, 1, 5)}))
	}
	w.released = w.now().last() + 1
	w.fs.Hook(func(op disk.Op) error {
		if op.Kind == disk.OpSync && w.log.tail.seq == 2 && w.log.place.off > headerBytes {
			w.must(w.log.Release(w.released))
			return disk.ErrPower
		}
		return nil
	})
	if err := w.append(Batch{Entries: entriesFrom(w.released, 1, 20)}); !errors.Is(err, ErrBroken) {
		t.Fatal(err)
	}
	w.fs.Hook(nil)
	for w.log.Tend() {
	}
	w.fs.CutPower(func(u disk.Unit) int { return disk.Kept * b2i(u.Entry) })
	w.reopen()
	w.check()
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
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

// TestNotedAtOnce finds a new segment in the watermark before the keeper does anything.
func TestNotedAtOnce(t *testing.T) {
	w := newTwin(t, tiny())
	noted := func(after string) {
		t.Helper()
		p, _, ok, err := readWatermark(w.fs, "log/watermark", identity)
		if err != nil || !ok || p.seq != w.log.tail.seq {
			t.Errorf("after %s: %+v, %v, %v; the log is in segment %d", after, p, ok, err, w.log.tail.seq)
		}
	}
	for w.log.tail.seq == 1 {
		w.must(w.append(Batch{Entries: entriesFrom(w.now().last()+1, 1, 5)}))
	}
	noted("a roll")
	w.must(w.reset(1000, 1))
	noted("a reset")
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
