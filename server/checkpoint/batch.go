package checkpoint

import (
	"runtime"

	"go.etcd.io/bbolt"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// batch is the records of one transaction, encoded into one piece of memory that is used again for
// the next: bbolt keeps values, though not keys, until the transaction ends.
type batch struct {
	arena []byte
	puts  []put
}

// put is one record: key and value lie in the arena one after the other.
type put struct {
	b              bucket
	gone           bool
	from, mid, end int
}

func (t *batch) reset() { t.arena, t.puts = t.arena[:0], t.puts[:0] }

// add seals the record whose key begins at from, and its payload at mid, in the arena.
func (t *batch) add(b bucket, from, mid int, gone bool) {
	t.arena = seal(t.arena, mid, b, t.arena[from:mid])
	t.puts = append(t.puts, put{b, gone, from, mid, len(t.arena)})
}

// node adds a node, or its absence.
func (t *batch) node(n *znode.Node, gone bool) {
	from := len(t.arena)
	key, b := appendNodeKey(t.arena, n.Path())
	t.arena = key
	mid := len(t.arena)
	if !gone {
		t.arena = znode.AppendNode(t.arena, n)
	}
	t.add(b, from, mid, gone)
}

// session adds a session, or its absence.
func (t *batch) session(id session.ID, s session.Session, alive bool) {
	from := len(t.arena)
	t.arena = appendSessionKey(t.arena, id)
	mid := len(t.arena)
	if alive {
		t.arena = session.AppendSession(t.arena, s)
	}
	t.add(sessionBucket, from, mid, !alive)
}

// raw adds a record with a key and a payload made elsewhere.
func (t *batch) raw(b bucket, key, payload []byte) {
	from := len(t.arena)
	t.arena = append(t.arena, key...)
	mid := len(t.arena)
	t.arena = append(t.arena, payload...)
	t.add(b, from, mid, false)
}

// yieldEvery is how many records are put before other goroutines get a turn: a put costs a
// microsecond or two, and more if its page has to be read.
const yieldEvery = 16

// write puts the batch into its buckets, or into the ones where records wait for their place.
func (t *batch) write(tx *bbolt.Tx, fill float64, stage bool) error {
	var open [len(bucketNames)]*bbolt.Bucket
	for i, p := range t.puts {
		if i%yieldEvery == yieldEvery-1 {
			runtime.Gosched()
		}
		b := p.b
		if stage {
			b = b.staged()
		}
		if open[b] == nil {
			open[b] = bucketIn(tx, b, fill)
		}
		key, value := t.arena[p.from:p.mid], t.arena[p.mid:p.end:p.end]
		if err := store(open[b], key, value, p.gone && !stage); err != nil {
			return err
		}
	}
	return nil
}

func store(b *bbolt.Bucket, key, value []byte, gone bool) error {
	if gone {
		return b.Delete(key)
	}
	return b.Put(key, value)
}

func bucketIn(tx *bbolt.Tx, b bucket, fill float64) *bbolt.Bucket {
	in := tx.Bucket([]byte(b.String()))
	in.FillPercent = fill
	return in
}

// difference calls add for every record in which v differs from the view written before, in the order
// in which they are stored, but for nodes with keys too long to be kept whole; until add says no.
// Nodes carry themselves, as they are or, if gone, as they were; sessions their id.
func (s *Store) difference(v *state.View, add func(n *znode.Node, gone bool, id session.ID) bool) {
	more := true
	v.Nodes.Diff(s.base.Nodes, func(before, after *znode.Node) bool {
		n := after
		if n == nil {
			n = before
		}
		more = add(n, after == nil, 0)
		return more
	})
	if more {
		v.Sessions.Diff(s.base.Sessions, func(id session.ID) bool { return add(nil, false, id) })
	}
}

// differs counts the records in which v differs from the view written before, up to one more than most.
func (s *Store) differs(v *state.View, most int) (n int) {
	s.difference(v, func(*znode.Node, bool, session.ID) bool {
		n++
		return n <= most
	})
	return n
}

// record adds what difference has found.
func (t *batch) record(v *state.View, n *znode.Node, gone bool, id session.ID) {
	if n != nil {
		t.node(n, gone)
		return
	}
	s, alive := v.Sessions.Get(id)
	t.session(id, s, alive)
}

func (t *batch) full(countMax, bytesMax int) bool {
	return len(t.puts) >= countMax || len(t.arena) >= bytesMax
}
