// Package checkpoint keeps the applied state in one bbolt file and brings it up to date with what
// changed since the last time. After a crash at any moment, opening the file gives the state of one
// call of Write, the last that returned or the one that did not, and never a mixture. A byte that
// is not what was written is refused with its place, and never served.
//
//	Open ──► Load, Recent ──► Write ──► Write ──► … ──► Close
//	 │                          │
//	 │ damage: *CorruptError    │ no space: ErrFull, nothing has changed, Write may be tried again
//	 ▼                          ▼ any other failure: ErrBroken from then on
//
// bbolt gives atomic transactions and a page cache of its own, but trusts every byte of its file.
// So the file is not read through it: this package walks the pages itself, as bytes it does not
// believe, and hands the file to bbolt only when every pointer, every order and every record has
// been verified. It costs less than reading through bbolt's map, which would stay resident too.
//
// A checkpoint knows nothing of the log. That the two fit is for the server to see, by Meta.
package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/znode"
)

// Options are the settings of a store.
type Options struct {
	// RecentMax and RecentBytesMax bound the changes that are kept. When there are more, the
	// oldest go, a block of 3 KiB at a time. Zero means 65,536 and 8 MiB.
	RecentMax      int
	RecentBytesMax int

	// Pace is called after each transaction of a Write with the time it took. It is where a writer
	// waits for others to use the disk and the processor. Nil means to sleep as long again, 10 ms
	// at most.
	Pace func(worked time.Duration)
}

func (o Options) complete() Options {
	if o.RecentMax == 0 {
		o.RecentMax = 65536
	}
	if o.RecentBytesMax == 0 {
		o.RecentBytesMax = 8 << 20
	}
	if o.Pace == nil {
		o.Pace = func(worked time.Duration) { time.Sleep(min(worked, 10*time.Millisecond)) }
	}
	return o
}

// Store is an open checkpoint file. It is owned by one goroutine at a time.
type Store struct {
	path string
	o    Options
	env  env

	db      *bbolt.DB
	written bool // there is a checkpoint in the file; then the next three are as in the file
	meta    Meta
	ledger  ledger
	history history

	base     *state.View // what is in the file, staged records included; never nil
	renew    bool        // the next write makes the file anew
	leftover bool        // the staged buckets hold records that are no part of the state
	broken   error       // why nothing more is written
	batch    batch       // reused from transaction to transaction
	tx       *bbolt.Tx   // the one under way, for guard to end if bbolt panics

	machine *state.Machine // as loaded, until it is handed out
	changes []znode.Change // likewise
}

// env is what tests watch the store by.
type env struct {
	step func(name string) // called between any two steps that change the directory; may be nil
}

func (e env) passed(step string) {
	if e.step != nil {
		e.step(step)
	}
}

// Open opens the checkpoint at path and reads all of it, making a new one if there is none. The
// directory must exist. It fails with ErrLocked, ErrNewer, a *CorruptError or an error of the file
// system; a damaged file is left as it is.
func Open(path string, o Options) (*Store, error) { return open(path, o, env{}) }

func open(path string, o Options, e env) (*Store, error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := create(path, e); err != nil {
			return nil, err
		}
	}
	f, err := lock(path, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	c, err := read(path, f)
	if err != nil {
		f.Close()
		return nil, err
	}
	if err := removeNew(path); err != nil {
		f.Close()
		return nil, err
	}
	db, err := openBolt(path, f) // from here on f is bbolt's, with its lock
	if err != nil {
		return nil, err
	}
	return &Store{
		path: path, o: o.complete(), env: e,
		db: db, written: c.written, meta: c.meta, ledger: c.ledger, history: c.history, leftover: c.leftover,
		machine: c.machine, base: c.machine.View(), changes: c.changes,
	}, nil
}

// read loads the file, up to the first damage.
func read(path string, f *os.File) (*contents, error) {
	stat, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open checkpoint: %w", err)
	}
	readAhead(f, stat.Size())
	im := &image{name: path, r: f, size: stat.Size()}
	return load(im, func(e *CorruptError) error { return e })
}

// Meta returns the meta record of the state in the file, and whether there is one: there is none
// before the first Write.
func (s *Store) Meta() (Meta, bool) { return s.meta, s.written }

// Load hands out the state that was in the file when it was opened: a new machine if there was
// none. It does so once, because a machine has one owner; later calls fail with ErrLoaded.
func (s *Store) Load() (*state.Machine, error) {
	if s.machine == nil {
		return nil, ErrLoaded
	}
	m := s.machine
	s.machine = nil
	return m, nil
}

// Recent hands out the changes that were in the file when it was opened. It does so once; later
// results are empty.
func (s *Store) Recent() Recent {
	changes := s.changes
	s.changes = nil
	from := s.history.from
	i := slices.IndexFunc(changes, func(c znode.Change) bool { return c.Zxid > from })
	if i < 0 {
		return Recent{From: max(from, s.meta.State.Zxid)}
	}
	return Recent{From: from, Changes: changes[i:]}
}

// Close lets go of the file. What Write returned from is safe without it.
func (s *Store) Close() error {
	s.machine, s.changes = nil, nil
	if s.db == nil {
		return nil
	}
	err := s.db.Close()
	s.db = nil
	return err
}

// guard runs f, which uses bbolt, and turns a panic of bbolt's, or a fault in its map of the file,
// into an error: the pages were verified when the file was opened, but the disk may have more to
// say. A store that met one is broken.
func (s *Store) guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = &CorruptError{File: s.path, Offset: -1, Reason: fmt.Sprintf("bbolt failed on it: %v", p)}
			s.abandon()
		}
	}()
	return f()
}

// abandon ends the transaction that a panic interrupted. Without that Close would wait for it; if
// it cannot be ended either, the file is never closed, and stays locked while the process lives.
func (s *Store) abandon() {
	defer func() {
		if recover() != nil {
			s.db = nil
		}
	}()
	if s.tx != nil {
		s.tx.Rollback()
	}
}
