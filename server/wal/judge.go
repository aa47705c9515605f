package wal

import (
	"fmt"
	"path/filepath"

	"github.com/grovekeeper/grove/internal/bug"
)

// scrapBytes are cleared at least behind the last record found in a segment, however torn. What is
// left of a torn write must not lie under the next one: torn in its turn, the two could make a
// record that neither was, and differ from it in one bit.
const scrapBytes = 64 << 10

// judge decides what the bytes behind the last whole batch of the newest segment are: the torn
// end of a write that was never acknowledged, or damage.
func (s *survey) judge(f *found, scan *scanner) error {
	t, err := scan.traces()
	if err != nil {
		return fmt.Errorf("read %s: %w", s.path(f), err)
	}
	if int64(t.synced) > scan.end {
		return s.corrupt(f, scan.bad,
			"no whole record here, but the record at %d says that all was on disk up to %d", t.by, t.synced)
	}
	bent, err := scan.bent()
	if err != nil {
		return fmt.Errorf("read %s: %w", s.path(f), err)
	}
	if bent {
		return s.corrupt(f, scan.bad,
			"one bit of this record is wrong, and all else of its batch is whole")
	}
	s.scrap = min(max(scan.end, t.end)+scrapBytes, scan.capacity)
	return nil
}

// unfilled deals with a newest segment that has a header and no whole batch: if it was begun in
// vain, the log ends where the one before it ends.
func (s *survey) unfilled(f *found, scan *scanner) error {
	if err := s.judge(f, scan); err != nil {
		return err
	}
	if s.scan == nil {
		if f.header.seq != 1 {
			return s.corrupt(f, scan.bad, "no whole record in the only segment of this log")
		}
	} else {
		s.scrap = s.scan.end
	}
	s.begun = append(s.begun, f)
	return nil
}

// assess decides about the files without a whole header: at most one, the segment after the
// newest, may be there, prepared or begun in vain.
func (s *survey) assess() error {
	newest := uint64(0)
	if n := len(s.current); n > 0 {
		newest = s.current[n-1].header.seq
	}
	for i, f := range s.blank {
		if len(s.begun) > 0 && i == 0 {
			b := s.begun[0]
			return s.corrupt(b, headerBytes, "no whole record here, but %s was prepared after it", f.name)
		}
		if zero := f.raw == [headerBytes]byte{}; zero && f.named > newest+1 {
			return &CorruptError{filepath.Join(s.dir, segmentName(newest+1)), 0,
				fmt.Sprintf("segment %d is missing: %s was prepared after it", newest+1, f.name)}
		}
		if i > 0 || f.named != newest+1 {
			return s.corrupt(f, 0, "no whole header, and the newest segment is %d", newest)
		}
		if err := s.assessBlank(f); err != nil {
			return err
		}
	}
	return nil
}

func (s *survey) assessBlank(f *found) error {
	if f.size < headerBytes {
		s.begun = append(s.begun, f)
		return nil
	}
	scan := newScanner(f.file, &header{identity: s.opts.Identity, seq: f.named, capacity: f.size})
	t, err := scan.traces()
	if err != nil {
		return fmt.Errorf("read %s: %w", s.path(f), err)
	}
	switch {
	case t.synced > 0:
		return s.corrupt(f, 0,
			"no whole header, but the record at %d says that all was on disk up to %d", t.by, t.synced)
	case headerBent(f.raw[:]):
		return s.corrupt(f, 0, "one bit of the header is wrong")
	case t.records == 0 && f.raw == [headerBytes]byte{}:
		s.spare = f
	default:
		s.begun = append(s.begun, f)
	}
	return nil
}

// witnesses compares where the log ends with what is known to have been durable.
func (s *survey) witnesses() error {
	end := position{}
	file := filepath.Join(s.dir, segmentName(s.watermark.seq))
	if s.scan != nil {
		g := s.index.tail()
		end = position{g.seq, s.scan.end}
		if s.watermark.seq <= g.seq {
			file = g.path
		}
	}
	marked := s.marked && !bug.On(bug.WatermarkIgnored)
	if w := s.watermark; marked && (w.seq > end.seq || w.seq == end.seq && w.off > end.off) {
		return &CorruptError{file, end.off,
			fmt.Sprintf("the log ends here, but was on disk up to segment %d, offset %d (%s)",
				w.seq, w.off, watermarkName)}
	}
	if s.scan == nil {
		if s.opts.Witness > 1 { // a state is founded at 1, before it has a log
			return &CorruptError{filepath.Join(s.dir, segmentName(1)), 0,
				fmt.Sprintf("there is no log, but entry %d was on disk", s.opts.Witness)}
		}
		return nil
	}
	if last := s.index.next - 1; last < s.opts.Witness {
		return &CorruptError{file, end.off,
			fmt.Sprintf("the log ends with entry %d, but entry %d was on disk", last, s.opts.Witness)}
	}
	if first := s.index.first; first > s.opts.Start {
		return &CorruptError{s.index.segments[0].path, 0,
			fmt.Sprintf("the log begins with entry %d, but entry %d is needed", first, s.opts.Start)}
	}
	return nil
}
