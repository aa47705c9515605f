package peer

import (
	"sync"
	"sync/atomic"
	"time"
)

// Stats are figures for metrics. What grows does so since New.
type Stats struct {
	Peers    []PeerStats // in no order
	Inlets   int         // accepted connections that are open
	Accepted uint64      // connections that were accepted
	Refused  uint64      // handshakes that failed, on either side
	Corrupt  uint64      // frames that did not check out; each closed its connection
	Lost     uint64      // calls of Handler.Lost
	Dropped  uint64      // messages to nobody, or that could not travel
}

// PeerStats are the figures of one node.
type PeerStats struct {
	Node             uint64
	Urgent           LinkStats
	Bulk             LinkStats
	Commands         LinkStats
	ReceivedMessages uint64
	ReceivedCommands uint64
	ReceivedBytes    uint64
}

// LinkStats are the figures of one way to a node.
type LinkStats struct {
	Connected  bool
	Dials      uint64 // connections that were opened
	Sent       uint64 // messages or commands that were written
	Bytes      uint64 // that were written
	Dropped    uint64 // that were not
	QueueBytes int
}

// Stats returns the figures of now.
func (p *Peers) Stats() Stats {
	s := Stats{
		Inlets: int(p.totals.inlets.Load()), Accepted: p.totals.accepted.Load(),
		Refused: p.totals.refusals.Load(), Corrupt: p.totals.corrupt.Load(),
		Lost: p.totals.losses.Load(), Dropped: p.totals.dropped.Load(),
	}
	for _, r := range *p.remotes.Load() {
		s.Peers = append(s.Peers, PeerStats{
			Node: r.node, Urgent: r.urgent.stats(), Bulk: r.bulk.stats(), Commands: r.commands.stats(),
			ReceivedMessages: r.seen.messages.Load(), ReceivedCommands: r.seen.commands.Load(),
			ReceivedBytes: r.seen.bytes.Load(),
		})
	}
	return s
}

func (l *link) stats() LinkStats {
	return LinkStats{
		Connected: l.connected.Load(), Dials: l.up.Load(), Sent: l.sent.Load(),
		Bytes: l.bytes.Load(), Dropped: l.dropped.Load(), QueueBytes: l.box.Weight(),
	}
}

// totals are the figures of all nodes together.
type totals struct {
	inlets                                       atomic.Int64
	accepted, refusals, corrupt, losses, dropped atomic.Uint64
}

const (
	// quiet is how long the same refusal is not logged again.
	quiet = time.Minute
	// reasonsMax is how many different refusals are remembered; when there are more, all of them
	// are forgotten, and may be logged once more.
	reasonsMax = 1024
)

// refusals remembers what was logged, so that a server that tries again and again fills no disk.
type refusals struct {
	mu   sync.Mutex // guards the field below
	last map[[2]string]time.Time
}

// first says whether this is to be logged.
func (r *refusals) first(now time.Time, who, reason string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := [2]string{who, reason}
	if last, ok := r.last[key]; ok && now.Sub(last) < quiet {
		return false
	}
	if r.last == nil || len(r.last) >= reasonsMax {
		r.last = map[[2]string]time.Time{}
	}
	r.last[key] = now
	return true
}
