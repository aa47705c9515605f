package front

import (
	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/feed"
)

// lane keeps the requests of a connection that cannot be answered yet, in the order they came: it is
// what makes replies leave in that order. A request enters when it must wait for the log, or when one
// before it does. Bound: Config.OutstandingMax requests and laneBytesMax, kept by the reader.
type lane struct {
	slots  []slot // a ring; its length is a power of two
	head   uint64 // ticket of the oldest request
	tail   uint64 // ticket of the next one to enter
	reads  int    // how many plain reads there are
	fence  bool   // one of them entered after the last write: the next must be fenced off from it
	strict int    // how many there are that withhold a write that enters
	bytes  int    // of records and withheld commands
}

// laneBytesMax is how many bytes of requests may wait in a lane before the connection is not read.
const laneBytesMax = 1 << 20

// slot is one request in the lane.
type slot struct {
	xid      int32
	op       wire.Op
	sentence wire.Code // phase refused: the answer
	phase    phase
	known    uint8            // how many of the connection's identities it is judged by
	arrived  int64            // ns, monotonic
	body     []byte           // phase deferred: the request record; of a multi: what its results are marked as
	command  []byte           // phase withheld: what the log is to have
	done     *feed.Completion // phase complete
}

// phase is where a request in the lane stands.
type phase uint8

const (
	awaiting phase = iota // the log has it
	complete              // the log has answered; requests before it have not
	deferred              // a read, or a matter of the connection: done when its turn comes
	refused               // the answer is known: a code
	withheld              // a write that the log must not have before what is in front of it is answered
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
	l.count(&s, 1)
	return t
}

func (s *slot) size() int { return len(s.body) + len(s.command) }

// count keeps reads and strict in step with a slot that comes, goes or changes.
func (l *lane) count(s *slot, by int) {
	switch {
	case s.strict():
		l.strict += by
	case s.phase == deferred && s.op != wire.OpPing: // a ping shows nothing of the tree
		l.reads += by
		l.fence = l.fence || by > 0
	}
}

// fenceOff says whether a write that enters now must be fenced off from a read.
func (l *lane) fenceOff() bool {
	fence := l.fence && l.reads > 0
	l.fence = false
	return fence
}

// strict says whether a write behind s must not be in the log before s is answered. A read that leaves
// a watch, and whatever else concerns watches, goes by the newest view there is when its turn comes:
// then the watch is armed. A sync, a barrier and a change of the membership go by whatever view they
// are confirmed in. Plain reads go by the view of the write or sync before them, and a fence will do.
func (s *slot) strict() bool {
	switch s.op {
	case wire.OpSync, opBarrier, wire.OpReconfig:
		return s.phase != refused
	}
	if s.phase != deferred {
		return s.phase == withheld
	}
	switch s.op {
	case wire.OpExists, wire.OpGetData, wire.OpGetChildren, wire.OpGetChildren2:
		r := codec.NewReader(s.body)
		_, arm, ok := wire.DecodePathWatch(&r)
		return arm && ok
	case wire.OpPing, wire.OpGetACL, wire.OpGetAllChildrenNumber, wire.OpMultiRead, wire.OpGetEphemerals, wire.OpWhoAmI:
		return false
	}
	return true
}

// free takes the oldest withheld writes, up to the next that withholds them, as handed to the log.
func (l *lane) free(submit func(feed.Submission)) {
	fence := false
	for t := l.head; t < l.tail; t++ {
		s := l.at(t)
		if s.phase != withheld {
			if s.strict() {
				return
			}
			fence = fence || s.phase == deferred
			continue
		}
		l.count(s, -1)
		l.bytes -= len(s.command)
		submit(feed.Submission{Ticket: t, Command: s.command, Fence: fence})
		s.phase, s.command, fence = awaiting, nil, false
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

// refuse makes the request one whose answer is known.
func (l *lane) refuse(s *slot, code wire.Code) {
	l.count(s, -1)
	s.phase, s.sentence = refused, code
	l.count(s, 1)
}

// leave removes the oldest request.
func (l *lane) leave() {
	s := l.at(l.head)
	l.bytes -= s.size()
	l.count(s, -1)
	*s = slot{}
	l.head++
}

// trim lets go of the room for requests if there are none.
func (l *lane) trim() {
	if l.empty() && len(l.slots) > 32 {
		l.slots = nil
	}
}
