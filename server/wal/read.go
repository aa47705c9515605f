package wal

import "fmt"

// gapBytes is how far apart two entries may lie to be fetched in one read.
const gapBytes = 4 << 10

// source is an entry asked for, and where it lies.
type source struct {
	segment *segment
	slot
}

// Entries returns the entries in [lo, hi), as many as fit in maxBytes of data but at least one.
// Each is verified against its checksum; a bad one is a *CorruptError, and harms nothing but this
// call. The result is the caller's. It may run beside Append, and then sees the log before or after
// it.
func (l *Log) Entries(lo, hi, maxBytes uint64) ([]Entry, error) {
	sources, err := l.locate(lo, hi, maxBytes)
	if err != nil || len(sources) == 0 {
		return nil, err
	}
	defer l.letGo(sources)
	entries := make([]Entry, 0, len(sources))
	for len(sources) > 0 {
		n := together(sources)
		if entries, err = fetch(entries, sources[:n], lo); err != nil {
			return nil, err
		}
		sources, lo = sources[n:], lo+uint64(n)
	}
	return entries, nil
}

// locate finds the entries and keeps their segments from being recycled.
func (l *Log) locate(lo, hi, maxBytes uint64) ([]source, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, ErrClosed
	case lo > hi:
		return nil, fmt.Errorf("%w: from %d up to %d", ErrOrder, lo, hi)
	case lo < l.index.first:
		return nil, ErrCompacted
	case hi > l.index.next:
		return nil, ErrUnavailable
	}
	sources := make([]source, 0, min(hi-lo, 1024))
	for total := uint64(0); lo < hi; lo++ {
		g, s := l.index.find(lo)
		if total += uint64(s.size) - recordBytes; total > maxBytes && len(sources) > 0 {
			break
		}
		g.readers++
		sources = append(sources, source{g, s})
	}
	return sources, nil
}

func (l *Log) letGo(sources []source) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range sources {
		s.segment.readers--
	}
}

// together returns how many of the first sources lie close enough, in order, for one read.
func together(sources []source) int {
	n := 1
	for ; n < len(sources); n++ {
		a, b := sources[n-1], sources[n]
		end := a.off + a.size
		if a.segment != b.segment || b.off < end || b.off-end > gapBytes {
			break
		}
	}
	return n
}

// fetch reads sources, which hold the entries from index on, with one call. The entries share one
// buffer.
func fetch(entries []Entry, sources []source, index uint64) ([]Entry, error) {
	g, start, final := sources[0].segment, sources[0].off, sources[len(sources)-1]
	b := make([]byte, final.off+final.size-start)
	if err := readFull(g.file, b, int64(start)); err != nil {
		return nil, fmt.Errorf("read %s at %d: %w", g.path, start, err)
	}
	for i, s := range sources {
		record := b[s.off-start:][:s.size:s.size]
		h := parseHead(record)
		if !h.plausible(g.mark, int64(s.off), g.capacity) || h.size() != int64(s.size) ||
			h.index != index+uint64(i) || sum(record, g.mark, int64(s.off)) != h.crc {
			return nil, &CorruptError{g.path, int64(s.off),
				fmt.Sprintf("entry %d does not match its checksum any more", index+uint64(i))}
		}
		data := record[recordBytes : recordBytes+h.length : recordBytes+h.length]
		entries = append(entries, Entry{Index: h.index, Term: h.term, Kind: h.sub, Data: data})
	}
	return entries, nil
}
