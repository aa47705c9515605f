package sim

import (
	"math/rand/v2"

	"github.com/grovekeeper/grove/internal/disk"
	"github.com/grovekeeper/grove/server/replica"
)

// troubles is what makes the weather.
type troubles struct {
	trouble *rand.Rand
	kinds   []fault
	wiped   int64 // when a server last lost its disk
	calmed  int64 // when trouble ended
}

const maxRate = 1.05 // of a clock

func (s *sim) openTroubles() {
	s.trouble = stream(s.seed, "troubles")
	for f := fault(1); f < faultsEnd; f <<= 1 {
		if s.opt.has(f) && f&(double|reorder|drift|compact) == 0 {
			s.kinds = append(s.kinds, f)
		}
	}
	if s.opt.has(drift) {
		for _, n := range s.servers[1:] {
			n.rate = 1/maxRate + s.trouble.Float64()*(maxRate-1/maxRate)
		}
	}
	s.storm = true
	if len(s.kinds) > 0 {
		s.after(around(s.trouble, s.opt.troubles), s.nextTrouble)
	}
}

func (s *sim) nextTrouble() {
	if !s.storm {
		return
	}
	s.after(around(s.trouble, s.opt.troubles), s.nextTrouble)
	s.cause(pick(s.trouble, s.kinds...))
}

// cause makes one trouble.
func (s *sim) cause(f fault) {
	r := s.trouble
	n := s.servers[1+r.IntN(len(s.servers)-1)]
	for _, lead := range s.servers[1:] { // the leader is the most interesting
		if r.IntN(4) == 0 && lead.leads() {
			n = lead
		}
	}
	last := around(r, 400*milli)
	s.note("trouble", uint64(f), uint64(n.id), uint64(last), f.String())
	switch f {
	case loss:
		s.net.rate = s.opt.lossRate
		s.after(last, func() { s.net.rate = 0 })
	case slowNet:
		s.net.slow = 1 + r.Int64N(60)
		s.after(last, func() { s.net.slow = 1 })
	case oneWay:
		if other := s.otherThan(n); other != nil {
			s.net.link(n.id, other.id).cut = true
			s.after(last, func() { s.net.heal(n, other) })
		}
	case isolate:
		s.isolate(n, true)
		s.after(last, func() { s.isolate(n, false) })
	case crash:
		s.end(n, errKilled, last)
	case power:
		if r.IntN(6) == 0 { // of the whole house
			for _, n := range s.servers[1:] {
				s.end(n, disk.ErrPower, 0)
			}
			return
		}
		s.end(n, disk.ErrPower, last)
	case slowDisk:
		n.slow = 1 + r.Int64N(200)
		s.after(last, func() { n.slow = 1 })
	case badDisk:
		n.badly = n.up
	case pause:
		s.stopFor(n, last)
	case wallJump:
		n.wall += pick(r, int64(-3_600_000), -5000, 5000, 3_600_000)
	case transfer:
		if other := s.otherThan(n); other != nil && n.up && !n.paused {
			_ = n.rep.Transfer(other.node)
			n.kick()
		}
	case reshaped:
		s.reshape()
	case restless:
		s.annoy(s.clients[r.IntN(len(s.clients))], last)
	}
}

// annoy breaks the connection of a client, or makes it silent for so long that it may expire.
func (s *sim) annoy(c *client, last int64) {
	switch s.trouble.IntN(3) {
	case 0:
		c.leave()
	case 1:
		if c.conn != nil { // it goes on elsewhere while the server still believes in the old connection
			s.note("abandon", uint64(c.i), 0, 0, "")
			c.parted()
		}
	default:
		c.quiet = true
		s.after(last+c.timeout*milli, func() {
			if s.storm { // or else the end of it has done so, or it is to be silent for good
				c.quiet = false
				c.work()
			}
		})
	}
}

func (s *sim) otherThan(n *server) *server {
	if len(s.servers) == 2 {
		return nil
	}
	for {
		if m := s.servers[1+s.trouble.IntN(len(s.servers)-1)]; m != n {
			return m
		}
	}
}

