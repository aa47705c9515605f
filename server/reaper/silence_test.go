package reaper

import (
	"math/rand/v2"
	"testing"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
)

func table(t *testing.T, timeouts ...int32) *session.Table {
	t.Helper()
	alive := session.NewTable()
	for i, timeout := range timeouts {
		if err := alive.Open(session.Session{ID: session.ID(i + 1), TimeoutMs: timeout}); err != nil {
			t.Fatal(err)
		}
	}
	return alive
}

// A process that was stopped finds every client silent, and none of them to blame.
func TestTimeThatNobodyWatchedDoesNotCount(t *testing.T) {
	const tick = 1000
	alive := table(t, 4000, 30_000)
	s := newSilence(tick, alive, 0)
	now := int64(0)
	look := func(wait int64) int {
		now += wait
		return len(s.look(alive, nil, now, 0))
	}
	for range 3 {
		if n := look(tick); n != 0 {
			t.Fatalf("%d verdicts at %d", n, now)
		}
	}
	if n := look(60_000); n != 0 {
		t.Fatalf("%d verdicts after a minute that nobody watched", n)
	}
	silent := int64(0)
	for look(tick) == 0 {
		silent += tick
	}
	if silent+tick < 4000 || silent > 4000+tick {
		t.Errorf("a verdict %d ms after the pause, want 4000 to 5000", silent+tick)
	}
	if n := look(2 * tick); n != 0 {
		t.Errorf("%d verdicts", n)
	}
}

// After a pause of less than two ticks, what clients sent meanwhile may not have been read when the reaper
// looks: it does not judge before the next look, but then.
func TestAShortPauseLeavesTimeForWhatWasSentMeanwhile(t *testing.T) {
	const tick = 1000
	alive := table(t, 2000, 2000)
	s := newSilence(tick, alive, 0)
	both := []session.ID{1, 2}
	if n := len(s.look(alive, both, tick, 0)) + len(s.look(alive, both, 2*tick, 0)); n != 0 {
		t.Fatalf("%d verdicts on who is heard of", n)
	}
	if n := len(s.look(alive, nil, 3*tick, 0)); n != 0 {
		t.Fatalf("%d verdicts after a tick without a ping", n)
	}
	if n := len(s.look(alive, nil, 3*tick+2000, 0)); n != 0 {
		t.Fatalf("%d verdicts right after a pause", n)
	}
	out := s.look(alive, []session.ID{1}, 4*tick+2000, 0)
	if len(out) != 1 || out[0].Session != 2 {
		t.Errorf("verdicts %v, want one on session 2", out)
	}
}

// Whatever the order of signs, attachments, ends and looks, no session is judged before its timeout
// is over, and each is by two ticks after that at the latest.
func TestNeverEarlyAndNeverLate(t *testing.T) {
	const tick = 1000
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		alive := session.NewTable()
		s := newSilence(tick, alive, 0)
		last := map[session.ID]int64{} // sign of life
		var heard []session.ID
		news := func(kind state.SessionChangeKind, one session.Session, now int64) {
			s.change(state.SessionChange{Kind: kind, Session: one}, now)
		}
		now := int64(0)
		for range 300 {
			for range r.IntN(5) {
				id := session.ID(1 + r.IntN(20))
				at := now + r.Int64N(tick)
				one, ok := alive.Get(id)
				switch {
				case !ok:
					one = session.Session{ID: id, TimeoutMs: int32(2000 + r.IntN(8000))}
					if err := alive.Open(one); err != nil {
						t.Fatal(err)
					}
					news(state.Opened, one, at)
					last[id] = at
				case r.IntN(10) == 0:
					if err := alive.Close(id); err != nil {
						t.Fatal(err)
					}
					news(state.Closed, one, at)
					delete(last, id)
				case r.IntN(4) == 0:
					one, err := alive.Attach(id, one.Password, one.TimeoutMs)
					if err != nil {
						t.Fatal(err)
					}
					news(state.Attached, one, at)
					last[id] = at
				default:
					heard = append(heard, id)
				}
			}
			now += tick + r.Int64N(200) // a look may be a little late
			for _, id := range heard {
				if _, ok := last[id]; ok {
					last[id] = now
				}
			}
			for _, c := range s.look(alive, heard, now, 0) {
				one, ok := alive.Get(c.Session)
				if !ok || c.Epoch != one.Epoch || c.Kind != state.ExpireSession {
					t.Fatalf("verdict %+v on %+v", c, one)
				}
				if now-last[c.Session] < int64(one.TimeoutMs) {
					t.Fatalf("%v judged after %d ms of %d", c.Session, now-last[c.Session], one.TimeoutMs)
				}
				if err := alive.Close(c.Session); err != nil {
					t.Fatal(err)
				}
				news(state.Expired, one, now)
				delete(last, c.Session)
			}
			heard = heard[:0]
			for id, sign := range last {
				if one, _ := alive.Get(id); now-sign > int64(one.TimeoutMs)+tick*5/2 {
					t.Fatalf("%v still there after %d ms of %d", id, now-sign, one.TimeoutMs)
				}
			}
		}
		for id := range s.books { // the verdicts of the last look are news by now
			if _, ok := alive.Get(id); !ok {
				t.Errorf("%v is in the books, and gone", id)
			}
		}
		if s.expiry.Len() != alive.Len() || len(s.books) != alive.Len() {
			t.Errorf("books of %d and %d sessions, of %d alive", s.expiry.Len(), len(s.books), alive.Len())
		}
	}
}

func BenchmarkLook(b *testing.B) {
	const sessions = 100_000
	alive := session.NewTable()
	heard := make([]session.ID, 0, sessions)
	for i := range session.ID(sessions) {
		if err := alive.Open(session.Session{ID: i + 1, TimeoutMs: 10_000}); err != nil {
			b.Fatal(err)
		}
		heard = append(heard, i+1)
	}
	s := newSilence(1000, alive, 0)
	b.ReportAllocs()
	now := int64(0)
	for b.Loop() {
		now += 1000
		if out := s.look(alive, heard, now, 0); len(out) != 0 {
			b.Fatal("verdicts on the living")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/sessions, "ns/session")
}
