package session

import (
	"encoding/binary"
	"fmt"
)

// The storage encoding of a session, version 1, big-endian and of one fixed size:
//
//	 0   1          9        13          17             33
//	+---+----------+--------+-----------+--------------+
//	| 1 | id       | epoch  | timeoutMs | password     |
//	+---+----------+--------+-----------+--------------+
//
// It carries no checksum: whoever stores it adds one over key and value.
const (
	formatVersion = 1
	encodedSize   = 1 + 8 + 4 + 4 + 16
)

// AppendSession appends the storage encoding of s to b.
func AppendSession(b []byte, s Session) []byte {
	b = append(b, formatVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(s.ID))
	b = binary.BigEndian.AppendUint32(b, s.Epoch)
	b = binary.BigEndian.AppendUint32(b, uint32(s.TimeoutMs))
	return append(b, s.Password[:]...)
}

// DecodeSession reads what AppendSession wrote, all of b and nothing else. Whatever else b holds,
// the error is ErrFormat.
func DecodeSession(b []byte) (Session, error) {
	if len(b) != encodedSize {
		return Session{}, fmt.Errorf("decode session: %d bytes, not %d: %w", len(b), encodedSize, ErrFormat)
	}
	if b[0] != formatVersion {
		return Session{}, fmt.Errorf("decode session: version %d: %w", b[0], ErrFormat)
	}
	s := Session{
		ID:        ID(binary.BigEndian.Uint64(b[1:])),
		Epoch:     binary.BigEndian.Uint32(b[9:]),
		TimeoutMs: int32(binary.BigEndian.Uint32(b[13:])),
		Password:  Password(b[17:33]),
	}
	if !s.valid() {
		return Session{}, fmt.Errorf("decode session %v: timeout %d ms: %w", s.ID, s.TimeoutMs, ErrFormat)
	}
	return s, nil
}

// fingerprint hashes every bit of the session. The words are mixed one after the other, so that
// exchanging two of them, or a bit of one for a bit of another, changes the result.
func (s Session) fingerprint() uint64 {
	h := mix(uint64(s.ID))
	h = mix(h ^ uint64(s.Epoch)<<32 ^ uint64(uint32(s.TimeoutMs)))
	h = mix(h ^ binary.BigEndian.Uint64(s.Password[:8]))
	return mix(h ^ binary.BigEndian.Uint64(s.Password[8:]))
}

// mix is the finalizer of Steele, Lea and Flood's SplitMix64 with its increment: a bijection on
// 64 bits in which every input bit moves every output bit with a probability near one half.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
