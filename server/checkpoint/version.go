package checkpoint

import (
	"slices"

	"go.etcd.io/bbolt"

	"github.com/grovekeeper/grove/server/state"
)

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
