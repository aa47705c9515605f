package znode

import (
	"encoding/binary"
	"unsafe"
)

// A node and its content lie in one allocation if they fit in 512 bytes, as most do:
//
//	 0            72       72 or 80       +pathLen            +dataLen
//	+------------+--------+--------- ... +--------- ... -----+-----+
//	| Node       | extra  | path         | data              | pad |
//	+------------+--------+--------- ... +--------- ... -----+-----+
//
// and else the content is a block of its own, which nodes that differ in their facts share:
//
//	+------------+-------+        +--------+------ ... +------ ... +
//	| Node       | block | ─────► | extra  | path      | data      |
//	+------------+-------+        +--------+------ ... +------ ... +
//
// extra is the owner of an ephemeral node or the time to live of a TTL node; others have none.
// It is one object less for the collector to mark, and one fetch less to read, for each node:
// with a million nodes of 100 bytes, 16 bytes a node and a third of the time of a collection.
//
// Content is written once, in newNode, before the node is anyone's. That is what makes the
// strings and slices below, which alias it, safe to hand out. No other file knows where it is.
const (
	headSize = int(unsafe.Sizeof(Node{}))
	roomStep = 16
	roomMin  = 8   // so that sizes are multiples of 16, as are those of the allocator
	roomMax  = 440 // above 512 bytes in all, the allocator adds a header
)

// within is a node with room for its content.
type within[T any] struct {
	Node
	_ T
}

// beside is a node with its content elsewhere.
type beside struct {
	Node
	block *byte
}

// makers is indexed by the steps of room.
var makers = [...]func() *Node{
	sized[[8]byte], sized[[24]byte], sized[[40]byte], sized[[56]byte], sized[[72]byte],
	sized[[88]byte], sized[[104]byte], sized[[120]byte], sized[[136]byte], sized[[152]byte],
	sized[[168]byte], sized[[184]byte], sized[[200]byte], sized[[216]byte], sized[[232]byte],
	sized[[248]byte], sized[[264]byte], sized[[280]byte], sized[[296]byte], sized[[312]byte],
	sized[[328]byte], sized[[344]byte], sized[[360]byte], sized[[376]byte], sized[[392]byte],
	sized[[408]byte], sized[[424]byte], sized[[roomMax]byte],
}

func sized[T any]() *Node { return &new(within[T]).Node }

// blank returns a node with room for size bytes, inside or, given a block, beside it.
func blank(size int, block []byte) *Node {
	if size <= roomMax {
		return makers[(max(size, roomMin)-roomMin+roomStep-1)/roomStep]()
	}
	if block == nil {
		block = make([]byte, size)
	}
	return &(&beside{block: unsafe.SliceData(block)}).Node
}

// content returns all that lies beyond the head. It is never empty: paths are not.
func (n *Node) content() []byte {
	size := extraLen(n.Kind()) + int(n.pathLen) + int(n.dataLen&dataLenMax)
	if size > roomMax {
		return unsafe.Slice((*beside)(unsafe.Pointer(n)).block, size)
	}
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(n), headSize)), size)
}

// newNode returns a node with copies of path and data: nothing the caller holds is kept.
func newNode(f facts, kind Kind, extra int64, path string, data []byte) *Node {
	n := blank(extraLen(kind)+len(path)+len(data), nil)
	n.facts = f
	n.pathLen = uint32(len(path))
	n.dataLen = uint32(len(data)) | uint32(kind)<<kindShift
	if data == nil {
		n.dataLen |= nullBit
	}
	c := n.content()
	if extraLen(kind) != 0 {
		binary.LittleEndian.PutUint64(c, uint64(extra))
		c = c[8:]
	}
	copy(c[copy(c, path):], data)
	return n
}

// withFacts returns a node with the content of n and other facts.
func (n *Node) withFacts(f facts) *Node {
	from := n.content()
	c := blank(len(from), from)
	c.facts, c.pathLen, c.dataLen = f, n.pathLen, n.dataLen
	if len(from) <= roomMax {
		copy(c.content(), from)
	}
	return c
}

// withData returns a node that differs from n in its facts and its data.
func (n *Node) withData(f facts, data []byte) *Node {
	return newNode(f, n.Kind(), n.extra(), n.Path(), data)
}

// What dataLen holds besides the length.
const (
	dataLenMax = 1<<29 - 1
	nullBit    = 1 << 29
	kindShift  = 30
)

// Kind says how the node comes to its end.
func (n *Node) Kind() Kind { return Kind(n.dataLen >> kindShift) }

func extraLen(kind Kind) int {
	if kind == Ephemeral || kind == TTL {
		return 8
	}
	return 0
}

// extra returns the owner or the time to live, or 0.
func (n *Node) extra() int64 {
	if extraLen(n.Kind()) == 0 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(n.content()))
}

// Path returns the path. It shares memory with the node: clone it to keep it for long.
func (n *Node) Path() string {
	b := n.content()[extraLen(n.Kind()):]
	return unsafe.String(unsafe.SliceData(b), n.pathLen)
}

// Data returns the data, which must not be written to. Null data is nil, empty data is not.
func (n *Node) Data() []byte {
	size := int(n.dataLen & dataLenMax)
	switch {
	case n.dataLen&nullBit != 0:
		return nil
	case size == 0:
		return []byte{}
	}
	b := n.content()
	return b[len(b)-size : len(b) : len(b)]
}
