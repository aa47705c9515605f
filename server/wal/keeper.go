package wal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/grovekeeper/grove/internal/bug"
	"github.com/grovekeeper/grove/internal/disk"
	"github.com/grovekeeper/grove/internal/group"
)

const (
	// chunkBytes are written and flushed at a time when a segment is prepared, so little that the
	// flush of a batch, which waits for whatever the device is busy with, is not held up
	// noticeably. After each comes a pause as long as the chunk took, and at least chunkPause.
	chunkBytes = 256 << 10
	chunkPause = time.Millisecond
	// noteEvery is how old the watermark file may become while the log is written.
	noteEvery = 100 * time.Millisecond
	// prepareAt is the part of a segment, one in so many, after which the next is prepared.
	prepareAt = 4
)

// keeper does what Append must not wait for: it prepares the next segment, recycles or deletes
// old ones, and notes in the watermark file how far the log is durable. In a log opened with
// Manual the appending goroutine does it in Tend; otherwise a goroutine, the "log keeper", does,
// from Open to Close.
type keeper struct {
	work   sync.Mutex // held for one piece of work, I/O included; guards the fields below
	spare  *segment   // the next segment, prepared, under its final name
	draft  draft
	marker disk.File // the watermark file
	noted  position  // what it says

	state   spareState // guarded by Log.mu
	retired []*segment // released, not yet recycled or deleted; guarded by Log.mu

	kicks chan struct{} // bound 1: a kick that was not taken yet stands for all
	timed atomic.Bool   // the watermark is about to be written
	house *group.Group  // of the log keeper; nil with Manual
}

// draft is a segment being prepared; file is nil if there is none.
type draft struct {
	file            disk.File
	bytes, capacity int64 // written so far; in the end
}

// spareState is what Stats says about the next segment.
type spareState struct {
	ready bool
	err   error
}

// Tend does one piece of the work that is kept away from Append and says whether there is
// more. A log that was not opened with Manual does it by itself.
func (l *Log) Tend() (more bool) {
	if more, err := l.prepare(); more || err != nil {
		return more
	}
	return l.note(false) != nil
}

// keepHouse is the log keeper.
func (l *Log) keepHouse(ctx context.Context) error {
	var pace, note <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.kicks:
			if pace == nil {
				pace = time.After(0)
			}
			if note == nil && l.timed.Load() {
				note = time.After(noteEvery)
			}
		case <-pace:
			pace = nil
			start := time.Now()
			if more, _ := l.prepare(); more { // the error is kept for Stats
				pace = time.After(max(chunkPause, time.Since(start)))
			}
		case <-note:
			note = nil
			l.timed.Store(false) // before the position is read: what comes later kicks again
			_ = l.note(false)    // a witness less; the log itself does not depend on it
			pace = time.After(0) // try again what failed for want of space
		}
	}
}

// wake lets the keeper know that the log has grown to off.
func (l *Log) wake(off int64) {
	if l.kicks == nil {
		return
	}
	crossed := l.asked != l.tail.seq && off >= l.tail.capacity/prepareAt
	if crossed {
		l.asked = l.tail.seq
	}
	untimed := !l.timed.Load() && !l.timed.Swap(true)
	if crossed || untimed {
		l.kick()
	}
}

func (l *Log) kick() {
	select {
	case l.kicks <- struct{}{}:
	default:
	}
}

// prepare does one piece of work on segments: it puts an old one away, or brings the next one
// a chunk further.
func (l *Log) prepare() (more bool, err error) {
	l.work.Lock()
	defer l.work.Unlock()
	old, tail, begun := l.chores()
	switch {
	case old != nil:
		more, err = true, l.putAway(old, l.capacityAfter(tail))
	case l.spare != nil || !begun:
		return false, nil
	case l.draft.file == nil:
		more, err = true, l.startDraft(l.capacityAfter(tail))
	case l.draft.bytes < l.draft.capacity:
		more, err = true, l.extendDraft()
	default:
		err = l.promote(tail.seq + 1)
	}
	if err != nil {
		l.dropDraft()
		more = false
	}
	l.mu.Lock()
	l.state = spareState{l.spare != nil, err}
	l.mu.Unlock()
	return more, err
}

// chores returns a segment to put away, and whether the tail is far enough along for a next
// one to be prepared. A tail whose first batch is not on disk never is: a prepared segment is
// proof, to Open, that the one before it was begun.
func (l *Log) chores() (old, tail *segment, begun bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tail = l.index.tail()
	begun = l.durable.seq == tail.seq && l.durable.off >= tail.capacity/prepareAt ||
		l.durable.seq == tail.seq && l.draft.file != nil
	if len(l.retired) > 0 && l.retired[0].readers == 0 { // in order, or there would be a gap
		old = l.retired[0]
	}
	return old, tail, begun
}

