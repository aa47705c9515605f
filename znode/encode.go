package znode

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// The stored form of a node. Numbers are varints, since most are small or near each other:
//
//	version 1 byte | kind and null flag 1 byte | path | czxid | mzxid | pzxid | ctime | mtime |
//	node version | aversion | creates | children | [extra] | entries of the access list | data
const encodingVersion = 1

// AppendNode appends the stored form of n to b.
func AppendNode(b []byte, n *Node) []byte {
	flags := byte(n.Kind()) << 1
	if n.Data() == nil {
		flags |= 1
	}
	b = append(b, encodingVersion, flags)
	b = appendString(b, n.Path())
	for _, v := range [...]int64{
		int64(n.czxid), int64(n.mzxid - n.czxid), int64(n.pzxid - n.czxid), n.ctime, n.mtime - n.ctime,
		int64(n.version), int64(n.aversion), int64(n.creates), int64(n.children),
	} {
		b = binary.AppendVarint(b, v)
	}
	if extraLen(n.Kind()) != 0 {
		b = binary.AppendVarint(b, n.extra())
	}
	b = binary.AppendUvarint(b, uint64(len(n.acl.rules)))
	for i := range n.acl.rules {
		r := &n.acl.rules[i]
		b = binary.AppendVarint(b, int64(r.Perms))
		b = appendString(b, r.Scheme)
		b = appendString(b, r.ID)
	}
	return append(b, n.Data()...)
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// DecodeNode reads what AppendNode wrote; b is not kept. It returns ErrCorrupt for anything else.
func DecodeNode(b []byte) (*Node, error) {
	d := decoder{b: b}
	version, flags := d.byte(), d.byte()
	kind := Kind(flags >> 1)
	if version != encodingVersion || kind > TTL {
		return nil, ErrCorrupt
	}
	path := d.string()
	n := new(Node)
	n.czxid = Zxid(d.varint())
	n.mzxid = n.czxid + Zxid(d.varint())
	n.pzxid = n.czxid + Zxid(d.varint())
	n.ctime = d.varint()
	n.mtime = n.ctime + d.varint()
	n.version, n.aversion = d.int32(), d.int32()
	n.creates, n.children = d.int32(), d.int32()
	var extra int64
	if extraLen(kind) != 0 {
		extra = d.varint()
	}
	n.acl = d.acl()
	if d.bad || len(d.b) > dataLenMax || flags&1 != 0 && len(d.b) > 0 || ValidPath(path) != nil {
		return nil, ErrCorrupt
	}
	data := d.b
	if flags&1 != 0 {
		data = nil
	} else if data == nil {
		data = []byte{}
	}
	n.pack(kind, extra, path, data)
	return n, nil
}

// decoder reads with a sticky error.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.bad = true
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int32() int32 {
	v := d.varint()
	d.bad = d.bad || int64(int32(v)) != v
	return int32(v)
}

func (d *decoder) length() int {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > uint64(len(d.b)-n) {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return int(v)
}

func (d *decoder) string() string {
	n := d.length()
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) acl() ACL {
	count := d.length()
	entries := make([]ACE, 0, min(count, 8))
	for range count {
		if d.bad {
			return nil
		}
		entries = append(entries, ACE{Perms: d.int32(), Scheme: d.string(), ID: d.string()})
	}
	return listOf(entries)
}

// digest hashes everything that is stored of a node. It reads the block, which is most of it,
// where it lies.
func (n *Node) digest() uint64 {
	var b [80]byte
	for i, v := range [...]uint64{
		xxhash.Sum64(n.bytes()), n.acl.hash,
		uint64(n.czxid), uint64(n.mzxid), uint64(n.pzxid), uint64(n.ctime), uint64(n.mtime),
		uint64(uint32(n.version))<<32 | uint64(uint32(n.aversion)),
		uint64(uint32(n.creates))<<32 | uint64(uint32(n.children)),
		uint64(n.pathLen)<<32 | uint64(n.dataLen),
	} {
		binary.LittleEndian.PutUint64(b[8*i:], v)
	}
	return xxhash.Sum64(b[:])
}
