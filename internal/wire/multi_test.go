package wire

import (
	"errors"
	"testing"

	"github.com/grovekeeper/grove/internal/codec"
)

// nullPath is an operation whose path is null.
func nullPath(op Op) []byte {
	b := appendMultiHeader(nil, op, false, -1)
	b = codec.AppendInt32(b, -1)
	return append(b, make([]byte, 20)...)
}

// TestMultiRules: one operation that a multi must not hold refuses it all.
func TestMultiRules(t *testing.T) {
	fine := MultiOp{Op: OpCheck, Path: "/a", Version: 1}
	create := func(op Op, flags int32) []byte {
		return (&MultiOp{Op: op, Path: "/a", Flags: flags}).Append(nil)
	}
	header := func(op Op) []byte { return append(appendMultiHeader(nil, op, false, -1), create(OpCreate, 0)[9:]...) }
	for _, c := range []struct {
		name string
		op   []byte
		want error
	}{
		{"create", create(OpCreate, 0), nil},
		{"create, container flags", create(OpCreate, 4), nil},
		{"create, TTL flags", create(OpCreate, 5), ErrRange},
		{"create, sequential TTL flags", create(OpCreate, 6), ErrRange},
		{"create, unknown flags", create(OpCreate, 7), ErrRange},
		{"create, negative flags", create(OpCreate, -1), ErrRange},
		{"create2, container flags", create(OpCreate2, 4), nil},
		{"create2, TTL flags", create(OpCreate2, 5), ErrRange},
		{"createContainer", create(OpCreateContainer, 4), nil},
		{"createContainer, TTL flags", create(OpCreateContainer, 6), ErrRange},
		{"createTTL", create(OpCreateTTL, 5), nil},
		{"createTTL, plain flags", create(OpCreateTTL, 0), nil}, // decided where it is applied
		{"createTTL, unknown flags", create(OpCreateTTL, 7), ErrRange},
		{"delete", (&MultiOp{Op: OpDelete, Path: "/a"}).Append(nil), nil},
		{"set", (&MultiOp{Op: OpSetData, Path: "/a"}).Append(nil), nil},
		{"read", header(OpGetData), ErrMulti},
		{"children", header(OpGetChildren), ErrMulti},
		{"ACL", header(OpSetACL), ErrMulti},
		{"multi", header(OpMulti), ErrMulti},
		{"reaping", header(OpDeleteContainer), ErrMulti},
		{"session", header(OpCloseSession), ErrMulti},
		{"error", header(OpError), ErrMulti},
		{"notification", header(OpNotification), ErrMulti},
		{"unknown", header(99), ErrMulti},
		{"create, null path", nullPath(OpCreate), ErrNull},
		{"delete, null path", nullPath(OpDelete), ErrNull},
		{"set, null path", nullPath(OpSetData), ErrNull},
		{"check, null path", nullPath(OpCheck), ErrNull},
	} {
		for _, at := range []string{"first", "last"} {
			b := append(fine.Append(nil), c.op...)
			if at == "first" {
				b = fine.Append(append([]byte(nil), c.op...))
			}
			r := codec.NewReader(AppendMultiEnd(b))
			var m MultiRequest
			m.Decode(&r)
			if !errors.Is(r.Err(), c.want) {
				t.Errorf("%s, %s: %v, want %v", c.name, at, r.Err(), c.want)
			}
			if c.want == nil && (len(m.Ops) != 2 || r.Len() != 0) {
				t.Errorf("%s, %s: %d operations, %d bytes left", c.name, at, len(m.Ops), r.Len())
			}
		}
	}
}

// TestMultiReadRules: only getData and getChildren can be read together.
func TestMultiReadRules(t *testing.T) {
	for _, row := range Ops() {
		b := codec.AppendString(appendMultiHeader(nil, row.Op, false, -1), "/a")
		b = AppendMultiEnd(codec.AppendBool(b, true))
		r := codec.NewReader(b)
		var m MultiReadRequest
		m.Decode(&r)
		allowed := row.Op == OpGetData || row.Op == OpGetChildren
		if allowed && (r.Err() != nil || len(m.Ops) != 1 || m.Ops[0] != MultiReadOp{row.Op, "/a", true}) {
			t.Errorf("%s: %+v, %v", row.Name, m, r.Err())
		}
		if !allowed && !errors.Is(r.Err(), ErrMulti) {
			t.Errorf("%s: %v", row.Name, r.Err())
		}
	}
	r := codec.NewReader(AppendMultiEnd(nullPath(OpGetData)))
	if (&MultiReadRequest{}).Decode(&r); !errors.Is(r.Err(), ErrNull) {
		t.Errorf("null path: %v", r.Err())
	}
}

// TestMultiEnd: a multi ends where a header says so, and not with the frame.
func TestMultiEnd(t *testing.T) {
	op := MultiOp{Op: OpDelete, Path: "/a"}
	for _, c := range []struct {
		name string
		b    []byte
		ops  int
		want error
	}{
		{"empty", AppendMultiEnd(nil), 0, nil},
		{"no end", op.Append(nil), 1, codec.ErrShort},
		{"nothing", nil, 0, codec.ErrShort},
		{"end by the flag alone", appendMultiHeader(op.Append(nil), OpCheck, true, 0), 1, nil},
		{"more after the end", op.Append(AppendMultiEnd(op.Append(nil))), 1, nil},
	} {
		r := codec.NewReader(c.b)
		var m MultiRequest
		m.Decode(&r)
		if !errors.Is(r.Err(), c.want) || len(m.Ops) != c.ops {
			t.Errorf("%s: %d operations, %v; want %d, %v", c.name, len(m.Ops), r.Err(), c.ops, c.want)
		}
	}
}

// TestMultiResultUnknown: a client does not guess how long the record of an unknown result is.
func TestMultiResultUnknown(t *testing.T) {
	b := AppendMultiEnd(appendMultiHeader(nil, OpCreateTTL, false, 0))
	r := codec.NewReader(b)
	if (&MultiResponse{}).Decode(&r); !errors.Is(r.Err(), ErrMulti) {
		t.Error(r.Err())
	}
}
