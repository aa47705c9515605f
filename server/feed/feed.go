// Package feed is where applied state meets readers. It applies what is committed, fires the watches,
// swaps the view and completes the requests, in that order, so that whoever can see zxid Z already
// holds every event up to Z. It numbers the commands this server originates, sends them to whoever
// leads until they are applied, and knows which connection waits for each. It never speaks the wire
// protocol and never touches a socket or a file.
//
//	committed entries ─► Apply: machine ─► fire ─► swap ─► complete ─► inboxes ─► connections
//	                            └── applier goroutine ──┘  └ fire and swap under one lock ┘
package feed

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/grovekeeper/grove/internal/bug"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/watch"
	"github.com/grovekeeper/grove/znode"
)

// Log is the replicated log as the feed needs it.
type Log interface {
	// Propose sends commands to who leads, without waiting: they are appended in the order of the calls,
	// unless that server ceases to lead in the term, or what carries them breaks. Their outcome arrives
	// through Apply, or never. An error says that none was taken, for now. The log keeps the slice.
	Propose(leader, term uint64, commands [][]byte) error
	// ReadIndex reports, once a quorum has confirmed it, an index at or above everything that was
	// acknowledged before the call. done must not block. If it returns an error, done is not called.
	ReadIndex(done func(index uint64, err error)) error
}

// Config is what a feed stands on. Every field is required but Recent, SkipACL and OnSessions.
type Config struct {
	Machine *state.Machine
	Log     Log
	Server  uint8 // this server's number in the origins of its commands, and in session ids

	Term      uint64 // of the log entry that the machine has applied last
	ConfState []byte // the membership as of that entry; the feed keeps it up to date and passes it on

	// Recent are changes up to the machine's state, oldest first, and RecentFrom is the zxid after
	// which they are complete: what a restart kept for clients that come back.
	Recent     []znode.Change
	RecentFrom znode.Zxid

	RecentMax       int  // changes kept for replay
	InboxBytesMax   int  // what may wait for one connection before it is cut off
	PendingBytesMax int  // commands submitted and not yet applied; submitters wait beyond it
	SkipACL         bool // events are not filtered

	// OnSessions is told, by the applier after each batch, what became of sessions. It must not block.
	OnSessions func([]state.SessionChange)
	// Checkpoint decides when applied state is handed to the checkpoint writer.
	Checkpoint CheckpointPolicy
}

// Feed is where applied state meets readers. The applier publishes; connections pin and arm.
type Feed struct {
	cfg      Config
	view     atomic.Pointer[state.View] // current view; never nil after New; loaded without the lock
	boot     atomic.Uint64              // see Begin; 0 before
	ledger   ledger                     // commands of this server on their way through the log
	apply    applier                    // owned by the goroutine that calls Apply
	standing standing
	fired    watch.Deliver // deliver, bound once: a method value for every change would be garbage

	mu       sync.Mutex // guards the fields below; taken after a connection's lane, before an inbox
	watches  *watch.Table
	inboxes  []*Inbox // by watch.ID
	free     []watch.ID
	attached map[session.ID]*Inbox
	recent   recent
	barriers []barrier // sync requests whose index is not applied yet
}

// New returns a feed whose current view is the state of the machine.
func New(cfg Config) *Feed {
	f := &Feed{
		cfg:      cfg,
		watches:  watch.New(),
		attached: map[session.ID]*Inbox{},
		recent:   newRecent(cfg.Recent, cfg.RecentFrom, cfg.RecentMax),
	}
	f.ledger.init(cfg.PendingBytesMax)
	f.apply.init(&f.cfg)
	f.fired = f.deliver
	f.view.Store(cfg.Machine.View())
	f.standing.set(f.View(), cfg.Term, cfg.ConfState)
	return f
}

// View returns the current view. It stays as it is for as long as the caller holds it.
func (f *Feed) View() *state.View { return f.view.Load() }

// Watching runs fn with the current view and the armed watches while no change can be published:
// what fn reads and what it arms belong to the same zxid. fn must be short and must not call the feed.
func (f *Feed) Watching(fn func(v *state.View, w *watch.Table)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn(f.view.Load(), f.watches)
}

// Join gives a new connection its inbox. ids are the identities it starts with. cut is called once if
// the connection must end: the inbox is Ready then, but whoever serves it may be stuck in a Write to a
// client that takes nothing, which cut must bring to an end. It must not block, nor call the feed.
func (f *Feed) Join(ids []znode.Identity, cut func()) *Inbox {
	in := newInbox(f.cfg.InboxBytesMax, cut, &f.view)
	in.SetIdentities(ids)
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.free); n > 0 {
		in.id, f.free = f.free[n-1], f.free[:n-1]
		f.inboxes[in.id] = in
		return in
	}
	in.id = watch.ID(len(f.inboxes))
	f.inboxes = append(f.inboxes, in)
	return in
}

// Leave ends the connection's part: its watches are dropped and nothing more is delivered to it. Its
// session lives on until it is closed or expires.
func (f *Feed) Leave(in *Inbox) {
	in.close()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.inboxes[in.id] != in {
		return // left before
	}
	f.watches.Drop(in.id)
	f.inboxes[in.id] = nil
	f.free = append(f.free, in.id)
	if f.attached[in.session] == in {
		delete(f.attached, in.session)
	}
}

// Begin lets this server originate commands. It is called once, when the log of earlier starts has been
// applied: the start is numbered above every other in it, whatever the clock has done since, or the
// machine would take new commands for old ones. nowMs is the time in milliseconds since 1970.
func (f *Feed) Begin(nowMs int64) {
	f.number(above(f.newestBoot(f.View()), uint64(max(nowMs, 1))))
}

