package reaper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// world applies what is proposed at once.
type world struct {
	mu      sync.Mutex
	m       *state.Machine
	index   znode.Zxid
	reaper  *Reaper
	heard   []session.ID
	history []string
	deaf    atomic.Bool   // the reaper is told nothing
	block   chan struct{} // what is proposed waits for it; nil: nothing does
	refuse  error         // what is proposed is refused with
}

func newWorld(set Settings) *world {
	w := &world{m: state.New()}
	w.reaper = New(Config{Settings: set, Views: w, Log: w, Heard: w.takeHeard})
	return w
}

func (w *world) View() *state.View {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.m.View()
}

func (w *world) takeHeard() []session.ID {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := w.heard
	w.heard = nil
	return ids
}

func (w *world) Propose(c *state.Command) error {
	if w.block != nil {
		<-w.block
	}
	w.mu.Lock()
	refuse := w.refuse
	w.mu.Unlock()
	if refuse != nil {
		return refuse
	}
	w.apply(c)
	return nil
}

func (w *world) apply(c *state.Command) state.Outcome {
	w.mu.Lock()
	w.index++
	var out state.Outcome
	w.m.Apply(w.index, state.AppendCommand(nil, c), &out)
	switch {
	case c.Kind == state.ExpireSession && len(out.Sessions) > 0:
		w.history = append(w.history, fmt.Sprintf("expired %d", c.Session))
	case c.Kind == state.Reap && out.Err == nil:
		w.history = append(w.history, "reaped "+c.Op.Path)
	}
	w.mu.Unlock()
	if !w.deaf.Load() {
		w.reaper.Sessions(out.Sessions)
	}
	return out
}

func (w *world) open(timeoutMs int32) session.ID {
	out := w.apply(&state.Command{Kind: state.OpenSession, TimeoutMs: timeoutMs, Time: time.Now().UnixMilli()})
	return out.Session.ID
}

func (w *world) attach(id session.ID) {
	s, _ := w.View().Sessions.Get(id)
	w.apply(&state.Command{
		Kind: state.AttachSession, Session: id, TimeoutMs: s.TimeoutMs, Password: s.Password, Time: time.Now().UnixMilli(),
	})
}

func (w *world) create(s session.ID, path string, class znode.Class, flags int32, ttl int64) {
	w.apply(&state.Command{Kind: state.Create, Session: s, Epoch: w.epoch(s), Time: time.Now().UnixMilli(), Op: state.Op{
		Kind: state.Create, Path: path, Class: class, Flags: flags, TTL: ttl,
		ACL: []znode.ACE{{Perms: znode.PermAll, Scheme: "world", ID: "anyone"}},
	}})
}

func (w *world) delete(s session.ID, path string) {
	w.apply(&state.Command{Kind: state.Delete, Session: s, Epoch: w.epoch(s), Time: time.Now().UnixMilli(),
		Op: state.Op{Kind: state.Delete, Path: path, Version: -1}})
}

func (w *world) epoch(id session.ID) uint32 {
	s, _ := w.View().Sessions.Get(id)
	return s.Epoch
}

func (w *world) hear(id session.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = append(w.heard, id)
}

func (w *world) setRefuse(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuse = err
}

func (w *world) seen() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.history)
}

// run lets the reaper work for d of bubble time.
func (w *world) run(t *testing.T, body func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w.reaper.start = time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.reaper.Run(ctx) }()
		synctest.Wait()
		body(t)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func pass(d time.Duration) {
	time.Sleep(d) // bubble time
	synctest.Wait()
}

var brisk = Settings{TickMs: 1000, ScanEveryMs: 10_000, ReapsPerMinute: 60_000}

func TestASilentSessionExpiresAfterItsTimeoutAndWithinATick(t *testing.T) {
	w := newWorld(brisk)
	w.run(t, func(t *testing.T) {
		w.open(4000)
		pass(3900 * time.Millisecond)
		if got := w.seen(); len(got) != 0 {
			t.Fatalf("early: %v", got)
		}
		pass(2200 * time.Millisecond)
		if got := w.seen(); len(got) != 1 {
			t.Fatalf("after timeout and a tick: %v", got)
		}
	})
}

func TestASessionThatIsHeardOfLives(t *testing.T) {
	w := newWorld(brisk)
	w.run(t, func(t *testing.T) {
		id := w.open(4000)
		for range 20 {
			pass(2 * time.Second)
			w.hear(id)
		}
		if got := w.seen(); len(got) != 0 {
			t.Fatalf("%v", got)
		}
	})
}

