package wal

import (
	"errors"
	"fmt"

	"github.com/grovekeeper/grove/internal/bug"
)

// Release says that entries below index are not needed any more. Segments that hold nothing
// else are recycled or deleted, in the background; First moves accordingly, and may stay
// below index. It may run beside every other method but Close.
func (l *Log) Release(index uint64) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	// While a new tail's first batch is not on disk, the old tail is still the end of the log.
	gone := l.index.release(index, l.durable.seq)
	l.retired = append(l.retired, gone...)
	l.mu.Unlock()
	if len(gone) > 0 && l.kicks != nil {
		l.kick()
	}
	return nil
}

// Reset drops every entry and lets the log go on after (index, term): an image of that
// state has been installed. The hard state stays, with Commit raised to index. It is durable, all
// of it, when Reset returns; an error other than ErrOrder breaks the log.
func (l *Log) Reset(index, term uint64) error {
	if err := l.usable(); err != nil {
		return err
	}
	hard := l.hard
	if index < hard.Commit {
		return fmt.Errorf("%w: reset to %d, but %d is committed", ErrOrder, index, hard.Commit)
	}
	if bug.On(bug.ResetForgetsHard) {
		hard = HardState{}
	}
	hard.Commit = index
	err := l.roll(endSize, header{flags: fresh, first: index + 1, term: term})
	if err != nil {
		return l.fail(err)
	}
	start := l.place.off
	l.buf = l.place.appendEnd(l.buf, hard, index, start, 0, 0)
	if err := l.write(0, true); err != nil {
		return l.fail(err)
	}
	l.mu.Lock()
	old := len(l.index.segments) - 1
	l.retired = append(l.retired, l.index.segments[:old]...)
	l.index.segments = append([]*segment(nil), l.index.segments[old:]...)
	l.index.restart(index+1, term)
	l.mu.Unlock()
	l.show(nil, hard, start)
	_ = l.note(false) // as after every roll
	return nil
}

// Close marks the log as closed on purpose, so that every entry has a witness after it, flushes it
// and lets its files go. Reads under way fail. A broken log is let go as it is.
func (l *Log) Close() error {
	if l.closed {
		return ErrClosed
	}
	var err error
	if l.broken == nil {
		err = l.commit(nil, l.hard, true, closing)
	}
	if l.house != nil {
		l.house.Stop()
		_ = l.house.Wait() // never an error: what fails is tried again, or shows in Stats
	}
	if err == nil && l.broken == nil {
		err = l.note(true)
	}
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	return errors.Join(err, l.letFilesGo())
}

func (l *Log) letFilesGo() error {
	l.work.Lock()
	defer l.work.Unlock()
	l.dropDraft()
	all := append(append([]*segment(nil), l.index.segments...), l.retired...)
	if l.spare != nil {
		all = append(all, l.spare)
	}
	err := l.marker.Close()
	for _, g := range all {
		err = errors.Join(err, g.file.Close())
	}
	return err
}
