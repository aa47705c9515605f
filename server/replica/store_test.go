package replica

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"testing"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/grovekeeper/grove/server/wal"
)

func entry(index, term uint64, data string) *pb.Entry {
	return &pb.Entry{Index: new(index), Term: new(term), Data: []byte(data)}
}

// twin is the slow obvious store: all entries after base in one slice.
type twin struct {
	base    mark
	entries []*pb.Entry
}

func (w *twin) last() uint64 { return w.base.index + uint64(len(w.entries)) }

// FuzzStore holds the store against its twin through writes, rewrites, late reports, trims and
// releases.
func FuzzStore(f *testing.F) {
	for seed := range uint64(8) {
		r, script := rand.New(rand.NewPCG(seed, 2)), make([]byte, 400)
		for i := range script {
			script[i] = byte(r.Uint32())
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		start := Bootstrap(1)
		log := newMemLog(start)
		s, err := openStore(log, start)
		if err != nil {
			t.Fatal(err)
		}
		h := &storeTest{t: t, store: s, log: log, twin: twin{base: mark{1, 1}}, term: 1}
		for len(script) >= 2 {
			h.step(script[0], uint64(script[1]))
			script = script[2:]
			h.compare()
		}
	})
}

type storeTest struct {
	t       *testing.T
	store   *store
	log     *memLog
	twin    twin
	pending []pendingAppend
	term    uint64
}

type pendingAppend struct {
	entries       []*pb.Entry
	number, final uint64
}

func (h *storeTest) step(op byte, n uint64) {
	switch op % 8 {
	case 0, 1:
		h.append(h.twin.last()+1, 1+n%5)
	case 2: // a new leader replaces what is not applied; here: what is not released
		h.term++
		h.append(h.twin.last()+1-min(n%7, uint64(len(h.twin.entries))), 1+n%3)
	case 3, 4, 5:
		h.write()
	case 6:
		h.store.trim(h.twin.last()-min(n%9, uint64(len(h.twin.entries))), n%2 == 0, int(n)*40)
	case 7:
		if i := h.twin.base.index + n%4; i <= h.store.durable && i > h.twin.base.index {
			if err := h.store.compact(i); err != nil {
				h.t.Fatal(err)
			}
			k := i - h.twin.base.index
			h.twin.base = mark{i, h.twin.entries[k-1].GetTerm()}
			h.twin.entries = h.twin.entries[k:]
		}
	}
}

func (h *storeTest) append(from, n uint64) {
	var es []*pb.Entry
	for i := range n {
		es = append(es, entry(from+i, h.term, fmt.Sprint("t", h.term, "i", from+i)))
	}
	number := h.store.append(es)
	h.pending = append(h.pending, pendingAppend{es, number, h.store.last.index})
	h.twin.entries = append(h.twin.entries[:from-h.twin.base.index-1:from-h.twin.base.index-1], es...)
}

// write makes the oldest append durable, and reports it.
func (h *storeTest) write() {
	if len(h.pending) == 0 {
		return
	}
	p := h.pending[0]
	h.pending = h.pending[1:]
	if err := h.log.Append(wal.Batch{Entries: toLog(nil, p.entries)}); err != nil {
		h.t.Fatal(err)
	}
	h.store.stable(p.number, p.final)
}

// compare asks both for everything.
func (h *storeTest) compare() {
	s, w := h.store, &h.twin
	first, _ := s.FirstIndex()
	last, _ := s.LastIndex()
	if first != w.base.index+1 || last != w.last() {
		h.t.Fatalf("store holds %d to %d, should hold %d to %d", first, last, w.base.index+1, w.last())
	}
	for i := w.base.index; i <= w.last(); i++ {
		want := w.base.term
		if i > w.base.index {
			want = w.entries[i-w.base.index-1].GetTerm()
		}
		if got, err := s.Term(i); err != nil || got != want {
			h.t.Fatalf("term of %d is %d, %v: should be %d", i, got, err, want)
		}
	}
	for lo := first; lo <= last; {
		got, err := s.Entries(lo, last+1, 100)
		if err != nil || len(got) == 0 {
			h.t.Fatalf("entries from %d: %d, %v", lo, len(got), err)
		}
		for _, e := range got {
			if !proto.Equal(e, w.entries[lo-first]) {
				h.t.Fatalf("entry %d is %v, should be %v", lo, e, w.entries[lo-first])
			}
			lo++
		}
	}
	bytes := 0
	for _, e := range s.tail.entries {
		bytes += weigh(e)
	}
	if bytes != s.tail.bytes {
		h.t.Fatalf("tail weighs %d, counted %d", bytes, s.tail.bytes)
	}
}

func TestStoreRefusesWhatItDoesNotHold(t *testing.T) {
	start := Bootstrap(1)
	s, err := openStore(newMemLog(start), start)
	if err != nil {
		t.Fatal(err)
	}
	s.append([]*pb.Entry{entry(2, 1, "a"), entry(3, 1, "b")})
	if _, err := s.Term(0); err != raft.ErrCompacted {
		t.Errorf("term before the beginning: %v", err)
	}
	if _, err := s.Term(4); err != raft.ErrUnavailable {
		t.Errorf("term after the end: %v", err)
	}
	if _, err := s.Entries(1, 3, 100); err != raft.ErrCompacted {
		t.Errorf("entries before the beginning: %v", err)
	}
	if _, err := s.Entries(2, 5, 100); err != raft.ErrUnavailable {
		t.Errorf("entries after the end: %v", err)
	}
	if _, err := s.Snapshot(); err != raft.ErrSnapshotTemporarilyUnavailable {
		t.Errorf("image without images: %v", err)
	}
}