// drawnBits are the low bits of a start's number, drawn; the others are its time.
const drawnBits = 20

// above returns a number for a start, above newest. The time alone would not do: after the clock has gone
// back, two starts of which none has anything in the log yet would both come right after the newest, and
// what the first had on its way would be answered to those who ask the second.
func above(newest, ms uint64) uint64 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // documented never to fail
	drawn := uint64(binary.BigEndian.Uint32(b[:])) % (1 << drawnBits)
	return max(ms, newest>>drawnBits+1)<<drawnBits | drawn
}

// newestBoot returns the start of this server that the state knows its last command of; 0: of none.
func (f *Feed) newestBoot(v *state.View) uint64 {
	for _, o := range v.Origins {
		if o.Server == f.cfg.Server {
			return o.Boot
		}
	}
	return 0
}

// keepAhead sees to it that this start is numbered above every other in the log. A command of an earlier
// one may have been on its way to a leader when Begin looked, from before the clock went back; the
// machine would ignore all of this start's for good.
func (f *Feed) keepAhead(v *state.View) {
	if boot, newest := f.boot.Load(), f.newestBoot(v); boot != 0 && newest > boot {
		f.number(above(newest, 0))
	}
}

// Stop refuses further submissions and wakes whoever waits to submit.
func (f *Feed) Stop() { f.ledger.stop() }

// Apply applies committed entries and publishes what they did, as one view unless a fence asks for
// more. It is called by one goroutine, with indexes that rise by one.
func (f *Feed) Apply(entries []replica.Entry) {
	a, boot := &f.apply, f.boot.Load()
	a.begin()
	for i := range entries {
		if a.own > 0 && f.fenced(entries[i].Data, boot) {
			f.publish()
		}
		a.step(&entries[i], f.cfg.Server, boot)
		f.standing.mark(a.machine)
	}
	f.publish()
	f.standing.set(f.View(), a.pinner.term, a.pinner.conf)
	a.wake()
	f.tellSessions()
	f.keepAhead(f.View())
	a.handOver(f.View())
}

// fenced says whether the command is one of this start that must not share a view with those before.
func (f *Feed) fenced(command []byte, boot uint64) bool {
	o, err := state.OriginOf(command)
	return err == nil && o.Server == f.cfg.Server && o.Boot == boot && f.ledger.fenced(o.Seq)
}

// publish makes what was applied visible: events first, then the view, then the answers. A reader that can
// see zxid Z thereby already has every event up to Z in its inbox, and a session that holds the answer
// to its write can read it.
func (f *Feed) publish() {
	a := &f.apply
	v := a.machine.View()
	owners := f.ledger.take(a.own, f.cfg.Log)

	f.mu.Lock()
	if bug.On(bug.SwapBeforeFire) {
		f.view.Store(v)
		f.mu.Unlock()
		bug.Yield()
		f.mu.Lock()
	}
	for i := range a.changes {
		if f.watches.Empty() {
			break
		}
		f.watches.Fire(a.changes[i], f.fired)
	}
	f.recent.add(a.changes)
	f.view.Store(v)
	f.settle(owners)
	due := f.dueBarriers(v.Zxid)
	f.mu.Unlock()

	for i := range a.results {
		if owners[i].in != nil {
			a.push(owners[i].in, item{done: Completion{owners[i].ticket, a.results[i], v}})
		}
	}
	a.pinner.note(a.changes)
	a.finish(due, v)
}

// finish answers what waited for the view v, ends who must end, and makes room for the next.
func (a *applier) finish(due []barrier, v *state.View) {
	for _, b := range due {
		a.push(b.in, item{done: Completion{b.ticket, state.Result{Zxid: v.Zxid}, v}})
	}
	for _, in := range a.ending {
		in.end()
	}
	a.told = append(a.told, a.sessions...)
	a.published()
}

// tellSessions tells who listens what became of sessions in this batch.
func (f *Feed) tellSessions() {
	if a := &f.apply; len(a.told) > 0 && f.cfg.OnSessions != nil {
		f.cfg.OnSessions(a.told)
	}
}

// deliver puts an event into the inbox of every receiver that may read. The caller holds mu.
func (f *Feed) deliver(ids []watch.ID, ev watch.Event, acl znode.ACL) {
	for _, id := range ids {
		in := f.inboxes[id]
		if f.cfg.SkipACL || acl.Allows(in.Identities(), znode.PermRead) || bug.On(bug.ListNotAsked) {
			f.apply.push(in, item{event: ev})
		}
	}
}

// settle notes which connection each session is attached through after the batch, and marks for
// ending those whose session has moved or is gone. The caller holds mu.
func (f *Feed) settle(owners []owner) {
	a := &f.apply
	for _, s := range a.sessions {
		id := s.Session.ID
		if old := f.attached[id]; old != nil && !bug.On(bug.MovedStays) {
			delete(f.attached, id)
			a.ending = append(a.ending, old)
		}
	}
	for i := range a.results {
		r := &a.results[i]
		in := owners[i].in
		if in == nil || r.Err != nil || r.Session.ID == 0 || f.inboxes[in.id] != in {
			continue // nobody waits, or has left
		}
		// Only the last attachment of a batch counts; an earlier one was overtaken within it.
		if now, ok := f.view.Load().Sessions.Get(r.Session.ID); !ok || now.Epoch != r.Session.Epoch {
			a.ending = append(a.ending, in)
			continue
		}
		in.session = r.Session.ID
		f.attached[in.session] = in
	}
}

// Attached returns how many sessions have a connection here.
func (f *Feed) Attached() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.attached)
}
