package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// contents is everything that a file holds, verified.
type contents struct {
	written bool // a checkpoint was written; false: the file is new, and the rest is zero
	meta    Meta
	ledger  ledger

	machine  *state.Machine
	history  history
	changes  []znode.Change // those of history
	leftover bool           // staged records that are no part of the state, from a write cut short

	nodes, sessions int
	pages, free     uint64
}

// loader reads an image bucket by bucket. What is damaged is reported; what was restored beside
// damage is of use to nobody, but it is looked at all the same.
type loader struct {
	w     *walker
	roots [len(bucketNames)]bucketRoot
	c     contents
	tree  *znode.Tree
	live  *session.Table
	key   []byte // scratch
}

// load reads and verifies every page and record of an image that is in use. Damage goes to
// report; see reportFunc. Errors are its own, ErrNewer, and those of reading the file.
func load(im *image, report reportFunc) (*contents, error) {
	w, err := newWalker(im, report)
	if err != nil {
		return nil, err
	}
	l := &loader{w: w, tree: znode.New(), live: session.NewTable()}
	if l.roots, err = w.buckets(); err != nil {
		return nil, err
	}
	for _, step := range [...]func() error{
		func() error { return w.bucket(l.roots[metaBucket], l.meta) },
		l.restoreNodes,
		l.restoreSessions,
		func() error { return w.bucket(l.roots[recentBucket], l.block) },
		w.freelist,
		l.finish,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	l.c.pages, l.c.free = w.meta.end, w.free
	return &l.c, nil
}

// payload returns what the seal of r holds together. A false result has been reported.
func (l *loader) payload(b bucket, r record) (payload []byte, ok bool, err error) {
	if payload, ok = unseal(b, r.key, r.value); !ok {
		err = l.damage(b, r, "checksum mismatch")
	}
	return payload, ok, err
}

func (l *loader) damage(b bucket, r record, reason string) error {
	return l.w.damage(r.at, describe(b, r.key), "%s", reason)
}

func (l *loader) meta(r record) error {
	payload, ok, err := l.payload(metaBucket, r)
	if !ok {
		return err
	}
	l.c.written = true
	l.c.meta, l.c.ledger, err = decodeMeta(payload)
	if errors.Is(err, errFormat) || err == nil && !bytes.Equal(r.key, metaKey) {
		return l.damage(metaBucket, r, errFormat.Error())
	}
	return err
}

// pending is a staged record: it stands for the record of the same key in the home bucket.
type pending struct {
	record
	gone bool
}

// staged reads what waits to be moved to b. If it is no part of the state, it is only verified.
func (l *loader) staged(b bucket) (list []pending, err error) {
	err = l.w.bucket(l.roots[b.staged()], func(r record) error {
		payload, ok, err := l.payload(b.staged(), r)
		if !ok {
			return err
		}
		if !l.c.ledger.staged {
			l.c.leftover = true
			return nil
		}
		list = append(list, pending{r.clone(), len(payload) == 0})
		return nil
	})
	return list, err
}

// overlaid visits the records of b as they will be once what is staged for it is in place.
func (l *loader) overlaid(b bucket, visit func(bucket, record) error) error {
	waiting, err := l.staged(b)
	if err != nil {
		return err
	}
	next := func() error {
		p := waiting[0]
		waiting = waiting[1:]
		if p.gone {
			return nil
		}
		return visit(b.staged(), p.record)
	}
	err = l.w.bucket(l.roots[b], func(r record) error {
		for len(waiting) > 0 && bytes.Compare(waiting[0].key, r.key) < 0 {
			if err := next(); err != nil {
				return err
			}
		}
		if len(waiting) == 0 || !bytes.Equal(waiting[0].key, r.key) {
			return visit(b, r)
		}
		if _, ok, err := l.payload(b, r); !ok { // it will be replaced, but it is in the file
			return err
		}
		return next()
	})
	for err == nil && len(waiting) > 0 {
		err = next()
	}
	return err
}

// node reads one node, or nil if it is damaged and that was reported.
func (l *loader) node(b bucket, r record) (*znode.Node, error) {
	payload, ok, err := l.payload(b, r)
	if !ok {
		return nil, err
	}
	n, err := znode.DecodeNode(payload)
	if err != nil {
		return nil, l.damage(b, r, err.Error())
	}
	var home bucket
	if l.key, home = appendNodeKey(l.key[:0], n.Path()); home != b.home() || !bytes.Equal(l.key, r.key) {
		return nil, l.damage(b, r, "record of the node "+n.Path())
	}
	l.c.nodes++
	return n, nil
}

// held is a node that waits for its turn, and where it was read.
type held struct {
	node         *znode.Node
	parent, name string // what the tree is ordered by
	b            bucket
	r            record
}

func hold(n *znode.Node, b bucket, r record) held {
	parent, name := znode.KeyOf(n.Path())
	return held{n, parent, name, b, r}
}

func (h held) compare(other held) int {
	return cmp.Or(cmp.Compare(h.parent, other.parent), cmp.Compare(h.name, other.name))
}

// restoreNodes puts the nodes into the tree in its own order: those with long keys, which stand in
// a bucket that is ordered otherwise, are few and are held until their turn comes.
func (l *loader) restoreNodes() error {
	var long []held
	err := l.overlaid(longBucket, func(b bucket, r record) error {
		n, err := l.node(b, r)
		if n != nil {
			long = append(long, hold(n, b, r.clone()))
		}
		return err
	})
	if err != nil {
		return err
	}
	slices.SortFunc(long, held.compare)
	err = l.overlaid(nodeBucket, func(b bucket, r record) error {
		n, err := l.node(b, r)
		if n == nil {
			return err
		}
		here := hold(n, b, r)
		for ; len(long) > 0 && long[0].compare(here) < 0; long = long[1:] {
			if err := l.restore(long[0]); err != nil {
				return err
			}
		}
		return l.restore(here)
	})
	for ; err == nil && len(long) > 0; long = long[1:] {
		err = l.restore(long[0])
	}
	return err
}

// restore adds a node to the tree, unless others are missing from it anyway.
func (l *loader) restore(h held) error {
	if l.w.lost {
		return nil
	}
	if err := l.tree.Restore(h.node); err != nil {
		return l.damage(h.b, h.r, err.Error())
	}
	return nil
}

func (l *loader) restoreSessions() error {
	return l.overlaid(sessionBucket, func(b bucket, r record) error {
		payload, ok, err := l.payload(b, r)
		if !ok {
			return err
		}
		s, err := session.DecodeSession(payload)
		if err == nil && !bytes.Equal(appendSessionKey(l.key[:0], s.ID), r.key) {
			err = errFormat
		}
		if err == nil {
			err = l.live.Restore(s)
		}
		if err != nil {
			return l.damage(b, r, err.Error())
		}
		l.c.sessions++
		return nil
	})
}

// block reads one block of recent changes. Numbers that the meta record does not know are those of
// a write cut short, and do not count.
func (l *loader) block(r record) error {
	payload, ok, err := l.payload(recentBucket, r)
	if !ok {
		return err
	}
	changes, last, err := decodeBlock(payload)
	if len(r.key) != 8 || errors.Is(err, errFormat) {
		return l.damage(recentBucket, r, errFormat.Error())
	}
	number := binary.BigEndian.Uint64(r.key)
	if number < l.c.ledger.recentFirst || number >= l.c.ledger.recentNext {
		return nil
	}
	h := &l.c.history
	h.blocks = append(h.blocks, block{number, last, len(changes), len(payload)})
	l.c.changes = append(l.c.changes, changes...)
	if err != nil { // errForget
		h.from = max(h.from, last)
	}
	return nil
}

// finish holds what was read against the meta record, and makes the machine.
func (l *loader) finish() error {
	c := &l.c
	h, k := &c.history, &c.ledger
	h.from, h.next = max(h.from, k.recentFrom), k.recentNext
	switch {
	case l.w.lost:
		return nil // what is missing has been reported
	case !c.written:
		return l.finishNew()
	case uint64(c.nodes) != k.nodes || uint64(c.sessions) != k.sessions:
		return l.w.damage(-1, "", "holds %d nodes and %d sessions of %d and %d", c.nodes, c.sessions, k.nodes, k.sessions)
	case uint64(len(h.blocks)) != k.recentNext-k.recentFirst:
		return l.w.damage(-1, "", "holds %d blocks of changes of %d", len(h.blocks), k.recentNext-k.recentFirst)
	}
	var err error
	if c.machine, err = state.Restore(c.meta.State, l.tree, l.live); err != nil {
		return l.w.damage(-1, "", "%v", err)
	}
	return nil
}

// finishNew makes the machine of a file into which no checkpoint was written yet.
func (l *loader) finishNew() error {
	if l.c.nodes+l.c.sessions+len(l.c.history.blocks) > 0 {
		return l.w.damage(-1, "", "records without a meta record")
	}
	l.c.machine = state.New()
	return nil
}
