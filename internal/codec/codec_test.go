package codec

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// value is one primitive: how it is written, how it is read, and what its bytes are.
type value struct {
	name  string
	write func(b []byte) []byte
	read  func(r *Reader) any
	want  any
	bytes string // hex
}

func values() []value {
	byteOf := func(r *Reader) any { return r.Byte() }
	boolOf := func(r *Reader) any { return r.Bool() }
	uint32Of := func(r *Reader) any { return r.Uint32() }
	int32Of := func(r *Reader) any { return r.Int32() }
	uint64Of := func(r *Reader) any { return r.Uint64() }
	int64Of := func(r *Reader) any { return r.Int64() }
	uvarintOf := func(r *Reader) any { return r.Uvarint() }
	bytesOf := func(r *Reader) any { return r.Bytes() }
	stringOf := func(r *Reader) any { return r.String() }
	nullStringOf := func(r *Reader) any { s, null := r.NullString(); return [2]any{s, null} }
	countOf := func(r *Reader) any { return r.Count(0) }
	return []value{
		{"byte", func(b []byte) []byte { return AppendByte(b, 0xfe) }, byteOf, byte(0xfe), "fe"},
		{"true", func(b []byte) []byte { return AppendBool(b, true) }, boolOf, true, "01"},
		{"false", func(b []byte) []byte { return AppendBool(b, false) }, boolOf, false, "00"},
		{"uint32", func(b []byte) []byte { return AppendUint32(b, 0xfedcba98) }, uint32Of,
			uint32(0xfedcba98), "fedcba98"},
		{"int32", func(b []byte) []byte { return AppendInt32(b, -2) }, int32Of, int32(-2), "fffffffe"},
		{"uint64", func(b []byte) []byte { return AppendUint64(b, 0xfedcba9876543210) }, uint64Of,
			uint64(0xfedcba9876543210), "fedcba9876543210"},
		{"int64", func(b []byte) []byte { return AppendInt64(b, math.MinInt64) }, int64Of,
			int64(math.MinInt64), "8000000000000000"},
		{"uvarint", func(b []byte) []byte { return AppendUvarint(b, 300) }, uvarintOf,
			uint64(300), "ac02"},
		{"largest uvarint", func(b []byte) []byte { return AppendUvarint(b, math.MaxUint64) }, uvarintOf,
			uint64(math.MaxUint64), "ffffffffffffffffff01"},
		{"bytes", func(b []byte) []byte { return AppendBytes(b, []byte("ab")) }, bytesOf,
			[]byte("ab"), "000000026162"},
		{"empty bytes", func(b []byte) []byte { return AppendBytes(b, []byte{}) }, bytesOf,
			[]byte{}, "00000000"},
		{"null bytes", func(b []byte) []byte { return AppendBytes(b, nil) }, bytesOf,
			[]byte(nil), "ffffffff"},
		{"string", func(b []byte) []byte { return AppendString(b, "é") }, stringOf, "é", "00000002c3a9"},
		{"null string as string", func(b []byte) []byte { return AppendNullString(b, "x", true) }, stringOf,
			"", "ffffffff"},
		{"null string", func(b []byte) []byte { return AppendNullString(b, "", true) }, nullStringOf,
			[2]any{"", true}, "ffffffff"},
		{"empty string", func(b []byte) []byte { return AppendNullString(b, "", false) }, nullStringOf,
			[2]any{"", false}, "00000000"},
		{"null count", func(b []byte) []byte { return AppendCount(b, -1) }, countOf, -1, "ffffffff"},
		{"count", func(b []byte) []byte { return AppendCount(b, 0) }, countOf, 0, "00000000"},
	}
}

// TestValues: each primitive has the bytes it should, reads back, and is refused when cut short.
func TestValues(t *testing.T) {
	for _, v := range values() {
		b := v.write([]byte("before"))[len("before"):]
		if hex.EncodeToString(b) != v.bytes {
			t.Errorf("%s: %x, want %s", v.name, b, v.bytes)
		}
		r := NewReader(append(b, "after"...))
		if got := v.read(&r); !reflect.DeepEqual(got, v.want) || r.Err() != nil {
			t.Errorf("%s: read %#v, %v", v.name, got, r.Err())
		}
		if rest := r.Rest(); string(rest) != "after" || r.Len() != 0 || len(r.Rest()) != 0 {
			t.Errorf("%s: left %q", v.name, rest)
		}
		for n := range b {
			r := NewReader(b[:n])
			got := v.read(&r)
			if r.Err() == nil || r.Len() != 0 {
				t.Errorf("%s cut after %d bytes: %v", v.name, n, r.Err())
			}
			if got := reflect.ValueOf(got); got.Kind() != reflect.Array && !got.IsZero() {
				t.Errorf("%s cut after %d bytes: read %v", v.name, n, got)
			}
		}
	}
}

