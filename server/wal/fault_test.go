package wal

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/grovekeeper/grove/internal/disk"
)

// TestErrorAtEveryCall fails every single call of a scripted run once, with an I/O error, a full
// disk or a short write. Append either succeeds, because only background work was hit, or the log
// is broken for good. The process ends, the kernel lives on, and after the next start and then a
// power cut everything acknowledged, before and after, is there: even bytes whose flush had failed
// and which the kernel went on showing.
func TestErrorAtEveryCall(t *testing.T) {
	faults := map[string]error{
		"EIO":    syscall.EIO,
		"ENOSPC": syscall.ENOSPC,
		"short":  &disk.ShortWrite{N: 100, Err: syscall.ENOSPC},
	}
	run := script(7, 80)
	dry := newTwin(t, small())
	before := dry.fs.Ops()
	dry.play(run)
	for stop := before + 1; stop <= dry.fs.Ops(); stop++ {
		for name, fault := range faults {
			failAt(t, run, stop, name, fault)
		}
	}
}

func failAt(t *testing.T, run []byte, stop int, name string, fault error) {
	w := newTwin(t, small())
	var hit disk.Op
	w.fs.Hook(func(op disk.Op) error {
		if op.N == stop {
			hit = op
			return fault
		}
		return nil
	})
	for rest := run; len(rest) > 0; {
		var err error
		if rest, err = w.step(rest); err != nil {
			if !errors.Is(err, ErrBroken) {
				t.Fatalf("%s at %v: %v", name, hit, err)
			}
			if err := w.log.Append(Batch{Sync: true}); !errors.Is(err, ErrBroken) {
				t.Fatalf("%s at %v: a broken log took a batch: %v", name, hit, err)
			}
			w.log.Close()
			break
		}
	}
	if w.log.broken == nil {
		w.check()
	}
	w.fs.Hook(nil)
	w.reopen()
	w.flushed = 0 // what Open shows may be acknowledged: it must have been made durable
	w.play([]byte{5, 3})
	w.fs.CutPower(func(disk.Unit) int { return disk.Lost })
	w.reopen()
	w.play([]byte{0, 3, 4, 9})
	w.check()
}

// TestOpenFails fails every call that Open makes, one at a time: it says so, and the next Open
// finds everything. A file that cannot be read is not a damaged one.
func TestOpenFails(t *testing.T) {
	w := tearing(t, true)
	w.must(w.append(Batch{Entries: entriesFrom(w.now().last()+1, 5, 7), Hard: HardState{5, 1, 0}}))
	w.fs.CutPower(fates(3)["torn"])
	for stop := 1; ; stop++ {
		x := *w
		x.fs = w.fs.Clone()
		before := x.fs.Ops()
		x.fs.Hook(func(op disk.Op) error {
			if op.N-before == stop {
				return syscall.EIO
			}
			return nil
		})
		o := x.opts
		o.Start = x.released
		l, err := Open(x.fs, "log", o)
		if err == nil {
			if x.fs.Ops()-before >= stop {
				t.Fatalf("call %d failed, and Open did not say so", stop)
			}
			x.fs.Hook(nil)
			x.log = l
			x.settle()
			return
		}
		if !errors.Is(err, syscall.EIO) || errors.As(err, new(*CorruptError)) {
			t.Fatal(err)
		}
		x.fs.Hook(nil)
		x.reopen()
	}
}

// TestNoSpace leaves no room for segments to come: the log says so, and takes batches while the
// last one lasts; when there is room again it goes on preparing.
func TestNoSpace(t *testing.T) {
	w := newTwin(t, small())
	full := true
	w.fs.Hook(func(op disk.Op) error {
		if full && op.Kind == disk.OpWrite && strings.HasSuffix(op.Name, prepareName) {
			return syscall.ENOSPC
		}
		return nil
	})
	for w.log.place.off < w.log.tail.capacity/2 {
		w.must(w.append(Batch{Entries: entriesFrom(w.now().last()+1, 1, 1)}))
		w.log.Tend()
	}
	if s := w.log.Stats(); !errors.Is(s.SpareErr, syscall.ENOSPC) || s.Spare {
		t.Fatalf("no space, but %+v", s)
	}
	full = false
	for w.log.Tend() {
	}
	if s := w.log.Stats(); s.SpareErr != nil || !s.Spare {
		t.Fatalf("space again, but %+v", s)
	}
	w.check()
}

