package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/grovekeeper/grove/internal/codec"
)

// TestNullPath: every request that names a node refuses a null path; the few whose path may be
// null keep it apart from an empty one.
func TestNullPath(t *testing.T) {
	mayBeNull := map[Op]bool{OpSync: true, OpGetEphemerals: true}
	noPath := map[Op]bool{OpMulti: true, OpMultiRead: true, OpReconfig: true, OpAuth: true,
		OpSetWatches: true, OpSetWatches2: true, OpSASL: true}
	null := append([]byte{0xff, 0xff, 0xff, 0xff}, make([]byte, 40)...)
	for _, row := range Ops() {
		if row.Request == nil || noPath[row.Op] {
			continue
		}
		m := row.Request()
		r := codec.NewReader(null)
		m.Decode(&r)
		if mayBeNull[row.Op] {
			if b := m.Append(nil); r.Err() != nil || !bytes.Equal(b, null[:4]) {
				t.Errorf("%s: %x, %v", row.Name, b, r.Err())
			}
		} else if !errors.Is(r.Err(), ErrNull) {
			t.Errorf("%s: %v", row.Name, r.Err())
		}
	}
}

// TestSetWatchesNull: neither a list of watches nor a path in it may be null.
func TestSetWatchesNull(t *testing.T) {
	for lists, m := range map[int]Record{3: &SetWatchesRequest{}, 5: &SetWatches2Request{}} {
		for null := range lists {
			for _, list := range [][]byte{codec.AppendCount(nil, -1), {0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff}} {
				b := codec.AppendInt64(nil, 7)
				for i := range lists {
					if i == null {
						b = append(b, list...)
					} else {
						b = codec.AppendString(codec.AppendCount(b, 1), "/a")
					}
				}
				r := codec.NewReader(b)
				if m.Decode(&r); !errors.Is(r.Err(), ErrNull) {
					t.Errorf("%T, list %d %x: %v", m, null, list, r.Err())
				}
			}
		}
	}
}

// TestRanges: modes and types of watches that do not exist are refused.
func TestRanges(t *testing.T) {
	for v := int32(-2); v < 8; v++ {
		b := codec.AppendInt32(codec.AppendString(nil, "/a"), v)
		r := codec.NewReader(b)
		(&AddWatchRequest{}).Decode(&r)
		if fine := v == 0 || v == 1; fine != (r.Err() == nil) || !fine && !errors.Is(r.Err(), ErrRange) {
			t.Errorf("mode %d: %v", v, r.Err())
		}
		r = codec.NewReader(b)
		(&RemoveWatchesRequest{}).Decode(&r)
		if fine := 1 <= v && v <= 5; fine != (r.Err() == nil) || !fine && !errors.Is(r.Err(), ErrRange) {
			t.Errorf("type %d: %v", v, r.Err())
		}
	}
}

// TestLenient: what existing clients and servers read, though they would not write it.
func TestLenient(t *testing.T) {
	r := codec.NewReader([]byte{0, 0, 0, 1, '/', 5, 'r', 'e', 's', 't'})
	var read GetDataRequest
	if read.Decode(&r); r.Err() != nil || !read.Watch || r.Len() != 4 {
		t.Errorf("a true of 5 and bytes after the record: %+v, %v", read, r.Err())
	}
	r = codec.NewReader(codec.AppendInt32([]byte{0, 0, 0, 1, '/', 0x80, 0, 0, 0}, 9))
	var set SetACLRequest
	if set.Decode(&r); r.Err() != nil || set.ACL == nil || len(set.ACL) != 0 || set.Version != 9 {
		t.Errorf("a negative count: %+v, %v", set, r.Err())
	}
}

// TestKnownStrings: the shared strings are what was sent, and their neighbours are copied.
func TestKnownStrings(t *testing.T) {
	for _, s := range []string{"world", "anyone", "digest", "auth", "sasl", "ip", "worl", "worlds", "World"} {
		in := ACL{Perms: 31, Scheme: s, ID: s}
		r := codec.NewReader(in.Append(nil))
		var out ACL
		if out.Decode(&r); out != in || r.Err() != nil {
			t.Errorf("%q: %+v, %v", s, out, r.Err())
		}
	}
}

func TestInvalidSession(t *testing.T) {
	for _, has := range []bool{false, true} {
		m := InvalidSession(has)
		want := make([]byte, 36)
		want[19] = PasswordLen
		if has {
			want = append(want, 0)
		}
		if b := m.Append(nil); !bytes.Equal(b, want) {
			t.Errorf("%t: %x", has, b)
		}
	}
}

// TestNoCopy: data aliases the frame, and appending to it does not reach into the frame.
func TestNoCopy(t *testing.T) {
	in := SetDataRequest{Path: "/a", Data: []byte("data"), Version: 1}
	frame := in.Append(nil)
	before := bytes.Clone(frame)
	r := codec.NewReader(frame)
	var out SetDataRequest
	out.Decode(&r)
	if &out.Data[0] != &frame[10] {
		t.Error("data was copied")
	}
	if _ = append(out.Data, "overwritten"...); !bytes.Equal(frame, before) {
		t.Error("appending to data changed the frame")
	}
}

// TestCountsTight: a count is refused, before anything is allocated by it, if the smallest elements
// there are would not fit by one.
func TestCountsTight(t *testing.T) {
	for _, c := range []struct {
		name string
		into Record
		elem int // bytes of the smallest element
	}{
		{"strings", &GetChildrenResponse{}, 4},
		{"paths", &SetWatchesRequest{}, 4},
		{"ACLs", &SetACLRequest{}, 12},
		{"identities", &WhoAmIResponse{}, 8},
	} {
		var before []byte
		switch c.into.(type) {
		case *SetACLRequest:
			before = codec.AppendString(nil, "/a")
		case *SetWatchesRequest:
			before = codec.AppendInt64(nil, 0)
		}
		b := append(codec.AppendCount(before, 3), make([]byte, 3*c.elem-1)...)
		r := codec.NewReader(b)
		if c.into.Decode(&r); r.Err() != codec.ErrLength {
			t.Errorf("%s: %v", c.name, r.Err())
		}
		r = codec.NewReader(append(b, make([]byte, 33)...))
		if c.into.Decode(&r); r.Err() != nil {
			t.Errorf("%s that fit: %v", c.name, r.Err())
		}
	}
}
