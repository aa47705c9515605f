package wal

import (
	"fmt"
	"math"

	"github.com/grovekeeper/grove/internal/bug"
)

// bufferBytes is how much of the encoding buffer is kept between batches.
const bufferBytes = 4 << 20

// writer is where the log ends on disk.
type writer struct {
	tail   *segment
	place  place // where the next batch goes
	buf    []byte
	asked  uint64 // the segment during which the keeper was asked for the next
	broken error  // the first failure; the log takes nothing more
}

// Append makes b durable and visible. It returns ErrOrder, and has done nothing, if b does not
// fit; any other error breaks the log for good: nobody knows what is on disk.
func (l *Log) Append(b Batch) error {
	if err := l.usable(); err != nil {
		return err
	}
	hard, flush, err := l.fit(&b)
	if err != nil {
		return err
	}
	if !flush && len(b.Entries) == 0 && hard == l.hard {
		return nil
	}
	return l.commit(b.Entries, hard, flush, 0)
}

func (l *Log) usable() error {
	if l.broken != nil {
		return fmt.Errorf("%w: %w", ErrBroken, l.broken)
	}
	if l.closed {
		return ErrClosed
	}
	return nil
}

// fit checks b against the log, and says what the hard state becomes and whether it must be
// flushed.
func (l *Log) fit(b *Batch) (hard HardState, flush bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	hard = b.Hard
	if hard == (HardState{}) {
		hard = l.hard
	}
	last := l.index.next - 1
	if n := len(b.Entries); n > 0 {
		if err := l.fitEntries(b.Entries); err != nil {
			return hard, false, err
		}
		last = b.Entries[n-1].Index
	}
	switch {
	case hard.Term < l.hard.Term || hard.Commit < l.hard.Commit:
		err = fmt.Errorf("%w: hard state %+v after %+v", ErrOrder, hard, l.hard)
	case hard.Term == l.hard.Term && l.hard.Vote != 0 && hard.Vote != l.hard.Vote:
		err = fmt.Errorf("%w: vote for %d after %d in term %d",
			ErrOrder, hard.Vote, l.hard.Vote, hard.Term)
	case hard.Commit > last:
		err = fmt.Errorf("%w: commit index %d, but the last entry is %d", ErrOrder, hard.Commit, last)
	}
	if bug.On(bug.VoteNotFlushed) && len(b.Entries) == 0 {
		return hard, false, err
	}
	voted := hard.Term != l.hard.Term || hard.Vote != l.hard.Vote
	return hard, b.Sync || voted || len(b.Entries) > 0, err
}

func (l *Log) fitEntries(entries []Entry) error {
	at := entries[0].Index
	if at < l.index.first || at > l.index.next {
		return fmt.Errorf("%w: entry %d, the log holds %d to %d",
			ErrOrder, at, l.index.first, l.index.next-1)
	}
	if at <= l.hard.Commit {
		return fmt.Errorf("%w: entry %d would replace a committed one", ErrOrder, at)
	}
	term, _ := l.index.term(at - 1)
	for i := range entries {
		e := &entries[i]
		if e.Index != at+uint64(i) || e.Term < term {
			return fmt.Errorf("%w: entry %d of term %d in place of entry %d of term %d or later",
				ErrOrder, e.Index, e.Term, at+uint64(i), term)
		}
		if len(e.Data) > segmentBytesMax {
			return fmt.Errorf("%w: entry %d is %d bytes long", ErrOrder, e.Index, len(e.Data))
		}
		term = e.Term
	}
	return nil
}

