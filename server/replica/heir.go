package replica

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Forget says that the process of a peer has ended: if it is the leader that this member follows,
// nobody is any more. Only then it returns true. A leader that lives is taken up again with its next
// message. If this member leads, that one is not active until it is heard again.
func (c *Core) Forget(peer uint64) bool {
	delete(c.peers.heard, peer)
	if peer == 0 || c.soft.Role != Follower || c.soft.Leader != peer {
		return false
	}
	return c.node.ForgetLeader() == nil
}

// Campaign asks the voters for leadership, if this member is one. Those that hear from a leader do not
// listen.
func (c *Core) Campaign() (err error) {
	defer c.guard(&err)
	if c.votes() && !c.Leads() {
		_ = c.node.Campaign() // not while it has an image to install, say
	}
	return nil
}

func (c *Core) votes() bool {
	return slices.Contains(c.conf.Voters, c.id) || slices.Contains(c.conf.VotersOutgoing, c.id)
}

// Rank returns how many voters come before this member when one is gone, and how many there are in
// all without that one. It is 0 of 0 for a member that does not vote.
func (c *Core) Rank(gone uint64) (before, all int) {
	if !c.votes() {
		return 0, 0
	}
	for _, id := range c.conf.Voters {
		if id == gone {
			continue
		}
		if all++; id < c.id {
			before++
		}
	}
	return before, all
}

// When a leader's process ends, all its followers know at about the same time. The first of them
// campaigns at once, each further one a step later, when the election before it should be over; what is
// random on top parts those that count differently. Who campaigned too early for the others, which had
// not noticed yet, tries again when all have had their turn, a few times; then the election time-out is
// near anyway.
const (
	heirStep  = 40 * time.Millisecond
	heirDrawn = 30 * time.Millisecond
	heirTries = 5
)

// heir is a member that waits for its turn to succeed a leader that is gone.
type heir struct {
	timer *time.Timer   // nil if nobody is to be succeeded
	term  uint64        // the newest known; a higher one means that an election is under way
	round time.Duration // until all have had their turn
	tries int           // left
}

// due returns the channel that says that it is time to campaign, or one that never does.
func (h *heir) due() <-chan time.Time {
	if h.timer == nil {
		return nil
	}
	return h.timer.C
}

func (h *heir) wait(d time.Duration) {
	h.stop()
	h.timer = time.NewTimer(d + rand.N(heirDrawn))
}

func (h *heir) stop() {
	if h.timer != nil {
		h.timer.Stop()
	}
	h.timer = nil
}

// gone forgets a leader whose process has ended, and waits for this member's turn to succeed it.
func (l *loop) gone(peer uint64) error {
	if !l.core.Forget(peer) {
		return nil
	}
	before, all := l.core.Rank(peer)
	if all == 0 {
		return nil
	}
	h := &l.heir
	h.term, h.tries, h.round = l.core.Soft().Term, heirTries, time.Duration(all)*heirStep
	h.wait(time.Duration(before) * heirStep)
	return nil
}

// campaign is called when this member's turn has come. One whose vote was asked for meanwhile lets that
// election come to its end first.
func (l *loop) campaign() error {
	h, now := &l.heir, l.core.Soft()
	h.stop()
	if now.Leader != 0 || h.tries == 0 {
		return nil
	}
	under := now.Term > h.term
	h.term, h.tries = now.Term, h.tries-1
	h.wait(h.round)
	if under {
		return nil
	}
	return l.core.Campaign()
}