// What was cut from the tail must stay as it was for those who still hold it.
func TestTailIsNeverWrittenTwice(t *testing.T) {
	var tl tail
	tl.append([]*pb.Entry{entry(5, 1, "a"), entry(6, 1, "b"), entry(7, 1, "c")})
	held := tl.slice(5, 8, math.MaxUint64)
	grown := append(held, entry(99, 1, "caller's own"))
	tl.append([]*pb.Entry{entry(6, 2, "B")})
	tl.append([]*pb.Entry{entry(7, 2, "C"), entry(8, 2, "D")})
	tl.cutHead(6, 0)
	tl.append([]*pb.Entry{entry(9, 2, "E")})
	for i, want := range []string{"a", "b", "c"} {
		if string(held[i].Data) != want || string(grown[i].Data) != want {
			t.Errorf("entry %d turned into %q", i, held[i].Data)
		}
	}
	for i, want := range []string{"C", "D", "E"} {
		if got := tl.at(uint64(7 + i)); string(got.Data) != want {
			t.Errorf("entry %d is %q, should be %q", 7+i, got.Data, want)
		}
	}
}

func TestEncodedSize(t *testing.T) {
	for _, e := range []*pb.Entry{
		{}, entry(0, 0, ""), entry(127, 128, "x"), entry(math.MaxUint64, 1<<35, string(make([]byte, 300))),
		{Index: new(uint64(1)), Term: new(uint64(1)), Type: pb.EntryConfChangeV2.Enum()},
		{Data: []byte{}},
	} {
		if got, want := encodedSize(e), uint64(proto.Size(e)); got != want {
			t.Errorf("size of %v is %d, should be %d", e, got, want)
		}
	}
}

// A start that does not fit the log must be refused: to go on would be to forget what was promised.
func TestStartMustFitTheLog(t *testing.T) {
	conf := Bootstrap(1).ConfState
	fill := func(l *memLog, commit uint64) *memLog {
		b := wal.Batch{Hard: wal.HardState{Term: 4, Vote: 1, Commit: commit}, Sync: true}
		for i := range uint64(5) {
			b.Entries = append(b.Entries, wal.Entry{Index: 11 + i, Term: 3})
		}
		if err := l.Append(b); err != nil {
			t.Fatal(err)
		}
		return l
	}
	log := func() *memLog { return fill(newMemLog(Start{Index: 10, Term: 2}), 13) } // 11 to 15 of term 3
	for _, c := range []struct {
		name  string
		start Start
		log   *memLog
		fits  bool
	}{
		{"at the beginning", Start{10, 2, conf, false}, log(), true},
		{"in the middle", Start{12, 3, conf, false}, log(), true},
		{"at the end", Start{15, 3, conf, false}, log(), true},
		{"beyond the end", Start{16, 3, conf, false}, log(), false},
		{"before the beginning", Start{9, 2, conf, false}, log(), false},
		{"of another term", Start{12, 2, conf, false}, log(), false},
		{"nobody votes", Start{12, 3, nil, false}, log(), false},
		{"members before the first entry", Start{0, 0, conf, false}, newMemLog(Start{}), false},
		{"joining", Start{}, newMemLog(Start{}), true},
		{"garbage for members", Start{12, 3, []byte{0xff}, false}, log(), false},
		{"more agreed than written", Start{12, 3, conf, false}, fill(newMemLog(Start{Index: 10, Term: 2}), 16), false},
	} {
		s, err := openStore(c.log, c.start)
		if (err == nil) != c.fits || err != nil && !errors.Is(err, ErrStart) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil && c.start.Index > 0 && (s.hard.GetTerm() != 4 || s.hard.GetCommit() != max(13, c.start.Index)) {
			t.Errorf("%s: hard state %v", c.name, s.hard)
		}
	}
}

// The log's errors come out as errors that end the replica, not as panics, and not as if entries
// were merely gone.
func TestLogErrorsComeOut(t *testing.T) {
	broken := fmt.Errorf("wal: file 7 is damaged at offset 4096: %w", io.ErrUnexpectedEOF)
	c := newCluster(t, 1)
	c.settle()
	m := c.members[1]
	c.propose(m, "a")
	c.settle()
	c.crash(m, false)
	m.log.fail = broken
	m.state, m.down = m.checkpoint, false
	_, err := NewCore(CoreConfig{ID: 1, Log: m.log, Start: m.checkpoint.Start, ElectionTicks: 10, HeartbeatTicks: 1})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("start on a log that cannot be read: %v", err)
	}

	m.log.fail = nil
	core, err := NewCore(CoreConfig{ID: 1, Log: m.log, Start: m.checkpoint.Start, ElectionTicks: 10, HeartbeatTicks: 1})
	if err != nil {
		t.Fatal(err)
	}
	m.log.fail = broken // entries 2 and 3 are agreed and must now be read to be applied
	if _, _, err = core.Output(); !errors.Is(err, io.ErrUnexpectedEOF) || !core.Failed() {
		t.Errorf("output from a log that cannot be read: %v", err)
	}
}

func TestUnknownKindIsRefused(t *testing.T) {
	if _, err := fromLog([]wal.Entry{{Index: 7, Kind: 9}}); err == nil {
		t.Error("an entry of unknown kind was taken")
	}
}
