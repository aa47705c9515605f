package feed

import (
	"bytes"
	"errors"
	"sync"

	"github.com/grovekeeper/grove/internal/bug"
	"github.com/grovekeeper/grove/server/state"
)

// ErrStopped refuses a submission to a server that is closing.
var ErrStopped = errors.New("server is stopping")

// ledger numbers the commands of this server, keeps them until they are applied, and remembers who
// waits for each. The machine applies an origin's commands in the order of their numbers and each
// once, so the oldest entry is always the next to complete, and to send one twice does no harm.
//
//	applied ──► head ── sent to who leads ──► sent ── not yet ──► end of the queue
//
// With a change of leader, or a connection to it lost, sent goes back to head: what was sent may be
// in the log, or nowhere. Bound: bytes; beyond it submitters wait, which stops them from reading
// their sockets.
type ledger struct {
	mu      sync.Mutex // held for an append, and while the log takes or refuses a load; never waited under
	space   sync.Cond  // bytes were freed, or the ledger was stopped
	boot    uint64     // this start's, see Begin
	seq     uint64
	queue   []owner // oldest at head
	head    int
	sent    int // those before it have been sent to who leads; never below head
	fences  int // how many of them are fenced
	bytes   int
	bound   int
	stopped bool
	taken   []owner // the applier's copy of what it took last

	leader, term uint64 // who leads; 0: nobody
	refused      bool   // the log is full: submitters do not ask again, see send
}

// owner is a command under way and who waits for it: nobody, if in is nil.
type owner struct {
	in      *Inbox
	ticket  uint64
	command []byte // the log's as well: not written to once it is sent
	fenced  bool
}

// Submission is one command of a connection, encoded; of its origin, the server is filled in.
type Submission struct {
	Ticket  uint64
	Command []byte
	// Fence says that what came before must be published before this is applied: a read of the same
	// connection stands between, and must not see it.
	Fence bool
}

// A load is what the log is handed at once: it takes all of it or nothing, so one must fit where
// others are waiting too.
const (
	loadCommands = 4096
	loadBytes    = 1 << 20
)

func (l *ledger) init(bound int) {
	l.bound = bound
	l.space.L = &l.mu
}

