package sim

import (
	"fmt"
	"math/rand/v2"

	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/watch"
	"github.com/grovekeeper/grove/znode"
)

// client is one user with one session at a time. It knows nothing but what it is told.
type client struct {
	s *sim
	r *rand.Rand
	i int

	id       session.ID // 0: none yet
	password session.Password
	timeout  int64 // granted, ms
	seen     znode.Zxid
	watches  []armed // those it believes to have

	conn    *conn
	open    bool // the session is attached to conn
	waiting []*op
	ending  bool // it has asked for the end of its session
	busy    bool // the next request is on its way to be made
	heardAt int64
	opened  int64 // when it was last attached
	tries   int
	quiet   bool // sends nothing, not even a sign of life
	answers int  // in all
}

func (s *sim) addClient(i int) {
	c := &client{s: s, i: i, r: stream(s.seed, fmt.Sprint("client", i))}
	s.clients = append(s.clients, c)
	s.after(between(c.r, 0, 200*milli), c.connect)
}

// connect goes to some server.
func (c *client) connect() {
	if c.conn != nil || c.s.silent {
		return
	}
	n := c.s.servers[1+c.r.IntN(len(c.s.servers)-1)]
	c.tries++
	k := &conn{s: c.s, n: n, c: c, number: c.s.number(), timeout: c.timeout}
	if c.id == 0 {
		k.timeout = between(c.r, c.s.opt.timeoutLow, c.s.opt.timeoutHigh)
	}
	k.id, k.password, k.since = c.id, c.password, c.seen
	c.conn, c.open, c.heardAt = k, false, c.s.now
	c.s.note("connect", uint64(c.i), uint64(n.id), uint64(c.id), "")
	k.toServer(k.greet)
	c.watchdog(k)
}

// watchdog gives the connection up when nothing has come for too long.
func (c *client) watchdog(k *conn) {
	patience := max(k.timeout*milli*2/3, 200*milli)
	c.s.after(patience/2, func() {
		if c.conn != k {
			return
		}
		if c.s.now-c.heardAt > patience {
			c.leave()
			return
		}
		if c.open && !c.quiet && !c.ending {
			c.ask(&op{number: c.s.number(), kind: opPing})
		}
		c.watchdog(k)
	})
}

// leave gives the connection up and goes elsewhere.
func (c *client) leave() {
	k := c.conn
	if k == nil {
		return
	}
	k.s.after(around(c.r, 20*milli), k.hangUp) // the server notices sooner or later
	c.parted()
}

// parted is what the end of a connection means to a client: what was under way has an unknown outcome.
func (c *client) parted() {
	c.s.marks[markUnknown] += len(c.waiting)
	c.conn, c.open, c.waiting, c.ending = nil, false, nil, false
	c.s.after(around(c.r, 20*milli), c.connect)
}

// ask sends a request.
func (c *client) ask(o *op) {
	t := &c.s.truth
	o.asked, o.atLeast = c.s.now, t.done
	if o.kind.write() {
		t.asked[o.number] = o
	}
	c.waiting = append(c.waiting, o)
	k := c.conn
	k.toServer(func() { k.request(o) })
}

// work asks for one thing after the other, at most so many at once.
func (c *client) work() {
	if c.busy || !c.open || c.quiet || c.ending {
		return
	}
	c.busy = true
	c.s.after(around(c.r, c.s.opt.think), func() {
		c.busy = false
		if c.open && len(c.waiting) < c.s.opt.window && !c.quiet && !c.ending {
			if chance(c.r, 0.002) {
				c.ending = true
				c.ask(c.closing())
			} else {
				c.ask(c.drawOp())
			}
		}
		c.work()
	})
}

// welcomed is told by a server that it has a session.
func (c *client) welcomed(k *conn, one session.Session) {
	if c.conn != k {
		return
	}
	c.id, c.password, c.timeout = one.ID, one.Password, int64(one.TimeoutMs)
	c.open, c.heardAt, c.tries = true, c.s.now, 0
	k.timeout, c.opened = c.timeout, c.s.now
	if len(c.watches) > 0 {
		c.ask(&op{number: c.s.number(), kind: opRearm, rearm: c.watches, since: c.seen})
	}
	c.work()
}

// expired is told that its session is gone: that must be so (E3), and it begins anew.
func (c *client) expired(k *conn) {
	if c.conn != k {
		return
	}
	if b := c.s.truth.sessions[c.id]; b != nil && b.closed == 0 {
		c.s.broken("E3", "client %d is told by server %d that session %v is gone, which lives", c.i, k.n.id, c.id)
	}
	c.s.note("expired", uint64(c.i), uint64(c.id), 0, "")
	c.fresh()
	c.parted()
}

// fresh forgets the session.
func (c *client) fresh() {
	c.id, c.password, c.timeout, c.seen, c.watches = 0, session.Password{}, 0, 0, nil
}

// answered takes the reply to the oldest request: L2 and L4.
func (c *client) answered(k *conn, o *op) {
	if c.conn != k {
		return
	}
	if len(c.waiting) == 0 || c.waiting[0] != o {
		c.s.broken("L2", "client %d is answered out of order: %s", c.i, opNames[o.kind])
	}
	if o.zxid < c.seen {
		c.s.broken("L4", "client %d is taken back from %d to %d by server %d", c.i, c.seen, o.zxid, k.n.id)
	}
	c.waiting, c.seen, c.heardAt = c.waiting[1:], o.zxid, c.s.now
	c.answers++
	o.done = true
	if o.kind == opClose {
		c.s.note("closed", uint64(c.i), uint64(c.id), uint64(o.zxid), "")
		c.fresh()
		return
	}
	c.learn(k, o)
	c.work()
}

// learn notes the watch that a reply leaves.
func (c *client) learn(k *conn, o *op) {
	if kind := o.leaves(); kind != 0 {
		c.watches = keepArmed(c.watches, armed{o.path, kind, o.zxid})
	}
}

// told takes an event.
func (c *client) told(k *conn, ev watch.Event) {
	if c.conn != k {
		return
	}
	c.heardAt = c.s.now
	c.watches = spend(c.watches, ev)
}

// leaves says which watch the successful answer to o leaves.
func (o *op) leaves() watch.Kind {
	switch {
	case o.err != nil:
		return 0
	case o.kind == opWatch:
		return watch.Data
	case o.kind == opWatchChildren:
		return watch.Child
	case o.kind == opPersistent:
		return watch.Persistent
	case o.kind == opRecursive:
		return watch.Recursive
	}
	return 0
}

// closed is told that the connection is gone.
func (c *client) closed(k *conn) {
	if c.conn == k {
		c.parted()
	}
}
