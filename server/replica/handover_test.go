package replica

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A leader shows how far its members are, and whether it hears from them.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, lead := trio(t)
		me, silent, gone := lead.id(), lead.id()%3+1, (lead.id()+1)%3+1
		lead.alter(learner(4)) // which is never started
		lead.mustPropose("a")
		pass(time.Second)
		s := lead.Status()
		for id, p := range s.Progress {
			want := Progress{Match: s.LastIndex, Active: true}
			if id == 4 {
				want = Progress{Learner: true}
			}
			if p != want {
				t.Errorf("member %d: %+v, should be %+v", id, p, want)
			}
		}
		if len(s.Progress) != 4 || n.members[gone].Status().Progress != nil {
			t.Errorf("progress of %d members, of a follower %v", len(s.Progress), n.members[gone].Status().Progress)
		}
		for range 30 { // and not only at times
			pass(100 * time.Millisecond)
			if s := lead.Status(); !s.Progress[silent].Active || !s.Progress[me].Active {
				t.Fatalf("%+v", s.Progress)
			}
		}
		if err := lead.Gone(gone); err != nil { // heard again, so only until then
			t.Fatal(err)
		}
		n.part(silent)
		lead.mustPropose("b")
		pass(2 * time.Second)
		now := lead.Status()
		if p := now.Progress[silent]; p.Active || p.Match != s.LastIndex {
			t.Errorf("one that is cut off: %+v", p)
		}
		if p := now.Progress[gone]; !p.Active || p.Match != s.LastIndex+1 {
			t.Errorf("one that is back: %+v", p)
		}
		n.end()
	})
}

// A leader whose log hangs yields to a voter that keeps up, and nothing that was acknowledged is lost.
func TestStalledLeaderYields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, lead := trio(t)
		lead.mustPropose("a")
		pass(time.Second)
		if lead.Status().Stalled {
			t.Error("stalled with nothing to do")
		}
		lag := n.members[lead.id()%3+1]
		n.part(lag.id())
		pass(2 * time.Second)
		block := make(chan struct{})
		lead.log.mu.Lock()
		lead.log.block = block
		lead.log.mu.Unlock()
		lead.mustPropose("b")
		pass(400 * time.Millisecond)
		if s := lead.Status(); s.Stalled || s.Role != Leader {
			t.Errorf("too early: %+v", s)
		}
		n.heal()
		pass(time.Second)
		if s := lead.Status(); !s.Stalled || s.Role == Leader || s.Leader == 0 || s.Leader == s.ID {
			t.Fatalf("%+v", s)
		}
		next := n.members[lead.Status().Leader]
		next.mustPropose("c")
		pass(time.Second)
		if got := next.app.all(); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("applied %q", got)
		}
		close(block)
		pass(3 * time.Second)
		if s := lead.Status(); s.Stalled || !slices.Equal(lead.app.all(), []string{"a", "b", "c"}) {
			t.Errorf("after that: %+v", s)
		}
		n.end()
	})
}

// If all logs hang, leadership does not go round in circles; alone, a leader stays.
func TestYieldingIsSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		r := begin(t, Config{Logger: slog.New(slog.NewTextHandler(&out, nil))})
		synctest.Wait()
		r.log.block = make(chan struct{})
		r.mustPropose("a")
		pass(5 * time.Second)
		if s := r.Status(); !s.Stalled || s.Role != Leader || strings.Contains(out.String(), "handed over") {
			t.Errorf("%+v\n%s", s, out.String())
		}
		close(r.log.block)
		r.end()

		n, lead := trio(t)
		for _, m := range n.members {
			m.log.mu.Lock()
			m.log.block = make(chan struct{})
			m.log.mu.Unlock()
		}
		lead.mustPropose("a")
		term := lead.Status().Term
		pass(9 * time.Second)
		for id, m := range n.members {
			if s := m.Status(); s.Term > term+1 {
				t.Errorf("member %d: %+v", id, s)
			}
			close(m.log.block)
		}
		pass(3 * time.Second)
		n.end()
	})
}

// Leadership is handed over when asked for, to somebody who is there.
func TestHandover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, lead := trio(t)
		begun := time.Now()
		if err := lead.Handover(t.Context()); err != nil || time.Since(begun) > 100*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		if s := lead.Status(); s.Leader == s.ID || s.Leader == 0 {
			t.Errorf("%+v", s)
		}
		if err := lead.Handover(t.Context()); err != nil {
			t.Errorf("of a follower: %v", err)
		}
		pass(time.Second)

		lead = n.leads()
		for _, first := range []uint64{1, 2, 3} { // whoever is asked first does not answer
			if first != lead.id() {
				n.part(first)
				break
			}
		}
		lead.mustPropose("meanwhile")
		if err := lead.Handover(t.Context()); err != nil || time.Since(begun) > 5*time.Second {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		n.heal()
		pass(time.Second)

		lead = n.leads()
		for id := range n.members {
			if id != lead.id() {
				n.part(id)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if err := lead.Handover(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with nobody there: %v", err)
		}
		n.heal()
		pass(3 * time.Second)
		n.end()

		alone := begin(t, Config{})
		synctest.Wait()
		if err := alone.Handover(t.Context()); !errors.Is(err, ErrNoSuccessor) {
			t.Errorf("alone: %v", err)
		}
		alone.end()
		if err := alone.Handover(t.Context()); !errors.Is(err, ErrStopped) {
			t.Errorf("after the end: %v", err)
		}
	})
}