// commit writes one batch, flushes it if asked, and only then shows it to readers.
func (l *Log) commit(entries []Entry, hard HardState, flush bool, sub uint8) error {
	size := batchBytes(entries)
	last, term := l.end()
	roll := l.place.off+size > l.tail.capacity
	if roll {
		if err := l.roll(size, header{first: last + 1, term: term}); err != nil {
			return l.fail(err)
		}
		flush = true // the segment before may be released only once this one stands
	}
	if n := len(entries); n > 0 {
		last = entries[n-1].Index
	}
	start := l.place.off
	at := start - int64(len(l.buf)) // roll left the new segment's header in buf
	for i := range entries {
		l.buf = l.place.appendEntry(l.buf, &entries[i])
	}
	l.buf = l.place.appendEnd(l.buf, hard, last, start, len(entries), sub)
	if err := l.write(at, flush); err != nil {
		return l.fail(err)
	}
	l.show(entries, hard, start)
	if roll {
		_ = l.note(false) // at once, for nothing else would miss a whole segment; see keepHouse
	}
	return nil
}

// end returns the index and the term of the last entry.
func (l *Log) end() (last, term uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last = l.index.next - 1
	term, _ = l.index.term(last) // 0 if not known
	return last, term
}

func batchBytes(entries []Entry) int64 {
	size := int64(endSize)
	for i := range entries {
		size += recordBytes + aligned(int64(len(entries[i].Data)))
	}
	return size
}

// write is the one write and the one flush.
func (l *Log) write(at int64, flush bool) error {
	if _, err := l.tail.file.WriteAt(l.buf, at); err != nil {
		return fmt.Errorf("write %s at %d: %w", l.tail.path, at, err)
	}
	if l.buf = l.buf[:0]; cap(l.buf) > bufferBytes {
		l.buf = nil
	}
	if flush && !bug.On(bug.AckBeforeFlush) {
		return l.flush()
	}
	return nil
}

func (l *Log) flush() error {
	if err := l.tail.file.Sync(); err != nil && !bug.On(bug.FlushErrorIgnored) {
		return fmt.Errorf("flush %s: %w", l.tail.path, err)
	}
	l.place.synced = uint32(l.place.off)
	return nil
}

// show puts what was written at start into the index.
func (l *Log) show(entries []Entry, hard HardState, start int64) {
	l.mu.Lock()
	off := uint32(start)
	for i := range entries {
		size := uint32(recordBytes + aligned(int64(len(entries[i].Data))))
		l.index.put(entries[i].Index, entries[i].Term, slot{off, size})
		off += size
	}
	l.hard = hard
	l.durable = position{l.tail.seq, int64(l.place.synced)}
	l.mu.Unlock()
	l.wake(l.place.off)
}

// roll makes a new segment the tail and leaves its header in buf, to be written with the first
// batch, which takes size bytes. Commit indexes that were not flushed yet are flushed now: the
// header names the end of the old segment, so that end must be there to be found.
func (l *Log) roll(size int64, h header) error {
	if headerBytes+size > math.MaxUint32 {
		return fmt.Errorf("batch of %d bytes: a segment cannot hold it", size)
	}
	if int64(l.place.synced) < l.place.off {
		if err := l.flush(); err != nil {
			return err
		}
	}
	g, err := l.nextSegment(l.tail.seq+1, headerBytes+size)
	if err != nil {
		return fmt.Errorf("begin segment %d: %w", l.tail.seq+1, err)
	}
	g.slots = make([]slot, 0, len(l.tail.slots)) // likely to be as many
	h.prevEnd, h.prevCRC = l.place.off, l.place.prev
	l.begin(g, h)
	return nil
}

// begin makes g the tail, with h, completed, as its header.
func (l *Log) begin(g *segment, h header) {
	h.identity, h.seq, h.capacity = l.opts.Identity, g.seq, g.capacity
	l.buf = appendHeader(l.buf[:0], &h)
	l.tail = g
	l.place = place{mark: g.mark, off: headerBytes, prev: h.crc}
	l.mu.Lock()
	l.index.add(g)
	l.mu.Unlock()
}

// fail breaks the log.
func (l *Log) fail(err error) error {
	l.broken = err
	return fmt.Errorf("%w: %w", ErrBroken, err)
}
