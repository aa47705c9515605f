package checkpoint

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/grovekeeper/grove/server/state"
)

// Whatever is written, and however often, a new start finds it.
func TestRoundTrip(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 0))
		w := newWorld(t)
		s := openStore(t, filepath.Join(t.TempDir(), "state"))
		for range 15 {
			w.stir(r, 1+r.IntN(1<<r.IntN(11)))
			w.save(s)
			if r.IntN(3) == 0 {
				s = reopen(t, s)
				same(t, s, w.machine.View())
			}
		}
		s = reopen(t, s)
		same(t, s, w.machine.View())
		m, ok := s.Meta()
		if !ok || m.Cluster != 7 || m.Member != 1 || m.Term != 3 || string(m.Members) != "members" ||
			string(m.Extra) != "extra" || m.State.Digest != w.machine.Digest() {
			t.Errorf("meta is %+v", m)
		}
		s.Close()
		sum, err := Check(s.path, func(e *CorruptError) { t.Error(e) })
		v := w.machine.View()
		if err != nil || !sum.Written || sum.Nodes != v.Nodes.Len() || sum.Sessions != v.Sessions.Len() {
			t.Errorf("%+v, %v", sum, err)
		}
	}
}

func TestNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for range 2 { // the second time it is there, and as new as before
		s := openStore(t, path)
		if m, ok := s.Meta(); ok {
			t.Errorf("meta is %+v", m)
		}
		if r := s.Recent(); len(r.Changes) != 0 || r.From != 0 {
			t.Errorf("recent changes are %+v", r)
		}
		same(t, s, state.New().View())
		if _, err := s.Load(); !errors.Is(err, ErrLoaded) {
			t.Errorf("got %v, want ErrLoaded", err)
		}
		if _, err := Open(path, swift); !errors.Is(err, ErrLocked) {
			t.Errorf("got %v, want ErrLocked", err)
		}
		if _, err := Check(path, nil); !errors.Is(err, ErrLocked) {
			t.Errorf("got %v, want ErrLocked", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("closed twice: %v", err)
		}
	}
	if sum, err := Check(path, func(e *CorruptError) { t.Error(e) }); err != nil || sum.Written {
		t.Errorf("%+v, %v", sum, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// The lock is of the file that is at the path, also after it was replaced.
func TestLockFollowsRewrite(t *testing.T) {
	w, s, _ := grown(t)
	for range 2 {
		w.renew = true
		w.save(s)
		if _, err := Open(s.path, swift); !errors.Is(err, ErrLocked) {
			t.Errorf("got %v, want ErrLocked", err)
		}
	}
	s = reopen(t, s)
	same(t, s, w.machine.View())
}

func TestOlderView(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "state"))
	w := newWorld(t)
	w.open()
	old, d := w.view()
	w.create("/a", "")
	w.save(s)
	if err := s.Write(old, d, Meta{}); !errors.Is(err, ErrOrder) {
		t.Errorf("got %v, want ErrOrder", err)
	}
	w.save(s) // the same view again, with nothing dirty
	s = reopen(t, s)
	same(t, s, w.machine.View())
}

// A later version's file is not damaged, and this one leaves it alone.
func TestNewerVersion(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "state"))
	var b batch
	b.raw(metaBucket, metaKey, []byte{metaVersion + 1, 1, 2, 3})
	if err := s.transact(s.db, func(tx *bbolt.Tx) error { return b.write(tx, fillNew, false) }); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := Open(s.path, swift); !errors.Is(err, ErrNewer) {
		t.Errorf("got %v, want ErrNewer", err)
	}
	if _, err := Check(s.path, func(e *CorruptError) { t.Error(e) }); !errors.Is(err, ErrNewer) {
		t.Errorf("got %v, want ErrNewer", err)
	}
}

// Paths may be longer than any key of bbolt, and the tree's order is kept all the same.
func TestLongPaths(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "state"))
	w := newWorld(t)
	w.open()
	deep := ""
	for i := range 12 { // lengths on both sides of keyMax, each the parent of the next
		deep += "/" + strings.Repeat(string(rune('a'+i)), 120)
		w.create(deep, fmt.Sprint(i))
	}
	wide := "/" + strings.Repeat("w", 100000)
	w.create(wide, "")
	w.create(wide+"/child", "")
	w.create("/z", "")
	w.save(s)
	w.set(wide+"/child", "new")
	w.delete(deep)
	w.save(s)
	s = reopen(t, s)
	same(t, s, w.machine.View())
}

// What is deleted gives its pages back, in the end.
func TestShrinks(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "state"))
	w := newWorld(t)
	w.open()
	for i := range 60 {
		w.create(fmt.Sprintf("/%d", i), strings.Repeat("x", 100000))
	}
	for i := range 400 {
		w.create(fmt.Sprintf("/small%d", i), "")
	}
	w.save(s)
	big := fileSize(t, s)
	for i := range 60 {
		w.delete(fmt.Sprintf("/%d", i))
		w.save(s)
	}
	if small := fileSize(t, s); small > big/4 {
		t.Errorf("%d bytes, from %d", small, big)
	}
	s = reopen(t, s)
	same(t, s, w.machine.View())
}

func fileSize(t *testing.T, s *Store) int64 {
	t.Helper()
	info, err := os.Stat(s.path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// A write costs what changed, however much there is.
func TestWriteFollowsDirt(t *testing.T) {
	w, s, _ := grown(t)
	w.save(s)
	wrote := func() int64 {
		stats := s.db.Stats()
		return stats.TxStats.GetWrite()
	}
	before := wrote()
	w.set("/dir0/node0000", "x")
	w.save(s)
	if pages := wrote() - before; pages > 10 {
		t.Errorf("one changed node of 4000 wrote %d pages", pages)
	}
}