func (s *sim) isolate(n *server, cut bool) {
	for _, m := range s.servers[1:] {
		if m == n {
			continue
		}
		if cut {
			s.net.link(n.id, m.id).cut, s.net.link(m.id, n.id).cut = true, true
			continue
		}
		s.net.heal(n, m)
		s.net.heal(m, n)
	}
}

// end lets a process end, now or a few calls to the disk from now, and start again.
func (s *sim) end(n *server, how error, down int64) {
	if !n.up {
		return
	}
	if s.trouble.IntN(2) == 0 {
		n.bomb, n.blow = 1+s.trouble.IntN(12), how
		return
	}
	n.stop(how == disk.ErrPower)
	s.after(down, func() { s.start(n) })
}

// reboot starts a process again that has ended by itself.
func (s *sim) reboot(n *server) { s.after(around(s.trouble, 100*milli), func() { s.start(n) }) }

func (s *sim) start(n *server) {
	if n.up || n.retired {
		return
	}
	n.boot()
	if n.up && s.storm && s.opt.has(crash) && chance(s.trouble, 0.1) { // crash again while starting
		n.bomb, n.blow = 1+s.trouble.IntN(20), errKilled
	}
}

// stopFor stops a process as a debugger does.
func (s *sim) stopFor(n *server, d int64) {
	if !n.up || n.paused {
		return
	}
	n.paused = true
	life := n.life
	s.after(d, func() {
		if n.life == life && n.up && n.paused {
			if d > 3*s.opt.sessionTick*milli {
				n.since = s.now // time that nobody watched does not count (T3)
			}
			n.resume()
		}
	})
}

func (n *server) resume() {
	n.paused = false
	held := n.held
	n.held = nil
	for i, do := range held {
		if n.paused { // stopped again
			n.held = append(held[i:len(held):len(held)], n.held...)
			return
		}
		if n.up {
			do()
		}
	}
}

// calm ends all trouble but what is to stay: servers outside of a majority may be gone for good.
func (s *sim) calm() {
	s.storm, s.calmed = false, s.now
	s.net.rate, s.net.slow = 0, 1
	for _, i := range s.trouble.Perm(len(s.servers) - 1) {
		n := s.servers[1+i]
		for _, m := range s.servers[1:] {
			if m != n {
				s.net.heal(n, m)
			}
		}
		n.slow, n.bomb, n.badly = 1, 0, false
		if n.retired {
			continue
		}
		if s.opt.has(crash|power) && s.trouble.IntN(2) == 0 && s.spare(n) {
			n.retired = true
			if n.up {
				n.stop(false)
			}
			continue
		}
		if n.up && n.paused {
			n.resume()
		}
		s.start(n)
	}
	for _, c := range s.clients {
		c.quiet = false
		c.work()
	}
}

// spare says whether a majority is left without n: it is no voter, or few others are gone, and nothing
// is under way that needs it.
func (s *sim) spare(n *server) bool {
	if !s.truth.mayVote(n) {
		return false
	}
	c := s.truth.conf()
	left := 0
	for _, node := range c.GetVoters() {
		if m := s.servers[node&0xff]; m.node == node && !m.retired && m != n {
			left++
		}
	}
	return len(c.GetVotersOutgoing()) == 0 && !s.opt.has(reshaped) && left > len(c.GetVoters())/2
}

// alive returns the servers that are to be well in the end: members, and not gone for good.
func (s *sim) alive() (list []*server) {
	for _, n := range s.servers[1:] {
		if !n.retired && s.truth.belongs(n) {
			list = append(list, n)
		}
	}
	return list
}

// leader returns who leads, if all that are alive agree.
func (s *sim) leader() *server {
	var lead *server
	for _, n := range s.alive() {
		if !n.up || n.soft.Leader == 0 {
			return nil
		}
		if n.soft.Role == replica.Leader {
			lead = n
		}
	}
	for _, n := range s.alive() {
		if lead == nil || n.soft.Leader != lead.node {
			return nil
		}
	}
	return lead
}
