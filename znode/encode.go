package znode

import (
	"encoding/binary"

	"github.com/grovekeeper/grove/internal/codec"
)

// The stored form of a node. Numbers are of variable length, since most are small or near each
// other: mzxid and pzxid are told from czxid, mtime from ctime, and so usually take a byte.
//
//	version 1 | kind<<1 + null 1 | path | czxid, mzxid, pzxid | ctime, mtime |
//	node version, aversion, creates, children | extra, of ephemeral and TTL nodes |
//	number of entries, each perms, scheme, id | data, to the end
//
// The list that lets anyone do anything, which most nodes have, has no entries in this form.
// There is no checksum: who stores a node adds one that covers its key as well.
const encodingVersion = 1

// AppendNode appends the stored form of n to b.
func AppendNode(b []byte, n *Node) []byte {
	flags := byte(n.Kind()) << 1
	if n.Data() == nil {
		flags |= 1
	}
	b = append(b, encodingVersion, flags)
	b = appendText(b, n.Path())
	for _, v := range [...]int64{
		int64(n.czxid), int64(n.mzxid - n.czxid), int64(n.pzxid - n.czxid), n.ctime, n.mtime - n.ctime,
		int64(n.version), int64(n.aversion), int64(n.creates), int64(n.children),
	} {
		b = binary.AppendVarint(b, v)
	}
	if extraLen(n.Kind()) != 0 {
		b = binary.AppendVarint(b, n.extra())
	}
	b = n.acl.append(b)
	return append(b, n.Data()...)
}

func (l *List) append(b []byte) []byte {
	if l == openACL {
		return codec.AppendUvarint(b, 0)
	}
	b = codec.AppendUvarint(b, uint64(len(l.rules)))
	for i := range l.rules {
		r := &l.rules[i]
		b = binary.AppendVarint(b, int64(r.Perms))
		b = appendText(b, r.Scheme)
		b = appendText(b, r.ID)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(codec.AppendUvarint(b, uint64(len(s))), s...)
}

// DecodeNode reads what AppendNode wrote; b is not kept. It returns ErrCorrupt for anything else.
func DecodeNode(b []byte) (*Node, error) {
	d := decoder{codec.NewReader(b)}
	version, flags := d.Byte(), d.Byte()
	kind, null := Kind(flags>>1), flags&1 != 0
	path := d.text()
	var f facts
	f.czxid = Zxid(d.varint())
	f.mzxid = f.czxid + Zxid(d.varint())
	f.pzxid = f.czxid + Zxid(d.varint())
	f.ctime = d.varint()
	f.mtime = f.ctime + d.varint()
	f.version, f.aversion = d.varint32(), d.varint32()
	f.creates, f.children = d.varint32(), d.varint32()
	var extra int64
	if kind <= TTL && extraLen(kind) != 0 {
		extra = d.varint()
	}
	f.acl = d.list()
	data := d.Rest()
	switch {
	case d.Err() != nil, version != encodingVersion, kind > TTL,
		ValidPath(path) != nil, f.creates < 0, f.children < 0,
		len(data) > dataLenMax, null && len(data) > 0:
		return nil, ErrCorrupt
	case null:
		data = nil
	case data == nil:
		data = []byte{}
	}
	return newNode(f, kind, extra, path, data), nil
}

// decoder adds to the reader what only stored nodes are made of.
type decoder struct{ codec.Reader }

// varint reads what binary.AppendVarint wrote: small numbers of either sign are short.
func (d *decoder) varint() int64 {
	u := d.Uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) varint32() int32 {
	v := d.varint()
	if v != int64(int32(v)) {
		d.Fail(ErrCorrupt)
	}
	return int32(v)
}

// length reads a number of things that take at least each bytes, and fails if they cannot all
// be there.
func (d *decoder) length(each int) int {
	n := d.Uvarint()
	if n > uint64(d.Len()/each) {
		d.Fail(ErrCorrupt)
		return 0
	}
	return int(n)
}

func (d *decoder) text() string { return string(d.Raw(d.length(1))) }

func (d *decoder) list() ACL {
	count := d.length(3)
	if count == 0 {
		return openACL
	}
	entries := make([]ACE, count)
	for i := range entries {
		entries[i] = ACE{Perms: d.varint32(), Scheme: d.text(), ID: d.text()}
	}
	return listOf(entries)
}
