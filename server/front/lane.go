package front

import (
	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/state"
)

// lane keeps the requests of a connection that cannot be answered yet, in the order they came: it is
// what makes replies leave in that order. A request enters when it must wait for the log, or when one
// before it does. Bound: Config.OutstandingMax requests and laneBytesMax, kept by the reader.
type lane struct {
	slots []slot // a ring; its length is a power of two
	head  uint64 // ticket of the oldest request
	tail  uint64 // ticket of the next one to enter
	fence int    // how many reads and withheld writes there are: a write that enters is withheld then
	bytes int    // of records and withheld commands
}

// laneBytesMax is how many bytes of requests may wait in a lane before the connection is not read.
const laneBytesMax = 1 << 20

// slot is one request in the lane.
type slot struct {
	xid      int32
	op       wire.Op
	sentence wire.Code // phase refused: the answer
	phase    phase
	known    uint8         // how many of the connection's identities it is judged by
	arrived  int64         // ns, monotonic
	body     []byte        // phase deferred: the request record; of a multi: what its results are marked as
	command  []byte        // phase withheld: what the log is to have
	result   *state.Result // phase complete
}

// phase is where a request in the lane stands.
type phase uint8

const (
	awaiting phase = iota // the log has it
	complete              // the log has answered; requests before it have not
	deferred              // a read, or a matter of the connection: done when its turn comes
	refused               // the answer is known: a code
	withheld              // a write that the log must not have before a read in front of it is answered
)

func (l *lane) empty() bool { return l.head == l.tail }
func (l *lane) len() int    { return int(l.tail - l.head) }

// enter puts s at the end and returns its ticket.
func (l *lane) enter(s slot) uint64 {
	if l.len() == len(l.slots) {
		l.grow()
	}
	t := l.tail
	l.slots[t&uint64(len(l.slots)-1)] = s
	l.tail++
	l.bytes += s.size()
	if s.fences() {
		l.fence++
	}
	return t
}

func (s *slot) size() int { return len(s.body) + len(s.command) }

// fences says whether a write behind s must not overtake it. A ping shows nothing of the tree.
func (s *slot) fences() bool {
	return s.phase == withheld || s.phase == deferred && s.op != wire.OpPing
}

// free takes the oldest withheld writes, up to the next read, as handed to the log.
func (l *lane) free(submit func(ticket uint64, command []byte)) {
	for t := l.head; t < l.tail; t++ {
		s := l.at(t)
		if s.phase != withheld {
			if s.fences() {
				return
			}
			continue
		}
		l.fence--
		l.bytes -= len(s.command)
		submit(t, s.command)
		s.phase, s.command = awaiting, nil
	}
}

func (l *lane) grow() {
	grown := make([]slot, max(4, 2*len(l.slots)))
	for t := l.head; t < l.tail; t++ {
		grown[t&uint64(len(grown)-1)] = *l.at(t)
	}
	l.slots = grown
}

// at returns the slot of a ticket in the lane.
func (l *lane) at(ticket uint64) *slot { return &l.slots[ticket&uint64(len(l.slots)-1)] }

// first returns the oldest request, nil if there is none.
func (l *lane) first() *slot {
	if l.empty() {
		return nil
	}
	return l.at(l.head)
}

// leave removes the oldest request.
func (l *lane) leave() {
	s := l.at(l.head)
	l.bytes -= s.size()
	if s.fences() {
		l.fence--
	}
	*s = slot{}
	l.head++
}
