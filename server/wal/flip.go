package wal

import (
	"hash/crc32"
	"math/bits"
)

// flippedBit returns which single bit of a message of n bytes, if it were the other way round,
// would change its CRC-32C by diff; -1 if none would. A CRC is linear, so the change depends only
// on how far the bit is from the end: start at the last bit and step back, dividing by x each time.
func flippedBit(n int, diff uint32) int {
	v := castagnoli[0x80]
	for i := 8*n - 1; i >= 0; i-- {
		if v == diff {
			return i
		}
		v = v>>1 ^ crc32.Castagnoli&-(v&1)
	}
	return -1
}

// sectorBytes is what a disk writes whole or not at all.
const sectorBytes = 512

// bent says whether the batch at s.end would be whole if one bit of it were the other way round:
// the record at s.bad mended, and the records after it, up to the end record, whole already. A
// lost sector changes one bit only if it held no more than that one; where all of the bit's sector
// reads as zeros, that is the likelier story. A flip of such a bit, in the last batch of a log, and
// before any witness of it was written, is the one that goes unnoticed.
func (s *scanner) bent() (bool, error) {
	h, ok, err := s.mend(s.bad)
	for off := s.bad; ok && err == nil && h.kind != kindEnd; {
		off += h.size()
		h, _, ok, err = s.record(off)
	}
	return ok, err
}

// mend returns the head that the record at off would have if one flipped bit were put right, if
// that makes it whole.
func (s *scanner) mend(off int64) (h head, ok bool, err error) {
	if off+recordBytes > s.capacity {
		return h, false, nil
	}
	b, err := s.window.at(off, recordBytes)
	if err != nil {
		return h, false, err
	}
	h = parseHead(b)
	if bits.OnesCount32(h.mark^s.mark) > 1 { // nothing of ours begins here
		return h, false, nil
	}
	length := h.length
	if h, ok, err = s.mendBit(off, length); ok || err != nil {
		return h, ok, err
	}
	for bit := range 32 {
		if h, ok, err = s.mendLength(off, length^1<<bit); ok || err != nil {
			return h, ok, err
		}
	}
	return h, false, nil
}

// mendBit looks for one flipped bit outside the length.
func (s *scanner) mendBit(off int64, length uint32) (h head, ok bool, err error) {
	size := recordBytes + aligned(int64(length))
	if off+size > s.capacity {
		return h, false, nil
	}
	record, err := s.window.at(off, size)
	if err != nil {
		return h, false, err
	}
	diff := sum(record, s.mark, off) ^ le.Uint32(record)
	if bits.OnesCount32(diff) == 1 { // in the crc itself
		h = parseHead(record)
		return h, h.plausible(s.mark, off, s.capacity), nil
	}
	i := flippedBit(len(record)-4, diff)
	if i < 32 { // none, or in the length: then record is not what the crc covered
		return h, false, nil
	}
	at := int64(4 + i/8)
	mended := *(*[recordBytes]byte)(record)
	if at < recordBytes {
		mended[at] ^= 1 << (i % 8)
	}
	h = parseHead(mended[:])
	if !h.plausible(s.mark, off, s.capacity) {
		return h, false, nil
	}
	lost, err := s.lostSector(off + at)
	return h, !lost, err
}

// lostSector says whether the sector of a byte, as far as it is not part of an earlier batch,
// holds nothing but zeros.
func (s *scanner) lostSector(at int64) (bool, error) {
	from := max(at&^(sectorBytes-1), s.end)
	b, err := s.window.at(from, min(at|(sectorBytes-1)+1, s.capacity)-from)
	if err != nil {
		return false, err
	}
	for _, c := range b {
		if c != 0 {
			return false, nil
		}
	}
	return true, nil
}

// mendLength looks at the record as if it had another length.
func (s *scanner) mendLength(off int64, length uint32) (h head, ok bool, err error) {
	size := recordBytes + aligned(int64(length))
	if off+size > s.capacity {
		return h, false, nil
	}
	record, err := s.window.at(off, size)
	if err != nil {
		return h, false, err
	}
	mended := *(*[recordBytes]byte)(record)
	le.PutUint32(mended[4:], length)
	crc := crc32.Update(sum(mended[:], s.mark, off), castagnoli, record[recordBytes:])
	h = parseHead(mended[:])
	return h, crc == h.crc && h.plausible(s.mark, off, s.capacity), nil
}
