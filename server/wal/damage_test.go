package wal

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grovekeeper/grove/internal/disk"
)

// patient is a log to be damaged: its files, and the state it must be found in or refused.
type patient struct {
	name  string
	fs    *disk.Memory
	want  state
	start uint64
}

// patients returns small logs of every shape: of several segments and of one, closed and killed,
// ending with a flushed batch and with an unflushed one, with recycled segments, just reset. Noted
// means that the keeper had the time to write the watermark.
func patients(t *testing.T, noted bool) []patient {
	make := func(name string, run func(w *twin), closed bool) patient {
		w := newTwin(t, tiny())
		run(w)
		if closed {
			if err := w.close(); err != nil {
				t.Fatal(err)
			}
		}
		for noted && w.log.Tend() {
		}
		w.fs.CutPower(func(disk.Unit) int { return disk.Kept }) // killed, and the kernel lived on
		return patient{name, w.fs, w.now(), max(w.released, 1)}
	}
	fill := func(w *twin, n int) {
		for i := range n {
			s := w.now()
			next := entriesFrom(s.last()+1, 2, 1+i%4)
			w.must(w.append(Batch{Entries: next, Hard: HardState{2, 1, s.last()}}))
			w.must(w.append(Batch{Hard: HardState{2, 1, w.now().last()}}))
			for i%8 != 0 && w.log.Tend() {
			}
		}
	}
	return []patient{
		make("empty", func(w *twin) {}, false),
		make("one batch", func(w *twin) {
			w.must(w.append(Batch{Entries: entriesFrom(1, 1, 2)}))
		}, false),
		make("flushed last", func(w *twin) {
			fill(w, 8)
			w.must(w.append(Batch{Entries: entriesFrom(w.now().last()+1, 2, 3)}))
		}, false),
		make("unflushed last", func(w *twin) { fill(w, 8) }, false),
		make("segments", func(w *twin) { fill(w, 22) }, true),
		make("recycled", func(w *twin) {
			fill(w, 30)
			w.released = w.now().last() - 10
			w.must(w.log.Release(w.released))
			fill(w, 4)
		}, true),
		make("reset", func(w *twin) {
			fill(w, 6)
			w.released = w.now().last() + 101
			w.must(w.reset(w.now().last()+100, 3))
		}, false),
	}
}

// tiny are options that make every segment as small as can be.
func tiny() Options {
	o := small()
	o.SegmentBytes = segmentBytesMin
	return o
}

func (w *twin) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// files returns the names of a directory's files.
func files(t testing.TB, fs *disk.Memory) []string {
	t.Helper()
	names, err := fs.List("log")
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		names[i] = filepath.Join("log", name)
	}
	return names
}

// survives opens a damaged log. It must be found as it was or be refused; the error is returned.
func (p *patient) survives(t *testing.T, fs *disk.Memory, how string, args ...any) error {
	t.Helper()
	o := tiny()
	o.Start = p.start
	l, err := Open(fs, "log", o)
	if err != nil {
		return err
	}
	w := twin{t: t, log: l, released: p.start}
	if err := w.matches(p.want); err != nil {
		t.Errorf("%s: "+how+": %v", append(append([]any{p.name}, args...), err)...)
	}
	return nil
}

// TestEveryBit flips every bit of every file of each patient (of the zeros behind the end, every
// 31st): the log is found as it was, or refused with a file and an offset, and then left as it
// is. No bit may lose an entry, even one that no later record is a witness for.
func TestEveryBit(t *testing.T) {
	all := patients(t, true)
	for _, p := range patients(t, false) {
		if p.name == "one batch" || p.name == "flushed last" || p.name == "reset" {
			all = append(all, p)
		}
	}
	for _, p := range all {
		refused, found := 0, 0
		for _, file := range files(t, p.fs) {
			data, err := p.fs.Bytes(file)
			if err != nil {
				t.Fatal(err)
			}
			fs := p.watched(t)
			for _, bit := range bitsOf(data) {
				data[bit/8] ^= 1 << (bit % 8)
				fs.Put(file, data)
				data[bit/8] ^= 1 << (bit % 8)
				err := p.survives(t, fs, "%s bit %d", file, bit)
				if err == nil {
					found++
					fs = p.watched(t)
					continue
				}
				refused++
				fs.Put(file, data)
				c := (*CorruptError)(nil)
				at := int64(bit / 8)
				if !errors.As(err, &c) || c.File != file || c.Offset > at || c.Offset < at-800 {
					t.Fatalf("%s: %s byte %d: %v", p.name, file, at, err)
				}
			}
		}
		t.Logf("%s: refused %d, unharmed %d", p.name, refused, found)
	}
}

// watched returns a copy of the patient that fails the test if Open changes anything before it
// refuses: a repaired log is written to only once, and then replaced by a new copy.
func (p *patient) watched(t *testing.T) *disk.Memory {
	fs := p.fs.Clone()
	changed := 0
	fs.Hook(func(op disk.Op) error {
		switch op.Kind {
		case disk.OpWrite, disk.OpTruncate, disk.OpCreate, disk.OpRename, disk.OpRemove:
			changed++
		case disk.OpList: // the next Open begins
			if changed > 0 {
				t.Errorf("%s: a refused log was changed", p.name)
			}
		}
		return nil
	})
	return fs
}

func bitsOf(data []byte) (bits []int) {
	used := 8 * (len(bytes.TrimRight(data, "\x00")) + recordBytes)
	for bit := 0; bit < 8*len(data); bit++ {
		if bit < used && bit%stride == 0 || bit%31 == 0 {
			bits = append(bits, bit)
		}
	}
	return bits
}

