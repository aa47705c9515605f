package wal

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/grovekeeper/grove/internal/disk"
)

// fates are ways for a power cut to treat what was not synced. Sectors are written or not; within
// one, only the write that was under way may end at any byte, and then nothing after it is written.
func fates(seed uint64) map[string]func(disk.Unit) int {
	r := rand.New(rand.NewPCG(seed, 1))
	n, torn := 0, ""
	return map[string]func(disk.Unit) int{
		"lost": func(disk.Unit) int { return disk.Lost },
		"kept": func(disk.Unit) int { return disk.Kept },
		"every other": func(disk.Unit) int {
			n++
			return disk.Kept * (n % 2)
		},
		"any": func(disk.Unit) int { return disk.Kept * r.IntN(2) },
		"torn": func(u disk.Unit) int {
			switch {
			case u.Len == 0:
				return disk.Kept * r.IntN(2)
			case torn == u.Name:
				return disk.Lost
			case r.IntN(4) > 0:
				return disk.Kept * r.IntN(2)
			}
			torn = u.Name
			return r.IntN(u.Len + 1)
		},
	}
}

// script is a run that meets every kind of change: many batches, replaced suffixes, rolls,
// releases, a reset.
func script(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 2))
	var b []byte
	for range n {
		b = append(b, byte(r.IntN(256)), byte(r.IntN(256)))
	}
	return b
}

// play runs a script until it ends or the power does.
func (w *twin) play(script []byte) {
	w.t.Helper()
	for len(script) > 0 {
		rest, err := w.step(script)
		if err != nil {
			if !errors.Is(err, ErrBroken) || !errors.Is(err, disk.ErrPower) {
				w.t.Fatalf("step: %v", err)
			}
			return
		}
		script = rest
	}
}

// TestPowerCut cuts the power before every single call the log makes in a scripted run, in each of
// several manners, and opens the log again: what was acknowledged is there, what was not is there
// or not, batch by batch, and the log goes on from there.
func TestPowerCut(t *testing.T) {
	for seed := range uint64(3) {
		run := script(seed, 120)
		dry := newTwin(t, small())
		before := dry.fs.Ops()
		dry.play(run)
		dry.check()
		final := dry.fs.Ops()
		for stop := before + 1; stop <= final; stop += stride {
			for name := range fates(0) {
				cutAt(t, run, stop, name, uint64(stop))
			}
		}
	}
}

func cutAt(t *testing.T, run []byte, stop int, name string, seed uint64) {
	w := newTwin(t, small())
	w.fs.Hook(func(op disk.Op) error {
		if op.N >= stop {
			return disk.ErrPower
		}
		return nil
	})
	w.play(run)
	w.fs.CutPower(fates(seed)[name])
	w.reopen()
	if t.Failed() {
		t.Fatalf("power cut before call %d, unsynced: %s", stop, name)
	}
	w.play([]byte{0, 3, 4, 9, 5, 3})
	w.check()
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	w.reopen()
}

// TestPowerCutWhileOpening cuts the power during the repair of a torn log, again and again.
func TestPowerCutWhileOpening(t *testing.T) {
	for seed := range uint64(20) {
		w := newTwin(t, small())
		w.play(script(seed, 60))
		w.fs.CutPower(fates(seed)["torn"])
		torn := w.fs
		for stop := 1; ; stop++ {
			x := *w
			x.fs = torn.Clone()
			before := x.fs.Ops()
			x.fs.Hook(func(op disk.Op) error {
				if op.N-before >= stop {
					return disk.ErrPower
				}
				return nil
			})
			o := x.opts
			o.Start = max(x.released, 1)
			_, err := Open(x.fs, "log", o)
			x.fs.CutPower(fates(uint64(stop))["torn"])
			x.reopen()
			x.play([]byte{0, 3, 4, 9, 5, 3})
			x.check()
			if err == nil {
				break
			}
			if !errors.Is(err, disk.ErrPower) {
				t.Fatal(err)
			}
		}
	}
}

// TestPowerCutAtBirth cuts the power while a log is made, and just after.
func TestPowerCutAtBirth(t *testing.T) {
	for name := range fates(0) {
		for stop := 1; ; stop++ {
			w := &twin{t: t, fs: disk.NewMemory(), opts: small(), states: []state{{first: 1}}}
			w.fs.Hook(func(op disk.Op) error {
				if op.N >= stop {
					return disk.ErrPower
				}
				return nil
			})
			l, err := Open(w.fs, "log", w.opts)
			if err == nil {
				w.log = l
				w.fs.Hook(nil)
				w.play([]byte{0, 3, 4, 9, 5, 3})
			}
			w.fs.CutPower(fates(uint64(stop))[name])
			w.reopen()
			w.play([]byte{0, 3, 4, 9, 5, 3})
			w.check()
			if err == nil {
				break
			}
		}
	}
}

// TestTornBatchStaysGone loses the first of two batches and keeps the second, which was never
// acknowledged. When the next life then writes the very same first batch, the second would fit
// behind it again.
func TestTornBatchStaysGone(t *testing.T) {
	w := newTwin(t, small())
	w.must(w.append(Batch{Entries: entriesFrom(1, 1, 9), Hard: HardState{1, 1, 0}}))
	w.must(w.append(Batch{Entries: []Entry{{10, 1, 0, make([]byte, 3*disk.Sector)}}}))
	w.must(w.close())
	w.reopen()
	first := Batch{Hard: HardState{1, 1, 10}}
	w.must(w.append(first))
	start := w.log.place.off - endSize
	w.fs.Hook(func(op disk.Op) error {
		if op.Kind == disk.OpSync {
			return disk.ErrPower
		}
		return nil
	})
	if err := w.append(Batch{Entries: entriesFrom(11, 1, 2)}); err == nil {
		t.Fatal("the flush should have failed")
	}
	w.fs.CutPower(func(u disk.Unit) int {
		if u.Off == start {
			return disk.Lost
		}
		return disk.Kept
	})
	w.reopen()
	if w.log.Last() != 10 {
		t.Fatalf("the log ends at %d", w.log.Last())
	}
	w.must(w.append(first))
	w.fs.CutPower(func(disk.Unit) int { return disk.Kept })
	w.reopen()
	w.check()
}
