package wal

import (
	"context"
	"errors"
	"fmt"

	"github.com/grovekeeper/grove/internal/bug"
	"github.com/grovekeeper/grove/internal/disk"
	"github.com/grovekeeper/grove/internal/group"
)

// Open opens the log in dir, making it if there is none. The caller holds a lock on the data
// directory. It returns a *CorruptError if anything that may have been acknowledged is missing or
// damaged, and ErrIdentity if the log is another's; the files are then as they were.
func Open(fs disk.FS, dir string, o Options) (*Log, error) {
	o, err := o.validate()
	if err != nil {
		return nil, err
	}
	if err := fs.MkdirAll(dir); err != nil {
		return nil, err
	}
	s := &survey{fs: fs, dir: dir, opts: o}
	if err := s.run(fs.OpenRW); err != nil {
		return nil, errors.Join(err, s.close())
	}
	l := &Log{fs: fs, dir: dir, opts: o, index: s.index, hard: s.hard}
	if err := l.repair(s); err != nil {
		if s.scan == nil && l.tail != nil {
			err = errors.Join(err, l.tail.file.Close())
		}
		if l.marker != nil {
			err = errors.Join(err, l.marker.Close())
		}
		return nil, errors.Join(fmt.Errorf("repair %s: %w", dir, err), s.close())
	}
	if !o.Manual {
		l.kicks = make(chan struct{}, 1)
		var ctx context.Context
		// Until Close, and no earlier: what the log needs must not end before it.
		l.house, ctx = group.New(context.Background())
		l.house.Go("log keeper", func() error { return l.keepHouse(ctx) })
		l.kick() // there may be something to put away
	}
	return l, nil
}

// run reads the directory and comes to a verdict.
func (s *survey) run(open func(string) (disk.File, error)) error {
	if err := s.look(open); err != nil {
		return err
	}
	var err error
	path := s.watermarkPath()
	if err = s.order(); err != nil {
		return err
	}
	if s.watermark, s.marker, s.marked, err = readWatermark(s.fs, path, s.opts.Identity); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if err = s.replay(); err != nil {
		return err
	}
	if err = s.assess(); err != nil {
		return err
	}
	return s.witnesses()
}

func (s *survey) close() error {
	var err error
	for _, f := range s.all {
		err = errors.Join(err, f.close())
	}
	return err
}

// close closes the file, once.
func (f *found) close() error {
	if f.closed {
		return nil
	}
	f.closed = true
	return f.file.Close()
}

// repair makes the directory what the survey says the log is, and everything in it durable.
func (l *Log) repair(s *survey) error {
	if err := l.tidy(s); err != nil {
		return err
	}
	var err error
	if s.scan == nil {
		err = l.create()
	} else {
		err = l.rewrite(s)
	}
	if err != nil {
		return err
	}
	l.durable = position{l.tail.seq, l.place.off}
	l.place.synced = uint32(l.place.off)
	l.retired = l.index.release(l.index.first, l.tail.seq) // what an unfinished Reset left
	return l.openMarker()
}

// tidy removes what was begun in vain, moves strays out of the way, gives every segment its
// proper name and turns a prepared segment back into a draft: were its name not durable, for a
// directory flush that failed, nothing would show it.
func (l *Log) tidy(s *survey) error {
	for _, f := range s.begun {
		if err := errors.Join(f.close(), l.fs.Remove(s.path(f))); err != nil {
			return err
		}
	}
	if err := l.removeIfThere(l.path(prepareName)); err != nil {
		return err
	}
	if f := s.spare; f != nil {
		if err := l.fs.Rename(s.path(f), l.path(prepareName)); err != nil {
			return err
		}
		// Its end is written again: were a flush of it the one that failed, the disk may not know its size.
		l.draft = draft{f.file, max(0, f.size-chunkBytes), f.size}
	}
	for _, f := range s.stray {
		err := l.fs.Rename(s.path(f), l.path(f.name+".stray"))
		if err = errors.Join(err, f.close()); err != nil {
			return err
		}
	}
	return l.rename(s) // openMarker makes all this durable
}

// rename gives every segment the name that goes with its number.
func (l *Log) rename(s *survey) error {
	taken := map[string]bool{}
	for _, f := range s.current {
		taken[f.name] = true
	}
	move := func(i int, name string) error {
		f := s.current[i]
		if err := l.fs.Rename(s.path(f), l.path(name)); err != nil {
			return err
		}
		delete(taken, f.name)
		taken[name], f.name, l.index.segments[i].path = true, name, l.path(name)
		return nil
	}
	for i, f := range s.current { // first out of each other's way
		name := segmentName(f.header.seq)
		for n := 0; f.name != name && taken[name]; n++ {
			name = fmt.Sprintf("%016x%s%d.log", f.header.seq, movedSuffix, n)
		}
		if f.name != name {
			if err := move(i, name); err != nil {
				return err
			}
		}
	}
	for i, f := range s.current {
		if name := segmentName(f.header.seq); f.name != name {
			if err := move(i, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// create makes the first segment, filled with zeros, holding one empty batch.
func (l *Log) create() error {
	name := l.path(segmentName(1))
	f, err := l.fs.Create(name)
	if err != nil {
		return err
	}
	size := l.opts.FirstBytes
	err = fillZeros(f, 0, size)
	if err = errors.Join(err, f.Sync(), l.fs.SyncDir(l.dir)); err != nil {
		return errors.Join(err, f.Close())
	}
	l.index.restart(l.opts.Start, 0)
	l.begin(l.newSegment(f, 1, size), header{flags: fresh, first: l.opts.Start})
	l.buf = l.place.appendEnd(l.buf, HardState{}, l.opts.Start-1, headerBytes, 0, 0)
	return l.write(0, true)
}

// rewrite writes what is not known to be on disk again, clears what lies behind the end, and
// flushes both. After a flush that failed, the kernel may have gone on showing bytes that the disk
// does not hold; written again they are dirty again, and this flush tells the truth about them.
func (l *Log) rewrite(s *survey) error {
	g, scan := l.index.tail(), s.scan
	l.tail = g
	l.place = place{mark: g.mark, off: scan.end, prev: scan.prev}
	b := make([]byte, scan.end-scan.synced)
	if err := readFull(g.file, b, scan.synced); err != nil {
		return err
	}
	if _, err := g.file.WriteAt(b, scan.synced); err != nil {
		return err
	}
	if bug.On(bug.TornTailKept) {
		s.scrap = scan.end
	}
	if err := fillZeros(g.file, scan.end, s.scrap); err != nil {
		return err
	}
	return g.file.Sync()
}

func fillZeros(f disk.File, from, to int64) error {
	for from < to {
		n := min(chunkBytes, to-from)
		if _, err := f.WriteAt(zeros[:n], from); err != nil {
			return err
		}
		from += n
	}
	return nil
}
