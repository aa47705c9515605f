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

// bent says whether the batch at s.end would be whole if one bit of it were the other way round:
// the record at s.bad mended, and the records after it, up to the end record, whole already. A tear
// that happened to change one bit only would have to spare the foot of the end record.
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
	length, strange := parseHead(b).length, bits.OnesCount32(parseHead(b).mark^s.mark)
	if strange > 1 { // nothing of ours begins here
		return h, false, nil
	}
	for bit := -1; bit < 32; bit++ { // -1: the length is right, and some other bit is not
		g := head{length: length}
		if bit >= 0 {
			g.length ^= 1 << bit
		}
		if off+g.size() > s.capacity {
			continue
		}
		record, err := s.window.at(off, g.size())
		if err != nil {
			return h, false, err
		}
		if bit < 0 {
			h, ok = mendBit(record, s.mark, off)
		} else {
			h, ok = mendLength(record, g.length, s.mark, off)
		}
		if ok && h.plausible(s.mark, off, s.capacity) {
			return h, true, nil
		}
	}
	return h, false, nil
}

// mendBit looks for one flipped bit outside the length.
func mendBit(record []byte, mark uint32, off int64) (head, bool) {
	diff := sum(record, mark, off) ^ le.Uint32(record)
	if bits.OnesCount32(diff) == 1 {
		return parseHead(record), true // in the crc itself
	}
	i := flippedBit(len(record)-4, diff)
	if i < 32 { // none, or in the length: then record is not what the crc covered
		return head{}, false
	}
	return parseHead(withBit(record, 4+i/8, i%8)), true
}

// mendLength looks at the record as if it had another length; it has the size that goes with it.
func mendLength(record []byte, length, mark uint32, off int64) (head, bool) {
	mended := *(*[recordBytes]byte)(record)
	le.PutUint32(mended[4:], length)
	crc := crc32.Update(sum(mended[:], mark, off), castagnoli, record[recordBytes:])
	return parseHead(mended[:]), crc == le.Uint32(record)
}

// withBit returns a copy of a record's head with one bit turned, if the bit is in the head.
func withBit(record []byte, at, bit int) []byte {
	mended := *(*[recordBytes]byte)(record)
	if at < recordBytes {
		mended[at] ^= 1 << bit
	}
	return mended[:]
}
