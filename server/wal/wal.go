// Package wal is the log on disk: it keeps the entries and the hard state of a replica, makes a
// batch durable with one write and one flush, and on opening tells a torn tail, which it cuts,
// from damage, which it refuses. It moves bytes and knows nothing of what they mean.
//
// # Files
//
// A log is a directory of segments, numbered without gaps. Each was filled to its final size
// and flushed before its first use, so that a batch overwrites blocks that exist and a flush
// has no file size to journal. The next one is prepared in the background under its final
// name; a segment that is no longer needed becomes a spare, full of old records as it is. The order is that of the
// headers: names and times mean nothing (except that of two files that both claim a
// number, the one named after it is believed).
//
//	0000000000000007.log   a segment
//	0000000000000008.log   the next one, prepared: no header yet
//	prepare.tmp            one being prepared; deleted on opening
//	watermark              how far the log is known to be durable
//
// All numbers are little-endian. A segment is a header, then batches, then whatever was there:
//
//	 0          8         12      16        24       32            40    48         56
//	+----------+---------+-------+---------+--------+-------------+-----+----------+
//	| grovewal | version | flags | cluster | member | incarnation | seq | capacity |
//	+----------+---------+-------+---------+--------+-------------+-----+----------+
//	 56      64     72         80         84     88    92     96
//	+-------+------+----------+----------+------+-----+------+
//	| first | term | prev end | prev crc | mark | crc | foot |
//	+-------+------+----------+----------+------+-----+------+
//
// First is the index expected next when the segment was begun, term that of the entry before it;
// prev end and prev crc say where and how the segment before ends. The header is written together
// with the first batch. A batch is entry records followed by one end record; it holds together or
// not at all. Records are padded with zeros to 8 bytes:
//
//		 0     4        8      12     16       20     21    22     24     32      40
//		+-----+--------+------+------+--------+------+-----+------+------+-------+--- ... ---+
//		| crc | length | mark | prev | synced | kind | sub | zero | term | index | payload   |
//		+-----+--------+------+------+--------+------+-----+------+------+-------+--- ... ---+
//		 kind 1, an entry: sub is its Kind, the payload its Data
//		 kind 2, the end: sub is 1 if the log was closed, term that of the hard state, index
//		 that of the last entry of the log, and the payload
//		 40     48       56      60      64     72
//		+------+--------+-------+-------+------+
//		| vote | commit | start | count | foot |    start: of the batch; count: of its entries
//		+------+--------+-------+-------+------+
//
//	  - crc is CRC-32C of everything after it, padding included, started from mark xor offset/8:
//	    a record is valid in one place of one segment, and nowhere else. What a recycled file still
//	    holds is never taken for a record.
//	  - mark is computed from identity and seq; no two segments of a log share it.
//	  - prev is the crc of the record before; of the header for the first.
//	  - synced says that everything in this segment below that offset, and every segment before, was
//	    on disk when this was written. It makes any later record a witness for the earlier ones.
//	  - an end record carries the whole hard state, so that the newest is always in the last batch.
//	  - foot is a constant without zero bytes: a tear that loses the end of a write loses many bits,
//	    never just one.
//
// # Opening
//
// Every record is read and verified. The first that is not whole, in the newest segment, is the
// torn end of a write that was never acknowledged, unless something says otherwise:
//
//   - a whole record further on says by synced that the place was durable;
//   - flipping a single bit makes its batch whole: disks lose sectors, they do not bend them;
//   - the watermark file lies beyond it, or the caller's witness does;
//   - the file is shorter than it was prepared to be, or is missing from the sequence.
//
// Then the log is damaged, and Open says in which file and where. In any other segment a record
// that is not whole is always damage. A tail that passes is cut after its last whole batch, what
// lies behind is cleared, the bytes not known to be on disk are written and flushed again (after a
// failed flush the kernel may show bytes the disk does not hold), and only then does Open return.
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
	// ErrIdentity says that the files belong to another cluster, member or incarnation.
	ErrIdentity = errors.New("wal: log of another identity")
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
	// held at or above it is replaced. The log keeps no reference to their data.
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
	// SegmentBytes is the size segments grow to, each at most twice the one before. Zero means
	// 64 MiB. At least 4 KiB, at most 1 GiB. A batch that needs more gets a larger segment.
	SegmentBytes int64
	// FirstBytes is the size of a new log's first segment. Zero means 1 MiB, or SegmentBytes if
	// that is less: a server that is tried and left alone should not write 64 MiB.
	FirstBytes int64
	// Start is the first index the caller will ask for: one above its checkpoint. A new log
	// begins there; an old one that begins later has lost something and is refused. An old one that
	// ends before Start-1 is opened as it is: Reset it. Zero means 1.
	Start uint64
	// Witness is an index the caller knows to have been durable in this log, such as the one its
	// checkpoint has applied. A log that ends before it is refused, and so is a missing log. Zero
	// means none; so does 1 where there is no log yet, the index a new state is founded at. An
	// index that came with an installed image is not a witness: this log may never have held it.
	Witness uint64
	// Manual says that the log starts no goroutine: the caller calls Tend when it suits.
	Manual bool
}

