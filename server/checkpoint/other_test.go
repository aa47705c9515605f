package checkpoint

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grovekeeper/grove/server/state"
)

// another is a world with a later state than w's, of another machine and another history: nothing is
// shared, and some paths have other nodes.
func another(w *world, nodes int) *world {
	o := newWorld(w.t)
	var out state.Outcome
	o.machine.Apply(w.machine.Zxid(), nil, &out)
	o.open()
	for i := range nodes {
		o.create(fmt.Sprintf("/dir%d", i), "other")
	}
	o.stir(rand.New(rand.NewPCG(7, 8)), nodes)
	o.clean()
	return o
}

// A state that a leader has sent is of another machine. It takes the place of the old one, with its term
// and members, whole or not at all; and what comes after it is small again.
func TestTheStateOfAnotherMachineTakesThePlace(t *testing.T) {
	for _, size := range []int{20, 3000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			w, s, rec := grown(t)
			w.save(s)
			before := w.machine.View()
			o := another(w, size)
			after := o.machine.View()
			rec.moments = nil
			rec.step("before")
			meta := Meta{Cluster: 7, Member: 1, Term: 9, Members: []byte("others"), Extra: []byte("extra")}
			if err := s.Write(after, Recent{From: after.Zxid}, meta); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(rec.steps(), "rewrite") {
				t.Errorf("went %s", rec.steps())
			}
			done := false
			for _, m := range rec.moments {
				got := settled(t, m)
				done = done || got.Zxid == after.Zxid
				want, members, term := before, "members", uint64(3)
				if done {
					want, members, term = after, "others", 9
				}
				sameState(t, got, want)
				if meta := metaOf(t, m); string(meta.Members) != members || meta.Term != term || meta.Cluster != 7 {
					t.Errorf("after %s: %+v", m.step, meta)
				}
			}
			if !done {
				t.Error("the new state never came")
			}

			rec.moments = nil
			o.set("/dir1", "more")
			o.save(s)
			if rec.steps() != "update" {
				t.Errorf("then went %s", rec.steps())
			}
			s = reopen(t, s)
			same(t, s, o.machine.View())
			if r := s.Recent(); r.From != after.Zxid || len(r.Changes) != 1 {
				t.Errorf("%d changes after %d", len(r.Changes), r.From)
			}
		})
	}
}

// metaOf is the record a start finds in the directory of m.
func metaOf(t *testing.T, m moment) Meta {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(path, m.old, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, path)
	defer s.Close()
	meta, ok := s.Meta()
	if !ok {
		t.Fatal("no meta record")
	}
	return meta
}
