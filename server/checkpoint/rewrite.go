package checkpoint

import (
	"fmt"
	"os"
	"time"

	"go.etcd.io/bbolt"

	"github.com/grovekeeper/grove/server/state"
)

// rewrite writes all of v into a new file, and puts it in the place of the old one. Nothing of the
// old file is changed, and nothing of it is needed but the recent changes.
func (s *Store) rewrite(v *state.View, r Recent, m Meta) error {
	n := s.next(v, r, m)
	db, err := s.writeNew(v, n)
	if err != nil {
		return err
	}
	if err := install(s.path, s.env); err != nil {
		db.Close()
		return err
	}
	old := s.db
	s.db, s.leftover = db, false
	s.adopt(v, n)
	if err := old.Close(); err != nil {
		return fmt.Errorf("close the old checkpoint: %w", err)
	}
	return nil
}

// writeNew writes the new file. If it fails the old one is as good as before, whatever happened.
func (s *Store) writeNew(v *state.View, n *version) (*bbolt.DB, error) {
	db, err := createNew(s.path)
	if err == nil {
		w := &rewriter{s: s, db: db}
		if err = w.write(v, n); err == nil {
			return db, nil
		}
		db.Close()
	}
	_ = os.Remove(newName(s.path)) // or the next write does, or the next start
	if noSpace(err) {
		err = fmt.Errorf("%w: %w", ErrFull, err)
	}
	return nil, err
}

// rewriter fills a new file.
type rewriter struct {
	s   *Store
	db  *bbolt.DB
	err error // the first failure: iteration over the view cannot return it
}

func (w *rewriter) write(v *state.View, n *version) error {
	t := &w.s.batch
	t.reset()
	for node := range v.Nodes.Walk {
		t.node(node, false)
		if !w.flush(false) {
			return w.err
		}
	}
	for s := range v.Sessions.Walk {
		t.session(s.ID, s, true)
		if !w.flush(false) {
			return w.err
		}
	}
	if !w.keep(n) || !w.flush(true) {
		return w.err
	}
	if err := n.announce(w.commit); err != nil {
		return err
	}
	return w.commit(n.seal)
}

// keep copies the blocks of changes that stay, seals and all: damage done meanwhile shows.
func (w *rewriter) keep(n *version) bool {
	kept := n.history.blocks[:len(n.history.blocks)-len(n.add)]
	n.drop = nil
	for _, b := range kept {
		var payload []byte
		key := appendBlockKey(nil, b.number)
		w.err = w.s.db.View(func(tx *bbolt.Tx) error {
			value := bucketIn(tx, recentBucket, fillNew).Get(key)
			p, ok := unseal(recentBucket, key, value)
			if !ok {
				return &CorruptError{File: w.s.path, Offset: -1, Key: describe(recentBucket, key), Reason: "checksum mismatch"}
			}
			payload = append(payload, p...)
			return nil
		})
		if w.err != nil {
			return false
		}
		w.s.batch.raw(recentBucket, key, payload)
		if !w.flush(false) {
			return false
		}
	}
	return true
}

// flush commits the batch if it is full, or in any case if all is set.
func (w *rewriter) flush(all bool) bool {
	t := &w.s.batch
	if !all && !t.full(sequential, batchBytes) {
		return true
	}
	w.err = w.commit(func(tx *bbolt.Tx) error { return t.write(tx, fillNew, false) })
	t.reset()
	return w.err == nil
}

func (w *rewriter) commit(f func(*bbolt.Tx) error) error {
	begun := time.Now()
	if err := w.s.transact(w.db, f); err != nil {
		return err
	}
	w.s.env.passed("rewrite")
	forget(w.db)
	w.s.o.Pace(time.Since(begun))
	return nil
}
