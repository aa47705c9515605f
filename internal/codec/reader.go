// Package codec reads and writes length-checked big-endian primitives over byte slices.
//
// A length or a count found in the input is compared with what remains before anything is sliced
// or allocated by it, so hostile bytes cost at most a small multiple of their own size. The first
// failure sticks: every later read of the same Reader returns zero values, and a decoder may read
// a whole record and look at Err once, at the end. It never panics on any input, never copies
// unless the name of the result says so (String), and knows no message: those are in the packages
// that use it.
//
// Strings, buffers and vectors carry an int32 length; -1 stands for null, which is kept apart
// from empty:
//
//	 0        4
//	+--------+---- ... ----+
//	| length | length bytes|      length -1: null, nothing follows
//	+--------+---- ... ----+
package codec

import (
	"encoding/binary"
	"errors"
)

// The reasons for which a Reader fails by itself. Decoders may add their own with Fail.
var (
	ErrShort    = errors.New("input ends inside a value")
	ErrLength   = errors.New("length is negative or exceeds the input")
	ErrOverflow = errors.New("variable-length integer exceeds 64 bits")
)

// Reader consumes a byte slice from the front. It is a value: copying it forks the position.
// It does not own the slice; results of Bytes, Raw and Rest alias it.
type Reader struct {
	rest []byte // what has not been read; nil once err is set, so that later reads fail by length alone
	err  error  // first failure, or nil
}

// NewReader returns a Reader of b. It does not copy b.
func NewReader(b []byte) Reader { return Reader{rest: b} }

// Err returns the first failure, or nil.
func (r *Reader) Err() error { return r.err }

// Fail records err as the reason why the input is refused, unless there is one already, and drops
// what remains of the input. A nil err is ignored.
func (r *Reader) Fail(err error) {
	if err == nil {
		return
	}
	if r.err == nil {
		r.err = err
	}
	r.rest = nil
}

// Len returns how many bytes have not been read: 0 after a failure.
func (r *Reader) Len() int { return len(r.rest) }

// Rest returns everything not yet read, and reads it.
func (r *Reader) Rest() []byte {
	b := r.rest
	r.rest = r.rest[len(r.rest):]
	return b
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if len(r.rest) < 1 {
		r.Fail(ErrShort)
		return 0
	}
	v := r.rest[0]
	r.rest = r.rest[1:]
	return v
}

// Bool reads one byte; any value but 0 is true.
func (r *Reader) Bool() bool { return r.Byte() != 0 }

// Uint32 reads 4 bytes, most significant first.
func (r *Reader) Uint32() uint32 {
	if len(r.rest) < 4 {
		r.Fail(ErrShort)
		return 0
	}
	v := binary.BigEndian.Uint32(r.rest)
	r.rest = r.rest[4:]
	return v
}

// Int32 reads 4 bytes, most significant first, in two's complement.
func (r *Reader) Int32() int32 { return int32(r.Uint32()) }

// Uint64 reads 8 bytes, most significant first.
func (r *Reader) Uint64() uint64 {
	if len(r.rest) < 8 {
		r.Fail(ErrShort)
		return 0
	}
	v := binary.BigEndian.Uint64(r.rest)
	r.rest = r.rest[8:]
	return v
}

// Int64 reads 8 bytes, most significant first, in two's complement.
func (r *Reader) Int64() int64 { return int64(r.Uint64()) }

// Uvarint reads an unsigned integer of 1 to 10 bytes, 7 bits a byte, least significant first, as
// encoding/binary writes it.
func (r *Reader) Uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	switch {
	case n > 0:
		r.rest = r.rest[n:]
		return v
	case n == 0:
		r.Fail(ErrShort)
	default:
		r.Fail(ErrOverflow)
	}
	return 0
}

// Raw reads exactly n bytes, which carry no length of their own. The result aliases the input and
// cannot be appended to in place. It is nil after a failure.
func (r *Reader) Raw(n int) []byte {
	if n < 0 {
		r.Fail(ErrLength)
		return nil
	}
	if n > len(r.rest) {
		r.Fail(ErrShort)
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// Bytes reads a buffer: nil for null, empty and not nil for length 0. The result aliases the
// input and cannot be appended to in place.
func (r *Reader) Bytes() []byte {
	n := r.Int32()
	if n >= 0 && int(n) <= len(r.rest) {
		b := r.rest[:n:n]
		r.rest = r.rest[n:]
		return b
	}
	if n != -1 {
		r.Fail(ErrLength)
	}
	return nil
}

// String reads a string, copying it: "" for null.
func (r *Reader) String() string { return string(r.Bytes()) }

// NullString reads a string, copying it, and tells null from empty. After a failure it is neither:
// "" and false.
func (r *Reader) NullString() (s string, null bool) {
	b := r.Bytes()
	return string(b), b == nil && r.err == nil
}

// Count reads the count of a vector whose elements take at least minElem bytes each: -1 for null,
// 0 for any other negative, which existing clients and servers take as empty. A count that the
// rest of the input cannot hold is a failure, so the caller may allocate by the result.
func (r *Reader) Count(minElem int) int {
	n := int(r.Int32())
	if n < 0 {
		if n == -1 {
			return -1
		}
		return 0
	}
	if n > len(r.rest)/max(minElem, 1) {
		r.Fail(ErrLength)
		return 0
	}
	return n
}
