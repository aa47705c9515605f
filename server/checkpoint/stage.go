package checkpoint

import (
	"bytes"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// stage writes what differs to the staged buckets, and makes it part of the state with the last of it.
func (s *Store) stage(v *state.View, n *version) error {
	n.ledger.staged = true
	t := &s.batch
	t.reset()
	var err error
	s.difference(v, func(node *znode.Node, gone bool, id session.ID) bool {
		if t.full(sequential, batchBytes) {
			if err = s.stageBatch(nil); err != nil {
				return false
			}
		}
		t.record(v, node, gone, id)
		return true
	})
	if err == nil {
		err = s.stageBatch(n)
	}
	if err != nil {
		return err
	}
	s.adopt(v, n)
	return nil
}

// stageBatch commits the batch to the staged buckets; and n, with the last one.
func (s *Store) stageBatch(n *version) error {
	err := s.commit("stage", func(tx *bbolt.Tx) error {
		if err := s.batch.write(tx, fillNew, true); err != nil || n == nil {
			return err
		}
		return n.seal(tx)
	}, func() { s.leftover = n == nil })
	s.batch.reset()
	return err
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
