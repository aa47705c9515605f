package znode

import (
	"encoding/binary"
	"unsafe"
)

// The block of a node:
//
//	0        0 or 8              +pathLen             +dataLen
//	+--------+-------- ... ------+-------- ... -------+
//	| extra  | path              | data               |
//	+--------+-------- ... ------+-------- ... -------+
//
// extra is the owner of an ephemeral node or the time to live of a TTL node. The block is
// written once, in pack, before the node is anyone's; that is what makes the strings and
// slices below, which alias it, safe to hand out.
const (
	dataLenMax = 1<<29 - 1
	nullBit    = 1 << 29
	kindShift  = 30
)

// pack gives n its kind, path and data. It copies both: nothing the caller holds is kept.
func (n *Node) pack(kind Kind, extra int64, path string, data []byte) {
	block := make([]byte, 0, extraLen(kind)+len(path)+len(data))
	if extraLen(kind) != 0 {
		block = binary.LittleEndian.AppendUint64(block, uint64(extra))
	}
	block = append(block, path...)
	block = append(block, data...)

	n.block = unsafe.SliceData(block)
	n.pathLen = uint32(len(path))
	n.dataLen = uint32(len(data)) | uint32(kind)<<kindShift
	if data == nil {
		n.dataLen |= nullBit
	}
}

func extraLen(kind Kind) int {
	if kind == Ephemeral || kind == TTL {
		return 8
	}
	return 0
}

// bytes returns the whole block.
func (n *Node) bytes() []byte {
	return unsafe.Slice(n.block, extraLen(n.Kind())+int(n.pathLen)+int(n.dataLen&dataLenMax))
}

func (n *Node) extra() int64 { return int64(binary.LittleEndian.Uint64(n.bytes())) }

// Kind says how the node comes to its end.
func (n *Node) Kind() Kind { return Kind(n.dataLen >> kindShift) }

// Path returns the path. It shares memory with the data: clone it to keep it for long.
func (n *Node) Path() string {
	b := n.bytes()[extraLen(n.Kind()):]
	return unsafe.String(unsafe.SliceData(b), n.pathLen)
}

// Data returns the data, which must not be written to. Null data is nil, empty data is not.
func (n *Node) Data() []byte {
	switch {
	case n.dataLen&nullBit != 0:
		return nil
	case n.dataLen&dataLenMax == 0:
		return []byte{}
	}
	b := n.bytes()
	return b[len(b)-int(n.dataLen&dataLenMax):]
}
