package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"sync"
)

// Sector is the unit, in bytes, in which unsynced writes reach the memory disk or do not.
const Sector = 512

// ErrPower is what every call returns from the moment the power is gone: a fault hook returns it
// to say that the call never reached the disk.
var ErrPower = errors.New("disk: power is off")

// Memory is a file system in memory that keeps two images of everything: the cached one, which
// running programs see, and the durable one, which is all that a power cut leaves. What separates
// the two is a list of units for each file and each directory, in the order they were written;
// CutPower asks which of them made it. Methods may be called concurrently.
type Memory struct {
	mu    sync.Mutex // guards everything below, and every directory and inode
	dirs  map[string]*directory
	locks map[string]bool
	fault func(Op) error
	ops   int
	life  int // raised by CutPower; a handle of an earlier life is dead
}

type directory struct {
	cached, durable map[string]*inode
	pending         []change
}

// change is one directory entry made, removed or moved.
type change struct {
	to, from string // to is empty for a removal, from for a creation
	node     *inode
}

type inode struct {
	cached, durable []byte
	pending         []unit
}

// unit is part of one write within one sector, or a truncation (data nil).
type unit struct {
	off  int64
	data []byte
}

// NewMemory returns an empty file system holding only the root directory and ".".
func NewMemory() *Memory {
	return &Memory{
		dirs:  map[string]*directory{"/": newDirectory(), ".": newDirectory()},
		locks: map[string]bool{},
	}
}

func newDirectory() *directory {
	return &directory{cached: map[string]*inode{}, durable: map[string]*inode{}}
}

func (m *Memory) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.enter(OpCreate, name)
	if err != nil {
		return nil, err
	}
	if d.cached[base] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	node := &inode{}
	d.cached[base] = node
	d.pending = append(d.pending, change{to: base, node: node})
	return &memoryFile{m: m, node: node, name: name, life: m.life, writable: true}, nil
}

func (m *Memory) Open(name string) (File, error) { return m.open(name, false) }

func (m *Memory) OpenRW(name string) (File, error) { return m.open(name, true) }

func (m *Memory) open(name string, writable bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.enter(OpOpen, name)
	if err != nil {
		return nil, err
	}
	node := d.cached[base]
	if node == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &memoryFile{m: m, node: node, name: name, life: m.life, writable: writable}, nil
}

func (m *Memory) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.enter(OpRemove, name)
	if err != nil {
		return err
	}
	if d.cached[base] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	delete(d.cached, base)
	d.pending = append(d.pending, change{from: base})
	return nil
}

func (m *Memory) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.enter(OpRename, from)
	if err != nil {
		return err
	}
	if filepath.Dir(from) != filepath.Dir(to) {
		return fmt.Errorf("rename %s to %s: not in one directory", from, to)
	}
	node := d.cached[base]
	if node == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	delete(d.cached, base)
	d.cached[filepath.Base(to)] = node
	d.pending = append(d.pending, change{from: base, to: filepath.Base(to), node: node})
	return nil
}

func (m *Memory) List(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.enterDir(OpList, dir)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(d.cached)), nil
}

// MkdirAll makes directories durable at once: losing one is not a case the log can be in, since
// it syncs nothing into a directory before this returns.
func (m *Memory) MkdirAll(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check(Op{Kind: OpMkdir, Name: dir}); err != nil {
		return err
	}
	for dir = filepath.Clean(dir); m.dirs[dir] == nil; dir = filepath.Dir(dir) {
		m.dirs[dir] = newDirectory()
	}
	return nil
}

func (m *Memory) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.enterDir(OpSyncDir, dir)
	if err != nil {
		return err
	}
	d.durable, d.pending = maps.Clone(d.cached), nil
	return nil
}

func (m *Memory) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, _, err := m.enter(OpLock, name); err != nil {
		return nil, err
	}
	if m.locks[name] {
		return nil, fmt.Errorf("lock %s: %w", name, ErrLocked)
	}
	m.locks[name] = true
	return &memoryLock{m, name, m.life}, nil
}

type memoryLock struct {
	m    *Memory
	name string
	life int
}

func (l *memoryLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if l.life == l.m.life {
		delete(l.m.locks, l.name)
	}
	return nil
}

// enter asks the fault hook about a call and finds the directory of a file.
func (m *Memory) enter(kind OpKind, name string) (d *directory, base string, err error) {
	d, err = m.find(Op{Kind: kind, Name: name}, filepath.Dir(name))
	return d, filepath.Base(name), err
}

func (m *Memory) enterDir(kind OpKind, dir string) (*directory, error) {
	return m.find(Op{Kind: kind, Name: dir}, dir)
}

func (m *Memory) find(op Op, dir string) (*directory, error) {
	if err := m.check(op); err != nil {
		return nil, err
	}
	d := m.dirs[filepath.Clean(dir)]
	if d == nil {
		return nil, &fs.PathError{Op: op.Kind.String(), Path: op.Name, Err: fs.ErrNotExist}
	}
	return d, nil
}
