package feed_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/watch"
	"github.com/grovekeeper/grove/znode"
)

func want(t *testing.T, what string, got []string, lines ...string) {
	t.Helper()
	if lines == nil {
		lines = []string{}
	}
	if d := cmp.Diff(lines, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func (s *seat) attach(to *seat, epoch uint32) {
	s.id = to.id
	s.propose(state.Command{Kind: state.AttachSession, Session: to.id, Epoch: epoch, Password: to.pass, TimeoutMs: 4000})
}

func TestCompletionsGoToWhoSubmitted(t *testing.T) {
	d := newDesk(t, nil)
	a, b := d.open(), d.open()
	a.create("/a")
	b.create("/a")
	a.set("/a")
	if n, bytes := d.Pending(); n != 3 || bytes == 0 {
		t.Errorf("%d commands of %d bytes are pending", n, bytes)
	}
	d.apply()
	want(t, "a", a.taken(), "2: <nil>", "3: <nil>")
	want(t, "b", b.taken(), "2: node exists")
	if n, bytes := d.Pending(); n != 0 || bytes != 0 {
		t.Errorf("%d commands of %d bytes are pending after all were applied", n, bytes)
	}
}

func TestNobodyNeedsToWait(t *testing.T) {
	d := newDesk(t, nil)
	a := d.open()
	a.create("/a")
	c := state.Command{Kind: state.ExpireSession, Origin: d.Origin(), Session: a.id, Epoch: 1}
	if err := d.Submit(nil, []feed.Submission{{Command: state.AppendCommand(nil, &c)}}); err != nil {
		t.Fatal(err)
	}
	d.apply()
	want(t, "a", a.taken(), "2: <nil>", "end")
	if d.Expired() != 1 {
		t.Errorf("%d sessions have expired", d.Expired())
	}
}

// A command that the log refuses is kept, and goes before those that come after it: the machine would
// stop at a hole in the numbers for good.
func TestWhatTheLogRefusesIsKept(t *testing.T) {
	d := newDesk(t, nil)
	a := d.open()
	d.log.refuse = errRefused
	a.create("/a")
	d.log.refuse = nil
	a.set("/a") // does not ask again: it would cost each submission a load while the log is full
	d.Pump()
	d.apply()
	want(t, "a", a.taken(), "2: <nil>", "3: <nil>")
	if n, bytes := d.Pending(); n != 0 || bytes != 0 {
		t.Errorf("%d commands of %d bytes are pending after all were applied", n, bytes)
	}
}

// Many submit at once: what each is told is about its own command, and the log has them all.
func TestManySubmitAtOnce(t *testing.T) {
	const seats, each = 8, 200
	d := newDesk(t, nil)
	var all []*seat
	for range seats {
		all = append(all, d.open())
	}
	var wg sync.WaitGroup
	for i, s := range all {
		wg.Go(func() {
			for n := range each {
				c := state.Command{Kind: state.Create, Op: state.Op{
					Kind: state.Create, Path: fmt.Sprintf("/%d-%d", i, n), ACL: anyone,
				}}
				if err := s.submit(uint64(n), c); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for len(d.log.pending) > 0 {
		d.applied(min(7, len(d.log.pending)))
	}
	for i, s := range all {
		done, _ := s.TakeDone(nil)
		if len(done) != each {
			t.Fatalf("seat %d: %d completions", i, len(done))
		}
		for n, c := range done {
			if path := fmt.Sprintf("/%d-%d", i, n); c.Ticket != uint64(n) || c.Result.Path != path {
				t.Fatalf("seat %d: %d is %s, want %s", i, c.Ticket, c.Result.Path, path)
			}
		}
	}
}

func TestSubmittersWaitForSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, func(c *feed.Config) { c.PendingBytesMax = 200 })
		a := d.open()
		a.create("/a")
		a.set("/a") // more than that is not let in
		waiting := make(chan error, 1)
		go func() { waiting <- a.submit(9, state.Command{Kind: state.Noop}) }()
		synctest.Wait()
		if len(waiting) > 0 {
			t.Fatal("a submission beyond the bound was let in")
		}
		d.apply()
		if err := <-waiting; err != nil {
			t.Fatal(err)
		}
		d.apply()
		want(t, "a", a.taken(), "2: <nil>", "3: <nil>", "9: <nil>")

		// One that is larger than all that is allowed goes when it is alone.
		large := state.Command{Kind: state.Create, Op: state.Op{Kind: state.Create, Path: "/b", Data: make([]byte, 500), ACL: anyone}}
		if err := a.submit(10, large); err != nil {
			t.Fatal(err)
		}
		go func() { waiting <- a.submit(11, state.Command{Kind: state.Noop}) }()
		synctest.Wait()
		d.Stop()
		if err := <-waiting; !errors.Is(err, feed.ErrStopped) {
			t.Fatalf("stopped: %v", err)
		}
		if err := a.submit(12, state.Command{Kind: state.Noop}); !errors.Is(err, feed.ErrStopped) {
			t.Fatalf("after the stop: %v", err)
		}
	})
}

// What was in the log before Begin is nobody's here, though this server has originated it.
func TestWhatWasInTheLogBeforeIsNobodys(t *testing.T) {
	m := state.New()
	var out state.Outcome
	m.Apply(1, nil, &out)
	log := &paper{index: 1}
	f := feed.New(feed.Config{Machine: m, Log: log, Server: 1, RecentMax: 1, InboxBytesMax: 1 << 20, PendingBytesMax: 1 << 20})
	old := state.Command{Kind: state.OpenSession, TimeoutMs: 4000, Origin: state.Origin{Server: 1, Boot: 5, Seq: 1}}
	outside := state.Command{Kind: state.Noop, Origin: state.Origin{Server: 1}}
	f.Apply([]replica.Entry{
		{Index: 2, Term: 1, Data: state.AppendCommand(nil, &old)},
		{Index: 3, Term: 1, Data: state.AppendCommand(nil, &outside)},
		{Index: 4, Term: 1}, {Index: 5, Term: 1, Data: []byte("nonsense")},
	})
	if f.Replayed() != 4 {
		t.Errorf("%d entries replayed", f.Replayed())
	}
	f.Begin(3) // a clock that has gone back
	if boot := f.Origin().Boot; boot <= 5 {
		t.Fatalf("boot %d, after one of 5", boot)
	}
	f.Lead(1, 1)
	d := &desk{Feed: f, t: t, log: log}
	log.index = 5
	d.open()
}

// Two starts that begin with the same state at the same time are not one: what the first had on its way
// when it ended is not the second's.
func TestTwoStartsAreNeverOne(t *testing.T) {
	a, b := newDesk(t, nil), newDesk(t, nil)
	a.join().propose(state.Command{Kind: state.OpenSession, TimeoutMs: 4000})
	b.log.index++
	b.Apply([]replica.Entry{{Index: b.log.index, Term: 1, Data: a.log.pending[0]}})
	b.open()
}

// A session that is attached twice in one batch belongs to the last; the others must go.
func TestTheLastAttachmentOfABatchCounts(t *testing.T) {
	d := newDesk(t, nil)
	a := d.open()
	b, c := d.join(), d.join()
	a.set("/")
	b.attach(a, 1)
	a.set("/")
	c.attach(a, 2)
	d.apply()
	want(t, "the first", a.taken(), "2: <nil>", "3: session moved", "end")
	want(t, "the second", b.taken(), "1: <nil>", "end")
	want(t, "the last", c.taken(), "1: <nil>")
	if a.cuts != 1 || b.cuts != 1 || c.cuts != 0 || d.Attached() != 1 {
		t.Errorf("cut %d, %d and %d times, %d attached", a.cuts, b.cuts, c.cuts, d.Attached())
	}
	c.propose(state.Command{Kind: state.CloseSession, Session: a.id, Epoch: 3})
	d.apply()
	want(t, "the last", c.taken(), "2: <nil>", "end")
	if d.Attached() != 0 {
		t.Errorf("%d attached after the close", d.Attached())
	}
}

func TestASessionThatOpensAndEndsInOneBatch(t *testing.T) {
	d := newDesk(t, nil)
	a := d.join()
	a.propose(state.Command{Kind: state.OpenSession, TimeoutMs: 4000})
	id := session.ID(1<<56 | d.log.index + 1)
	c := state.Command{Kind: state.ExpireSession, Origin: d.Origin(), Session: id, Epoch: 1}
	if err := d.Submit(nil, []feed.Submission{{Command: state.AppendCommand(nil, &c)}}); err != nil {
		t.Fatal(err)
	}
	d.apply()
	want(t, "a", a.taken(), "1: <nil>", "end")
	if d.Attached() != 0 {
		t.Errorf("%d attached", d.Attached())
	}
}

// A connection may go while its command is in the log: what comes of it is nobody's.
func TestWhoHasLeftIsNotAttached(t *testing.T) {
	d := newDesk(t, nil)
	a := d.open()
	b := d.join()
	b.attach(a, 1)
	d.Leave(b.Inbox)
	d.Leave(b.Inbox) // twice is harmless
	d.apply()
	want(t, "who has left", b.taken())
	want(t, "the one before", a.taken(), "end")
	if d.Attached() != 0 {
		t.Errorf("%d attached", d.Attached())
	}
	d.Leave(a.Inbox)
	if c, e := d.join(), d.join(); c.ID() == e.ID() || c.ID() > 1 || e.ID() > 1 {
		t.Errorf("the next have numbers %d and %d", c.ID(), e.ID())
	}
}

func TestWatchesGoWithTheirConnection(t *testing.T) {
	d := newDesk(t, nil)
	a, b := d.open(), d.join()
	b.arm("/a", watch.Persistent)
	b.arm("/b", watch.Data)
	a.arm("/a", watch.Data)
	if w, c, p := d.WatchCounts(); w != 3 || c != 2 || p != 2 {
		t.Errorf("%d watches, %d connections, %d paths", w, c, p)
	}
	d.Leave(b.Inbox)
	next := d.join()
	if next.ID() != b.ID() {
		t.Fatalf("number %d, want %d again", next.ID(), b.ID())
	}
	a.create("/a")
	d.apply()
	want(t, "a", a.taken(), "Created /a @3", "2: <nil>")
	want(t, "who has left", b.taken())
	want(t, "who has its number", next.taken())
}

// An event is told to who may read, by the list that guards what it tells of; the watch is spent anyway.
func TestEventsAreToldToWhoMayRead(t *testing.T) {
	d := newDesk(t, nil)
	mine := []znode.ACE{{Perms: znode.PermAll, Scheme: "digest", ID: "me:x"}}
	a, b := d.open(), d.open()
	a.SetIdentities(append([]znode.Identity{{Scheme: "digest", ID: "me:x"}}, here...))
	for _, s := range []*seat{a, b} {
		s.arm("/a", watch.Data)
		s.arm("/a/b", watch.Data)
		s.arm("/a", watch.Child)
	}
	a.propose(state.Command{Kind: state.Create, Op: state.Op{Kind: state.Create, Path: "/a", ACL: mine}})
	a.propose(state.Command{Kind: state.Create, Op: state.Op{Kind: state.Create, Path: "/a/b", ACL: anyone}})
	d.apply()
	want(t, "who may", a.taken(), "Created /a @4", "Created /a/b @5", "ChildrenChanged /a @5", "2: <nil>", "3: <nil>")
	want(t, "who may not", b.taken(), "Created /a/b @5")
	if w, _, _ := d.WatchCounts(); w != 0 {
		t.Errorf("%d watches are left", w)
	}
}

func TestAnInboxHasABound(t *testing.T) {
	d := newDesk(t, func(c *feed.Config) { c.InboxBytesMax = 1000 })
	a, b := d.open(), d.join()
	a.create("/a")
	d.apply()
	a.taken()
	b.arm("/a", watch.Persistent)
	for range 15 { // of about 66 bytes
		a.set("/a")
		d.apply()
		a.taken()
	}
	if b.Ended() || !b.Waiting() || b.cuts != 0 {
		t.Fatal("ended before it was full")
	}
	a.set("/a")
	d.apply()
	if !b.Ended() || b.Waiting() || b.cuts != 1 {
		t.Fatalf("ended %v, waiting %v, cut %d times", b.Ended(), b.Waiting(), b.cuts)
	}
	a.set("/a")
	d.apply()
	want(t, "what is left in it", b.taken(), "end")
	select {
	case <-b.Ready():
	default:
		t.Error("its owner is not woken")
	}
}

// Events beyond the zxid asked for stay, in order.
func TestEventsAreTakenUpToAZxid(t *testing.T) {
	d := newDesk(t, nil)
	a := d.open()
	a.create("/a")
	a.arm("/a", watch.Persistent)
	a.set("/a")
	a.set("/a")
	a.set("/a")
	d.apply() // at 3 to 6
	var lines []string
	for _, ev := range a.TakeEvents(5, nil) {
		lines = append(lines, told(ev))
	}
	want(t, "up to 5", lines, "Created /a @3", "DataChanged /a @4", "DataChanged /a @5")
	want(t, "the rest", a.taken(), "DataChanged /a @6", "2: <nil>", "3: <nil>", "4: <nil>", "5: <nil>")
	if a.Waiting() {
		t.Error("something is waiting in an empty inbox")
	}
}

// A fence keeps what stands before it in the log apart from what stands behind it.
func TestAFenceSeparatesViews(t *testing.T) {
	d := newDesk(t, nil)
	a, b := d.open(), d.open()
	command := func(s *seat, path string) []byte {
		return state.AppendCommand(nil, &state.Command{
			Kind: state.Create, Origin: d.Origin(), Session: s.id, Epoch: 1,
			Op: state.Op{Kind: state.Create, Path: path, ACL: anyone},
		})
	}
	submit := func(s *seat, subs ...feed.Submission) {
		if err := d.Submit(s.Inbox, subs); err != nil {
			t.Fatal(err)
		}
	}
	submit(a, feed.Submission{Ticket: 1, Command: command(a, "/1")}, feed.Submission{Ticket: 2, Command: command(a, "/2"), Fence: true})
	submit(b, feed.Submission{Ticket: 1, Command: command(b, "/3")}, feed.Submission{Ticket: 2, Command: command(b, "/4")})
	submit(a, feed.Submission{Ticket: 3, Command: command(a, "/5"), Fence: true}, feed.Submission{Ticket: 4, Command: command(a, "/6")})
	d.apply()
	shows := func(s *seat) (lines []string) {
		done, _ := s.TakeDone(nil)
		for _, c := range done {
			shown := ""
			for i := 1; i <= 6; i++ {
				if c.View.Nodes.Get(fmt.Sprintf("/%d", i)) != nil {
					shown += fmt.Sprint(i)
				}
			}
			lines = append(lines, fmt.Sprintf("%d @%d shows %s @%d", c.Ticket, c.Result.Zxid, shown, c.View.Zxid))
		}
		return lines
	}
	want(t, "a", shows(a), "1 @4 shows 1 @4", "2 @5 shows 1234 @7", "3 @8 shows 123456 @9", "4 @9 shows 123456 @9")
	want(t, "b", shows(b), "1 @6 shows 1234 @7", "2 @7 shows 1234 @7")
}

func TestSyncWaitsForWhatWasAgreed(t *testing.T) {
	d := newDesk(t, nil)
	a := d.open() // at 2
	a.create("/a")
	d.Sync(a.Inbox, 100)
	d.Sync(a.Inbox, 101)
	d.log.reads[0](2, nil) // applied already
	d.log.reads[1](4, nil)
	want(t, "at once", a.taken(), "100: <nil>")
	d.apply() // 3
	want(t, "not yet", a.taken(), "2: <nil>")
	a.set("/a")
	a.set("/a")
	d.applied(1) // 4
	want(t, "now", a.taken(), "3: <nil>", "101: <nil>")
	d.Sync(a.Inbox, 102)
	d.log.reads[2](0, errRefused)
	want(t, "no answer", a.taken(), "end")

	b := d.open()
	d.log.refuse = errRefused
	d.Sync(b.Inbox, 1)
	want(t, "refused", b.taken(), "end")
}

func TestWhatBecameOfSessionsIsTold(t *testing.T) {
	var lines []string
	d := newDesk(t, func(c *feed.Config) {
		c.OnSessions = func(changes []state.SessionChange) {
			for _, s := range changes {
				lines = append(lines, fmt.Sprint(s.Kind, " ", s.Session.Epoch))
			}
			lines = append(lines, "batch")
		}
	})
	a := d.open()
	b := d.join()
	b.attach(a, 1)
	b.propose(state.Command{Kind: state.CloseSession, Session: a.id, Epoch: 2})
	d.apply()
	a.set("/") // of nobody any more
	d.apply()
	want(t, "sessions", lines, "1 1", "batch", "2 2", "3 2", "batch")
}
