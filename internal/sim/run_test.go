package sim

import (
	"fmt"
	"runtime/debug"
	"testing"
	"testing/cryptotest"

	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/session"
)

// report is what came of a run.
type report struct {
	seed   uint64
	opt    options
	hash   uint64
	steps  int
	marks  [marksEnd]int
	agreed uint64
	broken *violation
	last   string
}

// run plays one seed.
func run(t *testing.T, seed uint64, change func(*options)) (rep report) {
	cryptotest.SetGlobalRandom(t, seed) // raft draws its election time-outs there
	s := &sim{seed: seed, opt: drawOptions(seed), order: stream(seed, "order")}
	if change != nil {
		change(&s.opt)
	}
	defer func() {
		rep = report{
			seed: seed, opt: s.opt, hash: s.trace.hash, steps: s.trace.count, marks: s.marks, agreed: s.truth.last(),
		}
		switch v := recover().(type) {
		case nil:
		case violation:
			rep.broken, rep.last = &v, s.trace.last(100)
		default: // something in the product, most likely
			rep.broken = &violation{"panic", fmt.Sprintf("%v\n%s", v, debug.Stack())}
			rep.last = s.trace.last(100)
		}
	}()
	s.play()
	return rep
}

func (s *sim) play() {
	s.openNetwork()
	voters := make([]uint64, s.opt.servers)
	for i := range voters {
		voters[i] = uint64(i + 1)
	}
	start := replica.Bootstrap(voters...)
	s.openTruth(start)
	for i := range voters {
		s.addServer(uint8(i+1), voters[i]).found(start)
	}
	s.openTroubles()
	for _, n := range s.servers[1:] {
		s.after(between(s.trouble, 0, 50*milli), func() { s.start(n) })
	}
	for i := range s.opt.clients {
		s.addClient(i)
	}
	s.until(s.opt.length, nil)
	s.calm()
	s.progress()
	s.converge()
	s.smooth()
	s.expire()
	s.final()
}

// smooth is what holds if nothing was ever wrong: one election, no client let down.
func (s *sim) smooth() {
	if s.opt.flawless && (s.marks[markUnknown] > 0 || s.marks[markElections] > 1 || s.marks[markExpired] > 0) {
		s.broken("V4", "without any fault %d outcomes are unknown, there were %d elections, and %d sessions expired",
			s.marks[markUnknown], s.marks[markElections], s.marks[markExpired])
	}
}

// cared is V7: with everything well for a while, nobody loses a session who keeps it up.
func (s *sim) cared(id session.ID) {
	if s.storm || s.now < s.calmed+3*second {
		return
	}
	for _, c := range s.clients {
		if c.id == id && c.open && !c.quiet && !c.ending && c.conn != nil && s.now-c.opened > second {
			s.broken("V7", "session %v of client %d expires, which is connected to server %d", id, c.i, c.conn.n.id)
		}
	}
}

// expire is E2: nobody says anything any more, and all sessions go, and with them their nodes.
func (s *sim) expire() {
	if s.seed%4 != 0 {
		return
	}
	s.silent = true
	limit := s.now + int64(float64(s.opt.timeoutHigh+3*s.opt.sessionTick)*maxRate)*milli + second
	if !s.until(limit, func() bool { return s.truth.machine.View().Sessions.Len() == 0 }) {
		s.broken("E2", "%d sessions outlive their clients by %d ms: %s",
			s.truth.machine.View().Sessions.Len(), (limit-s.now)/milli, s.standing())
	}
	if n := s.truth.machine.View().Nodes.EphemeralCount(); n > 0 {
		s.broken("E4", "%d ephemerals are left without any session", n)
	}
	s.converge()
}

// progress is V1 and V2: with a majority healed, there is a leader and everybody is served.
func (s *sim) progress() {
	before := make([]int, len(s.clients))
	for i, c := range s.clients {
		before[i] = c.answers
	}
	limit := s.now + 300*s.opt.tick + 20*second
	well := func() bool {
		if s.leader() == nil {
			return false
		}
		for i, c := range s.clients {
			if c.answers < before[i]+5 || !c.open {
				return false
			}
		}
		return s.settled() == nil
	}
	if !s.until(limit, well) {
		for i, c := range s.clients {
			if c.answers < before[i]+5 || !c.open {
				k := "nowhere"
				if c.conn != nil {
					k = fmt.Sprintf("at server %d, %d in the lane", c.conn.n.id, len(c.conn.lane))
				}
				s.broken("V2", "client %d got %d answers since the storm, open %v, waits for %d, %s",
					i, c.answers-before[i], c.open, len(c.waiting), k)
			}
		}
		if err := s.settled(); err != nil {
			s.broken("V6", "%v", err)
		}
		s.broken("V1", "no leader that all agree on: %s", s.standing())
	}
}

// converge is V3: when nobody asks for anything, all servers come to the same state.
func (s *sim) converge() {
	for _, c := range s.clients {
		c.quiet = true
	}
	same := func() bool {
		lead := s.leader()
		if lead == nil {
			return false
		}
		for _, n := range s.alive() {
			v := n.feed.View()
			if v.Zxid != lead.feed.View().Zxid || uint64(v.Zxid) != s.truth.last() || len(n.waitingConns()) > 0 {
				return false
			}
			if pending, _ := n.feed.Pending(); pending > 0 {
				return false
			}
		}
		return true
	}
	if !s.until(s.now+20*second, same) {
		s.broken("V3", "no agreement after the storm: %s", s.standing())
	}
}

// waitingConns are those with requests.
func (n *server) waitingConns() (list []*conn) {
	for _, k := range n.conns {
		if len(k.lane) > 0 {
			list = append(list, k)
		}
	}
	return list
}

// standing says where the servers are.
func (s *sim) standing() (text string) {
	for _, n := range s.alive() {
		if !n.up {
			text += fmt.Sprintf("server %d is down; ", n.id)
			continue
		}
		pending, _ := n.feed.Pending()
		text += fmt.Sprintf("server %d: %v, leader %d of term %d, at %d, %d pending, %d waiting; ",
			n.id, n.soft.Role, n.soft.Leader, n.soft.Term, n.feed.View().Zxid, pending, len(n.waitingConns()))
	}
	return text
}

// final is what holds at the end: D2, X1, E4.
func (s *sim) final() {
	t := &s.truth
	for _, n := range s.alive() {
		v := n.feed.View()
		t.compare(n, v)
		if err := t.grown(v); err != nil {
			s.broken("X1", "server %d: %v", n.id, err)
		}
	}
	for number, o := range t.asked {
		if at, ok := t.effects[number]; o.done && (!ok || at != uint64(o.zxid)) {
			s.broken("D2", "operation %d was acknowledged at %d and is at %d", number, o.zxid, at)
		}
	}
	if t.done > t.last() {
		s.broken("D2", "a write at %d was acknowledged, the log ends at %d", t.done, t.last())
	}
}