// TestOneWriteOneFlush counts the calls of a batch.
func TestOneWriteOneFlush(t *testing.T) {
	w := newTwin(t, Options{Identity: identity, Manual: true})
	var calls []string
	w.fs.Hook(func(op disk.Op) error {
		calls = append(calls, op.Kind.String())
		return nil
	})
	for _, c := range []struct {
		name  string
		batch Batch
		want  string
	}{
		{"entries", Batch{Entries: entriesFrom(1, 1, 50), Hard: HardState{1, 1, 0}}, "write sync"},
		{"commit index only", Batch{Hard: HardState{1, 1, 20}}, "write"},
		{"the same again", Batch{Hard: HardState{1, 1, 20}}, ""},
		{"commit index, flushed", Batch{Hard: HardState{1, 1, 21}, Sync: true}, "write sync"},
		{"term", Batch{Hard: HardState{2, 0, 21}}, "write sync"},
		{"vote", Batch{Hard: HardState{2, 3, 21}}, "write sync"},
		{"nothing", Batch{}, ""},
	} {
		calls = nil
		w.must(w.append(c.batch))
		if got := strings.Join(calls, " "); got != c.want {
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
	}
	w.check()
}

// TestRefusals gives batches that do not fit. Nothing is written.
func TestRefusals(t *testing.T) {
	w := newTwin(t, small())
	w.must(w.append(Batch{Entries: entriesFrom(1, 3, 10), Hard: HardState{3, 1, 5}}))
	w.fs.Hook(func(op disk.Op) error {
		t.Errorf("%s %s", op.Kind, op.Name)
		return nil
	})
	gap := entriesFrom(11, 3, 3)
	gap[1].Index = 13
	for name, b := range map[string]Batch{
		"beyond the end":      {Entries: entriesFrom(12, 3, 1)},
		"index 0":             {Entries: entriesFrom(0, 3, 1)},
		"a gap":               {Entries: gap},
		"an earlier term":     {Entries: entriesFrom(11, 2, 1)},
		"a committed entry":   {Entries: entriesFrom(5, 4, 1)},
		"an earlier commit":   {Hard: HardState{3, 1, 4}},
		"an earlier own term": {Hard: HardState{2, 1, 5}},
		"another vote":        {Hard: HardState{3, 2, 5}},
		"a commit to come":    {Hard: HardState{3, 1, 11}},
	} {
		if err := w.log.Append(b); !errors.Is(err, ErrOrder) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.log.Reset(4, 1); !errors.Is(err, ErrOrder) {
		t.Errorf("reset below the commit index: %v", err)
	}
	w.fs.Hook(nil)
	w.check()
}

// A segment that was made in a hurry, and whose flush failed, is found at the next start as one that
// is prepared: the kernel shows its size, the disk may not know it. Before anything acknowledged lies
// in it, the disk does.
func TestASegmentWhoseFlushFailedIsMadeAgain(t *testing.T) {
	fs := disk.NewMemory()
	l := mustOpen(t, fs, small())
	large := []Entry{{Index: 1, Term: 1, Data: make([]byte, 5000)}}
	fs.Hook(func(op disk.Op) error {
		if op.Kind == disk.OpSync {
			return syscall.EIO
		}
		return nil
	})
	if err := l.Append(Batch{Entries: large}); !errors.Is(err, ErrBroken) {
		t.Fatalf("append: %v", err)
	}
	fs.Hook(nil)
	l = mustOpen(t, fs, small())
	for l.Tend() {
	}
	for i := range uint64(60) { // into the segment that was found, and not to its end
		if err := l.Append(Batch{Entries: entriesFrom(1+i, 1, 1)}); err != nil {
			t.Fatal(err)
		}
	}
	fs.CutPower(func(disk.Unit) int { return disk.Lost })
	if l = mustOpen(t, fs, small()); l.Last() != 60 {
		t.Errorf("%d entries of 60", l.Last())
	}
}
