package znode

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// The digest of a tree is the sum of two hashes per node, so it does not depend on the order in
// which the nodes came and is kept up with each edit. What the hashes are taken of is fixed:
// servers compare digests, and checkpoints keep them.

// contentDigest hashes the content: extra, path and data. It is apart from the rest so that a
// parent, which changes with every child, need not have its data hashed each time.
func (n *Node) contentDigest() uint64 { return xxhash.Sum64(n.content()) }

// statDigest hashes what else there is to a node, bound to its path.
func (n *Node) statDigest() uint64 {
	var b [80]byte
	for i, v := range [...]uint64{
		xxhash.Sum64String(n.Path()), n.acl.hash,
		uint64(n.czxid), uint64(n.mzxid), uint64(n.pzxid), uint64(n.ctime), uint64(n.mtime),
		uint64(uint32(n.version))<<32 | uint64(uint32(n.aversion)),
		uint64(uint32(n.creates))<<32 | uint64(uint32(n.children)),
		uint64(n.pathLen)<<32 | uint64(n.dataLen),
	} {
		binary.LittleEndian.PutUint64(b[8*i:], v)
	}
	return xxhash.Sum64(b[:])
}