func TestANewLeaderGrantsAFullTimeout(t *testing.T) {
	w := newWorld(brisk)
	w.open(4000)
	w.run(t, func(t *testing.T) {
		pass(3900 * time.Millisecond)
		if got := w.seen(); len(got) != 0 {
			t.Fatalf("early: %v", got)
		}
	})
}

func TestAContainerIsReapedOnceItHasLostItsLastChild(t *testing.T) {
	w := newWorld(brisk)
	w.run(t, func(t *testing.T) {
		s := w.open(60_000)
		w.create(s, "/used", znode.ClassContainer, 4, 0)
		w.create(s, "/used/child", znode.ClassPlain, 0, 0)
		w.create(s, "/fresh", znode.ClassContainer, 4, 0)
		pass(21 * time.Second)
		if got := w.seen(); len(got) != 0 {
			t.Fatalf("reaped with a child, or before it had one: %v", got)
		}
		w.delete(s, "/used/child")
		w.hear(s)
		pass(11 * time.Second)
		if got := w.seen(); !slices.Equal(got, []string{"reaped /used"}) {
			t.Fatalf("%v", got)
		}
	})
}

func TestANodeIsReapedWhenItsTimeToLiveHasPassed(t *testing.T) {
	w := newWorld(brisk)
	w.run(t, func(t *testing.T) {
		s := w.open(60_000)
		w.create(s, "/t", znode.ClassTTL, 5, 15_000)
		pass(14 * time.Second)
		if got := w.seen(); len(got) != 0 {
			t.Fatalf("early: %v", got)
		}
		pass(8 * time.Second)
		if got := w.seen(); !slices.Equal(got, []string{"reaped /t"}) {
			t.Fatalf("%v", got)
		}
	})
}

func TestReapingKeepsItsPace(t *testing.T) {
	w := newWorld(Settings{TickMs: 1000, ScanEveryMs: 10_000, ReapsPerMinute: 60})
	w.run(t, func(t *testing.T) {
		s := w.open(600_000)
		for i := range 30 {
			w.create(s, fmt.Sprintf("/t%02d", i), znode.ClassTTL, 5, 1)
		}
		pass(20 * time.Second)
		if n := len(w.seen()); n < 9 || n > 12 {
			t.Fatalf("%d reaped ten seconds after the scan, want one a second", n)
		}
	})
}

func TestAnUnusedContainerGoesOnlyIfToldSo(t *testing.T) {
	set := brisk
	set.NeverUsedMs = 30_000
	w := newWorld(set)
	w.run(t, func(t *testing.T) {
		s := w.open(600_000)
		w.create(s, "/fresh", znode.ClassContainer, 4, 0)
		pass(25 * time.Second)
		if got := w.seen(); len(got) != 0 {
			t.Fatalf("early: %v", got)
		}
		pass(20 * time.Second)
		if got := w.seen(); !slices.Equal(got, []string{"reaped /fresh"}) {
			t.Fatalf("%v", got)
		}
	})
}

// The view can show an attachment that the applier has not told of yet. The silence before it is no
// reason to end the session.
func TestAnAttachmentThatIsNotNewsYetIsASignOfLife(t *testing.T) {
	w := newWorld(brisk)
	w.run(t, func(t *testing.T) {
		id := w.open(4000)
		pass(4500 * time.Millisecond)
		w.deaf.Store(true)
		w.attach(id)
		pass(4 * time.Second)
		if got := w.seen(); len(got) != 0 {
			t.Fatalf("expired %v after its last attachment", got)
		}
		w.deaf.Store(false)
		pass(2 * time.Second)
		if got := w.seen(); len(got) != 1 {
			t.Fatalf("silent since for longer than its timeout: %v", got)
		}
	})
}

// A verdict that is overtaken by an attachment does nothing, and the session stays in the books.
func TestAStaleVerdictDoesNoHarm(t *testing.T) {
	w := newWorld(brisk)
	w.run(t, func(t *testing.T) {
		w.block = make(chan struct{}) // of the bubble
		id := w.open(4000)
		pass(6 * time.Second) // the verdict waits
		w.attach(id)
		close(w.block)
		pass(2 * time.Second)
		if got := w.seen(); len(got) != 0 {
			t.Fatalf("%v", got)
		}
		pass(8 * time.Second)
		if got := w.seen(); len(got) != 1 {
			t.Fatalf("silent again: %v", got)
		}
	})
}

