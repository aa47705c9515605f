package feed

import (
	"errors"
	"sync"

	"github.com/grovekeeper/grove/server/state"
)

// ErrStopped refuses a submission to a server that is closing.
var ErrStopped = errors.New("server is stopping")

// ledger numbers the commands of this server and remembers, in the order of the numbers, who waits
// for each. The machine applies an origin's commands in the order of their numbers and each once, so
// the oldest entry is always the next to complete. Bound: bytes; beyond it submitters wait, which
// stops them from reading their sockets.
type ledger struct {
	mu      sync.Mutex
	space   sync.Cond // bytes were freed, or the ledger was stopped
	seq     uint64
	queue   []owner // waiting, oldest at head
	head    int
	fences  int // how many of them are fenced
	bytes   int
	bound   int
	stopped bool
	taken   []owner // the applier's copy of what it took last
}

// owner says who waits for a command: nobody, if in is nil.
type owner struct {
	in     *Inbox
	ticket uint64
	bytes  int
	fenced bool
}

// Submission is one command of a connection, encoded, its origin filled in but for the sequence.
type Submission struct {
	Ticket  uint64
	Command []byte
	// Fence says that what came before must be published before this is applied: a read of the same
	// connection stands between, and must not see it.
	Fence bool
}

func (l *ledger) init(bound int) {
	l.bound = bound
	l.space.L = &l.mu
}

// Submit numbers the commands, in order, and proposes them. Each is completed through in, under its
// ticket, unless the server stops first. in may be nil: then nobody is told. It blocks while too
// much is under way.
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
	// Stamping and proposing under one lock keeps the order of the numbers the order of the log.
	batch := make([][]byte, 0, len(commands)) // the log keeps it
	for i := range commands {
		state.PatchSeq(commands[i].Command, l.seq+uint64(i)+1)
		batch = append(batch, commands[i].Command)
	}
	if err := f.cfg.Log.Propose(batch); err != nil {
		return err
	}
	l.seq += uint64(len(commands))
	for i := range commands {
		l.queue = append(l.queue, owner{in, commands[i].Ticket, len(commands[i].Command), commands[i].Fence})
		if commands[i].Fence {
			l.fences++
		}
	}
	l.bytes += size
	return nil
}

// Origin returns what a command of this server carries, but for its sequence.
func (f *Feed) Origin() state.Origin {
	return state.Origin{Server: f.cfg.Server, Boot: f.boot.Load()}
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

// take removes the n oldest entries. The result holds until the next call.
func (l *ledger) take(n int) []owner {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.taken)
	l.taken = append(l.taken[:0], l.queue[l.head:l.head+n]...)
	clear(l.queue[l.head : l.head+n])
	l.head += n
	if l.head == len(l.queue) {
		l.queue, l.head = l.queue[:0], 0
	} else if l.head > 4096 && l.head > len(l.queue)/2 {
		l.queue, l.head = append(l.queue[:0], l.queue[l.head:]...), 0
	}
	for i := range l.taken {
		l.bytes -= l.taken[i].bytes
		if l.taken[i].fenced {
			l.fences--
		}
	}
	if n > 0 {
		l.space.Broadcast()
	}
	return l.taken
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