// TestSticky: the first failure stays, and everything read after it is zero.
func TestSticky(t *testing.T) {
	mine := errors.New("mine")
	r := NewReader(bytes.Repeat([]byte{1}, 64))
	r.Fail(nil)
	if r.Err() != nil || r.Len() != 64 {
		t.Fatal("failing with nothing is a failure")
	}
	r.Fail(mine)
	for _, v := range values() {
		got := v.read(&r)
		if s, ok := got.([2]any); ok {
			if s != [2]any{"", false} {
				t.Errorf("%s: %v", v.name, s)
			}
		} else if !reflect.ValueOf(got).IsZero() {
			t.Errorf("%s: %v", v.name, got)
		}
	}
	if r.Raw(0) != nil || r.Raw(1) != nil || r.Rest() != nil || r.Len() != 0 {
		t.Error("something is left")
	}
	if r.Fail(ErrLength); r.Err() != mine {
		t.Errorf("the first failure became %v", r.Err())
	}
}

// TestLengths: lengths and counts are held against what remains before they are believed.
func TestLengths(t *testing.T) {
	for _, c := range []struct {
		name string
		in   string // hex
		read func(r *Reader) any
		want any
		err  error
	}{
		{"bytes beyond the end", "0000000361 62", func(r *Reader) any { return r.Bytes() }, []byte(nil), ErrLength},
		{"huge bytes", "7fffffff61", func(r *Reader) any { return r.Bytes() }, []byte(nil), ErrLength},
		{"negative bytes", "fffffffe61", func(r *Reader) any { return r.Bytes() }, []byte(nil), ErrLength},
		{"most negative bytes", "80000000", func(r *Reader) any { return r.Bytes() }, []byte(nil), ErrLength},
		{"raw", "6162", func(r *Reader) any { return r.Raw(2) }, []byte("ab"), nil},
		{"raw nothing", "", func(r *Reader) any { return len(r.Raw(0)) }, 0, nil},
		{"raw beyond the end", "6162", func(r *Reader) any { return r.Raw(3) }, []byte(nil), ErrShort},
		{"raw negative", "6162", func(r *Reader) any { return r.Raw(-1) }, []byte(nil), ErrLength},
		{"count that fits", "00000002 00000000 00000000", func(r *Reader) any { return r.Count(4) }, 2, nil},
		{"count that does not fit", "00000002 00000000 000000", func(r *Reader) any { return r.Count(4) }, 0, ErrLength},
		{"count of elements without size", "00000002 0000", func(r *Reader) any { return r.Count(0) }, 2, nil},
		{"huge count", "7fffffff 00000000", func(r *Reader) any { return r.Count(1) }, 0, ErrLength},
		{"null count", "ffffffff", func(r *Reader) any { return r.Count(4) }, -1, nil},
		{"negative count", "fffffffe", func(r *Reader) any { return r.Count(4) }, 0, nil},
		{"most negative count", "80000000", func(r *Reader) any { return r.Count(4) }, 0, nil},
		{"uvarint without end", "ffff", func(r *Reader) any { return r.Uvarint() }, uint64(0), ErrShort},
		{"uvarint of 65 bits", "ffffffffffffffffff02", func(r *Reader) any { return r.Uvarint() }, uint64(0), ErrOverflow},
		{"uvarint of 11 bytes", "8080808080808080808001", func(r *Reader) any { return r.Uvarint() }, uint64(0), ErrOverflow},
		{"a true of 5", "05", func(r *Reader) any { return r.Bool() }, true, nil},
	} {
		in, err := hex.DecodeString(strings.ReplaceAll(c.in, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		r := NewReader(in)
		if got := c.read(&r); !reflect.DeepEqual(got, c.want) || !errors.Is(r.Err(), c.err) {
			t.Errorf("%s: %#v, %v; want %#v, %v", c.name, got, r.Err(), c.want, c.err)
		}
	}
}

// TestAlias: Bytes and Raw share the input, and appending to them leaves the input alone; String
// does not share it.
func TestAlias(t *testing.T) {
	in := AppendString(AppendBytes([]byte("raw"), []byte("data")), "text")
	before := bytes.Clone(in)
	r := NewReader(in)
	raw, data, text := r.Raw(3), r.Bytes(), r.String()
	_, _ = append(raw, '!'), append(data, '!')
	if !bytes.Equal(in, before) {
		t.Error("appending to a result changed the input")
	}
	for i := range in {
		in[i] = 'x'
	}
	if string(raw) != "xxx" || string(data) != "xxxx" || text != "text" {
		t.Errorf("%s %s %s", raw, data, text)
	}
}

// TestFork: a copied Reader has a position of its own.
func TestFork(t *testing.T) {
	r := NewReader([]byte{1, 2})
	fork := r
	if fork.Byte() != 1 || fork.Byte() != 2 || fork.Byte() != 0 || fork.Err() == nil {
		t.Error("the fork does not read")
	}
	if r.Len() != 2 || r.Err() != nil {
		t.Error("the fork moved the original")
	}
}

// TestTooLong: what the format cannot say is a broken caller.
func TestTooLong(t *testing.T) {
	for name, f := range map[string]func(){
		"count below null": func() { AppendCount(nil, -2) },
		"count beyond int32": func() {
			if math.MaxInt == math.MaxInt32 {
				panic("cannot be asked for on this machine")
			}
			AppendCount(nil, math.MaxInt)
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			f()
		}()
	}
}

// TestNoAllocation: a false length or count costs nothing.
func TestNoAllocation(t *testing.T) {
	in := AppendInt32(nil, math.MaxInt32)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 1000 {
		r := NewReader(in)
		_, _ = r.String(), r.Count(4)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 100_000 {
		t.Errorf("%d bytes allocated", took)
	}
}