// While the log makes the reaper wait, the applier and the admin pages go on.
func TestNobodyWaitsForTheLogButTheReaper(t *testing.T) {
	w := newWorld(brisk)
	w.run(t, func(t *testing.T) {
		w.block = make(chan struct{}) // of the bubble
		first := w.open(4000)
		pass(8 * time.Second)
		second := w.open(4000) // returns: so the news was taken
		at, ok := w.reaper.Deadline(first)
		if !ok || at.Before(time.Now()) {
			t.Errorf("deadline %v, %v", at, ok)
		}
		close(w.block)
		pass(2 * time.Second)
		if _, ok := w.reaper.Deadline(first); ok {
			t.Error("the expired session still has a deadline")
		}
		if at, ok := w.reaper.Deadline(second); !ok || time.Until(at) <= 0 {
			t.Errorf("deadline of the other %v, %v", at, ok)
		}
	})
	if _, ok := w.reaper.Deadline(1); ok || w.reaper.news != nil {
		t.Error("books are kept after the end")
	}
}

func TestARefusalEndsTheReaper(t *testing.T) {
	w := newWorld(brisk)
	w.refuse = errors.New("refused")
	synctest.Test(t, func(t *testing.T) {
		w.reaper.start = time.Now()
		w.open(4000)
		if err := w.reaper.Run(t.Context()); !errors.Is(err, w.refuse) {
			t.Errorf("got %v", err)
		}
	})
}

// A log that is full for now is asked again a tick later, and a session that is heard of meanwhile lives.
func TestAVerdictThatFindsNoRoomIsMadeAnew(t *testing.T) {
	w := newWorld(brisk)
	w.run(t, func(t *testing.T) {
		w.setRefuse(fmt.Errorf("propose: %w", ErrFull))
		w.open(4000)
		lucky := w.open(4000)
		pass(6500 * time.Millisecond)
		w.hear(lucky)
		w.setRefuse(nil)
		pass(2100 * time.Millisecond)
		if got := fmt.Sprint(w.seen()); got != "[expired 1]" {
			t.Errorf("got %v", got)
		}
	})
}

// Whoever leads again begins anew: with a full timeout for all, whatever was heard in between.
func TestEveryTermOfOfficeBeginsAnew(t *testing.T) {
	w := newWorld(brisk)
	var id session.ID
	w.run(t, func(t *testing.T) {
		id = w.open(4000)
		pass(3900 * time.Millisecond)
	})
	w.hear(id + 1000) // nobody here knows it
	w.run(t, func(t *testing.T) {
		at, ok := w.reaper.Deadline(id)
		if left := time.Until(at); !ok || left < 4*time.Second || left > 5*time.Second {
			t.Fatalf("%v left, %v", left, ok)
		}
		pass(3900 * time.Millisecond)
		w.hear(id)
		w.hear(id + 1000)
		pass(3900 * time.Millisecond)
		if got := w.seen(); len(got) != 0 {
			t.Fatalf("early: %v", got)
		}
		pass(2200 * time.Millisecond)
		if got := w.seen(); len(got) != 1 {
			t.Fatalf("after timeout and a tick: %v", got)
		}
	})
}

// What a scan finds is bounded, and what it leaves is found without waiting for the next interval.
func TestAScanTakesNoMoreThanAMinutesWorth(t *testing.T) {
	w := newWorld(Settings{TickMs: 1000, ScanEveryMs: 600_000, ReapsPerMinute: 20})
	w.run(t, func(t *testing.T) {
		s := w.open(6_000_000)
		for i := range 50 {
			w.create(s, fmt.Sprintf("/t%02d", i), znode.ClassTTL, 5, 1)
		}
		pass(10*time.Minute + 61*time.Second)
		if n := len(w.seen()); n < 19 || n > 21 {
			t.Errorf("%d reaped a minute after the scan, want 20", n)
		}
		pass(2 * time.Minute)
		if n := len(w.seen()); n != 50 {
			t.Errorf("%d reaped three minutes after the scan, want all", n)
		}
	})
	e := newEmptiness(Settings{ReapsPerMinute: 20, ScanEveryMs: 1}, 0)
	for i := range 50 {
		w.create(1, fmt.Sprintf("/u%02d", i), znode.ClassTTL, 5, 1)
	}
	if all := e.scan(w.View().Nodes, 1<<60); all || len(e.due) != 20 {
		t.Errorf("a scan took %d, all %v", len(e.due), all)
	}
}
