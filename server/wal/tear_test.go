package wal

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/grovekeeper/grove/internal/disk"
)

// tearing returns a log about to write a last batch that will be torn: into a segment of
// zeros, or into a recycled one full of old records.
func tearing(t *testing.T, recycled bool) *twin {
	w := newTwin(t, tiny())
	grow := func(n int) {
		for range n {
			w.must(w.append(Batch{Entries: entriesFrom(w.now().last()+1, 1, 3)}))
			for w.log.Tend() {
			}
		}
	}
	grow(3)
	if recycled {
		grow(40)
		w.released = w.now().last()
		w.must(w.log.Release(w.released))
		grow(20)
		data, err := w.fs.Bytes(w.log.tail.path)
		if err != nil {
			t.Fatal(err)
		}
		if stale := data[w.log.place.off+1000:]; bytes.Equal(stale, make([]byte, len(stale))) {
			t.Fatal("the segment was not recycled")
		}
	}
	return w
}

// lastBatches are batches to be torn: short, long, empty data, data that looks like nothing.
func lastBatches(w *twin) map[string]Batch {
	next := w.now().last() + 1
	sparse := append(make([]byte, 700), 1)
	bitmap := make([]byte, 2000)
	bitmap[1000] = 1
	return map[string]Batch{
		"short":  {Entries: entriesFrom(next, 1, 1)},
		"long":   {Entries: entriesFrom(next, 2, 12), Hard: HardState{2, 1, next - 1}},
		"vote":   {Hard: HardState{9, 3, 0}},
		"bitmap": {Entries: []Entry{{next, 1, 0, bitmap}}},
		"zeros":  {Entries: []Entry{{next, 1, 0, make([]byte, 900)}, {next + 1, 1, 0, nil}}},
		"sparse": {Entries: []Entry{{next, 1, 0, sparse}, {next + 1, 1, 0, []byte{1}}}},
	}
}

// tear writes b after a commit index that was not flushed, cuts the power before b is flushed, lets
// fate decide what of it is on disk, and opens the log again.
func tear(t *testing.T, w *twin, b Batch, fate func(u disk.Unit, start int64) int) (kept bool) {
	t.Helper()
	x := *w
	x.fs = w.fs.Clone()
	x.log = nil
	x.reopen()
	x.fs.Hook(func(op disk.Op) error {
		if op.Kind == disk.OpSync {
			return disk.ErrPower
		}
		return nil
	})
	start := x.log.place.off
	if err := x.append(b); err == nil {
		t.Fatal("the flush should have failed")
	}
	x.fs.CutPower(func(u disk.Unit) int { return fate(u, start) })
	x.reopen()
	for _, op := range []byte{0, 5, 0, 3} { // and it goes on
		if _, err := x.step([]byte{op, 7}); err != nil {
			t.Fatal(err)
		}
	}
	x.must(x.close())
	kept = len(x.states) > 0 && x.now().hard == b.Hard
	x.reopen()
	return kept
}

// TestTornAtEveryByte loses the end of the last batch from every byte on. That is never damage,
// and never a part of a batch.
func TestTornAtEveryByte(t *testing.T) {
	for _, recycled := range []bool{false, true} {
		w := tearing(t, recycled)
		w.must(w.close())
		for name, b := range lastBatches(w) {
			t.Run(fmt.Sprintf("recycled=%v/%s", recycled, name), func(t *testing.T) {
				w.t = t
				size := batchBytes(b.Entries)
				for cut := int64(0); cut <= size; cut += stride {
					tear(t, w, b, func(u disk.Unit, start int64) int {
						return int(max(0, min(start+cut-u.Off, int64(u.Len))))
					})
				}
			})
		}
	}
}

// TestTornInEverySubset keeps every subset of the last batch's sectors.
func TestTornInEverySubset(t *testing.T) {
	for _, recycled := range []bool{false, true} {
		w := tearing(t, recycled)
		w.must(w.close())
		for name, b := range lastBatches(w) {
			t.Run(fmt.Sprintf("recycled=%v/%s", recycled, name), func(t *testing.T) {
				w.t = t
				sectors := batchBytes(b.Entries)/disk.Sector + 2
				for set := range 1 << sectors {
					tear(t, w, b, func(u disk.Unit, start int64) int {
						return disk.Kept * (set >> (u.Off/disk.Sector - start/disk.Sector) & 1)
					})
				}
			})
		}
	}
}

// TestNothingBehindTheEnd tears a large batch so that hardly a record of it is whole, and the head
// of its end record is lost but not the rest. What is left of it must not lie under what is
// written next.
func TestNothingBehindTheEnd(t *testing.T) {
	w := newTwin(t, Options{Identity: identity, SegmentBytes: 1 << 20, Manual: true})
	var large []Entry
	for i := range uint64(3) {
		large = append(large, Entry{1 + i, 1, 0, bytes.Repeat([]byte{0xa5}, 100<<10)})
	}
	start := w.log.place.off
	final := start + batchBytes(large) - endSize
	pad := (2*disk.Sector - recordBytes - 8 - final%disk.Sector) % disk.Sector
	large[2].Data = append(large[2].Data, make([]byte, pad)...)
	final += pad
	w.fs.Hook(func(op disk.Op) error {
		if op.Kind == disk.OpSync {
			return disk.ErrPower
		}
		return nil
	})
	if err := w.append(Batch{Entries: large}); !errors.Is(err, ErrBroken) {
		t.Fatal(err)
	}
	w.fs.CutPower(func(u disk.Unit) int { // the first head, some data of each, the last head
		lost := u.Off == start || u.Off/disk.Sector == final/disk.Sector || u.Off%(50<<10) == 20<<10
		return disk.Kept * b2i(!lost)
	})
	torn, _ := w.fs.Bytes("log/0000000000000001.log")
	if torn[final+endSize-1] == 0 || torn[final] != 0 {
		t.Fatal("the end record should be half there")
	}
	w.reopen()
	data, _ := w.fs.Bytes("log/0000000000000001.log")
	if rest := bytes.TrimRight(data[start:], "\x00"); len(rest) > 0 {
		t.Errorf("bytes up to %d are left behind the end at %d", start+int64(len(rest)), start)
	}
}
