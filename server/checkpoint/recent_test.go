package checkpoint

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/znode"
)

// A store is a list of changes, of which the oldest are forgotten. Whatever is written, what a new
// start finds is all changes after some zxid, in order, and nearly as many as it may keep.
func TestRecent(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 1))
		o := swift
		o.RecentMax, o.RecentBytesMax = 100+r.IntN(400), 5000+r.IntN(50000)
		s, err := Open(filepath.Join(t.TempDir(), "state"), o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { s.Close() }()
		w := newWorld(t)
		for range 15 {
			w.stir(r, r.IntN(1<<r.IntN(10)))
			w.renew = r.IntN(4) == 0
			w.save(s)
			if s.Close(); err != nil {
				t.Fatal(err)
			}
			if s, err = Open(s.path, o); err != nil {
				t.Fatal(err)
			}
			checkRecent(t, s.Recent(), w.all, o)
		}
	}
}

func checkRecent(t *testing.T, got Recent, all []znode.Change, o Options) {
	t.Helper()
	first := 0
	for first < len(all) && all[first].Zxid <= got.From {
		first++
	}
	want := all[first:]
	if len(got.Changes) != len(want) || len(got.Changes) > o.RecentMax {
		t.Fatalf("%d changes after %d, want %d, at most %d", len(got.Changes), got.From, len(want), o.RecentMax)
	}
	for i, c := range got.Changes {
		if c.Kind != want[i].Kind || c.Path != want[i].Path || c.Zxid != want[i].Zxid {
			t.Fatalf("change %d is %v, want %v", i, c, want[i])
		}
		sameACL(t, c.ACL, want[i].ACL)
		sameACL(t, c.ParentACL, want[i].ParentACL)
	}
	bytes := 0
	for _, c := range got.Changes {
		bytes += len(c.Path) + changeSize
	}
	spare := blockBytes + 2000 // a block, whose last path may be long
	if first > 0 && len(got.Changes)+spare/changeSize < o.RecentMax && bytes+2*spare < o.RecentBytesMax/2 {
		t.Errorf("only %d changes of %d bytes are left, of %d and %d", len(got.Changes), bytes, o.RecentMax, o.RecentBytesMax)
	}
}

func sameACL(t *testing.T, got, want znode.ACL) {
	t.Helper()
	if a, b := fmt.Sprint(got.Entries()), fmt.Sprint(want.Entries()); a != b || (got == nil) != (want == nil) {
		t.Fatalf("access list %s, want %s", a, b)
	}
}

// What the file has is worth nothing when there is a gap between it and what comes.
func TestRecentGap(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "state"))
	w := newWorld(t)
	w.open()
	w.create("/before", "")
	w.save(s)
	w.create("/forgotten", "")
	w.from, w.recent = w.machine.Zxid(), nil
	w.create("/after", "")
	w.save(s)
	s = reopen(t, s)
	got := s.Recent()
	if len(got.Changes) != 1 || got.Changes[0].Path != "/after" || got.From != got.Changes[0].Zxid-1 {
		t.Errorf("got %+v", got)
	}
	if again := s.Recent(); len(again.Changes) != 0 || again.From != w.machine.Zxid() {
		t.Errorf("the second time: %+v", again)
	}
}

// The caller may hand over what the file has already.
func TestRecentOverlap(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "state"))
	w := newWorld(t)
	w.open()
	for i := range 300 {
		w.create(fmt.Sprintf("/%d", i), "")
		w.recent, w.from = w.all, 0
		if i%40 == 0 {
			w.save(s)
		}
	}
	w.recent, w.from = w.all, 0
	w.save(s)
	s = reopen(t, s)
	checkRecent(t, s.Recent(), w.all, s.o)
	if got := s.history.from; got != 0 {
		t.Errorf("complete only after %d", got)
	}
}

