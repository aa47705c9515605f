package peer

import (
	"bytes"
	"errors"
	"runtime"
	"runtime/metrics"
	"slices"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

// plain is m with fields that are zero absent, which nobody can tell from zero by asking.
func plain(m *pb.Message) *pb.Message {
	m = proto.Clone(m).(*pb.Message)
	for _, f := range []**uint64{&m.Term, &m.LogTerm, &m.Index, &m.Commit, &m.RejectHint, &m.Vote} {
		if *f != nil && **f == 0 {
			*f = nil
		}
	}
	if !m.GetReject() {
		m.Reject = nil
	}
	if len(m.Context) == 0 {
		m.Context = nil
	}
	for _, e := range m.Entries {
		e.Index, e.Term, e.Type = new(e.GetIndex()), new(e.GetTerm()), e.GetType().Enum()
	}
	return m
}

func samples() []*pb.Message {
	conf, _ := proto.Marshal(&pb.ConfChangeV2{Context: []byte("token")})
	long := bytes.Repeat([]byte("c"), 300)
	out := []*pb.Message{
		heartbeat(2, 4), appends(2, 10, 0, 0), appends(2, 10, 1, 0), appends(2, 1<<40, 16, 200),
		{Type: pb.MsgVote.Enum(), Term: new(uint64(1 << 63)), Index: new(uint64(1)), LogTerm: new(uint64(0)), Context: long},
		{Type: pb.MsgAppResp.Enum(), Term: new(uint64(4)), Index: new(uint64(4)), Reject: new(true), RejectHint: new(uint64(3))},
		{Type: pb.MsgVoteResp.Enum(), Term: new(uint64(4)), Reject: new(false)},
		{Type: pb.MsgTimeoutNow.Enum(), Term: new(uint64(4))},
		{Type: pb.MsgReadIndex.Enum(), Entries: []*pb.Entry{{Data: []byte("mark")}}},
		{Type: pb.MsgReadIndexResp.Enum(), Term: new(uint64(4)), Index: new(uint64(5)), Entries: []*pb.Entry{{Data: []byte("mark")}}},
		{Type: pb.MsgApp.Enum(), Term: new(uint64(9)), LogTerm: new(uint64(5)), Index: new(uint64(7)), Entries: []*pb.Entry{
			{Index: new(uint64(8)), Term: new(uint64(5)), Data: []byte{}},
			{Index: new(uint64(9)), Term: new(uint64(6)), Data: nil},
			{Index: new(uint64(10)), Term: new(uint64(6)), Type: pb.EntryConfChangeV2.Enum(), Data: conf},
			{Index: new(uint64(20)), Term: new(uint64(5)), Type: pb.EntryConfChange.Enum(), Data: conf},
		}},
	}
	for _, m := range out {
		m.From, m.To = new(uint64(1)), new(uint64(2))
	}
	return out
}

func kindFor(messages ...*pb.Message) uint8 {
	for _, m := range messages {
		if len(m.Entries) > 0 {
			return kindHeavy
		}
	}
	return kindLight
}

func TestMessagesComeBack(t *testing.T) {
	all := samples()
	for i := range all {
		for j := i + 1; j <= len(all); j++ {
			in := all[i:j]
			b := appendMessages(nil, in)
			out, err := decodeMessages(nil, kindFor(in...), b, 1, 2)
			if err != nil || len(out) != len(in) {
				t.Fatalf("%v: %d messages, %v", in, len(out), err)
			}
			for k := range in {
				if diff := cmp.Diff(plain(in[k]), plain(out[k]), protocmp.Transform()); diff != "" {
					t.Error(diff)
				}
				for n, e := range in[k].Entries {
					if (e.Data == nil) != (out[k].Entries[n].Data == nil) {
						t.Errorf("entry %d of %v: nil became empty, or the reverse", n, in[k])
					}
				}
			}
			weight := 0
			for _, m := range in {
				weight += weigh(m)
			}
			if len(b) > weight+frameSlack {
				t.Errorf("%d bytes, weighed as %d", len(b), weight)
			}
		}
	}
}

// TestLightMessagesKeepNothingOfTheFrame: their body is the reader's buffer.
func TestLightMessagesKeepNothingOfTheFrame(t *testing.T) {
	m := heartbeat(2, 4)
	m.From = new(uint64(1))
	long := proto.Clone(m).(*pb.Message)
	long.Context = bytes.Repeat([]byte("x"), 100)
	b := appendMessages(nil, []*pb.Message{m, long})
	out, err := decodeMessages(nil, kindLight, b, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] = 0xff
	}
	if !proto.Equal(m, out[0]) || !proto.Equal(long, out[1]) {
		t.Error(out)
	}
	if _, err := decodeMessages(nil, kindLight, appendMessages(nil, []*pb.Message{appends(2, 1, 1, 1)}), 1, 2); err == nil {
		t.Error("entries were taken from a frame of messages without")
	}
}

