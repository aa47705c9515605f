package replica

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/grovekeeper/grove/server/wal"
)

// memLog is the slow obvious twin of the log: what is written, and what of it would survive losing
// power. Only what a batch asks to be synced survives, whatever is in it.
type memLog struct {
	mu      sync.Mutex
	now     logImage
	safe    logImage
	reads   int           // calls of Entries
	syncs   int           // batches that asked for it
	batches int           // all
	fail    error         // what every call fails with
	block   chan struct{} // Append waits for it to close, if set
}

// logImage is a log: entries[i] has index base+1+i.
type logImage struct {
	base    mark
	entries []wal.Entry
	hard    wal.HardState
}

func (l logImage) last() uint64 { return l.base.index + uint64(len(l.entries)) }

func (l logImage) term(i uint64) (uint64, error) {
	switch {
	case i == l.base.index && l.base.term != 0:
		return l.base.term, nil
	case i <= l.base.index:
		return 0, wal.ErrCompacted
	case i > l.last():
		return 0, wal.ErrUnavailable
	}
	return l.entries[i-l.base.index-1].Term, nil
}

func newMemLog(start Start) *memLog {
	image := logImage{base: mark{start.Index, start.Term}}
	return &memLog{now: image, safe: image}
}

func (l *memLog) First() uint64       { l.mu.Lock(); defer l.mu.Unlock(); return l.now.base.index + 1 }
func (l *memLog) Last() uint64        { l.mu.Lock(); defer l.mu.Unlock(); return l.now.last() }
func (l *memLog) Hard() wal.HardState { l.mu.Lock(); defer l.mu.Unlock(); return l.now.hard }

func (l *memLog) Term(i uint64) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return 0, l.fail
	}
	return l.now.term(i)
}

func (l *memLog) Entries(lo, hi, bytes uint64) ([]wal.Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	switch {
	case l.fail != nil:
		return nil, l.fail
	case lo <= l.now.base.index:
		return nil, wal.ErrCompacted
	case hi > l.now.last()+1:
		return nil, wal.ErrUnavailable
	}
	var out []wal.Entry
	var size uint64
	for _, e := range l.now.entries[lo-l.now.base.index-1 : hi-l.now.base.index-1] {
		if size += uint64(len(e.Data)); size > bytes && len(out) > 0 {
			break
		}
		e.Data = slices.Clone(e.Data) // as read from a disk
		out = append(out, e)
	}
	return out, nil
}

func (l *memLog) Append(b wal.Batch) error {
	l.mu.Lock()
	block := l.block
	l.mu.Unlock()
	if block != nil {
		<-block
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	l.batches++
	if len(b.Entries) > 0 {
		at := b.Entries[0].Index
		if at <= l.now.base.index || at > l.now.last()+1 {
			return fmt.Errorf("%w: entry %d after %d to %d", wal.ErrOrder, at, l.now.base.index, l.now.last())
		}
		keep := l.now.entries[:at-l.now.base.index-1]
		for i, e := range b.Entries {
			if e.Index != at+uint64(i) {
				return errors.New("batch with a gap")
			}
		}
		l.now.entries = append(slices.Clip(keep), b.Entries...)
	}
	if b.Hard != (wal.HardState{}) {
		l.now.hard = b.Hard
	}
	if b.Sync {
		l.syncs++
		l.safe = l.now
	}
	return nil
}

func (l *memLog) Release(index uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if index <= l.now.base.index+1 {
		return l.fail
	}
	n := index - 1 - l.now.base.index
	l.now.base = mark{index - 1, 0}
	l.now.entries = l.now.entries[n:]
	l.safe = l.now // of what is given up, nothing needs to survive
	return l.fail
}

func (l *memLog) Reset(index, term uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now.base, l.now.entries = mark{index, term}, nil
	l.now.hard.Commit = max(l.now.hard.Commit, index)
	l.safe = l.now
	return l.fail
}

// cutPower forgets what was not synced.
func (l *memLog) cutPower() { l.now = l.safe }
