package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// sim is one run: a cluster, its clients, and the time that passes for them.
type sim struct {
	seed  uint64
	opt   options
	now   int64
	queue schedule
	order *rand.Rand // of events of one time
	trace trace

	servers []*server // by number; the first is nil
	net     network
	truth   truth
	clients []*client
	troubles
	marks [marksEnd]int

	events int
	silent bool // clients have gone for good

	storm bool // faults happen; else all is to be well in the end
	fresh uint64
}

// violation is a promise that was not kept. It ends the run.
type violation struct{ law, text string }

// broken ends the run: law names the invariant, as in reliability.md.
func (s *sim) broken(law, format string, args ...any) {
	panic(violation{law, fmt.Sprintf(format, args...)})
}

// after does something when d has passed.
func (s *sim) after(d int64, do func()) {
	s.queue.push(event{s.now + max(d, 0), s.order.Int64(), do})
}

// until lets time pass until done says so, or the time has come; it says whether done did.
func (s *sim) until(end int64, done func() bool) bool {
	for len(s.queue) > 0 && s.queue[0].at <= end {
		e := s.queue.pop()
		s.now = e.at
		if s.events++; s.events > eventsMax {
			s.broken("busy", "nothing comes to an end")
		}
		e.do()
		if done != nil && done() {
			return true
		}
	}
	s.now = end
	return false
}

// eventsMax is more than any sound run has.
const eventsMax = 20_000_000

// number returns one that was not used before in this run.
func (s *sim) number() uint64 { s.fresh++; return s.fresh }

// mark counts that something rare has happened, so that a simulator that has become harmless is
// noticed.
type mark int

const (
	markElections mark = iota
	markCrashes
	markPowerCuts
	markTornTails
	markFlushesFailed
	markResends
	markExpired
	markMoved
	markEvents
	markWrites
	markReads
	markSyncs
	markUnknown
	markImages
	markTornImages
	markChanges
	markReplaced
	markDeepChecks
	markRearmed
	marksEnd
)

var markNames = [...]string{"elections", "crashes", "power cuts",
	"cut in the middle of a call", "failed flushes", "resends",
	"sessions expired", "sessions moved", "events", "writes", "reads", "syncs", "unknown outcomes", "images installed",
	"images torn", "membership changes", "servers replaced", "deep checks of promises", "watches armed again"}

func (s *sim) mark(m mark) { s.marks[m]++ }

// trace is what happened: a hash of all of it, and the end of it.
type trace struct {
	hash  uint64
	count int
	ring  [120]step
}

// step is one thing that happened; it is put into words only if somebody asks.
type step struct {
	at      int64
	what    string
	a, b, c uint64
	more    string
}

const prime = 0x100000001b3

// note adds a step to the trace.
func (s *sim) note(what string, a, b, c uint64, more string) {
	t := &s.trace
	t.ring[t.count%len(t.ring)] = step{s.now, what, a, b, c, more}
	t.count++
	for _, v := range [...]uint64{uint64(s.now), uint64(len(what)), uint64(what[0]), a, b, c, uint64(len(more))} {
		t.hash = (t.hash ^ v) * prime
		t.hash ^= t.hash >> 29
	}
}

// last puts the end of the trace into words.
func (t *trace) last(n int) string {
	var b strings.Builder
	for i := max(0, t.count-min(n, len(t.ring))); i < t.count; i++ {
		e := &t.ring[i%len(t.ring)]
		fmt.Fprintf(&b, "%10.3f ms  %-12s %d %d %d %s\n", float64(e.at)/1000, e.what, e.a, e.b, e.c, e.more)
	}
	return b.String()
}
