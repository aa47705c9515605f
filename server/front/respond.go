package front

import (
	"time"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/state"
)

// respond is the responder: it answers what the applier has put in the inbox.
func (c *conn) respond() {
	for {
		select {
		case <-c.inbox.Ready():
		case <-c.gone:
			return
		}
		if !c.answerInbox() {
			return
		}
	}
}

// answerInbox takes what is in the inbox, turns it into output and lets the requests behind follow.
// It reports whether the connection goes on.
func (c *conn) answerInbox() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.telling && !c.ending {
		c.turn.Wait()
	}
	// What the client does not take stays in the inbox, which has a bound.
	if c.ease() != nil {
		c.end()
		return false
	}
	c.clock()
	var more bool
	c.done, more = c.inbox.TakeDone(c.done)
	ending := c.ending
	for i := 0; i < len(c.done) && c.ending == ending; i++ { // what ends it is the last to be answered
		c.settle(&c.done[i])
	}
	if !more && c.moved() {
		c.ending = true // what was agreed before the move is told; reads now are for the new connection
	}
	clear(c.done) // they hold views, and an idle connection must not
	c.done = c.done[:0]
	c.advance()
	if c.lane.empty() {
		c.catchUp() // else what the log has decided of this session may be older news, and comes first
	}
	if !more {
		c.ending = true
	}
	err := c.send()
	if c.ending || err != nil {
		c.end()
		return false
	}
	c.turn.Broadcast()
	return true
}

// moved says whether the session is attached elsewhere by now.
func (c *conn) moved() bool {
	s, ok := c.feed.View().Sessions.Get(c.session)
	return ok && s.Epoch != c.epoch
}

// end closes a connection that has nothing more to say, from the responder's side. The reader may be
// blocked in a read: it is woken by a deadline, lingers and closes.
func (c *conn) end() {
	c.ending = true
	c.turn.Broadcast()
	if !c.lingering {
		c.nc.SetReadDeadline(time.Now())
	}
}

// settle records the outcome of a request that went through the log.
func (c *conn) settle(d *feed.Completion) {
	s := c.lane.at(d.Ticket)
	if s == c.lane.first() {
		c.answerDone(s, d)
		c.lane.leave()
		return
	}
	kept := *d
	s.phase, s.done = complete, &kept
}

// advance answers requests from the head of the lane until one must wait for the log.
func (c *conn) advance() {
	c.behind = true
	defer func() {
		if c.behind = false; c.lane.empty() {
			c.seen = nil // an idle connection holds no view
		}
	}()
	for s := c.lane.first(); s != nil && !c.ending; s = c.lane.first() {
		switch s.phase {
		case awaiting:
			return
		case complete:
			c.answerDone(s, s.done)
		case refused:
			c.refuse(s)
		case deferred:
			if s.op == wire.OpReconfig {
				if c.beginReconfig(s) {
					return
				}
				continue // refused
			}
			req := *s
			c.answerNow(&req, req.body)
		case withheld:
			c.lane.free(func(w feed.Submission) { c.submit = append(c.submit, w) })
			return
		}
		c.lane.leave()
		if c.ease() != nil {
			return
		}
	}
}

// answerDone answers a request that went through the log, after the events up to it.
func (c *conn) answerDone(s *slot, d *feed.Completion) {
	// A sync may have been confirmed before a write in front of it was decided.
	if c.seen != nil && c.seen.Zxid > d.View.Zxid {
		d.View, d.Result.Zxid = c.seen, c.seen.Zxid
	}
	c.overtake(d.Result.Zxid)
	switch s.op {
	case opBarrier: // nobody is told
	case wire.OpReconfig:
		c.answerConfig(s, d)
	default:
		c.answerResult(s, &d.Result)
	}
	c.seen = d.View
}

// current returns the view by which the request at hand is answered. In the lane that is the one which
// the write before it was published with: the newest may show a write that stands behind it.
func (c *conn) current() *state.View {
	if !c.behind {
		return c.feed.View()
	}
	if c.seen == nil { // no write was before it, and none behind it is in the log: see slot.strict
		c.seen = c.feed.View()
	}
	return c.seen
}

// newest notes that v has been shown: what stands behind must not see less.
func (c *conn) newest(v *state.View) {
	if c.behind {
		c.seen = v
	}
}