// TestEverySector replaces each sector of each file by zeros, by ones and by another sector.
func TestEverySector(t *testing.T) {
	for _, p := range patients(t, true) {
		for _, file := range files(t, p.fs) {
			data, _ := p.fs.Bytes(file)
			for at := 0; at < len(data); at += disk.Sector {
				for name, with := range map[string]func(i int) byte{
					"zeros": func(int) byte { return 0 },
					"ones":  func(int) byte { return 0xff },
					"next":  func(i int) byte { return data[(at+disk.Sector+i)%len(data)] },
				} {
					bad := append([]byte(nil), data...)
					for i := range bad[at:min(at+disk.Sector, len(bad))] {
						bad[at+i] = with(i)
					}
					fs := p.fs.Clone()
					fs.Put(file, bad)
					err := p.survives(t, fs, "%s sector at %d becomes %s", file, at, name)
					if c := (*CorruptError)(nil); err != nil && !errors.As(err, &c) {
						t.Errorf("%s: %s sector at %d becomes %s: %v", p.name, file, at, name, err)
					}
				}
			}
		}
	}
}

// TestWitnessInTheLog takes the watermark away and zeroes every sector, and every page, that lies
// before the last batch of the log. The records behind it must tell.
func TestWitnessInTheLog(t *testing.T) {
	for _, p := range patients(t, true) {
		p.fs.Remove("log/" + watermarkName)
		for _, file := range files(t, p.fs) {
			data, _ := p.fs.Bytes(file)
			h, ok := parseHeader(data[:headerBytes])
			if !ok {
				continue
			}
			final := lastBatch(t, p.fs, file, &h)
			for _, size := range []int{disk.Sector, 4096} {
				for at := 0; at+size <= final; at += size {
					bad := append([]byte(nil), data...)
					clear(bad[at : at+size])
					fs := p.fs.Clone()
					fs.Put(file, bad)
					c := (*CorruptError)(nil)
					err := p.survives(t, fs, "%s zeroed at %d", file, at)
					if !errors.As(err, &c) || c.File != file || c.Offset > int64(at+size) {
						t.Errorf("%s: %s zeroed from %d to %d: %v", p.name, file, at, at+size, err)
					}
				}
			}
		}
	}
}

// lastBatch returns where the last batch of a segment begins.
func lastBatch(t *testing.T, fs *disk.Memory, file string, h *header) (start int) {
	t.Helper()
	f, err := fs.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	scan := newScanner(f, h)
	for {
		begin := scan.end
		if _, ok, err := scan.next(); err != nil {
			t.Fatal(err)
		} else if !ok {
			return start
		}
		start = int(begin)
	}
}

// TestFiles removes, copies, renames, shortens and extends files.
func TestFiles(t *testing.T) {
	for _, p := range patients(t, true) {
		all := files(t, p.fs)
		for i, file := range all {
			data, _ := p.fs.Bytes(file)
			try := func(how string, change func(fs *disk.Memory)) error {
				fs := p.fs.Clone()
				change(fs)
				return p.survives(t, fs, "%s %s", file, how)
			}
			live := strings.HasSuffix(file, ".log") && data[0] != 0
			err := try("removed", func(fs *disk.Memory) { fs.Remove(file) })
			c := (*CorruptError)(nil)
			if live && (!errors.As(err, &c) || i > 0 && c.File != file) {
				t.Errorf("%s: %s removed: %v", p.name, file, err)
			}
			if err := try("copied to another number", func(fs *disk.Memory) {
				fs.Put("log/00000000000000ff.log", data)
			}); live && err != nil {
				t.Errorf("%s: copy of %s: %v", p.name, file, err)
			}
			if err := try("copied to another name", func(fs *disk.Memory) {
				fs.Put(file+".bak", data)
			}); err != nil {
				t.Errorf("%s: copy of %s: %v", p.name, file, err)
			}
			if err := try("renamed", func(fs *disk.Memory) {
				fs.Rename(file, "log/00000000000000ee.log")
			}); live && err != nil {
				t.Errorf("%s: %s renamed: %v", p.name, file, err)
			}
			if err := try("extended", func(fs *disk.Memory) {
				fs.Put(file, append(data[:len(data):len(data)], data...))
			}); live && err != nil {
				t.Errorf("%s: %s extended: %v", p.name, file, err)
			}
			for size := range len(data) {
				err := try("shortened", func(fs *disk.Memory) { fs.Put(file, data[:size]) })
				if live && err == nil {
					t.Errorf("%s: %s shortened to %d: nobody noticed", p.name, file, size)
				}
			}
			next := all[(i+1)%len(all)]
			other, _ := p.fs.Bytes(next)
			if !live || !strings.HasSuffix(next, ".log") || other[0] == 0 {
				continue
			}
			if err := try("exchanged", func(fs *disk.Memory) {
				fs.Put(file, other)
				fs.Put(next, data)
			}); err != nil {
				t.Errorf("%s: %s and %s exchanged: %v", p.name, file, next, err)
			}
		}
		fs := p.fs.Clone()
		for _, file := range all {
			fs.Remove(file)
		}
		o := tiny()
		o.Start, o.Witness = p.start+1, p.start+1
		if _, err := Open(fs, "log", o); !errors.As(err, new(*CorruptError)) {
			t.Errorf("%s: all files removed: %v", p.name, err)
		}
	}
}
