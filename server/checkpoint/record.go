package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// bucket names one of the buckets of the file. The numbers are in the seals: they are never reused.
type bucket uint8

const (
	metaBucket     bucket = 1 // one record, see meta.go
	nodeBucket     bucket = 2 // parent, 0, name: so that siblings are neighbours, as in the tree
	longBucket     bucket = 3 // SHA-256 of a key that would be too long for nodeBucket
	sessionBucket  bucket = 4 // id
	recentBucket   bucket = 5 // number of a block of changes, see recent.go
	stagedNodes    bucket = 6 // staged: records that are durable but not yet where they belong,
	stagedLong     bucket = 7 // see write.go
	stagedSessions bucket = 8
)

var bucketNames = [...]string{
	metaBucket: "meta", nodeBucket: "nodes", longBucket: "long", sessionBucket: "sessions",
	recentBucket: "recent", stagedNodes: "nodes+", stagedLong: "long+", stagedSessions: "sessions+",
}

func (b bucket) String() string { return bucketNames[b] }

// staged returns where the records of b wait; b is one of the three that hold state.
func (b bucket) staged() bucket { return b + stagedNodes - nodeBucket }

// home returns where the records of b belong in the end.
func (b bucket) home() bucket {
	if b >= stagedNodes {
		return b + nodeBucket - stagedNodes
	}
	return b
}

// bucketOf returns the bucket with the name, or 0.
func bucketOf(name []byte) bucket {
	for b := metaBucket; int(b) < len(bucketNames); b++ {
		if bucketNames[b] == string(name) {
			return b
		}
	}
	return 0
}

// keyMax is the longest key that stands in nodeBucket. bbolt takes no key above 32 KiB, a path may
// be as long as a frame, and long keys make branch pages that branch little.
const keyMax = 1024

// A value is sealed: its last four bytes are the CRC32C of the bucket, the key and the rest of the
// value. A record put in another place, or under another key, does not pass. The staged form of a
// record has the seal of its final place, and nothing but the seal if it is to be deleted there.
const sealSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b bucket, key, payload []byte) uint32 {
	crc := crc32.Update(uint32(b.home()), castagnoli, key)
	return crc32.Update(crc, castagnoli, payload)
}

// seal appends to buf the seal of the payload that begins at from.
func seal(buf []byte, from int, b bucket, key []byte) []byte {
	return binary.BigEndian.AppendUint32(buf, checksum(b, key, buf[from:]))
}

// unseal returns the payload of a sealed value, or false if it is not what was sealed.
func unseal(b bucket, key, value []byte) ([]byte, bool) {
	end := len(value) - sealSize
	if end < 0 || checksum(b, key, value[:end]) != binary.BigEndian.Uint32(value[end:]) {
		return nil, false
	}
	return value[:end:end], true
}

// appendNodeKey appends the key of the node at path and returns the bucket it belongs to.
func appendNodeKey(buf []byte, path string) (key []byte, b bucket) {
	from := len(buf)
	parent, name := znode.KeyOf(path)
	buf = append(append(append(buf, parent...), 0), name...)
	if len(buf)-from <= keyMax {
		return buf, nodeBucket
	}
	sum := sha256.Sum256(buf[from:])
	return append(buf[:from], sum[:]...), longBucket
}

func appendSessionKey(buf []byte, id session.ID) []byte {
	return binary.BigEndian.AppendUint64(buf, uint64(id))
}

// describe names a record for a message: "nodes /a/b", "sessions 0x1".
func describe(b bucket, key []byte) string {
	switch b.home() {
	case metaBucket:
		return b.String()
	case nodeBucket:
		if parent, name, ok := bytes.Cut(key, []byte{0}); ok {
			return b.String() + " " + strconv.Quote(strings.TrimSuffix(string(parent), "/")+"/"+string(name))
		}
	case sessionBucket:
		if len(key) == 8 {
			return b.String() + " " + session.ID(binary.BigEndian.Uint64(key)).String()
		}
	}
	return b.String() + " " + strconv.Quote(string(key))
}
