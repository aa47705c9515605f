package wal

import (
	"hash/crc32"
	"math/bits"
)

const (
	headerBytes = 96
	magic       = 0x6c617765766f7267 // "grovewal"
	version     = 1
	headerFoot  = 0x216c6177 // "wal!"

	// fresh, among the flags, says that the segment begins a new history: nothing before it
	// counts. Set for the first segment of a log and after Reset.
	fresh = 1
)

// header is the first thing in a segment.
type header struct {
	flags    uint32
	identity Identity
	seq      uint64
	capacity int64  // size of the file
	first    uint64 // the index the log expected next when the segment was begun
	term     uint64 // of the entry before first; 0 if there is none, or it is not known
	prevEnd  int64  // where the segment before ends; 0 if there is none
	prevCRC  uint32 // of the last record before
	crc      uint32 // of the header itself
}

// appendHeader appends h and sets its crc.
func appendHeader(b []byte, h *header) []byte {
	at := len(b)
	b = le.AppendUint64(b, magic)
	b = le.AppendUint32(b, version)
	b = le.AppendUint32(b, h.flags)
	b = le.AppendUint64(b, h.identity.Cluster)
	b = le.AppendUint64(b, h.identity.Member)
	b = le.AppendUint64(b, h.identity.Incarnation)
	b = le.AppendUint64(b, h.seq)
	b = le.AppendUint64(b, uint64(h.capacity))
	b = le.AppendUint64(b, h.first)
	b = le.AppendUint64(b, h.term)
	b = le.AppendUint64(b, uint64(h.prevEnd))
	b = le.AppendUint32(b, h.prevCRC)
	b = le.AppendUint32(b, markOf(h.identity, h.seq))
	h.crc = crc32.Checksum(b[at:], castagnoli)
	b = le.AppendUint32(b, h.crc)
	return le.AppendUint32(b, headerFoot)
}

// parseHeader decodes a header, and says whether it is whole.
func parseHeader(b []byte) (h header, ok bool) {
	h = header{
		flags:    le.Uint32(b[12:]),
		identity: Identity{le.Uint64(b[16:]), le.Uint64(b[24:]), le.Uint64(b[32:])},
		seq:      le.Uint64(b[40:]),
		capacity: int64(le.Uint64(b[48:])),
		first:    le.Uint64(b[56:]),
		term:     le.Uint64(b[64:]),
		prevEnd:  int64(le.Uint64(b[72:])),
		prevCRC:  le.Uint32(b[80:]),
		crc:      le.Uint32(b[88:]),
	}
	ok = le.Uint64(b) == magic && le.Uint32(b[8:]) == version &&
		le.Uint32(b[84:]) == markOf(h.identity, h.seq) &&
		h.crc == crc32.Checksum(b[:88], castagnoli) && le.Uint32(b[92:]) == headerFoot &&
		h.capacity >= headerBytes && h.seq > 0 && h.first > 0
	return h, ok
}

// headerBent says whether one flipped bit is all that is wrong with a header.
func headerBent(b []byte) bool {
	diff := crc32.Checksum(b[:88], castagnoli) ^ le.Uint32(b[88:])
	feet := bits.OnesCount32(le.Uint32(b[92:]) ^ headerFoot)
	if diff == 0 {
		return feet == 1
	}
	return feet == 0 && (bits.OnesCount32(diff) == 1 || flippedBit(88, diff) >= 0)
}
