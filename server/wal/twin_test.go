package wal

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/grovekeeper/grove/internal/disk"
)

// state is what a log holds, as plainly as it can be said.
type state struct {
	first   uint64 // the lowest index that was never released by Reset
	entries []Entry
	hard    HardState
}

func (s state) last() uint64 { return s.first + uint64(len(s.entries)) - 1 }

// after is the state after a batch.
func (s state) after(b Batch) state {
	if len(b.Entries) > 0 {
		keep := s.entries[:b.Entries[0].Index-s.first]
		s.entries = append(keep[:len(keep):len(keep)], b.Entries...)
	}
	if b.Hard != (HardState{}) {
		s.hard = b.Hard
	}
	return s
}

func (s state) reset(index uint64) state {
	return state{first: index + 1, hard: HardState{s.hard.Term, s.hard.Vote, index}}
}

// twin runs a log beside the list of states it went through. Of those, all up to flushed have
// been acknowledged as durable; later ones may or may not survive a crash.
type twin struct {
	t        testing.TB
	fs       *disk.Memory
	opts     Options
	log      *Log
	states   []state
	flushed  int
	released uint64 // highest index given to Release
}

func newTwin(t testing.TB, o Options) *twin {
	w := &twin{t: t, fs: disk.NewMemory(), opts: o, states: []state{{first: 1}}}
	w.log = mustOpen(t, w.fs, o)
	return w
}

func (w *twin) now() state { return w.states[len(w.states)-1] }

// do applies a change to both. An error means the log is broken: the change is in doubt.
func (w *twin) do(next state, flush bool, change func() error) error {
	w.states = append(w.states, next)
	err := change()
	if err == nil && flush {
		w.flushed = len(w.states) - 1
	}
	return err
}

func (w *twin) append(b Batch) error {
	old := w.now().hard
	voted := b.Hard != (HardState{}) && (b.Hard.Term != old.Term || b.Hard.Vote != old.Vote)
	flush := b.Sync || len(b.Entries) > 0 || voted
	return w.do(w.now().after(b), flush, func() error { return w.log.Append(b) })
}

func (w *twin) reset(index, term uint64) error {
	return w.do(w.now().reset(index), true, func() error { return w.log.Reset(index, term) })
}

func (w *twin) close() error {
	return w.do(w.now(), true, w.log.Close)
}

// reopen opens the log again after a crash or a Close and checks what it finds: one of the
// states from the last acknowledged one on.
func (w *twin) reopen() {
	w.t.Helper()
	o := w.opts
	o.Start = max(w.released, 1)
	l, err := Open(w.fs, "log", o)
	if err != nil {
		w.t.Fatalf("open: %v", err)
	}
	w.log = l
	w.settle()
}

// settle finds the state that the log is in, and forgets the others.
func (w *twin) settle() {
	w.t.Helper()
	var why error
	for i := len(w.states) - 1; i >= w.flushed; i-- {
		err := w.matches(w.states[i])
		if err == nil {
			w.states, w.flushed = []state{w.states[i]}, 0
			return
		}
		if why == nil || i == w.flushed {
			why = err
		}
	}
	w.t.Fatalf("the log is in none of the %d states it may be in: %v", len(w.states)-w.flushed, why)
}

func (w *twin) matches(s state) error {
	l := w.log
	first, last := l.First(), l.Last()
	if first < s.first || first > max(s.first, w.released) || last != s.last() {
		return fmt.Errorf("holds %d to %d, not %d to %d", first, last, s.first, s.last())
	}
	if l.Hard() != s.hard {
		return fmt.Errorf("hard state is %+v, not %+v", l.Hard(), s.hard)
	}
	got, err := l.Entries(first, last+1, 1<<40)
	if err != nil {
		return err
	}
	return sameEntries(l, got, s.entries[first-s.first:])
}

func sameEntries(l *Log, got, want []Entry) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d entries, not %d", len(got), len(want))
	}
	for i, e := range want {
		g := got[i]
		if g.Index != e.Index || g.Term != e.Term || g.Kind != e.Kind || !bytes.Equal(g.Data, e.Data) {
			return fmt.Errorf("entry %d of term %d is entry %d of term %d", e.Index, e.Term, g.Index, g.Term)
		}
		if term, err := l.Term(e.Index); err != nil || term != e.Term {
			return fmt.Errorf("term of entry %d is %d (%v), not %d", e.Index, term, err, e.Term)
		}
	}
	return nil
}

// check compares the open log with the newest state.
func (w *twin) check() {
	w.t.Helper()
	if err := w.matches(w.now()); err != nil {
		w.t.Fatalf("after %d changes: %v", len(w.states)-1, err)
	}
}

// step does what the next bytes of a script say, and returns the rest of the script. A crash is
// the caller's business.
func (w *twin) step(script []byte) (rest []byte, err error) {
	op, arg := script[0], uint64(0)
	if len(script) > 1 {
		arg = uint64(script[1])
	}
	rest = script[min(2, len(script)):]
	s := w.now()
	switch op % 10 {
	case 0, 1, 2: // append
		return rest, w.append(Batch{Entries: entriesFrom(s.last()+1, w.term(), int(arg%9)+1)})
	case 3: // one large entry
		data := bytes.Repeat([]byte{byte(arg), 0, 0x5a}, int(arg)*16)
		return rest, w.append(Batch{Entries: []Entry{{s.last() + 1, w.term(), 1, data}}})
	case 4: // a new leader replaces what was not committed
		kept := max(s.hard.Commit, s.first-1, min(w.released, s.last()))
		from := s.last() + 1 - min(arg%16, s.last()-kept)
		h := HardState{w.term() + 1, arg % 3, s.hard.Commit}
		return rest, w.append(Batch{Entries: entriesFrom(from, h.Term, int(arg%5)), Hard: h})
	case 5, 6: // commit some, without a flush unless asked
		h := s.hard
		h.Commit += min(arg%7, s.last()-h.Commit)
		return rest, w.append(Batch{Hard: h, Sync: arg > 240})
	case 7:
		w.released = max(w.released, min(s.hard.Commit, s.last())-min(arg%20, s.hard.Commit))
		return rest, w.log.Release(w.released)
	case 8:
		w.log.Tend()
		return rest, nil
	}
	if arg < 250 {
		return rest, nil
	}
	image := s.last() + arg - 249 // from a leader far ahead
	w.released = image + 1
	return rest, w.reset(image, w.term())
}

func (w *twin) term() uint64 { return max(w.now().hard.Term, 1) }
