package feed_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/watch"
	"github.com/grovekeeper/grove/znode"
)

// paper is a log that applies what was proposed when it is told to. It is not for several goroutines,
// but for Propose and what calls it, which the ledger puts in a row.
type paper struct {
	index   uint64
	pending [][]byte
	refuse  error
	loads   int // taken
	reads   []func(uint64, error)
}

func (p *paper) Propose(_, _ uint64, commands [][]byte) error {
	if p.refuse != nil {
		return p.refuse
	}
	p.loads++
	p.pending = append(p.pending, commands...)
	return nil
}

func (p *paper) ReadIndex(done func(uint64, error)) error {
	if p.refuse != nil {
		return p.refuse
	}
	p.reads = append(p.reads, done)
	return nil
}

// desk is a feed on paper.
type desk struct {
	*feed.Feed
	t   testing.TB
	log *paper
}

func newDesk(t testing.TB, change func(*feed.Config)) *desk {
	m := state.New()
	var out state.Outcome
	m.Apply(1, nil, &out)
	d := &desk{t: t, log: &paper{index: 1}}
	cfg := feed.Config{
		Machine: m, Log: d.log, Server: 1, RecentMax: 1000, RecentFrom: 1,
		InboxBytesMax: 1 << 20, PendingBytesMax: 1 << 20,
	}
	if change != nil {
		change(&cfg)
	}
	d.Feed = feed.New(cfg)
	d.Begin(1)
	d.Lead(1, 1)
	return d
}

// apply applies what is pending, as one batch.
func (d *desk) apply() {
	d.applied(len(d.log.pending))
}

// applied applies the next n commands as one batch.
func (d *desk) applied(n int) {
	var batch []replica.Entry
	for _, c := range d.log.pending[:n] {
		d.log.index++
		batch = append(batch, replica.Entry{Index: d.log.index, Term: 1, Data: c})
	}
	d.log.pending = d.log.pending[n:]
	d.Apply(batch)
}

// seat is a connection as the feed sees it.
type seat struct {
	*feed.Inbox
	d    *desk
	id   session.ID
	pass session.Password
	next uint64 // ticket
	cuts int
}

var here = []znode.Identity{{Scheme: "ip", ID: "127.0.0.1"}}

func (d *desk) join() *seat {
	s := &seat{d: d}
	s.Inbox = d.Join(here, func() { s.cuts++ })
	return s
}

// open joins and opens a session.
func (d *desk) open() *seat {
	d.t.Helper()
	s := d.join()
	s.propose(state.Command{Kind: state.OpenSession, TimeoutMs: 4000, Random: [16]byte{7}})
	d.apply()
	done, more := s.TakeDone(nil)
	if len(done) != 1 || done[0].Result.Err != nil || !more {
		d.t.Fatalf("open: %+v, %v", done, more)
	}
	s.id, s.pass = done[0].Result.Session.ID, done[0].Result.Session.Password
	return s
}

// propose submits a command for the seat and returns its ticket.
func (s *seat) propose(c state.Command) uint64 {
	s.d.t.Helper()
	s.next++
	if err := s.submit(s.next, c); err != nil {
		s.d.t.Fatal(err)
	}
	return s.next
}

func (s *seat) submit(ticket uint64, c state.Command) error {
	c.Origin = s.d.Origin()
	if c.Session == 0 && c.Kind != state.OpenSession {
		c.Session, c.Epoch = s.id, 1
	}
	c.IDs = s.Identities()
	return s.d.Submit(s.Inbox, []feed.Submission{{Ticket: ticket, Command: state.AppendCommand(nil, &c)}})
}

var anyone = []znode.ACE{{Perms: znode.PermAll, Scheme: "world", ID: "anyone"}}

func (s *seat) create(path string) uint64 {
	s.d.t.Helper()
	return s.propose(state.Command{Kind: state.Create, Op: state.Op{Kind: state.Create, Path: path, ACL: anyone}})
}

func (s *seat) set(path string) uint64 {
	s.d.t.Helper()
	return s.propose(state.Command{Kind: state.Set, Op: state.Op{Kind: state.Set, Path: path, Version: -1}})
}

func (s *seat) delete(path string) uint64 {
	s.d.t.Helper()
	return s.propose(state.Command{Kind: state.Delete, Op: state.Op{Kind: state.Delete, Path: path, Version: -1}})
}

func (s *seat) arm(path string, kind watch.Kind) {
	s.d.Watching(func(_ *state.View, w *watch.Table) { w.Arm(s.ID(), path, kind) })
}

// taken takes what is in the inbox and prints it, one line an item, events first.
func (s *seat) taken() []string {
	lines := []string{}
	for _, ev := range s.TakeEvents(s.d.View().Zxid, nil) {
		lines = append(lines, told(ev))
	}
	done, more := s.TakeDone(nil)
	for _, c := range done {
		lines = append(lines, fmt.Sprintf("%d: %v", c.Ticket, c.Result.Err))
	}
	if !more {
		lines = append(lines, "end")
	}
	return lines
}

func told(ev watch.Event) string { return fmt.Sprintf("%v %s @%d", ev.Type, ev.Path, ev.Zxid) }

var errRefused = errors.New("refused")

// Take removes everything that is held for the seat.
func (s *seat) Take(_ []watch.Event, _ []feed.Completion) ([]watch.Event, []feed.Completion, bool) {
	events := s.TakeEvents(math.MaxInt64, nil)
	done, more := s.TakeDone(nil)
	return events, done, more
}
