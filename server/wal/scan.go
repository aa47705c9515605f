package wal

import (
	"errors"
	"fmt"
	"io"

	"github.com/grovekeeper/grove/internal/disk"
)

// window reads a file through a buffer that moves forward: one large read in place of many
// small ones, and never the whole segment in memory.
type window struct {
	file disk.File
	size int64 // of the file
	buf  []byte
	off  int64 // buf holds the file's bytes from here
}

const windowBytes = 256 << 10

// at returns the n bytes at off, which must lie within the file. They are good until the next
// call.
func (w *window) at(off, n int64) ([]byte, error) {
	if off < w.off || off+n > w.off+int64(len(w.buf)) {
		want := min(max(n, windowBytes), w.size-off)
		if int64(cap(w.buf)) < want {
			w.buf = make([]byte, want)
		}
		w.off, w.buf = off, w.buf[:want]
		if err := readFull(w.file, w.buf, off); err != nil {
			w.buf = w.buf[:0]
			return nil, err
		}
	}
	return w.buf[off-w.off:][:n:n], nil
}

// ahead returns what the buffer has from off on, refilled if that is too little for a head.
func (w *window) ahead(off int64) ([]byte, error) {
	if _, err := w.at(off, recordBytes); err != nil {
		return nil, err
	}
	return w.buf[off-w.off:], nil
}

func readFull(f disk.File, b []byte, off int64) error {
	n, err := f.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// scanner walks one segment batch by batch. It stops at the first that is not whole; what that
// means is not for it to say.
type scanner struct {
	window   window
	mark     uint32
	capacity int64

	// The state after the last whole batch.
	end    int64  // where it ends; headerBytes if there was none
	prev   uint32 // crc of its end record; of the header if there was none
	synced int64  // what it says was durable when it was written
	final  end    // its end record
	counts struct{ batches, entries int }

	bad     int64 // where the first record that is not whole begins; set when next returns nil
	entries []placed
}

// placed is an entry's index and term, and where its record lies.
type placed struct {
	index, term uint64
	slot
}

// slot is where a record lies in its segment.
type slot struct {
	off, size uint32
}

func newScanner(f disk.File, h *header) *scanner {
	return &scanner{window: window{file: f, size: h.capacity}, mark: markOf(h.identity, h.seq),
		capacity: h.capacity, end: headerBytes, prev: h.crc}
}

// record returns the record at off if it is whole, whatever comes before it.
func (s *scanner) record(off int64) (h head, payload []byte, ok bool, err error) {
	if off+recordBytes > s.capacity {
		return h, nil, false, nil
	}
	b, err := s.window.at(off, recordBytes)
	if err != nil {
		return h, nil, false, err
	}
	if h = parseHead(b); !h.plausible(s.mark, off, s.capacity) {
		return h, nil, false, nil
	}
	if b, err = s.window.at(off, h.size()); err != nil {
		return h, nil, false, err
	}
	if sum(b, s.mark, off) != h.crc {
		return h, nil, false, nil
	}
	return h, b[recordBytes:], true, nil
}

// next reads the batch at s.end and returns its entries, which are good until the next call. If
// there is no whole batch it returns false, and s.bad says where it broke off. A batch whose
// checksums hold but which contradicts itself is an error: nothing that this package wrote looks
// so.
func (s *scanner) next() (entries []placed, ok bool, err error) {
	s.entries = s.entries[:0]
	prev := s.prev
	for off := s.end; ; {
		h, payload, ok, err := s.record(off)
		if err != nil {
			return nil, false, err
		}
		if !ok || h.prev != prev {
			s.bad = off
			return nil, false, nil
		}
		if h.kind == kindEnd {
			return s.finish(h, payload, off)
		}
		if n := len(s.entries); n > 0 && h.index != s.entries[n-1].index+1 {
			return nil, false, contradicts(off, "entry %d follows entry %d",
				h.index, s.entries[n-1].index)
		}
		s.entries = append(s.entries, placed{h.index, h.term, slot{uint32(off), uint32(h.size())}})
		prev, off = h.crc, off+h.size()
	}
}

func (s *scanner) finish(h head, payload []byte, off int64) ([]placed, bool, error) {
	e, ok := parseEnd(h, payload)
	n := len(s.entries)
	switch {
	case !ok || e.start != s.end || e.count != n:
		return nil, false, contradicts(off,
			"end record of %d entries since %d closes %d entries since %d", e.count, e.start, n, s.end)
	case n > 0 && e.last != s.entries[n-1].index:
		return nil, false, contradicts(off, "end record names entry %d after entry %d",
			e.last, s.entries[n-1].index)
	case e.hard.Commit > e.last:
		return nil, false, contradicts(off, "commit index %d beyond the last entry %d",
			e.hard.Commit, e.last)
	}
	s.end, s.prev, s.synced, s.final = off+h.size(), h.crc, int64(h.synced), e
	s.counts.batches++
	s.counts.entries += n
	return s.entries, true, nil
}

// contradiction is a fault without a file name; whoever knows the name adds it.
type contradiction struct {
	off    int64
	reason string
}

func (c *contradiction) Error() string { return c.reason }

func contradicts(off int64, format string, args ...any) error {
	return &contradiction{off, fmt.Sprintf(format, args...)}
}

// traces is what lies beyond the end of a log.
type traces struct {
	records int    // whole records, by themselves
	end     int64  // where the last record ends, whole or not
	synced  uint32 // the furthest that any of them says was durable
	by      int64  // where the one that says so lies
}

// traces looks for whole records from the scanner's end to the end of the segment, at every place
// where one could begin.
func (s *scanner) traces() (t traces, err error) {
	for off := s.end; off+recordBytes <= s.capacity; {
		b, err := s.window.ahead(off)
		if err != nil {
			return t, err
		}
		i := s.candidate(b)
		if off += int64(i); i+recordBytes > len(b) {
			continue
		}
		h, _, ok, err := s.record(off)
		if err != nil {
			return t, err
		}
		if h.plausible(s.mark, off, s.capacity) {
			t.end = max(t.end, off+h.size())
		}
		if !ok {
			off += 8
			continue
		}
		t.records++
		if h.synced > t.synced {
			t.synced, t.by = h.synced, off
		}
		off += h.size()
	}
	return t, nil
}

// candidate returns the first offset in b, a multiple of 8, at which a head with the segment's mark
// could begin, or the first at which b is too short to tell.
func (s *scanner) candidate(b []byte) int {
	i := 0
	for ; i+recordBytes <= len(b); i += 8 {
		if le.Uint32(b[i+8:]) == s.mark && (b[i+20] == kindEntry || b[i+20] == kindEnd) {
			return i
		}
	}
	return i
}