// gone strikes the oldest retired segment off the list.
func (l *Log) gone() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired = l.retired[1:]
}

// capacityAfter returns the size of the segment after g.
func (l *Log) capacityAfter(g *segment) int64 {
	return min(g.capacity*growth, l.opts.SegmentBytes)
}

func (l *Log) path(name string) string { return filepath.Join(l.dir, name) }

func segmentName(seq uint64) string { return fmt.Sprintf("%016x.log", seq) }

// putAway makes an old segment a finished draft, to become the next spare in its time, unless there
// is a draft or it has another size; then it deletes it. The directory is flushed each time, so
// that a power cut never leaves a gap; a segment that cannot be put away keeps the later ones
// waiting for the same reason.
func (l *Log) putAway(g *segment, capacity int64) error {
	recycle := l.draft.file == nil && g.capacity == capacity && !g.tried
	g.tried = true
	if !recycle {
		if err := l.removeIfThere(g.path); err != nil {
			return err
		}
		if err := l.fs.SyncDir(l.dir); err != nil {
			return err
		}
		l.gone()
		return g.file.Close()
	}
	if err := l.fs.Rename(g.path, l.path(prepareName)); err != nil {
		return err
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return err
	}
	l.gone()
	// Only now, under a name that Open does not take for a segment's, may the header go.
	l.draft = draft{g.file, capacity, capacity}
	if _, err := g.file.WriteAt(zeros[:headerBytes], 0); err != nil {
		return err
	}
	return g.file.Sync()
}

func (l *Log) startDraft(capacity int64) error {
	if err := l.removeIfThere(l.path(prepareName)); err != nil { // of a try that failed
		return err
	}
	f, err := l.fs.Create(l.path(prepareName))
	if err != nil {
		return err
	}
	l.draft = draft{file: f, capacity: capacity}
	return nil
}

var zeros [chunkBytes]byte // never written

func (l *Log) extendDraft() error {
	d := &l.draft
	n := min(chunkBytes, d.capacity-d.bytes)
	if _, err := d.file.WriteAt(zeros[:n], d.bytes); err != nil {
		return err
	}
	d.bytes += n
	return d.file.Sync()
}

// promote gives the finished draft its final name, durably, so that Append has nothing to do but
// to write into it.
func (l *Log) promote(seq uint64) error {
	path := l.path(segmentName(seq))
	if err := l.fs.Rename(l.path(prepareName), path); err != nil {
		return err
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return err
	}
	l.spare = l.newSegment(l.draft.file, seq, l.draft.capacity)
	l.draft = draft{}
	return nil
}

// dropDraft gives up on a draft after an error; the next try starts from nothing.
func (l *Log) dropDraft() {
	if l.draft.file == nil {
		return
	}
	l.draft.file.Close()
	l.draft = draft{}
	_ = l.removeIfThere(l.path(prepareName)) // the next try says so if this fails too
}

func (l *Log) removeIfThere(path string) error {
	if err := l.fs.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (l *Log) newSegment(f disk.File, seq uint64, capacity int64) *segment {
	return &segment{file: f, path: l.path(segmentName(seq)), seq: seq,
		mark: markOf(l.opts.Identity, seq), capacity: capacity}
}

// nextSegment returns segment seq with room for size bytes: the spare, or, if the keeper has
// not caught up, a file that is only reserved: slower to write, but here at once.
func (l *Log) nextSegment(seq uint64, size int64) (*segment, error) {
	l.work.Lock()
	defer l.work.Unlock()
	g := l.spare
	l.spare = nil
	l.mu.Lock()
	l.state.ready = false
	l.mu.Unlock()
	if g != nil && g.seq == seq && g.capacity >= size {
		return g, nil
	}
	if g != nil {
		g.file.Close()
	}
	// The name may be taken by a spare that is too small, or by one that could not be finished.
	path := l.path(segmentName(seq))
	if err := l.removeIfThere(path); err != nil {
		return nil, err
	}
	f, err := l.fs.Create(path)
	if err != nil {
		return nil, err
	}
	capacity := max(l.capacityAfter(l.tail), aligned(size))
	if err = f.Truncate(capacity); err == nil {
		err = f.Sync()
	}
	if err == nil && !bug.On(bug.SegmentNotNamed) {
		err = l.fs.SyncDir(l.dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return l.newSegment(f, seq, capacity), nil
}