// More changes than one transaction takes are written ahead of the meta record; if they are all
// that was written they do not count.
func TestRecentAnnounced(t *testing.T) {
	for _, cut := range []string{"announce", "update"} {
		w, s, rec := grown(t)
		w.save(s)
		before := w.machine.Zxid()
		rec.moments = nil
		for i := range 12000 {
			w.set("/dir1", fmt.Sprint(i))
			w.all[len(w.all)-1].Path += strings.Repeat("x", 50)
		}
		for i := range w.recent {
			w.recent[i].Path += strings.Repeat("x", 50)
		}
		w.save(s)
		s.Close()
		if got := rec.steps(); got != "announce, update" {
			t.Fatalf("went %s", got)
		}
		for _, m := range rec.moments {
			if m.step != cut {
				continue
			}
			c, err := loadBytes(m.old, stop)
			if err != nil {
				t.Fatal(err)
			}
			if cut == "announce" && c.meta.State.Zxid != before || cut == "update" && len(c.changes) < 12000 {
				t.Errorf("after %s: %d changes, at %d", cut, len(c.changes), c.meta.State.Zxid)
			}
		}
	}
}

// A multi may make more changes than a block holds: when the block before goes, what is left of
// that multi is not told.
func TestRecentCutsNoCommand(t *testing.T) {
	o := Options{Pace: func(time.Duration) {}, RecentMax: 250}
	s, err := Open(filepath.Join(t.TempDir(), "state"), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Close() }()
	w := newWorld(t)
	w.open()
	c := w.command(state.Multi, "", nil)
	for i := range 300 {
		c.Multi = append(c.Multi, w.command(state.Create, fmt.Sprintf("/a%03d", i), nil).Op)
	}
	w.must(c)
	w.create("/last", "")
	w.save(s)
	s = reopen(t, s)
	got := s.Recent()
	if len(got.Changes) != 1 || got.Changes[0].Path != "/last" || got.From != got.Changes[0].Zxid-1 {
		t.Errorf("%d changes after %d", len(got.Changes), got.From)
	}
}

// Blocks of a later version, or with access lists nobody knows any more, are forgotten, with what
// came before them.
func TestRecentForgets(t *testing.T) {
	b, n := appendBlock(nil, []znode.Change{{Kind: znode.DataSet, Path: "/a", Zxid: 7, ACL: znode.Open()}})
	if changes, last, err := decodeBlock(b); n != 1 || len(changes) != 1 || last != 7 || err != nil {
		t.Fatalf("%v %d %v", changes, last, err)
	}
	later := append([]byte{recentVersion + 1}, b[1:]...)
	if _, last, err := decodeBlock(later); last != 7 || !errors.Is(err, errForget) {
		t.Errorf("later version: %d, %v", last, err)
	}
	strange := []byte(strings.Replace(string(b), "world", "wo?ld", 1))
	if _, last, err := decodeBlock(strange); last != 7 || !errors.Is(err, errForget) {
		t.Errorf("strange scheme: %d, %v", last, err)
	}
	for i := range b {
		if _, _, err := decodeBlock(b[:i]); !errors.Is(err, errFormat) {
			t.Errorf("%d bytes of %d: %v", i, len(b), err)
		}
	}
}

func FuzzBlock(f *testing.F) {
	b, _ := appendBlock(nil, []znode.Change{{Kind: znode.Created, Path: "/a", Zxid: 7, ACL: znode.Open(), ParentACL: znode.Open()}})
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		changes, last, err := decodeBlock(b)
		if err != nil {
			return
		}
		again, n := appendBlock(nil, changes)
		if n != len(changes) {
			return // what was one block is more now
		}
		back, last2, err := decodeBlock(again)
		if err != nil || last != last2 || len(back) != len(changes) {
			t.Fatalf("%v, %d and %d, %d and %d", err, last, last2, len(changes), len(back))
		}
	})
}

func FuzzMeta(f *testing.F) {
	f.Add(appendMeta(nil, Meta{Cluster: 1, Members: []byte{1}, State: state.Meta{Zxid: 5}}, ledger{nodes: 3, staged: true}))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, l, err := decodeMeta(b)
		if err != nil {
			return
		}
		again, l2, err := decodeMeta(appendMeta(nil, m, l))
		if err != nil || l != l2 || again.State.Zxid != m.State.Zxid || string(again.Extra) != string(m.Extra) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}
