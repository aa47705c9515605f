package wal

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/grovekeeper/grove/internal/disk"
)

const (
	prepareName = "prepare.tmp"
	movedSuffix = "-moved"
)

// found is a file that has the name of a segment.
type found struct {
	name   string
	named  uint64 // the number in its name
	file   disk.File
	closed bool
	size   int64
	raw    [headerBytes]byte // what lies where the header should
	header header
	whole  bool // the header is
}

// survey is what Open and Check learn about a directory without changing anything in it.
type survey struct {
	fs      disk.FS
	dir     string
	opts    Options
	anyone  bool // take the identity from the oldest header
	names   []string
	all     []*found // every file opened, to be closed
	current []*found // with whole headers, by number; after replay, those with batches
	blank   []*found // without a whole header
	stray   []*found // that claim a number that another has by right

	index     index
	hard      HardState
	scan      *scanner // of the newest segment that has a batch; nil if none has
	scrap     int64    // up to where that segment must be cleared behind its end
	begun     []*found // begun but without a batch: to be removed
	spare     *found   // prepared and not begun
	watermark position
	marked    bool // the watermark can be believed
	marker    bool // there is a watermark file
}

// numbered returns the number that a file name gives a segment.
func numbered(name string) (seq uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, ".log")
	digits, _, _ = strings.Cut(digits, movedSuffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	seq, err := strconv.ParseUint(digits, 16, 64)
	return seq, err == nil
}

func (s *survey) watermarkPath() string { return filepath.Join(s.dir, watermarkName) }

func (s *survey) path(f *found) string { return filepath.Join(s.dir, f.name) }

func (s *survey) corrupt(f *found, off int64, format string, args ...any) error {
	return &CorruptError{s.path(f), off, fmt.Sprintf(format, args...)}
}

// look opens every file that has the name of a segment and reads its header.
func (s *survey) look(open func(string) (disk.File, error)) error {
	var err error
	if s.names, err = s.fs.List(s.dir); err != nil {
		return err
	}
	for _, name := range s.names {
		seq, ok := numbered(name)
		if !ok {
			continue
		}
		f := &found{name: name, named: seq}
		if f.file, err = open(s.path(f)); err != nil {
			return err
		}
		s.all = append(s.all, f)
		if err := s.readHeader(f); err != nil {
			return fmt.Errorf("read %s: %w", s.path(f), err)
		}
		if f.whole {
			s.current = append(s.current, f)
		} else {
			s.blank = append(s.blank, f)
		}
	}
	return nil
}

func (s *survey) readHeader(f *found) (err error) {
	if f.size, err = f.file.Size(); err != nil {
		return err
	}
	f.size = min(f.size, math.MaxUint32) // no segment is larger
	if f.size < headerBytes {
		return nil
	}
	if err := readFull(f.file, f.raw[:], 0); err != nil {
		return err
	}
	f.header, f.whole = parseHeader(f.raw[:])
	return nil
}

// order sorts the segments by the numbers in their headers and checks that they can be one log:
// one identity, no gap, none shorter than it was made.
func (s *survey) order() error {
	slices.SortFunc(s.current, func(a, b *found) int {
		return cmp.Or(cmp.Compare(a.header.seq, b.header.seq), cmp.Compare(a.rank(), b.rank()))
	})
	if s.anyone && len(s.current) > 0 {
		s.opts.Identity = s.current[0].header.identity
	}
	var kept []*found
	for _, f := range s.current {
		if id := f.header.identity; id != s.opts.Identity {
			return fmt.Errorf("%w: %s belongs to %+v, not to %+v",
				ErrIdentity, s.path(f), id, s.opts.Identity)
		}
		n := len(kept)
		switch {
		case n == 0 || kept[n-1].header.seq != f.header.seq:
			kept = append(kept, f)
		case kept[n-1].rank() == 0:
			s.stray = append(s.stray, f)
		default:
			return s.corrupt(f, 0, "claims to be segment %d, and so does %s", f.header.seq, kept[n-1].name)
		}
	}
	s.current = kept
	return s.gaps()
}

// rank is 0 for a segment that has the name it should have.
func (f *found) rank() int {
	if f.name == segmentName(f.header.seq) {
		return 0
	}
	return 1
}

