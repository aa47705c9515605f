package wire

import (
	"testing"

	"github.com/grovekeeper/grove/internal/codec"
)

var (
	benchPath = "/services/payments/instances/n-0000000042"
	benchData = make([]byte, 100)
	benchStat = Stat{Czxid: 1 << 20, Mzxid: 1 << 21, Ctime: 1 << 40, Mtime: 1 << 40, DataLength: 100}
	benchOpen = []ACL{{Perms: 31, Scheme: "world", ID: "anyone"}}
)

// hot lists the decodes of the hot path and how many allocations each may cost.
func hot() []struct {
	name   string
	input  []byte
	decode func(r *codec.Reader)
	allocs float64
} {
	read := (&GetDataRequest{Path: benchPath, Watch: true}).Append(nil)
	set := (&SetDataRequest{Path: benchPath, Data: benchData, Version: -1}).Append(nil)
	create := (&CreateRequest{Path: benchPath, Data: benchData, ACL: benchOpen}).Append(nil)
	multi := (&MultiRequest{Ops: []MultiOp{
		{Op: OpCheck, Path: benchPath, Version: 3},
		{Op: OpCreate, Path: benchPath, Data: benchData, ACL: benchOpen},
		{Op: OpSetData, Path: benchPath, Data: benchData, Version: 3},
		{Op: OpDelete, Path: benchPath, Version: -1},
	}}).Append(nil)
	var createInto CreateRequest
	var multiInto MultiRequest
	return []struct {
		name   string
		input  []byte
		decode func(r *codec.Reader)
		allocs float64
	}{
		{"header", (&RequestHeader{Xid: 7, Op: OpGetData}).Append(nil),
			func(r *codec.Reader) { var h RequestHeader; h.Decode(r) }, 0},
		{"get", read, func(r *codec.Reader) { var m GetDataRequest; m.Decode(r) }, 1},
		{"get without copy", read, func(r *codec.Reader) { DecodePathWatch(r) }, 0},
		{"set", set, func(r *codec.Reader) { var m SetDataRequest; m.Decode(r) }, 1},
		{"set without copy", set, func(r *codec.Reader) { DecodeSetData(r) }, 0},
		{"create", create, func(r *codec.Reader) { var m CreateRequest; m.Decode(r) }, 2},
		{"create again", create, func(r *codec.Reader) { createInto.Decode(r) }, 1},
		{"multi of 4", multi, func(r *codec.Reader) { var m MultiRequest; m.Decode(r) }, 6},
		{"multi of 4 again", multi, func(r *codec.Reader) { multiInto.Decode(r) }, 4},
	}
}

// replies lists the encodes of the hot path. None may allocate.
func replies() []struct {
	name   string
	append func(b []byte) []byte
} {
	return []struct {
		name   string
		append func(b []byte) []byte
	}{
		{"error", func(b []byte) []byte { return AppendReply(b, 7, 9, CodeNoNode) }},
		{"get", func(b []byte) []byte { return AppendGetDataReply(b, 7, 9, benchData, &benchStat) }},
		{"set", func(b []byte) []byte { return AppendStatReply(b, 7, 9, &benchStat) }},
		{"create", func(b []byte) []byte { return AppendCreateReply(b, 7, 9, benchPath) }},
		{"create2", func(b []byte) []byte { return AppendCreate2Reply(b, 7, 9, benchPath, &benchStat) }},
		{"notification", func(b []byte) []byte {
			return AppendNotification(b, 9, EventNodeDataChanged, benchPath)
		}},
		{"multi of 4", func(b []byte) []byte {
			b, mark := BeginReply(b, 7, 9)
			for _, m := range [...]MultiResult{{Type: OpCheck}, {Type: OpCreate, Path: benchPath},
				{Type: OpSetData, Stat: benchStat}, {Type: OpDelete}} {
				b = m.Append(b)
			}
			return EndFrame(AppendMultiEnd(b), mark)
		}},
	}
}

// TestAllocs holds the hot path to the allocations listed with it.
func TestAllocs(t *testing.T) {
	skipRaced(t)
	var r codec.Reader // outside, because calling through a table makes it escape
	for _, c := range hot() {
		got := testing.AllocsPerRun(100, func() {
			r = codec.NewReader(c.input)
			if c.decode(&r); r.Err() != nil || r.Len() != 0 {
				t.Fatal(c.name, r.Err(), r.Len())
			}
		})
		if got != c.allocs {
			t.Errorf("decode %s: %v allocations, want %v", c.name, got, c.allocs)
		}
	}
	b := make([]byte, 0, 1<<10)
	for _, c := range replies() {
		if got := testing.AllocsPerRun(100, func() { b = c.append(b[:0]) }); got > 0 {
			t.Errorf("append %s: %v allocations", c.name, got)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range hot() {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			var r codec.Reader
			for b.Loop() {
				r = codec.NewReader(c.input)
				c.decode(&r)
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, c := range replies() {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			out := make([]byte, 0, 1<<10)
			for b.Loop() {
				out = c.append(out[:0])
			}
		})
	}
}

func BenchmarkOp(b *testing.B) {
	live := 0
	for b.Loop() {
		if OpGetData.Live() && OpSetData.Class() == ClassWrite {
			live++
		}
	}
}
