package replica

import (
	"math/bits"

	pb "go.etcd.io/raft/v3/raftpb"
)

// entryOverhead is what an entry costs in memory beyond its payload, about: the struct, its
// numbers and the pointers to it.
const entryOverhead = 160

// tail is the newest part of the log in memory: the entries from first on, without a gap. Slices of
// it are handed to Raft, to messages and to the applier, so a slot that was once filled is never
// written again: cutting moves the ends, and appending after a cut gets new memory.
type tail struct {
	first   uint64 // index of entries[0]; meaningless if there is none
	entries []*pb.Entry
	bytes   int // of the entries, overhead included
}

func weigh(e *pb.Entry) int { return len(e.Data) + entryOverhead }

// append adds entries that follow one another. Whatever the tail held at or above the first of
// them is replaced; if they do not reach down to the tail's end, the tail is dropped.
func (t *tail) append(entries []*pb.Entry) {
	from := entries[0].GetIndex()
	if from < t.first || from > t.first+uint64(len(t.entries)) {
		t.cutTail(0)
	}
	if len(t.entries) == 0 {
		t.first = from
	}
	t.cutTail(int(from - t.first))
	for _, e := range entries {
		t.bytes += weigh(e)
	}
	t.entries = append(t.entries, entries...)
}

// cutTail keeps the first n entries.
func (t *tail) cutTail(n int) {
	if n == len(t.entries) {
		return
	}
	for _, e := range t.entries[n:] {
		t.bytes -= weigh(e)
	}
	t.entries = t.entries[:n:n] // capped: the slots behind may be in somebody's hands
	if n == 0 {
		t.entries = nil
	}
}

// cutHead drops entries up to and including index through, but stops early once no more than keep
// bytes are left.
func (t *tail) cutHead(through uint64, keep int) {
	n := 0
	for n < len(t.entries) && t.bytes > keep && t.first+uint64(n) <= through {
		t.bytes -= weigh(t.entries[n])
		n++
	}
	t.first += uint64(n)
	if t.entries = t.entries[n:]; len(t.entries) == 0 {
		t.entries = nil // lets the array go, and with it what its cut slots still point to
	}
}

// at returns the entry with that index, or nil if it is not in the tail.
func (t *tail) at(index uint64) *pb.Entry {
	if index < t.first || index >= t.first+uint64(len(t.entries)) {
		return nil
	}
	return t.entries[index-t.first]
}

// slice returns the entries in [lo, hi), all of which must be in the tail: as many as fit in size
// bytes of encoding, but at least one. Appending to the result does not touch the tail.
func (t *tail) slice(lo, hi, size uint64) []*pb.Entry {
	part := t.entries[lo-t.first : hi-t.first]
	n := limit(part, size)
	return part[:n:n]
}

// limit returns how many entries fit in size bytes of encoding, but at least one if there is one.
func limit(entries []*pb.Entry, size uint64) int {
	var sum uint64
	for i, e := range entries {
		if sum += encodedSize(e); sum > size && i > 0 {
			return i
		}
	}
	return len(entries)
}

// encodedSize is proto.Size without the reflection: Raft measures its limits in it.
func encodedSize(e *pb.Entry) uint64 {
	n := 0
	if e.Type != nil {
		n += 1 + varintSize(uint64(*e.Type))
	}
	if e.Term != nil {
		n += 1 + varintSize(*e.Term)
	}
	if e.Index != nil {
		n += 1 + varintSize(*e.Index)
	}
	if e.Data != nil {
		n += 1 + varintSize(uint64(len(e.Data))) + len(e.Data)
	}
	return uint64(n)
}

func varintSize(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }
