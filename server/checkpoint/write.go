package checkpoint

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

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
// goes with it, but for m.State, which is taken from v; and so do the newest changes r, of which those
// that are in the file already are skipped.
//
// What differs is found by comparing v with the view that was written before, or that Load's machine
// began as; a view of another machine differs in everything. The cost follows the difference, not
// the size of the state:
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
func (s *Store) Write(v *state.View, r Recent, m Meta) error {
	if s.broken != nil {
		return fmt.Errorf("write checkpoint: %w: %w", ErrBroken, s.broken)
	}
	if s.written && v.Zxid < s.meta.State.Zxid {
		return fmt.Errorf("write checkpoint at %d: %w, %d", v.Zxid, ErrOrder, s.meta.State.Zxid)
	}
	m.State = v.Meta()
	err := s.guard(func() error { return s.write(v, r, m) })
	if err != nil && !errors.Is(err, ErrFull) {
		s.broken = err
	}
	if err != nil {
		return fmt.Errorf("write checkpoint at %d: %w", v.Zxid, err)
	}
	return nil
}

func (s *Store) write(v *state.View, r Recent, m Meta) error {
	if !s.written || s.renew || s.wasteful() {
		return s.rewrite(v, r, m)
	}
	// A record that lies alone on its page costs as much to replace as twenty that follow each other,
	// twice if it is staged: beyond an eighth of all, a new file costs less than mending the old one.
	most := max(scattered, (v.Nodes.Len()+v.Sessions.Len())/8)
	count := s.differs(v, most)
	if count > most {
		return s.rewrite(v, r, m)
	}
	if err := s.settle(); err != nil {
		return err
	}
	return s.update(v, count, s.next(v, r, m))
}

// wasteful reports whether the file is mostly free pages: it has no other way to shrink than to be
// made anew.
func (s *Store) wasteful() bool {
	const worth = 4 << 20
	free := int64(s.db.Stats().FreePageN) * pageSize
	return free > worth && free > 3*(size(s.db)-free)
}

// size returns the bytes of the file that are in use or free, but not those it has in reserve.
func size(db *bbolt.DB) (n int64) {
	_ = db.View(func(tx *bbolt.Tx) error {
		n = tx.Size()
		return nil
	})
	return n
}

// adopt notes that n, of the view v, is in the file.
func (s *Store) adopt(v *state.View, n *version) {
	s.base, s.written, s.renew = v, true, false
	s.meta, s.ledger, s.history = n.meta, n.ledger, n.history
}

// update brings the file up to date with v, which differs in count records.
func (s *Store) update(v *state.View, count int, n *version) error {
	if err := n.announce(s.plain("announce")); err != nil {
		return err
	}
	if count <= scattered {
		t := &s.batch
		t.reset()
		s.difference(v, func(node *znode.Node, gone bool, id session.ID) bool {
			t.record(v, node, gone, id)
			return !t.full(scattered+1, batchBytes)
		})
		if len(t.arena) < batchBytes {
			return s.commit("update", func(tx *bbolt.Tx) error {
				if err := t.write(tx, fillOld, false); err != nil {
					return err
				}
				return n.seal(tx)
			}, func() { s.adopt(v, n) })
		}
	}
	if err := s.stage(v, n); err != nil {
		return err
	}
	return s.fold()
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
	forget(s.db)
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
	if _, bare := err.(unix.Errno); bare { //nolint:errorlint // bare is the point: bbolt wraps none of what it has undone
		return false
	}
	return noSpace(err) || strings.HasPrefix(err.Error(), "file resize error")
}

func noSpace(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}
