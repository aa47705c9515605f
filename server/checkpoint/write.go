package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
)

// Dirty is what may differ between a view and the one written before.
type Dirty struct {
	Nodes    map[string]struct{} // by path: written, created, deleted, or a child was
	Sessions map[session.ID]struct{}
	All      bool   // anything may: Nodes and Sessions do not matter
	Recent   Recent // the newest changes; those that are in the file already are skipped
}

func (d Dirty) len() int { return len(d.Nodes) + len(d.Sessions) }

// How much goes into one transaction. A commit lets nobody else have its processor, costs it 6 µs a
// page, and makes the disk flush; of these it takes 0.8 ms. Records that follow each other share
// pages, so a batch in the order of the file may be larger than one of records anywhere.
const (
	scattered  = 128
	sequential = 2048
	batchBytes = 512 << 10
)

// How full bbolt leaves the pages it splits. A new file is written in order and never split in the
// middle; later there is a balance to strike between appending below one parent and inserting
// anywhere.
const (
	fillNew = 0.9
	fillOld = 0.7
)

// Write brings the file up to date with v, which must not be older than what is in the file. m
// goes with it, but for m.State, which is taken from v. What d leaves out must not have changed.
//
// The cost follows d, not the size of the state:
//
//	a few records   one transaction, which holds everything
//	more            staged: they are written to the staged buckets, a transaction at a time; with
//	                the last of them the meta record says that they count; then they are moved to
//	                their places, a transaction at a time again, and at the end forgotten
//	a good part     a new file is written beside the old one, and renamed over it
//	of everything
//
// so that no transaction is large, in memory, in time, or in what it gives the disk to flush. The
// old state is in the file until the new one is, and both are whole at any moment between.
//
// ErrFull means that there was no space and that the file still holds a whole state, which Meta
// tells. Any other error but ErrOrder leaves a store that only Close is left for.
func (s *Store) Write(v *state.View, d Dirty, m Meta) error {
	if s.broken != nil {
		return fmt.Errorf("write checkpoint: %w: %w", ErrBroken, s.broken)
	}
	if s.written && v.Zxid < s.meta.State.Zxid {
		return fmt.Errorf("write checkpoint at %d: %w, %d", v.Zxid, ErrOrder, s.meta.State.Zxid)
	}
	m.State = v.Meta()
	err := s.guard(func() error { return s.write(v, d, m) })
	if err != nil && !errors.Is(err, ErrFull) {
		s.broken = err
	}
	if err != nil {
		return fmt.Errorf("write checkpoint at %d: %w", v.Zxid, err)
	}
	return nil
}

func (s *Store) write(v *state.View, d Dirty, m Meta) error {
	if s.rewriteWorth(v, d) {
		return s.rewrite(v, d.Recent, m)
	}
	if err := s.settle(); err != nil {
		return err
	}
	return s.update(v, targets(d), s.next(v, d.Recent, m))
}

// rewriteWorth reports whether a new file costs less than mending the old one: a record that lies
// alone on its page costs as much to replace as twenty that follow each other, twice if it is
// staged. A file of mostly free pages is made anew as well; it has no other way to shrink.
func (s *Store) rewriteWorth(v *state.View, d Dirty) bool {
	if d.All || !s.written {
		return true
	}
	if n := d.len(); n > scattered && n*8 > v.Nodes.Len()+v.Sessions.Len() {
		return true
	}
	const worth = 4 << 20 / pageSize // pages
	free := s.db.Stats().FreePageN
	return free > worth && free > 3*(s.pages()-free)
}

// pages returns the number of pages in the file.
func (s *Store) pages() (n int) {
	_ = s.db.View(func(tx *bbolt.Tx) error {
		n = int(tx.Size() / pageSize)
		return nil
	})
	return n
}

// version is what a write makes of the meta record and the recent changes.
type version struct {
	meta    Meta
	ledger  ledger
	history history
	add     [][]byte // blocks of changes to be written, the last ones of history
	drop    []uint64 // numbers of blocks to be deleted
}

// next works out the version that follows the one in the file.
func (s *Store) next(v *state.View, r Recent, m Meta) *version {
	h := s.history
	h.blocks = slices.Clone(h.blocks)
	add, drop := h.append(r, s.meta.State.Zxid, s.o.RecentMax, s.o.RecentBytesMax)
	l := ledger{
		nodes: uint64(v.Nodes.Len()), sessions: uint64(v.Sessions.Len()),
		recentFrom: h.from, recentFirst: h.next - uint64(len(h.blocks)), recentNext: h.next,
	}
	return &version{meta: m, ledger: l, history: h, add: add, drop: drop}
}

// announce writes blocks of changes by commit until what is left fits into one transaction. They
// have numbers that do not count until the meta record says so.
func (n *version) announce(commit func(func(*bbolt.Tx) error) error) error {
	size := 0
	for _, b := range n.add {
		size += len(b)
	}
	for size > batchBytes {
		var t batch
		for ; size > batchBytes && !t.full(sequential, batchBytes); n.add = n.add[1:] {
			t.raw(recentBucket, appendBlockKey(nil, n.history.next-uint64(len(n.add))), n.add[0])
			size -= len(n.add[0])
		}
		if err := commit(func(tx *bbolt.Tx) error { return t.write(tx, fillNew, false) }); err != nil {
			return err
		}
	}
	return nil
}

