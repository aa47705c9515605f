package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// memoryFile is an open file of a Memory. Its methods take the file system's lock.
type memoryFile struct {
	m        *Memory
	node     *inode
	name     string
	life     int
	writable bool
	closed   bool
}

func (f *memoryFile) enter(kind OpKind, off int64, size int) error {
	if f.closed {
		return &fs.PathError{Op: kind.String(), Path: f.name, Err: fs.ErrClosed}
	}
	if f.life != f.m.life {
		return &fs.PathError{Op: kind.String(), Path: f.name, Err: ErrPower}
	}
	if !f.writable && (kind == OpWrite || kind == OpTruncate) {
		return &fs.PathError{Op: kind.String(), Path: f.name, Err: fs.ErrPermission}
	}
	return f.m.check(Op{Kind: kind, Name: f.name, Off: off, Len: size})
}

func (f *memoryFile) ReadAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.enter(OpRead, off, len(p)); err != nil {
		return 0, err
	}
	if off >= int64(len(f.node.cached)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.cached[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memoryFile) WriteAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	err := f.enter(OpWrite, off, len(p))
	if short := (*ShortWrite)(nil); errors.As(err, &short) {
		p = p[:min(short.N, len(p))]
	} else if err != nil {
		return 0, err
	}
	f.node.write(p, off)
	return len(p), err
}

// Sync makes the pending units durable. If the fault hook fails it, the units are forgotten:
// like the kernel, which marks the pages clean, so that readers go on seeing bytes that are
// not on disk and the next Sync succeeds without them.
func (f *memoryFile) Sync() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	err := f.enter(OpSync, 0, 0)
	if err == nil {
		for _, u := range f.node.pending {
			f.node.durable = u.apply(f.node.durable)
		}
	}
	if !errors.Is(err, ErrPower) && !errors.Is(err, fs.ErrClosed) {
		f.node.pending = f.node.pending[:0]
	}
	return err
}

func (f *memoryFile) Truncate(size int64) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.enter(OpTruncate, size, 0); err != nil {
		return err
	}
	u := unit{off: size}
	f.node.cached = u.apply(f.node.cached)
	f.node.pending = append(f.node.pending, u)
	return nil
}

func (f *memoryFile) Size() (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed {
		return 0, fs.ErrClosed
	}
	return int64(len(f.node.cached)), nil
}

func (f *memoryFile) Close() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed {
		return fmt.Errorf("close %s: %w", f.name, fs.ErrClosed)
	}
	f.closed = true
	return nil
}

// write changes the cached image and notes, sector by sector, what the durable one lacks.
func (n *inode) write(p []byte, off int64) {
	for len(p) > 0 {
		size := min(int64(len(p)), Sector-off%Sector)
		u := unit{off: off, data: append([]byte(nil), p[:size]...)}
		n.cached = u.apply(n.cached)
		n.pending = append(n.pending, u)
		p, off = p[size:], off+size
	}
}

// apply returns image with u in it.
func (u unit) apply(image []byte) []byte {
	end := u.off + int64(len(u.data))
	if u.data == nil && end < int64(len(image)) {
		return image[:end:end]
	}
	if grow := end - int64(len(image)); grow > 0 {
		image = append(image, make([]byte, grow)...)
	}
	copy(image[u.off:], u.data)
	return image
}
