package disk

import (
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
)

// OpKind names a call for the fault hook.
type OpKind uint8

const (
	OpCreate OpKind = iota
	OpOpen
	OpRemove
	OpRename
	OpList
	OpMkdir
	OpSyncDir
	OpLock
	OpRead
	OpWrite
	OpSync
	OpTruncate
)

var opNames = [...]string{"create", "open", "remove", "rename", "list", "mkdir", "syncdir",
	"lock", "read", "write", "sync", "truncate"}

func (k OpKind) String() string { return opNames[k] }

// Op is one call about to be made. N counts the calls since NewMemory, from 1.
type Op struct {
	Kind OpKind
	Name string // path of the file or directory
	Off  int64  // of a read or write; the new size of a truncation
	Len  int    // of a read or write
	N    int
}

// ShortWrite, returned by a fault hook for a write, lets its first N bytes through.
type ShortWrite struct {
	N   int
	Err error
}

func (s *ShortWrite) Error() string { return "short write: " + s.Err.Error() }
func (s *ShortWrite) Unwrap() error { return s.Err }

// Hook makes hook decide the fate of every call from now on: an error is returned to the caller,
// and the call has no effect (but see File.Sync, and ShortWrite). Nil lets everything pass.
// The hook runs under the file system's lock and must not call it.
func (m *Memory) Hook(hook func(Op) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = hook
}

// Ops returns how many calls have been made.
func (m *Memory) Ops() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ops
}

func (m *Memory) check(op Op) error {
	m.ops++
	op.N = m.ops
	if m.fault == nil {
		return nil
	}
	return m.fault(op)
}

// Unit is one thing that may or may not have reached the disk when the power went: a piece of a
// write within one sector, a truncation (Len 0), or a change of a directory entry (Entry).
type Unit struct {
	Name  string // path; of a directory entry, the name it makes or removes
	Off   int64
	Len   int
	Entry bool
}

// Lost and Kept are the plain fates of a unit; anything between 0 and Unit.Len is a tear
// within the sector, at that byte.
const (
	Lost = 0
	Kept = int(^uint(0) >> 1)
)

// CutPower ends this life of the disk. For every unit that was not synced it asks fate how much of
// it was written: Lost, Kept or, for data, a number of leading bytes. Within a file and within a
// directory the units are asked about, and laid down, in the order they were issued. Open files and
// locks are dead afterwards, the hook is removed, and the cached image is the durable one.
func (m *Memory) CutPower(fate func(Unit) int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, dir := range slices.Sorted(maps.Keys(m.dirs)) {
		d := m.dirs[dir]
		for _, n := range d.inodes() {
			n.cut(filepath.Join(dir, n.name), fate)
		}
		d.cut(dir, fate)
	}
	m.locks, m.fault = map[string]bool{}, nil
	m.life++
}

func (d *directory) cut(dir string, fate func(Unit) int) {
	for _, c := range d.pending {
		name := c.to
		if name == "" {
			name = c.from
		}
		if fate(Unit{Name: filepath.Join(dir, name), Entry: true}) == Lost {
			continue
		}
		if c.from != "" {
			delete(d.durable, c.from)
		}
		if c.to != "" {
			d.durable[c.to] = c.node
		}
	}
	d.cached, d.pending = maps.Clone(d.durable), nil
}

// named is an inode with one of its names.
type named struct {
	*inode
	name string
}

// inodes lists every inode that is reachable now or could be after a cut, once each, in the
// order of their names.
func (d *directory) inodes() []named {
	seen := map[*inode]bool{}
	var all []named
	add := func(name string, n *inode) {
		if n != nil && !seen[n] {
			seen[n] = true
			all = append(all, named{n, name})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.cached)) {
		add(name, d.cached[name])
	}
	for _, name := range slices.Sorted(maps.Keys(d.durable)) {
		add(name, d.durable[name])
	}
	for _, c := range d.pending {
		add(c.to, c.node)
	}
	return all
}

func (n *inode) cut(name string, fate func(Unit) int) {
	for _, u := range n.pending {
		kept := fate(Unit{Name: name, Off: u.off, Len: len(u.data)})
		if kept == Lost {
			continue
		}
		if u.data != nil {
			u.data = u.data[:min(kept, len(u.data))]
		}
		n.durable = u.apply(n.durable)
	}
	n.cached, n.pending = slices.Clone(n.durable), nil
}

// Clone returns a copy that shares nothing with m: same images, same pending units, no open
// files, no locks, no hook.
func (m *Memory) Clone() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	copies := map[*inode]*inode{nil: nil}
	twin := func(n *inode) *inode {
		if c, ok := copies[n]; ok {
			return c
		}
		c := &inode{slices.Clone(n.cached), slices.Clone(n.durable), slices.Clone(n.pending)}
		copies[n] = c
		return c
	}
	out := NewMemory()
	for dir, d := range m.dirs {
		e := newDirectory()
		for name, n := range d.cached {
			e.cached[name] = twin(n)
		}
		for name, n := range d.durable {
			e.durable[name] = twin(n)
		}
		for _, c := range d.pending {
			e.pending = append(e.pending, change{c.to, c.from, twin(c.node)})
		}
		out.dirs[dir] = e
	}
	return out
}

// Bytes returns a copy of what a reader of the file sees.
func (m *Memory) Bytes(name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.dirs[filepath.Dir(filepath.Clean(name))]
	if d == nil || d.cached[filepath.Base(name)] == nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	return slices.Clone(d.cached[filepath.Base(name)].cached), nil
}

// Put makes the file's content be data, durably and without asking the hook: what a fault of the
// medium, or a person with a hex editor, does.
func (m *Memory) Put(name string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.dirs[filepath.Dir(filepath.Clean(name))]
	n := &inode{cached: slices.Clone(data), durable: slices.Clone(data)}
	if old := d.cached[filepath.Base(name)]; old != nil { // open handles see the change
		*old = *n
		n = old
	}
	d.cached[filepath.Base(name)], d.durable[filepath.Base(name)] = n, n
}
