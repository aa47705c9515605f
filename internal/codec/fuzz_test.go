package codec

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
)

// twin is the obvious reader: it copies everything and asks the standard library.
type twin struct {
	in     *bytes.Reader
	failed bool
}

func (w *twin) take(n int64) []byte {
	if w.failed || n < 0 || n > int64(w.in.Len()) {
		w.failed = true
		return nil
	}
	b := make([]byte, n)
	io.ReadFull(w.in, b)
	return b
}

func (w *twin) int32() int64 {
	if b := w.take(4); b != nil {
		return int64(int32(binary.BigEndian.Uint32(b)))
	}
	return 0
}

func (w *twin) bytes() (b []byte, null bool) {
	n := w.int32()
	if n == -1 && !w.failed {
		return nil, true
	}
	return w.take(n), false
}

func (w *twin) count(minElem int64) int64 {
	n := w.int32()
	switch {
	case w.failed || n < -1:
		return 0
	case n > 0 && n*max(minElem, 1) > int64(w.in.Len()):
		w.failed = true
		return 0
	}
	return n
}

func (w *twin) uvarint() uint64 {
	if w.failed {
		return 0
	}
	v, err := binary.ReadUvarint(w.in)
	if err != nil {
		w.failed = true
		return 0
	}
	return v
}

// FuzzReader reads arbitrary bytes by an arbitrary script, and by the twin: they agree on every
// value, on what is left and on whether it failed.
func FuzzReader(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7}, bytes.Repeat([]byte{0, 0, 0, 2, 1}, 20))
	f.Add([]byte{4, 4, 4}, []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 9})
	f.Add([]byte{6, 7}, []byte{0x7f, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{7, 7, 0}, []byte{0xac, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2})
	f.Fuzz(func(t *testing.T, script, input []byte) {
		r, w := NewReader(input), &twin{in: bytes.NewReader(input)}
		for i, step := range script {
			if !agree(&r, w, step) {
				t.Fatalf("step %d: read %d differently", i, step)
			}
			if (r.Err() != nil) != w.failed {
				t.Fatalf("step %d: read %d: %v, twin failed %t", i, step, r.Err(), w.failed)
			}
			if !w.failed && r.Len() != w.in.Len() || w.failed && r.Len() != 0 {
				t.Fatalf("step %d: %d left, want %d", i, r.Len(), w.in.Len())
			}
		}
	})
}

// agree reads one value, chosen by step, both ways.
func agree(r *Reader, w *twin, step byte) bool {
	const choices = 9
	arg := int(step / choices)
	switch step % choices {
	case 0:
		return bytes.Equal([]byte{r.Byte()}, atLeast(w.take(1), 1))
	case 1:
		return r.Bool() == (atLeast(w.take(1), 1)[0] != 0)
	case 2:
		return r.Uint32() == binary.BigEndian.Uint32(atLeast(w.take(4), 4))
	case 3:
		return r.Int64() == int64(binary.BigEndian.Uint64(atLeast(w.take(8), 8)))
	case 4:
		got := r.Bytes()
		want, null := w.bytes()
		return bytes.Equal(got, want) && (w.failed || (got == nil) == null)
	case 5:
		got, gotNull := r.NullString()
		want, null := w.bytes()
		return got == string(want) && gotNull == null
	case 6:
		return int64(r.Count(arg)) == w.count(int64(arg))
	case 7:
		return r.Uvarint() == w.uvarint()
	default:
		return bytes.Equal(r.Raw(arg), w.take(int64(arg)))
	}
}

// atLeast returns b, or n zeros where nothing could be read.
func atLeast(b []byte, n int) []byte {
	if b == nil {
		return make([]byte, n)
	}
	return b
}

// FuzzRoundTrip writes any values one after the other and reads them back.
func FuzzRoundTrip(f *testing.F) {
	f.Add(byte(1), true, int32(-1), int64(1)<<40, uint64(300), []byte("data"), "path", false)
	f.Add(byte(0), false, int32(1)<<30, int64(-1), uint64(1)<<63, []byte(nil), "", true)
	f.Fuzz(func(t *testing.T, a byte, b bool, c int32, d int64, e uint64, g []byte, h string, null bool) {
		if null {
			g, h = nil, ""
		}
		out := AppendBool(AppendByte(nil, a), b)
		out = AppendUint32(AppendInt32(out, c), uint32(c))
		out = AppendUint64(AppendInt64(out, d), e)
		out = AppendBytes(AppendUvarint(out, e), g)
		out = AppendNullString(AppendString(out, h), h, null)
		out = append(AppendCount(out, len(g)), g...)
		r := NewReader(out)
		ok := r.Byte() == a && r.Bool() == b && r.Int32() == c && r.Uint32() == uint32(c) &&
			r.Int64() == d && r.Uint64() == e && r.Uvarint() == e
		got := r.Bytes()
		ok = ok && bytes.Equal(got, g) && (got == nil) == (g == nil) && r.String() == h
		s, gotNull := r.NullString()
		ok = ok && s == h && gotNull == null && r.Count(1) == len(g) && bytes.Equal(r.Rest(), g)
		if !ok || r.Err() != nil || r.Len() != 0 {
			t.Fatalf("%x: %v, %d left", out, r.Err(), r.Len())
		}
	})
}

func BenchmarkReader(b *testing.B) {
	in := AppendInt64(AppendInt32(nil, 7), 9)
	in = AppendInt32(AppendBytes(AppendString(in, "/services/a"), make([]byte, 100)), -1)
	b.ReportAllocs()
	for b.Loop() {
		r := NewReader(in)
		r.Int32()
		r.Int64()
		r.Bytes()
		r.Bytes()
		r.Int32()
		if r.Err() != nil {
			b.Fatal(r.Err())
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	out, data := make([]byte, 0, 256), make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		out = AppendInt64(AppendInt32(out[:0], 7), 9)
		out = AppendInt32(AppendBytes(AppendString(out, "/services/a"), data), -1)
	}
}
