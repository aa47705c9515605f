package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"

	"github.com/grovekeeper/grove/internal/codec"
)

// kind is one type of message and how to make an empty one.
type kind struct {
	name  string
	empty func() Record
}

// kinds lists every type of message there is.
func kinds() []kind {
	list := []kind{
		{"connect request", of[ConnectRequest]},
		{"connect response", of[ConnectResponse]},
		{"request header", of[RequestHeader]},
		{"reply header", of[ReplyHeader]},
		{"stat", of[Stat]},
		{"acl", of[ACL]},
	}
	for _, row := range Ops() {
		if row.Request != nil {
			list = append(list, kind{row.Name + " request", row.Request})
		}
		if row.Response != nil {
			list = append(list, kind{row.Name + " response", row.Response})
		}
	}
	return list
}

// addGolden seeds a corpus with the records on the wire, under every kind.
func addGolden(f *testing.F) {
	for _, g := range readGolden(f) {
		for skip := 4; skip <= 20 && skip <= len(g.frame); skip += 8 {
			for i := range kinds() {
				f.Add(uint8(i), g.frame[skip:])
			}
		}
	}
}

// FuzzDecode: whatever the bytes, Decode returns; and what it accepts, Append writes in a form that
// reads as the same and is written the same again.
func FuzzDecode(f *testing.F) {
	addGolden(f)
	all := kinds()
	f.Fuzz(func(t *testing.T, which uint8, input []byte) {
		k := all[int(which)%len(all)]
		first := k.empty()
		r := codec.NewReader(input)
		first.Decode(&r)
		if r.Err() != nil {
			return
		}
		checkRoundTrip(t, k, first)
	})
}

// checkRoundTrip holds m to reading as it was written.
func checkRoundTrip(t *testing.T, k kind, m Record) {
	t.Helper()
	written := m.Append(nil)
	again := k.empty()
	r := codec.NewReader(written)
	again.Decode(&r)
	if r.Err() != nil || r.Len() > 0 {
		t.Fatalf("%s %+v: %v, %d bytes left", k.name, m, r.Err(), r.Len())
	}
	if !reflect.DeepEqual(m, again) {
		t.Fatalf("%s\n wrote %+v\n  read %+v", k.name, m, again)
	}
	if twice := again.Append(nil); !bytes.Equal(written, twice) {
		t.Fatalf("%s\n first %x\n  then %x", k.name, written, twice)
	}
}

// FuzzRoundTrip: any message, filled by chance from a seed, survives the wire.
func FuzzRoundTrip(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed)
	}
	all := kinds()
	f.Fuzz(func(t *testing.T, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		for _, k := range all {
			m := k.empty()
			fill(rnd, reflect.ValueOf(m).Elem())
			settle(rnd, m)
			checkRoundTrip(t, k, m)
		}
	})
}

// fill sets every field of v by chance.
func fill(rnd *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rnd.IntN(2) == 0)
	case reflect.Int32, reflect.Int64:
		v.SetInt(int64(rnd.Uint64()) >> rnd.IntN(64))
	case reflect.Uint8:
		v.SetUint(rnd.Uint64() & 0xff)
	case reflect.String:
		words := []string{"", "/", "/a/b", "anyone", "world", "digest", "\x00\xff", "/é"}
		v.SetString(words[rnd.IntN(len(words))])
	case reflect.Struct:
		for i := range v.NumField() {
			fill(rnd, v.Field(i))
		}
	case reflect.Slice:
		if rnd.IntN(4) == 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), rnd.IntN(4), 4))
		for i := range v.Len() {
			fill(rnd, v.Index(i))
		}
	default:
		panic("cannot fill " + v.Type().String())
	}
}