// gaps reports missing and shortened segments.
func (s *survey) gaps() error {
	for i, f := range s.current {
		h := &f.header
		if i > 0 && h.seq != s.current[i-1].header.seq+1 {
			missing := s.current[i-1].header.seq + 1
			return &CorruptError{filepath.Join(s.dir, segmentName(missing)), 0,
				fmt.Sprintf("segment %d is missing: %s is segment %d", missing, f.name, h.seq)}
		}
		if h.capacity > f.size {
			return s.corrupt(f, f.size, "the file ends here, but was made %d bytes long", h.capacity)
		}
		if h.prevEnd < 0 || h.prevEnd > math.MaxUint32 || h.capacity > math.MaxUint32 {
			return s.corrupt(f, 0, "the header makes no sense")
		}
	}
	return nil
}

// replay reads every segment, oldest first, into the index. All but the newest must be whole
// up to where the next one says they end.
func (s *survey) replay() error {
	for i, f := range s.current {
		stop := int64(-1)
		if i+1 < len(s.current) {
			stop = s.current[i+1].header.prevEnd
		}
		if err := s.follows(f); err != nil {
			return err
		}
		scan := newScanner(f.file, &f.header)
		if err := s.replaySegment(scan, f, stop); err != nil {
			return s.name(f, err)
		}
		if scan.counts.batches == 0 {
			s.current = s.current[:i]
			return s.unfilled(f, scan)
		}
		s.scan = scan
	}
	if s.scan == nil {
		return nil
	}
	return s.judge(s.current[len(s.current)-1], s.scan)
}

// follows checks that f continues what was replayed.
func (s *survey) follows(f *found) error {
	h := &f.header
	switch {
	case s.scan == nil && h.seq == 1 && h.flags&fresh == 0:
		return s.corrupt(f, 0, "the first segment does not begin a log")
	case s.scan != nil && (h.prevEnd != s.scan.end || h.prevCRC != s.scan.prev):
		return s.corrupt(f, 0, "does not continue segment %d, which ends at %d", h.seq-1, s.scan.end)
	case s.scan != nil && h.flags&fresh == 0 && h.first != s.index.next:
		return s.corrupt(f, 0, "continues at entry %d, but the last entry is %d", h.first, s.index.next-1)
	}
	return nil
}

// replaySegment reads batches until one is not whole or, if stop is not negative, until stop.
func (s *survey) replaySegment(scan *scanner, f *found, stop int64) error {
	for scan.end != stop {
		entries, ok, err := scan.next()
		if err != nil {
			return err
		}
		if !ok && stop < 0 {
			return nil
		}
		if !ok || stop >= 0 && scan.end > stop {
			return s.corrupt(f, scan.bad, "no whole record here, but the segment goes on to %d", stop)
		}
		if scan.counts.batches == 1 {
			s.enter(f)
		}
		if err := s.admit(scan, entries); err != nil {
			return err
		}
	}
	return nil
}

// enter gives a segment that holds something a place in the index.
func (s *survey) enter(f *found) {
	h := &f.header
	if s.scan == nil || h.flags&fresh != 0 {
		s.index.restart(h.first, h.term)
	}
	s.index.add(&segment{file: f.file, path: s.path(f), seq: h.seq,
		mark: markOf(h.identity, h.seq), capacity: h.capacity})
}

// admit puts a batch into the index, if it fits.
func (s *survey) admit(scan *scanner, entries []placed) error {
	for i, e := range entries {
		if i == 0 && e.index > s.index.next || e.index == 0 {
			return contradicts(int64(e.off), "entry %d, but the last entry is %d",
				e.index, s.index.next-1)
		}
		s.index.put(e.index, e.term, e.slot)
	}
	if last := s.index.next - 1; scan.final.last != last {
		return contradicts(scan.end-endSize, "end record names entry %d, but the last entry is %d",
			scan.final.last, last)
	}
	s.hard = scan.final.hard
	return nil
}

// name adds the file to a contradiction.
func (s *survey) name(f *found, err error) error {
	var c *contradiction
	if errors.As(err, &c) {
		return s.corrupt(f, c.off, "%s", c.reason)
	}
	return err
}
