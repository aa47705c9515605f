// Package image turns a pinned view into a stream of bytes, and such a stream back into the machine that
// had it: what a server that is too far behind is sent, and what a backup is. Neither side holds more
// than a chunk and a record beyond the tree itself. What was damaged, cut short or put together from
// two streams is refused, whatever the bytes: each chunk has a checksum over its number and content, and
// the whole must have the digest that its first record says. It does not know where bytes come from.
//
// A stream is a header, and chunks to its end; there may be more behind that, and it is not read.
//
//	 0          8         12
//	+----------+---------+-------+-------+-- ... --+
//	| GROVEIMG | version | chunk | chunk |         |
//	+----------+---------+-------+-------+-- ... --+
//
//	 0        4        8        12
//	+--------+--------+--------+---------- ... ---+    length is of the payload, at most 256 KiB; numbers
//	| number | length | crc32c | payload          |    count from 0; the crc covers number, length and
//	+--------+--------+--------+---------- ... ---+    payload
//
// The payloads are one sequence of records, cut wherever a chunk is full:
//
//	 0      1        5
//	+------+--------+---------- ... ---+    meta, then all nodes in the order of the tree, then all sessions
//	| kind | length | value            |    in the order of their ids, then the end, which counts both
//	+------+--------+---------- ... ---+
package image

import (
	"errors"
	"hash/crc32"
)

// Why an image is not read.
var (
	// ErrDamaged says that the bytes are not those of an image, or not all of them.
	ErrDamaged = errors.New("damaged image")
	// ErrNewer says that the image is of a form that this build does not know.
	ErrNewer = errors.New("image of a newer form")
)

const (
	magic      = "GROVEIMG"
	version    = 1
	headerSize = len(magic) + 4

	chunkHead = 4 + 4 + 4
	chunkMax  = 256 << 10 // of payload

	recordHead = 1 + 4
	recordMax  = 1 << 30 // of value: more than any node has, whatever the longest frame is
)

// kind says what a record is.
type kind uint8

const (
	kindMeta    kind = 1 // state.AppendMeta
	kindNode    kind = 2 // znode.AppendNode
	kindSession kind = 3 // session.AppendSession
	kindEnd     kind = 4 // nodes u64, sessions u64
)

const endSize = 8 + 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum covers the chunk but for the checksum itself. head is the first 8 bytes of it.
func checksum(head, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, payload)
}
