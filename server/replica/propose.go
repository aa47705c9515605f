package replica

import (
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/grovekeeper/grove/internal/bug"
)

// The most that one step gives to Raft: enough that a step's cost does not show, little enough that
// a tick or a message does not wait for long.
const (
	stepEntries = 4096
	stepBytes   = 4 << 20
)

// proposals are the payloads on their way into the log, in order: held, then in flight. Held are
// those that Raft cannot have yet, because enough are in flight, because leadership is about to be
// handed over, or because the log has fallen behind and they may as well gather. All of them are of
// the term in which this member leads: they do not outlast it.
type proposals struct {
	queue   [][]byte // held are those from head on
	head    int
	flight  int  // bytes given to Raft and not yet applied; bound: Limits.InflightBytes
	writing int  // appends with entries issued and not yet durable; bound: Limits.Appends
	refused bool // Raft would not take any; asked again when time, leader or applied moved

	message pb.Message  // the one MsgProp; Raft keeps neither it nor what hangs on it
	slab    []pb.Entry  // the entries of message: Raft clones what it takes
	refs    []*pb.Entry // pointers into slab
}

// Propose takes payloads to be agreed on in a term that this member leads, in order, after those
// taken before. Those of any other term it drops: whoever sent them sends them again to who leads
// now, and a second copy that surfaced from here would come after others that were sent later. They
// are given to Raft as soon as its window is open, and dropped if this member ceases to lead before.
// Bounding what is held is the caller's: see Wants. The slice stays the caller's, what it refers to
// does not.
func (c *Core) Propose(term uint64, payloads [][]byte) {
	if c.Leads() && term == c.soft.Term || bug.On(bug.HeldOutlivesTerm) {
		c.props.queue = append(c.props.queue, payloads...)
	}
}

// Leads says whether this member leads, as of the last Output. Raft may have stepped down since, and
// refuses then; it cannot lead another term already, since its own vote has to be written first.
func (c *Core) Leads() bool { return c.soft.Role == Leader }

// Wants says whether payloads given to Propose now would go to Raft at once. A caller that proposes
// only then lets them gather where they are bounded.
func (c *Core) Wants() bool {
	return c.open() && !c.props.holds() && c.props.flight < c.limits.InflightBytes
}

// open says whether Raft may be given payloads.
func (c *Core) open() bool {
	return c.Leads() && !c.props.refused && c.props.writing < c.limits.Appends
}

// feed gives Raft what it can have, as one message. Raft's own limit counts payload bytes only and
// logs every refusal, so ours comes first and is never looser.
func (c *Core) feed() {
	p := &c.props
	if !p.holds() || !c.open() {
		return
	}
	n, size := p.fit(c.limits.InflightBytes)
	if n == 0 {
		return
	}
	err := c.node.Step(p.compose(c.id, n))
	clear(p.slab[:n]) // they point to payloads
	if err != nil {   // leadership is on its way to somebody else, say
		p.refused = true
		return
	}
	p.flight += size
	p.drop(n)
}

func (p *proposals) holds() bool { return p.head < len(p.queue) }

// reset forgets what is held and what is in flight: the term is over.
func (p *proposals) reset() {
	if !bug.On(bug.HeldOutlivesTerm) {
		p.drop(len(p.queue) - p.head)
	}
	p.flight, p.refused = 0, false // as Raft's own count
}

// drop forgets the first n held. The queue's memory is used again, unless a burst has made it
// large.
func (p *proposals) drop(n int) {
	clear(p.queue[p.head : p.head+n])
	if p.head += n; p.head < len(p.queue) {
		return
	}
	p.queue, p.head = p.queue[:0], 0
	if cap(p.queue) > bufferKept {
		p.queue = nil
	}
}

// fit returns how many of the held payloads the window and one step have room for, and their size.
// One that is larger than the window goes when nothing else is in flight.
func (p *proposals) fit(window int) (n, size int) {
	held := p.queue[p.head:]
	for n < len(held) && n < stepEntries {
		grown := size + len(held[n]) + entryOverhead
		if n > 0 && grown > stepBytes || p.flight+size > 0 && p.flight+grown > window {
			break
		}
		n, size = n+1, grown
	}
	return n, size
}

// compose returns a proposal of the first n payloads held, in memory that the next one reuses.
func (p *proposals) compose(id uint64, n int) *pb.Message {
	if len(p.slab) < n {
		p.slab = make([]pb.Entry, min(stepEntries, 2*n))
		p.refs = make([]*pb.Entry, len(p.slab))
	}
	for i, payload := range p.queue[p.head : p.head+n] {
		p.slab[i].Data = payload
		p.refs[i] = &p.slab[i]
	}
	p.message.Type, p.message.From = pb.MsgProp.Enum(), &id
	p.message.Entries = p.refs[:n]
	return &p.message
}

// done takes applied entries out of the window. Those of others, or of a former term, may be among
// them, as in Raft's own count; it never falls below what is really in flight by more than they
// weigh.
func (p *proposals) done(entries []*pb.Entry) {
	for _, e := range entries {
		if p.flight == 0 {
			return
		}
		p.flight = max(0, p.flight-weigh(e))
	}
}
