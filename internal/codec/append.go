package codec

import (
	"encoding/binary"
	"math"
)

// The Append functions add one value to the end of b, in the form that the Reader method of the
// same name reads, and return the extended slice.

// AppendByte adds one byte.
func AppendByte(b []byte, v byte) []byte { return append(b, v) }

// AppendBool adds one byte, 0 or 1.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// AppendUint32 adds 4 bytes.
func AppendUint32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }

// AppendInt32 adds 4 bytes.
func AppendInt32(b []byte, v int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(v)) }

// AppendUint64 adds 8 bytes.
func AppendUint64(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

// AppendInt64 adds 8 bytes.
func AppendInt64(b []byte, v int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(v)) }

// AppendUvarint adds 1 to 10 bytes.
func AppendUvarint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

// AppendBytes adds a buffer: null if v is nil, else its length and its bytes.
func AppendBytes(b, v []byte) []byte {
	if v == nil {
		return AppendInt32(b, -1)
	}
	return append(appendLength(b, len(v)), v...)
}

// AppendString adds a string, which is never null.
func AppendString(b []byte, v string) []byte {
	return append(appendLength(b, len(v)), v...)
}

// AppendNullString adds null if null is set, else v.
func AppendNullString(b []byte, v string, null bool) []byte {
	if null {
		return AppendInt32(b, -1)
	}
	return AppendString(b, v)
}

// AppendCount adds the count of a vector: -1 for null.
func AppendCount(b []byte, n int) []byte {
	if n < -1 {
		panic("codec: count below -1")
	}
	if n == -1 {
		return AppendInt32(b, -1)
	}
	return appendLength(b, n)
}

// appendLength writes a length that the format has room for. A longer value cannot be met with:
// sizes are bounded where values enter, far below 2 GiB.
func appendLength(b []byte, n int) []byte {
	if n > math.MaxInt32 {
		panic("codec: value longer than 2 GiB")
	}
	return binary.BigEndian.AppendUint32(b, uint32(n))
}
