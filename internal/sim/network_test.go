package sim

import (
	"math/rand/v2"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/grovekeeper/grove/server/peer"
)

// network carries what servers say to each other. Raft's messages may be lost, doubled or overtake
// each other; commands go through pipes, which keep their order and break as connections do.
type network struct {
	s     *sim
	r     *rand.Rand
	links [][]link // by numbers of sender and receiver
	rate  float64  // of loss, while it lasts
	slow  int64    // factor on delays, while it lasts
}

// link is one direction between two servers.
type link struct {
	cut   bool
	clear int64 // when the newest message arrives; later ones do not overtake it unless they may
	pipe  pipe
}

// pipe is the connection that carries commands one way.
type pipe struct {
	number uint64 // of the connection; a new one gets a new number
	ghost  uint64 // number of a connection whose sender has died: what it had sent still arrives
	clear  int64
	bytes  int      // on the way
	parked []parcel // behind a cut
	told   bool     // the sender is about to hear that something may be lost
}

// parcel is one load of commands on its way.
type parcel struct {
	number   uint64
	to, term uint64
	commands [][]byte
	size     int
}

const pipeBytes = 64 << 10

func (s *sim) openNetwork() {
	n := &s.net
	n.s, n.r, n.slow = s, stream(s.seed, "network"), 1
	n.links = make([][]link, maxServers+1)
	for i := range n.links {
		n.links[i] = make([]link, maxServers+1)
	}
}

func (n *network) link(from, to uint8) *link { return &n.links[from][to] }

// way draws how long something takes from one server to another.
func (n *network) way() int64 { return n.slow * (20*micro + around(n.r, n.s.opt.delay)) }

// send takes a message of Raft.
func (n *network) send(from *server, m *pb.Message) {
	to := n.s.peer(m.GetTo())
	if to == nil || to.node != m.GetTo() {
		n.lost(from, m)
		return
	}
	carried, err := peer.Carry(m)
	if err != nil {
		n.s.broken("codec", "server %d: %v", from.id, err)
	}
	n.s.note("send", uint64(from.id)<<8|uint64(to.id), uint64(m.GetType()), m.GetIndex(), "")
	copies := 1
	if n.s.storm && n.s.opt.has(double) && chance(n.r, 0.05) {
		copies = 2
	}
	for ; copies > 0; copies-- {
		n.dispatch(from, to, carried)
	}
}

func (n *network) dispatch(from, to *server, m *pb.Message) {
	l := n.link(from.id, to.id)
	if l.cut || chance(n.r, n.rate) {
		n.lost(from, m)
		return
	}
	if m.GetType() == pb.MsgSnap {
		n.sendImage(from, to, m)
		return
	}
	at := n.s.now + n.way()
	if n.s.storm && n.s.opt.has(reorder) && chance(n.r, 0.1) {
		at += around(n.r, 20*n.s.opt.delay)
	} else {
		at = max(at, l.clear+1)
		l.clear = at
	}
	n.s.after(at-n.s.now, func() {
		if l.cut {
			n.lost(from, m)
			return
		}
		to.event(func() { to.receive(m) })
	})
}

// lost lets the sender know, mostly, that a message is.
func (n *network) lost(from *server, m *pb.Message) {
	if m.GetType() == pb.MsgSnap {
		from.imageSent(m.GetTo(), false)
		return
	}
	if peer := m.GetTo(); chance(n.r, 0.3) {
		from.later(around(n.r, 5*milli), func() {
			_ = from.rep.Unreachable(peer)
			from.kick()
		})
	}
}

// sendImage takes an image to who needs it: it takes its time, and may break off. The sender is told
// whether it has arrived.
func (n *network) sendImage(from, to *server, m *pb.Message) {
	body, err := from.imageBody(m)
	if err != nil {
		n.s.note("image gone", uint64(from.id), m.GetSnapshot().GetMetadata().GetIndex(), 0, "")
		from.imageSent(m.GetTo(), false)
		return
	}
	if n.s.storm && n.s.opt.has(torn) && chance(n.r, 0.4) {
		n.s.mark(markTornImages)
		body = body[:n.r.IntN(len(body))]
	}
	l := n.link(from.id, to.id)
	n.s.after(n.way()+int64(len(body))*n.slow/20, func() {
		if l.cut || !to.up || to.node != m.GetTo() {
			from.imageSent(m.GetTo(), false)
			return
		}
		to.event(func() { from.imageSent(m.GetTo(), to.takeImage(m, body)) })
	})
}

