package wal

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	recordBytes = 40 // head of a record
	endBytes    = 32 // payload of an end record
	endSize     = recordBytes + endBytes

	kindEntry = 1
	kindEnd   = 2

	// closing, in the sub byte of an end record, says that the log was closed on purpose.
	closing = 1

	foot uint64 = 0x6863746162646e65 // "endbatch"
)

var (
	le         = binary.LittleEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

func aligned(n int64) int64 { return (n + 7) &^ 7 }

// markOf names a segment in each of its records. CRC-32C tells any two numbers apart that
// differ within 32 neighbouring bits, so no two segments of a log share a mark.
func markOf(id Identity, seq uint64) uint32 {
	var b [32]byte
	le.PutUint64(b[0:], id.Cluster)
	le.PutUint64(b[8:], id.Member)
	le.PutUint64(b[16:], id.Incarnation)
	le.PutUint64(b[24:], seq)
	return crc32.Checksum(b[:], castagnoli)
}

// sum is the checksum of a record that starts at off: it differs for every offset.
func sum(record []byte, mark uint32, off int64) uint32 {
	return crc32.Update(mark^uint32(off>>3), castagnoli, record[4:])
}

// place is where the next record goes, and what it must say about what lies before it.
type place struct {
	mark   uint32
	off    int64
	prev   uint32 // crc of the record before
	synced uint32
}

// appendEntry appends the record of e and moves p past it.
func (p *place) appendEntry(b []byte, e *Entry) []byte {
	at := len(b)
	b = p.appendHead(b, len(e.Data), kindEntry, e.Kind, e.Term, e.Index)
	b = append(b, e.Data...)
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	return p.seal(b, at)
}

// appendEnd appends the end record of a batch that began at start with count entries, after
// which the log's last index is last.
func (p *place) appendEnd(b []byte, h HardState, last uint64, start int64, count int,
	sub uint8) []byte {
	at := len(b)
	b = p.appendHead(b, endBytes, kindEnd, sub, h.Term, last)
	b = le.AppendUint64(b, h.Vote)
	b = le.AppendUint64(b, h.Commit)
	b = le.AppendUint32(b, uint32(start))
	b = le.AppendUint32(b, uint32(count))
	b = le.AppendUint64(b, foot)
	return p.seal(b, at)
}

func (p *place) appendHead(b []byte, length int, kind, sub uint8, term, index uint64) []byte {
	b = le.AppendUint32(b, 0) // the crc, once the rest is there
	b = le.AppendUint32(b, uint32(length))
	b = le.AppendUint32(b, p.mark)
	b = le.AppendUint32(b, p.prev)
	b = le.AppendUint32(b, p.synced)
	b = append(b, kind, sub, 0, 0)
	b = le.AppendUint64(b, term)
	return le.AppendUint64(b, index)
}

func (p *place) seal(b []byte, at int) []byte {
	p.prev = sum(b[at:], p.mark, p.off)
	le.PutUint32(b[at:], p.prev)
	p.off += int64(len(b) - at)
	return b
}

// head is the decoded head of a record.
type head struct {
	crc, length, mark, prev, synced uint32
	kind, sub                       uint8
	zero                            uint16
	term, index                     uint64
}

func parseHead(b []byte) head {
	return head{
		crc: le.Uint32(b), length: le.Uint32(b[4:]), mark: le.Uint32(b[8:]),
		prev: le.Uint32(b[12:]), synced: le.Uint32(b[16:]),
		kind: b[20], sub: b[21], zero: le.Uint16(b[22:]),
		term: le.Uint64(b[24:]), index: le.Uint64(b[32:]),
	}
}

// size is what the record takes in the file, padding included.
func (h *head) size() int64 { return recordBytes + aligned(int64(h.length)) }

// plausible says whether h can head a record at off in a segment of the given mark and size:
// the cheap part of verifying it, and the part that makes reading its length safe.
func (h *head) plausible(mark uint32, off, capacity int64) bool {
	switch {
	case h.mark != mark || h.zero != 0 || off+h.size() > capacity || int64(h.synced) > off:
		return false
	case h.kind == kindEntry:
		return true
	}
	return h.kind == kindEnd && h.length == endBytes
}

// end is the decoded payload of an end record, with what its head says.
type end struct {
	hard  HardState
	last  uint64
	start int64
	count int
	sub   uint8
}

func parseEnd(h head, payload []byte) (e end, ok bool) {
	e = end{
		hard:  HardState{Term: h.term, Vote: le.Uint64(payload), Commit: le.Uint64(payload[8:])},
		last:  h.index,
		start: int64(le.Uint32(payload[16:])),
		count: int(le.Uint32(payload[20:])),
		sub:   h.sub,
	}
	return e, le.Uint64(payload[24:]) == foot
}