// settle gives up what the wire cannot say of m: values beside a null, fields that do not apply,
// and nil where only empty can be told.
func settle(rnd *rand.Rand, m Record) {
	emptyIsNil(m)
	pick := func(ops ...Op) Op { return ops[rnd.IntN(len(ops))] }
	switch m := m.(type) {
	case *ConnectRequest:
		m.ReadOnly = m.ReadOnly && m.HasReadOnly
	case *ConnectResponse:
		m.ReadOnly = m.ReadOnly && m.HasReadOnly
	case *ACL:
		settleACL(m)
	case *CreateRequest:
		settleACLs(m.ACL)
	case *CreateTTLRequest:
		settleACLs(m.ACL)
	case *SetACLRequest:
		settleACLs(m.ACL)
	case *GetACLResponse:
		settleACLs(m.ACL)
	case *SyncRequest:
		m.Null = m.Null && m.Path == ""
	case *GetEphemeralsRequest:
		m.Null = m.Null && m.Prefix == ""
	case *WatchesRequest:
		m.Type = WatcherType(1 + rnd.IntN(5))
	case *AddWatchRequest:
		m.Mode = AddWatchMode(rnd.IntN(2))
	case *SetWatchesRequest:
		settleWatches(m)
	case *SetWatches2Request:
		settleWatches(&m.SetWatchesRequest)
		m.Persistent = append([]string{}, m.Persistent...)
		m.PersistentRecursive = append([]string{}, m.PersistentRecursive...)
	case *MultiRequest:
		for i := range m.Ops {
			settleOp(&m.Ops[i], pick(OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL, OpDelete,
				OpSetData, OpCheck), rnd)
		}
	case *MultiReadRequest:
		for i := range m.Ops {
			m.Ops[i].Op = pick(OpGetData, OpGetChildren)
		}
	case *MultiResponse:
		for i := range m.Results {
			settleResult(&m.Results[i], pick(OpCreate, OpCreate2, OpDelete, OpSetData, OpCheck,
				OpGetData, OpGetChildren, OpError))
		}
	}
}

// emptyIsNil makes no difference between a multi of nothing in new and in reused storage.
func emptyIsNil(m Record) {
	switch m := m.(type) {
	case *MultiRequest:
		m.Ops = append([]MultiOp(nil), m.Ops...)
	case *MultiReadRequest:
		m.Ops = append([]MultiReadOp(nil), m.Ops...)
	case *MultiResponse:
		m.Results = append([]MultiResult(nil), m.Results...)
	}
}

func settleACL(a *ACL) {
	a.SchemeNull = a.SchemeNull && a.Scheme == ""
	a.IDNull = a.IDNull && a.ID == ""
}

func settleACLs(list []ACL) {
	for i := range list {
		settleACL(&list[i])
	}
}

func settleWatches(m *SetWatchesRequest) {
	m.Data = append([]string{}, m.Data...)
	m.Exist = append([]string{}, m.Exist...)
	m.Child = append([]string{}, m.Child...)
}

func settleOp(m *MultiOp, op Op, rnd *rand.Rand) {
	settleACLs(m.ACL)
	full := *m
	*m = MultiOp{Op: op, Path: full.Path}
	switch op {
	case OpDelete, OpCheck:
		m.Version = full.Version
	case OpSetData:
		m.Data, m.Version = full.Data, full.Version
	case OpCreateTTL:
		m.TTL = full.TTL
		fallthrough
	default:
		m.Data, m.ACL, m.Flags = full.Data, full.ACL, rnd.Int32N(5)
	}
}

func settleResult(m *MultiResult, op Op) {
	full := *m
	*m = MultiResult{Type: op}
	switch op {
	case OpCreate:
		m.Path = full.Path
	case OpCreate2:
		m.Path, m.Stat = full.Path, full.Stat
	case OpSetData:
		m.Stat = full.Stat
	case OpGetData:
		m.Data, m.Stat = full.Data, full.Stat
	case OpGetChildren:
		m.Children = full.Children
	case OpError:
		m.Err = full.Err
	}
}

// FuzzReuse: a record decoded into again holds what a new one would.
func FuzzReuse(f *testing.F) {
	addGolden(f)
	all := kinds()
	f.Fuzz(func(t *testing.T, which uint8, input []byte) {
		k := all[int(which)%len(all)]
		fresh := k.empty()
		b := codec.NewReader(input)
		fresh.Decode(&b)
		emptyIsNil(fresh)
		for seed := range uint64(4) {
			used := k.empty()
			fill(rand.New(rand.NewPCG(seed, uint64(which))), reflect.ValueOf(used).Elem())
			a := codec.NewReader(input)
			used.Decode(&a)
			emptyIsNil(used)
			if !errors.Is(a.Err(), b.Err()) || a.Len() != b.Len() {
				t.Fatalf("%s: %v with %d left, and %v with %d left",
					k.name, a.Err(), a.Len(), b.Err(), b.Len())
			}
			if a.Err() == nil && !reflect.DeepEqual(used, fresh) {
				t.Fatalf("%s\n used %+v\nfresh %+v", k.name, used, fresh)
			}
		}
	})
}