const (
	segmentBytes    = 64 << 20
	segmentBytesMin = 4 << 10
	segmentBytesMax = 1 << 30
	firstBytes      = 1 << 20
	growth          = 2
)

func (o Options) validate() (Options, error) {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = segmentBytes
	}
	if o.FirstBytes == 0 {
		o.FirstBytes = min(firstBytes, o.SegmentBytes)
	}
	if o.SegmentBytes < segmentBytesMin || o.SegmentBytes > segmentBytesMax {
		return o, fmt.Errorf("wal: SegmentBytes is %d, not between %d and %d",
			o.SegmentBytes, segmentBytesMin, segmentBytesMax)
	}
	if o.FirstBytes < segmentBytesMin || o.FirstBytes > o.SegmentBytes {
		return o, fmt.Errorf("wal: FirstBytes is %d, not between %d and SegmentBytes",
			o.FirstBytes, segmentBytesMin)
	}
	o.SegmentBytes, o.FirstBytes = aligned(o.SegmentBytes), aligned(o.FirstBytes)
	o.Start = max(o.Start, 1)
	return o, nil
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

// Log is an open log. Append, Reset, Tend and Close belong to one goroutine at a time; Release and
// the readers (First, Last, Term, Entries, Hard, Stats) may run beside them and beside each other.
type Log struct {
	fs   disk.FS // this and the next two are fixed by Open
	dir  string
	opts Options

	writer // owned by the goroutine that appends
	keeper // prepares, retires, notes; has its own lock

	mu      sync.Mutex // guards the fields below; held for no I/O; taken after keeper.work
	index   index
	hard    HardState
	durable position
	closed  bool
}

// position is a place in the log as it lies on disk. It only ever grows.
type position struct {
	seq uint64
	off int64
}

// Stats is what an operator may want to know about a log.
type Stats struct {
	Segments    int
	Bytes       int64 // of the segments, used or not
	First, Last uint64
	Spare       bool  // the next segment is prepared
	SpareErr    error // why the last try to prepare one failed; nil once one succeeded
}

// Stats returns the present state of the log.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Stats{Segments: len(l.index.segments), First: l.index.first, Last: l.index.next - 1,
		Spare: l.state.ready, SpareErr: l.state.err}
	for _, g := range l.index.segments {
		s.Bytes += g.capacity
	}
	return s
}

// First returns the lowest index in the log; Last+1 if it is empty.
func (l *Log) First() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.first
}

// Last returns the highest index in the log; First-1 if it is empty.
func (l *Log) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.next - 1
}

// Hard returns the newest hard state.
func (l *Log) Hard() HardState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hard
}

// Term returns the term of an entry, without touching the disk. The index just below First is
// known too unless its entry was lost to an overwritten suffix; otherwise it is ErrCompacted.
func (l *Log) Term(index uint64) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.term(index)
}
