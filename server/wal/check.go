package wal

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/grovekeeper/grove/internal/disk"
)

// Finding is one thing Check has to say: about a file or, if Fault is set, what is wrong.
type Finding struct {
	File    string // path
	Offset  int64  // of a fault, or where the segment's last whole batch ends
	Bytes   int64  // size of the file
	Seq     uint64 // number of the segment; 0 if the file is none
	First   uint64 // lowest index among the segment's entries; 0 if it has none
	Last    uint64 // the last index of the log as of the segment's end
	Entries int    // records, also of entries that were replaced later
	Batches int
	Hard    HardState // as of the segment's end
	Fault   bool
	Note    string
}

// Check verifies the log in dir without changing it: every record of every segment. It reports
// each file, then what is wrong, if anything; and returns the error that Open would. It
// knows the identity only from the log itself, and no witness but those in the directory.
func Check(fs disk.FS, dir string, report func(Finding)) error {
	return check(&survey{fs: fs, dir: dir, anyone: true}, report)
}

// CheckWith is Check for the caller who knows more: identity, the first index needed and the
// witness are taken from o.
func CheckWith(fs disk.FS, dir string, o Options, report func(Finding)) error {
	return check(&survey{fs: fs, dir: dir, opts: o}, report)
}

func check(s *survey, report func(Finding)) error {
	if s.opts.Start == 0 {
		s.opts.Start = ^uint64(0) // whatever it begins with will do
	}
	verdict := s.run(s.fs.Open)
	for _, name := range s.names {
		report(s.describe(name))
	}
	if verdict != nil {
		f := Finding{File: s.dir, Fault: true, Note: verdict.Error()}
		if c := (*CorruptError)(nil); errors.As(verdict, &c) {
			f.File, f.Offset, f.Note = c.File, c.Offset, c.Reason
		}
		report(f)
	}
	return errors.Join(verdict, s.close())
}

// describe says what a file is.
func (s *survey) describe(name string) Finding {
	for _, f := range s.all {
		if f.name == name && f.whole {
			return s.describeSegment(f)
		}
		if f.name == name {
			return Finding{File: s.path(f), Bytes: f.size, Note: s.describeBlank(f)}
		}
	}
	out := Finding{File: filepath.Join(s.dir, name), Note: "not part of the log; ignored"}
	switch {
	case name == watermarkName && s.marked:
		out.Note = fmt.Sprintf("on disk up to segment %d, offset %d", s.watermark.seq, s.watermark.off)
	case name == watermarkName && !s.marker:
		out.Note = "not looked at"
	case name == watermarkName:
		out.Note = "cannot be believed; will be written anew"
	case name == prepareName:
		out.Note = "a segment being prepared; will be deleted"
	}
	return out
}

func (s *survey) describeBlank(f *found) string {
	switch {
	case f == s.spare:
		return "prepared, not in use"
	case f.raw == [headerBytes]byte{}:
		return "no header"
	}
	return "no whole header"
}

// describeSegment reads the segment by itself, as far as it is whole and beyond.
func (s *survey) describeSegment(f *found) Finding {
	h := &f.header
	out := Finding{File: s.path(f), Bytes: f.size, Seq: h.seq}
	capacity := h.capacity
	h.capacity = min(capacity, f.size)
	defer func() { h.capacity = capacity }()
	scan := newScanner(f.file, h)
	var notes []string
	for {
		entries, ok, err := scan.next()
		if err != nil {
			notes = append(notes, err.Error())
		}
		if err != nil || !ok {
			break
		}
		if len(entries) > 0 && (out.First == 0 || entries[0].index < out.First) {
			out.First = entries[0].index
		}
	}
	out.Offset, out.Entries, out.Batches = scan.end, scan.counts.entries, scan.counts.batches
	out.Last, out.Hard = scan.final.last, scan.final.hard
	if scan.final.sub&closing != 0 {
		notes = append(notes, "closed on purpose")
	}
	if t, err := scan.traces(); err != nil {
		notes = append(notes, err.Error())
	} else if t.records > 0 {
		notes = append(notes, fmt.Sprintf("%d whole records behind the end", t.records))
	}
	out.Note = strings.Join(notes, "; ")
	return out
}
