package front

import (
	"sync"
	"time"

	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// A client may come from a server that is ahead of this one, with a session that this one has not heard
// of yet, or with a zxid that it has not reached. Such a client waits, for a while: sent away at once, it
// might find every server behind; and told that its session is gone, it would believe it.

// aheadMax is how long a client waits for this server to have seen what the client has seen.
const aheadMax = 2 * time.Second

// reaches says whether the view has reached zxid, or does so soon.
func (c *conn) reaches(zxid znode.Zxid) bool {
	limit := min(aheadMax, c.front.cfg.HandshakeTimeout)
	return c.wait(limit, func() bool { return c.feed.View().Zxid >= zxid })
}

// knows says whether the session is alive and the password its own. What this server does not know it
// may just not know yet: nobody is told so before a quorum has confirmed how far this server must be.
func (c *conn) knows(id session.ID, password session.Password) (bool, error) {
	held := func() bool {
		s, ok := c.feed.View().Sessions.Get(id)
		return ok && s.Password.Equal(password)
	}
	if held() {
		return true, nil
	}
	if !c.confirm() {
		return false, errUnconfirmed
	}
	return held(), nil
}

// wait looks again and again, ever less often, whether cond holds. It gives up when limit has passed, or
// the connection is to end. Waiting costs nobody else anything: what is waited for is common to all
// connections, and a list of those who wait would need a bound of its own.
func (c *conn) wait(limit time.Duration, cond func() bool) bool {
	begun := time.Now()
	for pause := time.Millisecond; !cond(); pause = min(2*pause, waitPauseMax) {
		if c.departing() || time.Since(begun) >= limit {
			return false
		}
		time.Sleep(pause)
	}
	return true
}

const waitPauseMax = 64 * time.Millisecond

// departing says whether the connection is about to end.
func (c *conn) departing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending || c.leaving
}

// rounds lets handshakes share what a quorum confirms: one barrier is under way at a time, and all who
// ask meanwhile wait for the next. However many sessions are made up, they cost the quorum one question
// after the other.
type rounds struct {
	mu    sync.Mutex // guards the fields below; innermost
	busy  bool       // the round begun last is under way
	begun uint64     // rounds
	ended uint64     // the newest round that was confirmed
}

// join returns the first round that confirms what was agreed before the call.
func (r *rounds) join() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.begun + 1
}

// step says whether the round has been confirmed, or if not, whether the caller is to begin one: then it
// must finish it.
func (r *rounds) step(round uint64) (over, begin bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended >= round {
		return true, false
	}
	if r.busy {
		return false, false
	}
	r.busy = true
	r.begun++
	return false, true
}

func (r *rounds) finish(confirmed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy = false
	if confirmed {
		r.ended = r.begun
	}
}

// confirm returns true once this server has applied everything that was acknowledged, by any server,
// before the call, and false if that cannot be said in time. It is for the handshake: the lane is empty.
func (c *conn) confirm() bool {
	r, limit := &c.front.rounds, c.front.cfg.HandshakeTimeout
	round, begin := r.join(), false
	if !c.wait(limit, func() (over bool) {
		over, begin = r.step(round)
		return over || begin
	}) {
		return false
	}
	if !begin {
		return true
	}
	c.mu.Lock()
	c.enterBarrier()
	c.mu.Unlock()
	confirmed := c.wait(limit, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.lane.empty()
	})
	r.finish(confirmed)
	return confirmed
}
