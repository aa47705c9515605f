package checkpoint

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/znode"
)

// Recent is the newest changes, kept so that clients that come back after a restart are told what
// their watches missed.
type Recent struct {
	From    znode.Zxid     // every change above it that fires watches is in Changes
	Changes []znode.Change // in the order made
}

// Changes are stored in blocks, numbered without holes. A write adds blocks of its new changes and
// drops the oldest blocks that exceed the bounds; no block is ever rewritten. A block is
//
//	version u8 | last zxid i64 | access lists: count, of each a count and entries (perms i32,
//	scheme, id) | changes: count, of each kind u8, path, zxid i64, list u32, parent's list u32
//
// where a list is one more than its place among the access lists of the block, 0 for none.
const (
	recentVersion = 1
	changeSize    = 1 + 4 + 8 + 4 + 4 // and the path
	blockBytes    = 3 << 10           // of a block, but for its last change: so that it fits into a page
)

// block is what the store remembers of one: enough to drop it when its turn comes.
type block struct {
	number uint64
	last   znode.Zxid // of its newest change
	count  int        // changes
	bytes  int
}

// history is the blocks in the file, oldest first.
type history struct {
	from   znode.Zxid // changes above it are complete
	blocks []block
	next   uint64 // number of the next block
}

// append takes up to max of the newest changes of r into h, which is complete up to upTo, and
// returns the encoded blocks to add and the numbers of those to delete. Changes that h has already
// are skipped; if r begins after upTo, what h has is cut off from it by a gap, and goes.
func (h *history) append(r Recent, upTo znode.Zxid, countMax, bytesMax int) (add [][]byte, drop []uint64) {
	if r.From > upTo {
		drop = h.drop(len(h.blocks), drop)
		h.from = r.From
	}
	changes := r.Changes
	for len(changes) > 0 && changes[0].Zxid <= max(upTo, r.From) {
		changes = changes[1:]
	}
	first := len(h.blocks)
	for len(changes) > 0 {
		b, n := appendBlock(nil, changes)
		add = append(add, b)
		h.blocks = append(h.blocks, block{h.next, changes[n-1].Zxid, n, len(b)})
		h.next++
		changes = changes[n:]
	}
	over := h.over(countMax, bytesMax)
	unwritten := max(over-first, 0) // dropped before they were written
	drop = h.drop(over, drop)
	return add[unwritten:], drop[:len(drop)-unwritten]
}

// over returns how many of the oldest blocks must go for the rest to be within the bounds.
func (h *history) over(countMax, bytesMax int) int {
	i := len(h.blocks)
	for i > 0 {
		countMax -= h.blocks[i-1].count
		bytesMax -= h.blocks[i-1].bytes
		if countMax < 0 || bytesMax < 0 {
			break
		}
		i--
	}
	return i
}

// drop forgets the n oldest blocks and appends their numbers to numbers. A command whose changes
// lie on both sides of the cut counts as forgotten.
func (h *history) drop(n int, numbers []uint64) []uint64 {
	for _, b := range h.blocks[:n] {
		numbers = append(numbers, b.number)
		h.from = max(h.from, b.last)
	}
	h.blocks = slices.Clone(h.blocks[n:])
	return numbers
}

func appendBlockKey(b []byte, number uint64) []byte { return binary.BigEndian.AppendUint64(b, number) }

// appendBlock encodes as many of changes as a block takes, and returns how many that is.
func appendBlock(b []byte, changes []znode.Change) ([]byte, int) {
	n, size := 0, 0
	for n < len(changes) && size < blockBytes {
		size += changeSize + len(changes[n].Path)
		n++
	}
	changes = changes[:n]
	var lists []znode.ACL
	place := map[znode.ACL]uint32{nil: 0}
	for i := range changes {
		for _, acl := range [...]znode.ACL{changes[i].ACL, changes[i].ParentACL} {
			if _, known := place[acl]; !known {
				lists = append(lists, acl)
				place[acl] = uint32(len(lists))
			}
		}
	}
	b = append(b, recentVersion)
	b = codec.AppendInt64(b, int64(changes[n-1].Zxid))
	b = codec.AppendCount(b, len(lists))
	for _, acl := range lists {
		b = appendACL(b, acl)
	}
	b = codec.AppendCount(b, n)
	for i := range changes {
		c := &changes[i]
		b = append(b, byte(c.Kind))
		b = codec.AppendString(b, c.Path)
		b = codec.AppendInt64(b, int64(c.Zxid))
		b = codec.AppendUint32(b, place[c.ACL])
		b = codec.AppendUint32(b, place[c.ParentACL])
	}
	return b, n
}

func appendACL(b []byte, acl znode.ACL) []byte {
	entries := acl.Entries()
	b = codec.AppendCount(b, len(entries))
	for _, e := range entries {
		b = codec.AppendInt32(b, e.Perms)
		b = codec.AppendString(b, e.Scheme)
		b = codec.AppendString(b, e.ID)
	}
	return b
}

// errForget says that a block is whole but that this build cannot read it. A history that is short
// is better than one that is wrong: it and what came before are forgotten.
var errForget = errors.New("changes of a newer version")

// decodeBlock reads what appendBlock wrote, and returns the zxid of the newest change even with
// errForget. Its other error is errFormat.
func decodeBlock(b []byte) (changes []znode.Change, last znode.Zxid, err error) {
	r := codec.NewReader(b)
	version := r.Byte()
	last = znode.Zxid(r.Int64())
	if version > recentVersion && r.Err() == nil {
		return nil, last, errForget
	}
	lists := []znode.ACL{nil}
	for range max(r.Count(4), 0) {
		acl, known := readACL(&r)
		if !known {
			err = errForget
		}
		lists = append(lists, acl)
	}
	list := func() znode.ACL {
		i := r.Uint32()
		if uint64(i) >= uint64(len(lists)) {
			r.Fail(errFormat)
			return nil
		}
		return lists[i]
	}
	changes = make([]znode.Change, 0, max(r.Count(changeSize), 0))
	for range cap(changes) {
		changes = append(changes, znode.Change{
			Kind: znode.ChangeKind(r.Byte()), Path: r.String(), Zxid: znode.Zxid(r.Int64()), ACL: list(), ParentACL: list(),
		})
	}
	if r.Err() != nil || r.Len() != 0 || len(changes) == 0 || changes[len(changes)-1].Zxid != last {
		return nil, 0, errFormat
	}
	return changes, last, err
}

// readACL reads an access list, and whether this build understands it.
func readACL(r *codec.Reader) (acl znode.ACL, known bool) {
	entries := make([]znode.ACE, max(r.Count(12), 0))
	for i := range entries {
		entries[i] = znode.ACE{Perms: r.Int32(), Scheme: r.String(), ID: r.String()}
	}
	if r.Err() != nil {
		return nil, true
	}
	acl, err := znode.FixUp(entries, nil)
	return acl, err == nil
}
