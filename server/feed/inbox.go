package feed

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/watch"
	"github.com/grovekeeper/grove/znode"
)

// Completion is the outcome of a command, or of a barrier, that a connection waits for. Ticket is
// the number the connection gave it. View was published with it: it shows the command, and none that
// the connection submitted behind a Fence.
type Completion struct {
	Ticket uint64
	Result state.Result
	View   *state.View
}

// Inbox carries what the applier has for one connection: events in zxid order, completions in log
// order. Bound: Config.InboxBytesMax. When it is full the connection must end: an event cannot be
// refused, and the client re-arms its watches from the last zxid it saw.
type Inbox struct {
	id      watch.ID
	session session.ID // guarded by Feed.mu
	ids     atomic.Pointer[[]znode.Identity]
	waiting atomic.Int32                // events and completions held; lets a reader look without the lock
	ready   chan struct{}               // capacity 1: there is something to take
	cut     func()                      // see Feed.Join
	view    *atomic.Pointer[state.View] // the feed's
	whole   atomic.Int64                // events up to this zxid were never dropped; see Whole

	mu     sync.Mutex // guards the fields below; innermost
	events []watch.Event
	done   []Completion
	weight int
	round  uint64 // the applier's batch that pushed last; 0 is no batch
	bound  int
	ended  bool // the connection must close once it has sent what it was given
	closed bool // the connection is gone: what is pushed is dropped
}

// item is an event, or a completion if its event has no type.
type item struct {
	event watch.Event
	done  Completion
}

func newInbox(bound int, cut func(), view *atomic.Pointer[state.View]) *Inbox {
	in := &Inbox{ready: make(chan struct{}, 1), bound: bound, cut: cut, view: view}
	in.whole.Store(math.MaxInt64)
	return in
}

// ID names the connection in the watch table.
func (in *Inbox) ID() watch.ID { return in.id }

// Identities returns who the connection has proved to be. The slice must not be changed.
func (in *Inbox) Identities() []znode.Identity { return *in.ids.Load() }

// SetIdentities replaces them; ids must not be changed afterwards.
func (in *Inbox) SetIdentities(ids []znode.Identity) { in.ids.Store(&ids) }

// Ready yields when there may be something to take.
func (in *Inbox) Ready() <-chan struct{} { return in.ready }

// Waiting reports whether anything is held. After loading a view it says for certain whether an event
// of that view is still to be taken, because events are pushed before the view is swapped.
func (in *Inbox) Waiting() bool { return in.waiting.Load() != 0 }

// TakeDone removes the completions. The storage of the argument becomes the inbox's next buffer. more
// is false when the connection must close after what it was given has been sent.
func (in *Inbox) TakeDone(done []Completion) (_ []Completion, more bool) {
	clear(done)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.done, done = done[:0], in.done
	in.weight -= len(done) * completionWeight
	in.waiting.Add(int32(-len(done)))
	return done, !in.ended
}

// TakeEvents removes the events up to and including zxid and appends them to into. Events of later
// changes stay: a reply about zxid must not be overtaken by news the client would then miss.
func (in *Inbox) TakeEvents(zxid znode.Zxid, into []watch.Event) []watch.Event {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := 0
	for n < len(in.events) && in.events[n].Zxid <= zxid {
		in.weight -= eventWeight(in.events[n])
		n++
	}
	into = append(into, in.events[:n]...)
	in.events = append(in.events[:0], in.events[n:]...)
	in.waiting.Add(int32(-n))
	return into
}

// Trim lets go of room that nothing is in: what a burst needed must not be held while a connection idles.
func (in *Inbox) Trim() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.events, in.done = Room(in.events, 64), Room(in.done, 16)
}

// Room returns b, or nil if there is nothing in it but room for more than a few.
func Room[T any](b []T, few int) []T {
	if len(b) == 0 && cap(b) > few {
		return nil
	}
	return b
}

// Ended reports whether the connection must close.
func (in *Inbox) Ended() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.ended
}

// Whole reports whether the inbox has got, or had, every event up to zxid. One that has ended gets no
// more, and one that ended because it was full has lost what it held: after events were taken, nothing of
// a later zxid may be shown to the client.
func (in *Inbox) Whole(zxid znode.Zxid) bool { return int64(zxid) <= in.whole.Load() }

// push adds it and reports whether it is the first of the round, so that its owner has to be woken. An
// inbox that holds something is no sign that its owner will look again: it may have looked already, and
// left what its view did not show.
func (in *Inbox) push(it item, round uint64) (first bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed || in.ended {
		return false
	}
	if it.event.Type != 0 {
		in.events = append(in.events, it.event)
		in.weight += eventWeight(it.event)
	} else {
		in.done = append(in.done, it.done)
		in.weight += completionWeight
	}
	if in.weight > in.bound {
		in.events, in.done, in.weight = nil, nil, 0
		in.waiting.Store(0)
		in.whole.Store(-1)
		in.endLocked()
		return false
	}
	in.waiting.Add(1)
	first = in.round != round || round == 0
	in.round = round
	return first
}

// end marks the connection for closing after what it already holds.
func (in *Inbox) end() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.endLocked()
}

func (in *Inbox) endLocked() {
	if in.ended || in.closed {
		return
	}
	in.ended = true
	in.whole.Store(min(in.whole.Load(), int64(in.view.Load().Zxid)))
	in.cut()
	in.signal()
}

// End asks the connection to close, as the feed does when its session has gone.
func (in *Inbox) End() { in.end() }

func (in *Inbox) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed, in.events, in.done = true, nil, nil
}

func (in *Inbox) signal() {
	select {
	case in.ready <- struct{}{}:
	default: // a signal is under way already
	}
}

const completionWeight = 256

func eventWeight(ev watch.Event) int { return 64 + len(ev.Path) }