// FuzzViews: the functions that do not copy agree with the records that do.
func FuzzViews(f *testing.F) {
	for _, g := range readGolden(f) {
		f.Add(g.frame[min(12, len(g.frame)):])
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		a, b := codec.NewReader(input), codec.NewReader(input)
		var read PathWatchRequest
		read.Decode(&a)
		name, watch, ok := DecodePathWatch(&b)
		if ok != (a.Err() == nil) || !errors.Is(b.Err(), a.Err()) {
			t.Fatalf("path and watch: %v, want %v", b.Err(), a.Err())
		}
		if ok && (string(name) != read.Path || watch != read.Watch || a.Len() != b.Len()) {
			t.Fatalf("%q %t, want %+v", name, watch, read)
		}
		a, b = codec.NewReader(input), codec.NewReader(input)
		var set SetDataRequest
		set.Decode(&a)
		name, data, version, ok := DecodeSetData(&b)
		if ok != (a.Err() == nil) || !errors.Is(b.Err(), a.Err()) {
			t.Fatalf("set: %v, want %v", b.Err(), a.Err())
		}
		same := reflect.DeepEqual(set, SetDataRequest{string(name), data, version})
		if ok && (!same || a.Len() != b.Len()) {
			t.Fatalf("%q %q %d, want %+v", name, data, version, set)
		}
	})
}

// liesOf returns counts that a frame of n bytes cannot keep.
func liesOf(n int) []uint32 {
	return []uint32{0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, uint32(n), uint32(n / 4), 1 << 20}
}

// TestLyingCounts writes false counts over every place of a frame that may hold one. No decoder
// may allocate by them: what it takes is bounded by what it was sent.
func TestLyingCounts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, k := range kinds() {
		m := k.empty()
		fill(rnd, reflect.ValueOf(m).Elem())
		settle(rnd, m)
		input := m.Append(nil)
		input = append(input, make([]byte, 100)...) // more of the frame after the record
		var before, after runtime.MemStats
		decodes := 0
		runtime.ReadMemStats(&before)
		for at := range len(input) - 4 {
			for _, lie := range liesOf(len(input)) {
				told := bytes.Clone(input)
				binary.BigEndian.PutUint32(told[at:], lie)
				r := codec.NewReader(told)
				k.empty().Decode(&r)
				decodes++
			}
		}
		runtime.ReadMemStats(&after)
		took := int(after.TotalAlloc-before.TotalAlloc) / decodes
		if limit := 64*len(input) + 4096; took > limit {
			t.Errorf("%s: %d bytes allocated a decode of %d bytes, limit %d", k.name, took, len(input), limit)
		}
	}
}

// TestLargestLists fills a frame with the smallest elements of every kind of list: even then the
// memory taken is a small multiple of the frame.
func TestLargestLists(t *testing.T) {
	skipRaced(t)
	strings := codec.AppendCount(nil, (MaxFrame-4)/4)
	acls := codec.AppendCount(codec.AppendString(nil, ""), (MaxFrame-12)/aclLenMin)
	var writes, reads []byte
	for len(writes) < MaxFrame-32 {
		writes = (&MultiOp{Op: OpDelete}).Append(writes)
	}
	lopsided := (&MultiOp{Op: OpSetData, Data: make([]byte, MaxFrame/8)}).Append(nil)
	lopsided = append(bytes.Repeat(lopsided, 4), writes[:MaxFrame/17/3*17]...) // large before small
	for len(reads) < MaxFrame-32 {
		reads = codec.AppendBool(codec.AppendString(appendMultiHeader(reads, OpGetData, false, -1), ""), false)
	}
	for _, c := range []struct {
		name  string
		into  Record
		input []byte
		times int // limit of memory, in frames
	}{
		{"strings", &GetChildrenResponse{}, strings, 5},
		{"acls", &SetACLRequest{}, acls, 5},
		{"writes", &MultiRequest{}, AppendMultiEnd(writes), 8},
		{"lopsided", &MultiRequest{}, AppendMultiEnd(lopsided), 16},
		{"reads", &MultiReadRequest{}, AppendMultiEnd(reads), 4},
	} {
		input := append(c.input, make([]byte, max(0, MaxFrame-len(c.input)))...)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := codec.NewReader(input)
		c.into.Decode(&r)
		runtime.ReadMemStats(&after)
		if r.Err() != nil {
			t.Errorf("%s: %v", c.name, r.Err())
		}
		if took := int(after.TotalAlloc - before.TotalAlloc); took > c.times*MaxFrame {
			t.Errorf("%s: %d bytes allocated, limit %d frames", c.name, took, c.times)
		} else {
			t.Logf("%s: %.1f frames", c.name, float64(took)/MaxFrame)
		}
	}
}