// forward takes commands for who leads.
func (n *network) forward(from *server, leader, term uint64, commands [][]byte) error {
	to := n.s.peer(leader)
	if to == nil {
		return errNoPipe
	}
	p := &n.link(from.id, to.id).pipe
	size := 0
	for _, c := range commands {
		size += len(c)
	}
	if p.bytes > 0 && p.bytes+size > pipeBytes {
		return errNoPipe
	}
	if p.number == 0 {
		p.number = n.s.number()
	}
	p.bytes += size
	term, commands, err := peer.CarryCommands(term, commands)
	if err != nil {
		n.s.broken("codec", "server %d: %v", from.id, err)
	}
	n.s.note("forward", uint64(from.id)<<8|uint64(to.id), term, uint64(len(commands)), "")
	at := max(n.s.now+n.way(), p.clear+1)
	p.clear = at
	one := parcel{p.number, leader, term, commands, size}
	n.s.after(at-n.s.now, func() { n.arrive(from, to, one) })
	return nil
}

// arrive brings a parcel to the other end, unless the connection has broken, or there is a cut: then
// it waits there.
func (n *network) arrive(from, to *server, one parcel) {
	l := n.link(from.id, to.id)
	p := &l.pipe
	switch {
	case one.number != p.number && one.number != p.ghost:
		return
	case l.cut || len(p.parked) > 0: // nothing overtakes in a connection
		p.parked = append(p.parked, one)
	default:
		n.hand(from, to, one)
	}
}

// hand takes a parcel out of the connection.
func (n *network) hand(from, to *server, one parcel) {
	p := &n.link(from.id, to.id).pipe
	switch {
	case !to.up || to.node != one.to:
		n.snap(from, to)
	default:
		to.event(func() {
			if one.number != p.number && one.number != p.ghost {
				return
			}
			if one.number == p.number {
				p.bytes -= one.size
			}
			if !to.commands(one.term, one.commands) && one.number == p.number {
				n.snap(from, to)
			}
		})
	}
}

// snap breaks the connection that carries commands: what is on the way is lost.
func (n *network) snap(from, to *server) {
	p := &n.link(from.id, to.id).pipe
	p.number, p.ghost, p.bytes, p.parked = n.s.number(), 0, 0, nil
	n.tell(from, p)
}

// tell lets the sender know that something may be lost, once for all that is lost meanwhile.
func (n *network) tell(from *server, p *pipe) {
	if p.told {
		return
	}
	p.told = true
	n.s.after(between(n.r, milli, 50*milli), func() {
		p.told = false
		from.event(func() {
			n.s.mark(markResends)
			from.feed.Resend()
			from.kick()
		})
	})
}

// died lets the pipes of a server end: those from it deliver what they hold, those to it do not.
func (n *network) died(who *server, power bool) {
	for _, other := range n.s.servers[1:] {
		if other == who {
			continue
		}
		out := &n.link(who.id, other.id).pipe
		out.ghost, out.number, out.bytes, out.parked = out.number, n.s.number(), 0, nil
		n.snap(other, who)
		if node := who.node; !power && !n.link(who.id, other.id).cut { // a kernel closes what its process leaves
			n.s.after(n.way(), func() {
				other.event(func() {
					_ = other.rep.Gone(node)
					other.kick()
				})
			})
		}
	}
}

// heal opens a link. What waited at the cut arrives late, or its connection is given up.
func (n *network) heal(from, to *server) {
	l := n.link(from.id, to.id)
	if !l.cut {
		return
	}
	l.cut = false
	if len(l.pipe.parked) > 0 && chance(n.r, 0.5) {
		n.snap(from, to)
		return
	}
	n.drain(from, to)
}

// drain takes what has waited out of the connection, one after the other.
func (n *network) drain(from, to *server) {
	l := n.link(from.id, to.id)
	if len(l.pipe.parked) == 0 {
		return
	}
	number := l.pipe.parked[0].number
	n.s.after(n.way(), func() {
		parked := l.pipe.parked
		if l.cut || len(parked) == 0 || parked[0].number != number {
			return
		}
		l.pipe.parked = parked[1:]
		n.hand(from, to, parked[0])
		n.drain(from, to)
	})
}

// hear takes signs of life to who leads.
func (n *network) hear(from *server, leader uint64, signs []sign) {
	to := n.s.peer(leader)
	if to == nil || n.link(from.id, to.id).cut || chance(n.r, n.rate) {
		return
	}
	n.s.after(n.way(), func() {
		if to.node == leader && !n.link(from.id, to.id).cut {
			to.event(func() { to.heard = append(to.heard, signs...) })
		}
	})
}