// seal writes what makes n the version of the file: the rest of the changes and the meta record.
func (n *version) seal(tx *bbolt.Tx) error {
	var t batch
	for i, b := range n.add {
		t.raw(recentBucket, appendBlockKey(nil, n.history.next-uint64(len(n.add)-i)), b)
	}
	t.raw(metaBucket, metaKey, appendMeta(nil, n.meta, n.ledger))
	recent := bucketIn(tx, recentBucket, fillNew)
	for _, number := range n.drop {
		if err := recent.Delete(appendBlockKey(nil, number)); err != nil {
			return err
		}
	}
	return t.write(tx, fillNew, false)
}

// adopt notes that n is in the file.
func (s *Store) adopt(n *version) {
	s.written, s.meta, s.ledger, s.history = true, n.meta, n.ledger, n.history
}

// update writes the targets in place.
func (s *Store) update(v *state.View, list []target, n *version) error {
	if err := n.announce(s.plain("announce")); err != nil {
		return err
	}
	rest := s.batch.fill(v, list, scattered, batchBytes)
	if len(rest) == 0 {
		return s.commit("update", func(tx *bbolt.Tx) error {
			if err := s.batch.write(tx, fillOld, false); err != nil {
				return err
			}
			return n.seal(tx)
		}, func() { s.adopt(n) })
	}
	if err := s.stage(v, list, n); err != nil {
		return err
	}
	return s.fold()
}

// stage writes the targets to the staged buckets, and makes them part of the state.
func (s *Store) stage(v *state.View, list []target, n *version) error {
	n.ledger.staged = true
	for len(list) > 0 {
		list = s.batch.fill(v, list, sequential, batchBytes)
		last := len(list) == 0
		err := s.commit("stage", func(tx *bbolt.Tx) error {
			if err := s.batch.write(tx, fillNew, true); err != nil || !last {
				return err
			}
			return n.seal(tx)
		}, func() { s.leftover = !last })
		if err != nil {
			return err
		}
	}
	s.adopt(n)
	return nil
}

// fold moves what is staged to its place. It may be cut short anywhere and begun again: until the
// last transaction the staged records stand for those they replace.
func (s *Store) fold() error {
	for b := nodeBucket; b <= sessionBucket; b++ {
		var after []byte
		for more := true; more; {
			err := s.commit("fold", func(tx *bbolt.Tx) (err error) {
				after, more, err = foldSome(tx, b, after)
				return err
			}, nil)
			if err != nil {
				return err
			}
		}
	}
	l := s.ledger
	l.staged = false
	return s.commit("unstage", func(tx *bbolt.Tx) error {
		if err := clearStaged(tx); err != nil {
			return err
		}
		n := version{meta: s.meta, ledger: l}
		return n.seal(tx)
	}, func() { s.ledger = l })
}

// foldSome moves a transaction's worth of the staged records of b with keys above after. It returns
// the last key moved, and whether there may be more.
func foldSome(tx *bbolt.Tx, b bucket, after []byte) (last []byte, more bool, err error) {
	home := bucketIn(tx, b, fillOld)
	c := bucketIn(tx, b.staged(), fillNew).Cursor()
	k, v := c.Seek(append(slices.Clone(after), 0)) // the least key above after; keys are never empty
	count, size := 0, 0
	for ; k != nil && count < scattered && size < batchBytes; k, v = c.Next() {
		if err := store(home, k, v, len(v) == sealSize); err != nil {
			return nil, false, err
		}
		after = append(after[:0], k...)
		count, size = count+1, size+len(k)+len(v)
	}
	return bytes.Clone(after), k != nil, nil
}

// settle deals with what an earlier Write, cut short, has left staged.
func (s *Store) settle() error {
	if s.ledger.staged {
		return s.fold()
	}
	if s.leftover {
		return s.commit("drop staged", clearStaged, func() { s.leftover = false })
	}
	return nil
}

func clearStaged(tx *bbolt.Tx) error {
	for b := stagedNodes; b <= stagedSessions; b++ {
		name := []byte(b.String())
		if err := tx.DeleteBucket(name); err != nil {
			return err
		}
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return nil
}

// plain returns commit for steps after which there is nothing to note.
func (s *Store) plain(step string) func(func(*bbolt.Tx) error) error {
	return func(f func(*bbolt.Tx) error) error { return s.commit(step, f, nil) }
}

// commit runs one transaction on the file, then done, and lets others have their turn.
func (s *Store) commit(step string, f func(*bbolt.Tx) error, done func()) error {
	begun := time.Now()
	if err := s.transact(s.db, f); err != nil {
		return err
	}
	if done != nil {
		done()
	}
	s.env.passed(step)
	s.o.Pace(time.Since(begun))
	return nil
}

// transact runs one transaction.
func (s *Store) transact(db *bbolt.DB, f func(*bbolt.Tx) error) (err error) {
	if s.tx, err = db.Begin(true); err != nil {
		return err
	}
	if err = f(s.tx); err != nil {
		s.tx.Rollback()
	} else if err = s.tx.Commit(); err != nil && full(err) {
		err = fmt.Errorf("%w: %w", ErrFull, err)
	}
	s.tx = nil
	return err
}

// full reports whether err, of a commit, is a refusal to give the file more room. bbolt has undone
// the transaction then. Its other errors are not so harmless, and among them is a failed flush,
// which is a bare number: nobody knows what of it is on disk.
func full(err error) bool {
	if _, bare := err.(unix.Errno); bare {
		return false
	}
	return noSpace(err) || strings.HasPrefix(err.Error(), "file resize error")
}

func noSpace(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}
