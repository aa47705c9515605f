package replica

import (
	"fmt"
	"slices"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"
)

// leads returns who leads now, or nil.
func (n *network) leads() *running {
	for _, m := range n.members {
		if m.Status().Role == Leader {
			return m
		}
	}
	return nil
}

// The process of a leader ends, and its peers see the connection close, one after the other: somebody
// leads within a fraction of the election time-out, which is at least one second.
func TestSuccession(t *testing.T) {
	var worst time.Duration
	for seed := range 50 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, uint64(seed))
			synctest.Test(t, func(t *testing.T) {
				voters := []uint64{1, 2, 3, 4, 5}[:3+seed%2*2]
				n, lead := crowd(t, voters...)
				lead.mustPropose("a")
				pass(time.Second)
				gone, term := lead.id(), lead.Status().Term
				lead.end()
				n.mu.Lock()
				delete(n.members, gone)
				n.mu.Unlock()
				begun := time.Now()
				for _, m := range n.members { // in any order
					_ = m.Gone(gone)
					pass(time.Duration(seed%4) * 10 * time.Millisecond)
				}
				for lead = n.leads(); lead == nil; lead = n.leads() {
					if pass(time.Millisecond); time.Since(begun) > time.Second {
						t.Fatal("no leader after a second")
					}
				}
				worst = max(worst, time.Since(begun))
				lead.mustPropose("b")
				pass(time.Second)
				if got := lead.app.all(); !slices.Equal(got, []string{"a", "b"}) || lead.Status().Term > term+2 {
					t.Errorf("applied %q by %+v", got, lead.Status())
				}
				n.end()
			})
		})
	}
	if t.Logf("at most %v", worst); worst > 400*time.Millisecond {
		t.Errorf("somebody led after %v only", worst)
	}
}

// A leader that lives is not deposed by one who believes that it is gone, nor kept from its work.
func TestALiveLeaderIsNotDisturbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, lead := crowd(t, 1, 2, 3)
		was := lead.Status()
		for range 10 {
			m := n.members[was.ID%3+1]
			if err := m.Gone(was.ID); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if s := m.Status(); s.Leader != 0 {
				t.Fatalf("it is not forgotten: %+v", s)
			}
			lead.mustPropose("on")
			pass(150 * time.Millisecond)
			if s := m.Status(); s.Leader != was.ID {
				t.Errorf("it is not taken up again: %+v", s)
			}
		}
		pass(5 * time.Second)
		for id, m := range n.members {
			if s := m.Status(); s.Leader != was.ID || s.Term != was.Term || len(m.app.all()) != 10 {
				t.Errorf("member %d: %+v, was %+v", id, s, was)
			}
		}
		if err := lead.Gone(was.ID%3 + 1); err != nil { // whom it does not follow
			t.Fatal(err)
		}
		pass(time.Second)
		if s := lead.Status(); s.Leader != was.ID || s.Term != was.Term {
			t.Errorf("the leader: %+v", s)
		}
		n.end()
	})
}

// Campaign does not wait for the election time-out.
func TestCampaign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{t: t, members: map[uint64]*running{}, cut: map[uint64]bool{}}
		for _, id := range []uint64{1, 2, 3} {
			n.join(id, Bootstrap(1, 2, 3), Limits{})
		}
		synctest.Wait()
		if err := n.members[2].Campaign(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := n.members[2].Status(); s.Role != Leader {
			t.Errorf("%+v", s)
		}
		n.end()
	})
}