// Submit numbers the commands, in order, and sends them to who leads, now or when somebody does. Each
// is completed through in, under its ticket, unless the server stops first. in may be nil: then nobody
// is told. It blocks while too much is under way. The commands are the feed's from here on.
func (f *Feed) Submit(in *Inbox, commands []Submission) error {
	l := &f.ledger
	size := 0
	for i := range commands {
		size += len(commands[i].Command)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.bytes > 0 && l.bytes+size > l.bound && !l.stopped {
		l.space.Wait()
	}
	if l.stopped {
		return ErrStopped
	}
	// Numbering and queueing under one lock makes the order of the numbers that of sending.
	for i := range commands {
		c := &commands[i]
		l.seq++
		state.PatchStream(c.Command, l.boot, l.seq)
		l.queue = append(l.queue, owner{in, c.Ticket, c.Command, c.Fence})
		if c.Fence {
			l.fences++
		}
	}
	l.bytes += size
	if !l.refused {
		l.send(f.cfg.Log)
	}
	return nil
}

// Propose hands the log a command outside of any stream, for the leader and term in which it was judged:
// nobody waits for it, and it is never sent again.
func (f *Feed) Propose(leader, term uint64, c *state.Command) error {
	c.Origin = state.Origin{Server: f.cfg.Server}
	return f.cfg.Log.Propose(leader, term, [][]byte{state.AppendCommand(nil, c)})
}

// Lead says who leads, and in which term: everything that is not applied is sent there, in order. A
// leader of 0 is nobody; what is submitted waits. The raft goroutine calls it; it does not block.
func (f *Feed) Lead(leader, term uint64) {
	l := &f.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leader == leader && l.term == term {
		return
	}
	if l.leader, l.term = leader, term; !bug.On(bug.ResendFromEnd) {
		l.sent = l.head
	}
	l.send(f.cfg.Log)
}

// Resend says that what was sent may be lost, because the connection to who leads was: it is sent
// again, from the oldest that is not applied.
func (f *Feed) Resend() {
	l := &f.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = l.head
	l.send(f.cfg.Log)
}

// Pump sends what the log has refused. It goes on as commands are applied, too; but if nothing of
// this server's is under way, nothing else would ever send it, so the server calls Pump every tick.
func (f *Feed) Pump() {
	l := &f.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	l.send(f.cfg.Log)
}

// send hands over what has not been sent, in order, until the log refuses. From then on it is not asked
// for each submission, which would cost every one a load, but when time or the log has moved on: by
// take, Lead, Resend and Pump. The caller holds mu.
func (l *ledger) send(log Log) {
	l.refused = false
	for l.leader != 0 && l.sent < len(l.queue) && !l.refused {
		load := l.load()
		if log.Propose(l.leader, l.term, load) != nil {
			l.refused = true
		} else {
			l.sent += len(load)
		}
	}
}

// load returns the next commands to be sent, at least one. The log keeps the slice.
func (l *ledger) load() [][]byte {
	left := l.queue[l.sent:min(len(l.queue), l.sent+loadCommands)]
	n, size := 0, 0
	for n < len(left) && (n == 0 || size+len(left[n].command) <= loadBytes) {
		size += len(left[n].command)
		n++
	}
	load := make([][]byte, n)
	for i := range load {
		if load[i] = left[i].command; bug.On(bug.ResendShuffled) {
			load[i] = left[n-1-i].command
		}
	}
	return load
}

// Origin returns what a command of this server carries, but for its sequence.
func (f *Feed) Origin() state.Origin {
	return state.Origin{Server: f.cfg.Server, Boot: f.boot.Load()}
}

// number begins the stream of this server's commands anew, under a boot above all that came before. What
// is under way keeps its order and gets new numbers, in copies: the log may still hold the old ones,
// which the machine ignores from the first of the new on.
func (f *Feed) number(boot uint64) {
	l := &f.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	f.boot.Store(boot)
	l.boot, l.seq, l.sent = boot, 0, l.head
	for i := l.head; i < len(l.queue); i++ {
		l.seq++
		l.queue[i].command = bytes.Clone(l.queue[i].command)
		state.PatchStream(l.queue[i].command, boot, l.seq)
	}
	l.send(f.cfg.Log)
}

// fenced says whether the command with the sequence seq is fenced.
func (l *ledger) fenced(seq uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting := uint64(len(l.queue) - l.head)
	if l.fences == 0 || seq > l.seq || seq <= l.seq-waiting {
		return false
	}
	return l.queue[len(l.queue)-1-int(l.seq-seq)].fenced
}

// take removes the n oldest entries, and sends what has been waiting for room. The result holds until
// the next call.
func (l *ledger) take(n int, log Log) []owner {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.taken)
	l.taken = append(l.taken[:0], l.queue[l.head:l.head+n]...)
	clear(l.queue[l.head : l.head+n])
	l.head += n
	l.sent = max(l.sent, l.head) // a leader of the past may have logged what this one was not sent
	l.compact()
	for i := range l.taken {
		l.bytes -= len(l.taken[i].command)
		if l.taken[i].fenced {
			l.fences--
		}
	}
	if n > 0 {
		l.space.Broadcast()
	}
	if l.sent < len(l.queue) {
		l.send(log)
	}
	return l.taken
}

// compact lets go of the room before head.
func (l *ledger) compact() {
	switch {
	case l.head == len(l.queue):
		l.queue, l.head, l.sent = l.queue[:0], 0, 0
	case l.head > 4096 && l.head > len(l.queue)/2:
		n := copy(l.queue, l.queue[l.head:])
		clear(l.queue[n:])
		l.queue, l.sent, l.head = l.queue[:n], l.sent-l.head, 0
	}
}

func (l *ledger) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	l.space.Broadcast()
}

// pending returns how many commands are under way, and their bytes.
func (l *ledger) pending() (commands, bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) - l.head, l.bytes
}

// Pending returns how many commands of this server are submitted and not applied, and their bytes.
func (f *Feed) Pending() (commands, bytes int) { return f.ledger.pending() }