func TestImagesAreNamedOnlyWhereTheyBelong(t *testing.T) {
	snap := &pb.Message{Type: pb.MsgSnap.Enum(), From: new(uint64(1)), To: new(uint64(2)), Term: new(uint64(7)),
		Snapshot: &pb.Snapshot{Data: []byte("d"), Metadata: &pb.SnapshotMetadata{Index: new(uint64(9)), Term: new(uint64(6)),
			ConfState: &pb.ConfState{Voters: []uint64{1, 2}, AutoLeave: new(false)}}}}
	b, err := appendImage(nil, snap)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeImage(b, 1, 2)
	if err != nil || !proto.Equal(got, snap) {
		t.Error(got, err)
	}
	if _, err := decodeMessages(nil, kindLight, appendMessages(nil, []*pb.Message{snap}), 1, 2); err == nil {
		t.Error("an image was named among messages")
	}
	other := appendMessages(nil, []*pb.Message{heartbeat(2, 1)})
	if _, err := decodeImage(other, 1, 2); err == nil {
		t.Error("a heartbeat named an image")
	}
}

// TestWhatStaysAtHomeIsNotTaken: types that no peer sends end the connection.
func TestWhatStaysAtHomeIsNotTaken(t *testing.T) {
	for kind := range 256 {
		b := []byte{1, 0, byte(kind), 0}
		_, err := decodeMessages(nil, kindLight, b, 1, 2)
		lane := laneOf(pb.MessageType(kind))
		if ok := lane == laneUrgent || lane == laneBulk; ok != (err == nil) {
			t.Errorf("type %d: %v", kind, err)
		}
	}
}

// TestDecodingCostsWhatItIsSaidTo: the figures the bound on memory is made of.
func TestDecodingCostsWhatItIsSaidTo(t *testing.T) {
	if n := unsafe.Sizeof(letter{}) + 8; n > messageCost {
		t.Errorf("a message costs %d", n)
	}
	if n := unsafe.Sizeof(slip{}) + 8 + 8; n > entryCost { // its place, and a term of its own
		t.Errorf("an entry costs %d", n)
	}
	if n := unsafe.Sizeof([]byte{}); n > commandCost {
		t.Errorf("a command costs %d", n)
	}
}

