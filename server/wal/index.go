package wal

import (
	"sort"

	"github.com/grovekeeper/grove/internal/disk"
)

// segment is one file of the log, and where in it the live entries lie.
type segment struct {
	file     disk.File
	path     string
	seq      uint64
	mark     uint32
	capacity int64

	first   uint64 // index of slots[0]; without slots, where the segment's entries would lie
	slots   []slot // of the entries that were not overwritten since; guarded by Log.mu
	readers int    // while not zero, the file must not be recycled; guarded by Log.mu
	tried   bool   // to recycle it; guarded by keeper.work
}

// next is the index after the segment's last live entry.
func (g *segment) next() uint64 { return g.first + uint64(len(g.slots)) }

// run is a stretch of entries of one term: from its index up to the next run's.
type run struct {
	from, term uint64
}

// index knows where every entry lies and what its term is: 8 bytes an entry. The live entries of
// its segments, oldest first, are those from first up to next, without gaps.
type index struct {
	segments    []*segment // the last is the one being written
	first, next uint64
	base        uint64 // term of entry first-1; 0 if not known
	runs        []run  // ascending; the first covers entry first
}

// restart forgets every entry: the next will be at first, and the one before it was of term.
func (x *index) restart(first, term uint64) {
	for _, g := range x.segments {
		g.first, g.slots = first, g.slots[:0]
	}
	x.first, x.next, x.base, x.runs = first, first, term, x.runs[:0]
}

// add makes g the tail.
func (x *index) add(g *segment) {
	g.first, g.slots = x.next, g.slots[:0]
	x.segments = append(x.segments, g)
}

// tail is the segment being written.
func (x *index) tail() *segment { return x.segments[len(x.segments)-1] }

// put notes an entry of the tail segment; what was there at or above its index is gone.
func (x *index) put(at, term uint64, s slot) {
	if at < x.next {
		x.truncate(at)
	}
	g := x.tail()
	g.slots = append(g.slots, s)
	if n := len(x.runs); n == 0 || x.runs[n-1].term != term {
		x.runs = append(x.runs, run{at, term})
	}
	x.next = at + 1
}

// truncate forgets the entries at or above at. If that is all of them and more, as when the
// segments with the entries below at have been released, the log begins at at.
func (x *index) truncate(at uint64) {
	for i := len(x.segments) - 1; i >= 0; i-- {
		if g := x.segments[i]; g.next() > at {
			g.first = min(g.first, at)
			g.slots = g.slots[:at-g.first]
		}
	}
	for n := len(x.runs); n > 0 && x.runs[n-1].from >= at; n-- {
		x.runs = x.runs[:n-1]
	}
	if at < x.first {
		x.first, x.base = at, 0
	}
	x.next = at
}

// release removes from the front the segments before number seq without live entries at or above
// at, and returns them.
func (x *index) release(at, seq uint64) []*segment {
	n := 0
	for n < len(x.segments)-1 && x.segments[n].seq < seq && x.segments[n].next() <= at {
		n++
	}
	gone := x.segments[:n:n]
	x.segments = append([]*segment(nil), x.segments[n:]...)
	x.begin(x.oldest())
	return gone
}

// oldest is the lowest live index of the remaining segments.
func (x *index) oldest() uint64 {
	for _, g := range x.segments {
		if len(g.slots) > 0 {
			return g.first
		}
	}
	return x.next
}

// begin raises first.
func (x *index) begin(first uint64) {
	if first == x.first {
		return
	}
	x.base, _ = x.term(first - 1)
	x.first = first
	i := x.runAt(first)
	if first == x.next {
		i = len(x.runs)
	}
	x.runs = append(x.runs[:0], x.runs[i:]...)
}

// runAt returns the number of the run that covers an entry.
func (x *index) runAt(at uint64) int {
	return sort.Search(len(x.runs), func(i int) bool { return x.runs[i].from > at }) - 1
}

func (x *index) term(at uint64) (uint64, error) {
	switch {
	case at+1 == x.first && x.base != 0:
		return x.base, nil
	case at < x.first:
		return 0, ErrCompacted
	case at >= x.next:
		return 0, ErrUnavailable
	}
	return x.runs[x.runAt(at)].term, nil
}

// find returns the segment and the slot of an entry of the log.
func (x *index) find(at uint64) (*segment, slot) {
	i := sort.Search(len(x.segments), func(i int) bool { return x.segments[i].next() > at })
	g := x.segments[i]
	return g, g.slots[at-g.first]
}
