package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// What bbolt writes, in the byte order of the machine. A page begins with a header and runs on
// into the next overflow pages; leaf and branch pages hold elements, and the keys and values that
// those point at, by their distance from the element's own start:
//
//	 0        8       10      12         16
//	+--------+-------+-------+----------+------------ ... ---------+------- ... ---+
//	| id     | flags | count | overflow | elements, 16 bytes each  | keys, values  |
//	+--------+-------+-------+----------+------------ ... ---------+------- ... ---+
//
//	leaf:    flags u32 | pos u32 | ksize u32 | vsize u32
//	branch:              pos u32 | ksize u32 | page u64     the key is the first one of that page
//
// Pages 0 and 1 are the two meta pages, written in turn; the one with the higher txid rules:
//
//	 16      20        24         28      32     40         48         56    64     72
//	+-------+---------+----------+-------+------+----------+----------+-----+------+----------+
//	| magic | version | pageSize | flags | root | sequence | freelist | end | txid | checksum |
//	+-------+---------+----------+-------+------+----------+----------+-----+------+----------+
const (
	pageSize   = 4096
	headerSize = 16
	elemSize   = 16
	bucketSize = 16 // root u64, sequence u64: the value of a bucket's name; root 0: a page follows inline

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagMeta     = 0x04
	flagFreelist = 0x10

	boltMagic   = 0xED0CDAED
	boltVersion = 2
	noFreelist  = ^uint64(0)

	depthMax = 64 // of a tree: far above what fits into a file
)

// page is one page and its overflow, as read: nothing in it is to be believed.
type page struct {
	at       int64 // offset in the file of buf
	id       uint64
	flags    uint16
	count    int
	overflow uint64
	buf      []byte
	next     int // in buf: where the key of the next element has to begin, since bbolt leaves no gaps
}

func parsePage(at int64, buf []byte) page {
	p := page{
		at: at, buf: buf,
		id:       binary.NativeEndian.Uint64(buf),
		flags:    binary.NativeEndian.Uint16(buf[8:]),
		count:    int(binary.NativeEndian.Uint16(buf[10:])),
		overflow: uint64(binary.NativeEndian.Uint32(buf[12:])),
	}
	p.next = headerSize + p.count*elemSize
	return p
}

// elements reports whether the elements that p counts lie inside it.
func (p *page) elements() bool { return p.next <= len(p.buf) }

// take returns the next n bytes behind what was taken before, which an element says are at its own
// offset plus pos, or false if they are not.
func (p *page) take(elem int, pos, n uint32) ([]byte, bool) {
	from := p.next
	if uint64(elem)+uint64(pos) != uint64(from) || uint64(n) > uint64(len(p.buf)-from) {
		return nil, false
	}
	p.next += int(n)
	return p.buf[from:p.next:p.next], true
}

// leaf returns the flags, the key and the value of element i, or false if they are not where they
// have to be. Elements are asked for in their order.
func (p *page) leaf(i int) (flags uint32, key, value []byte, ok bool) {
	e := headerSize + i*elemSize
	half := func(at int) uint32 { return binary.NativeEndian.Uint32(p.buf[e+at:]) }
	if key, ok = p.take(e, half(4), half(8)); !ok || len(key) == 0 {
		return 0, nil, nil, false
	}
	value, ok = p.take(e, half(4)+half(8), half(12))
	return half(0), key, value, ok
}

// branch returns the first key, and the page, that element i points at, or false if the key is not
// where it has to be. Elements are asked for in their order.
func (p *page) branch(i int) (key []byte, child uint64, ok bool) {
	e := headerSize + i*elemSize
	key, ok = p.take(e, binary.NativeEndian.Uint32(p.buf[e:]), binary.NativeEndian.Uint32(p.buf[e+4:]))
	return key, binary.NativeEndian.Uint64(p.buf[e+8:]), ok && len(key) > 0
}

// metaPage is what a valid meta page says.
type metaPage struct {
	root     uint64
	freelist uint64
	end      uint64 // pages at or after it do not exist yet
	txid     uint64
}

// parseMeta returns what page id says, or why it is no meta page of ours.
func parseMeta(id uint64, buf []byte) (metaPage, string) {
	p := parsePage(int64(id)*pageSize, buf)
	word := func(at int) uint64 { return binary.NativeEndian.Uint64(buf[at:]) }
	half := func(at int) uint32 { return binary.NativeEndian.Uint32(buf[at:]) }
	h := fnv.New64a()
	h.Write(buf[16:72])
	switch {
	case half(16) != boltMagic || half(20) != boltVersion:
		return metaPage{}, "not a meta page of a bbolt file"
	case word(72) != h.Sum64():
		return metaPage{}, "meta page: checksum mismatch"
	case half(24) != pageSize:
		return metaPage{}, fmt.Sprintf("meta page: pages of %d bytes, not %d", half(24), pageSize)
	case p.id != id || p.flags != flagMeta || word(64)%2 != id:
		return metaPage{}, "meta page of another place"
	}
	return metaPage{root: word(32), freelist: word(48), end: word(56), txid: word(64)}, ""
}

// image reads pages of a file, or of bytes that look like one.
type image struct {
	name string
	r    io.ReaderAt
	size int64
}

// read fills buf from page id on. An offset beyond the end is the caller's mistake.
func (im *image) read(id uint64, buf []byte) error {
	n, err := im.r.ReadAt(buf, int64(id)*pageSize)
	if n == len(buf) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read checkpoint %s page %d: %w", im.name, id, err)
}

func (im *image) corrupt(at int64, key, format string, args ...any) *CorruptError {
	return &CorruptError{File: im.name, Offset: at, Key: key, Reason: fmt.Sprintf(format, args...)}
}

// meta returns the meta page that rules. Both must be whole, and of transactions that follow each
// other. One alone would do to read an older state, which bbolt itself is content with; but a
// power cut cannot tear a record of 64 bytes in one sector, so a bad one is damage, and the older
// state may be older than anything the log still has.
func (im *image) meta() (metaPage, error) {
	if im.size < 2*pageSize {
		return metaPage{}, im.corrupt(im.size, "", "file ends inside the meta pages")
	}
	var metas [2]metaPage
	for id := range metas {
		buf := make([]byte, pageSize)
		if err := im.read(uint64(id), buf); err != nil {
			return metaPage{}, err
		}
		m, reason := parseMeta(uint64(id), buf)
		if reason != "" {
			return metaPage{}, im.corrupt(int64(id)*pageSize, "", "%s", reason)
		}
		metas[id] = m
	}
	older, newer := metas[0], metas[1]
	if older.txid > newer.txid {
		older, newer = newer, older
	}
	at := int64(older.txid%2) * pageSize
	if newer.txid != older.txid+1 {
		return metaPage{}, im.corrupt(at, "", "meta page of transaction %d beside that of %d: a write was lost",
			older.txid, newer.txid)
	}
	if newer.end > uint64(im.size)/pageSize {
		return metaPage{}, im.corrupt(im.size, "", "file ends before page %d of %d", im.size/pageSize, newer.end)
	}
	return newer, nil
}