// TestFewBytesCostLittle: a frame that promises much and is short is refused before anything is
// allocated, and an honest one of tiny entries is long enough to be taken.
func TestFewBytesCostLittle(t *testing.T) {
	lie := append([]byte{0x80, 0x80, 4, 0x80, 0x80, 4}, make([]byte, 100_000)...) // 65,536 of each
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := decodeMessages(nil, kindHeavy, lie, 1, 2); !errors.Is(err, errBody) {
		t.Error(err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 100_000 {
		t.Errorf("%d bytes allocated", took)
	}
	tiny := appends(2, 1, 50_000, 0)
	out, err := decodeMessages(nil, kindHeavy, appendMessages(nil, []*pb.Message{tiny}), 1, 2)
	if err != nil || len(out[0].Entries) != 50_000 {
		t.Error(err)
	}
	many := make([][]byte, 200_000)
	if _, got, err := decodeCommands(appendCommands(nil, 1, many)); err != nil || len(got) != len(many) {
		t.Error(err)
	}
}

func TestCommandsComeBack(t *testing.T) {
	in := [][]byte{[]byte("a"), {}, bytes.Repeat([]byte("b"), 1000)}
	term, out, err := decodeCommands(appendCommands(nil, 1<<60, in))
	if err != nil || term != 1<<60 || !slices.EqualFunc(in, out, bytes.Equal) {
		t.Error(term, out, err)
	}
	heard, err := decodeHeard(appendHeard(nil, []int64{1, -1, 1 << 62}))
	if err != nil || !slices.Equal(heard, []int64{1, -1, 1 << 62}) {
		t.Error(heard, err)
	}
	if _, err := decodeHeard(make([]byte, 9)); err == nil {
		t.Error("9 bytes of sessions")
	}
}

// FuzzBodies: whatever the body of a frame is, decoding it neither panics nor takes more memory
// than four times its size and a constant.
func FuzzBodies(f *testing.F) {
	for _, m := range samples() {
		f.Add(kindFor(m), appendMessages(nil, []*pb.Message{m}))
	}
	f.Add(kindHeavy, appendMessages(nil, samples()))
	f.Add(kindCommands, appendCommands(nil, 4, [][]byte{[]byte("a"), []byte("bc")}))
	f.Add(kindHeard, appendHeard(nil, []int64{1, 2}))
	b, _ := appendImage(nil, &pb.Message{Type: pb.MsgSnap.Enum(), Snapshot: &pb.Snapshot{Data: []byte("d")}})
	f.Add(kindImage, b)
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		before := allocated()
		var messages []*pb.Message
		times := 4
		switch kind {
		case kindLight, kindHeavy:
			if out, err := decodeMessages(nil, kind, body, 1, 2); err == nil {
				messages = out
			}
		case kindCommands:
			decodeCommands(body)
		case kindHeard:
			decodeHeard(body)
		case kindImage:
			decodeImage(body, 1, 2)
			times = 16 // lists of numbers, a byte each; but imageMax is small
		}
		if took := allocated() - before; took > uint64(times*len(body)+2*allowance) {
			t.Errorf("%d bytes allocated for %d", took, len(body))
		}
		again, err := decodeMessages(nil, kindHeavy, appendMessages(nil, messages), 1, 2)
		if err != nil || len(again) != len(messages) {
			t.Fatalf("%v do not come back: %v", messages, err)
		}
	})
}

// allocated returns the bytes allocated so far, give or take what is cached.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func benchmarkEncode(b *testing.B, m *pb.Message) {
	kind := kindFor(m)
	out := make([]byte, 0, 1<<20)
	b.ReportAllocs()
	for b.Loop() {
		var at int
		out, at = openFrame(out[:0])
		out = closeFrame(appendMessages(out, []*pb.Message{m}), at, kind)
	}
	b.SetBytes(int64(len(out)))
}

func benchmarkDecode(b *testing.B, m *pb.Message) {
	frame := appendFrame(nil, kindFor(m), appendMessages(nil, []*pb.Message{m}))
	source := bytes.NewReader(frame)
	in := newReader(source, readBytes, 1<<20, kindLight, kindHeavy)
	var messages []*pb.Message
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		source.Reset(frame)
		kind, body, err := in.next()
		if err == nil {
			messages, err = decodeMessages(messages[:0], kind, body, 1, 2)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeAppend16x200(b *testing.B)  { benchmarkEncode(b, appends(2, 1000, 16, 200)) }
func BenchmarkEncodeAppend512x100(b *testing.B) { benchmarkEncode(b, appends(2, 1000, 512, 100)) }
func BenchmarkEncodeHeartbeat(b *testing.B)     { benchmarkEncode(b, heartbeat(2, 4)) }
func BenchmarkDecodeAppend16x200(b *testing.B)  { benchmarkDecode(b, appends(2, 1000, 16, 200)) }
func BenchmarkDecodeAppend512x100(b *testing.B) { benchmarkDecode(b, appends(2, 1000, 512, 100)) }
func BenchmarkDecodeHeartbeat(b *testing.B)     { benchmarkDecode(b, heartbeat(2, 4)) }
