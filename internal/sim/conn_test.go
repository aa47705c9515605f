package sim

import (
	"errors"
	"slices"

	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/watch"
	"github.com/grovekeeper/grove/znode"
)

// conn is a client's connection to a server. It keeps the rules of the front: requests are answered
// in the order they came, a read is answered when all before it are, what stands behind a read or a
// sync is not given to the log before that, and events up to a zxid leave before a reply at it.
type conn struct {
	s      *sim
	n      *server
	c      *client
	number uint64
	in     *feed.Inbox
	gone   bool // the server is done with it

	id       session.ID // asked for, then attached
	password session.Password
	timeout  int64
	since    znode.Zxid // the last zxid that the client had seen
	epoch    uint32     // 0 while not attached
	greeted  uint64     // ticket of the command that opens or attaches
	knocks   int        // looks at the state before it was caught up

	lane    []*op
	tickets uint64
	done    []feed.Completion
	waking  bool
	shown   znode.Zxid // of the last reply
	written znode.Zxid // of the last write answered

	armed  []armed       // what is armed by the book
	told   znode.Zxid    // events up to here were told
	owing  []watch.Event // what was owed when the state jumped, and is not told yet
	jumped bool

	upClear, downClear int64 // neither direction of a connection reorders
}

// way draws how long something takes between a client and its server.
func (k *conn) way() int64 { return 10*micro + around(k.c.r, k.s.opt.delay/2) }

func (k *conn) toServer(do func()) {
	at := max(k.s.now+k.way(), k.upClear+1)
	k.upClear = at
	life := k.n.life
	k.s.after(at-k.s.now, func() {
		if !k.n.up || k.n.life != life {
			k.lost()
			return
		}
		k.n.event(func() {
			if !k.gone {
				do()
			}
		})
	})
}

func (k *conn) toClient(do func()) {
	at := max(k.s.now+k.way(), k.downClear+1)
	k.downClear = at
	k.s.after(at-k.s.now, do)
}

// lost is the end of the connection because its server has gone.
func (k *conn) lost() {
	k.gone = true
	k.toClient(func() { k.c.closed(k) })
}

// hangUp is the end of the connection because the client has gone; the server notices now.
func (k *conn) hangUp() { k.n.event(func() { k.close() }) }

// close ends the server's side.
func (k *conn) close() {
	if k.gone {
		return
	}
	k.gone = true
	if k.in != nil {
		k.n.feed.Leave(k.in)
	}
	k.n.conns = slices.DeleteFunc(k.n.conns, func(o *conn) bool { return o == k })
	k.toClient(func() { k.c.closed(k) })
}

// greet is the connect request.
func (k *conn) greet() {
	n := k.n
	if !n.ready || n.s.now-n.alone > lonelyAfter {
		k.close()
		return
	}
	if k.since > n.feed.View().Zxid { // wait for a moment, then refuse
		if k.knocks++; k.knocks > 10 {
			k.close()
			return
		}
		n.later(30*milli, func() {
			if !k.gone {
				k.greet()
			}
		})
		return
	}
	if k.in == nil {
		k.in = n.feed.Join(nil, func() {})
		k.told = n.feed.View().Zxid
		n.conns = append(n.conns, k)
	}
	cmd := state.Command{Origin: n.feed.Origin(), Time: n.wallMs(), TimeoutMs: int32(k.timeout), Kind: state.OpenSession}
	if k.id != 0 {
		one, ok := n.feed.View().Sessions.Get(k.id)
		if !ok && k.knocks < 100 { // this server may be behind
			k.knocks = 100
			k.tickets++
			k.greeted = k.tickets
			n.feed.Sync(k.in, k.greeted)
			n.kick()
			return
		}
		if !ok {
			k.refuse()
			return
		}
		if one.Password != k.password {
			k.s.broken("E5", "session %v has another password", k.id)
		}
		cmd.Kind, cmd.Session, cmd.Password = state.AttachSession, k.id, k.password
	} else {
		for i := range cmd.Random {
			cmd.Random[i] = byte(k.c.r.Uint32())
		}
	}
	k.tickets++
	k.greeted = k.tickets
	k.submit([]feed.Submission{{Ticket: k.greeted, Command: state.AppendCommand(nil, &cmd)}})
}

func (k *conn) refuse() {
	k.toClient(func() { k.c.expired(k) })
	k.gone = true
	k.n.feed.Leave(k.in)
	k.n.conns = slices.DeleteFunc(k.n.conns, func(o *conn) bool { return o == k })
}

func (k *conn) submit(list []feed.Submission) {
	if _, bytes := k.n.feed.Pending(); bytes > 900<<10 {
		k.close() // a real one would wait
		return
	}
	if err := k.n.feed.Submit(k.in, list); err != nil {
		k.s.broken("submit", "server %d: %v", k.n.id, err)
	}
	k.n.kick()
}

// request takes one of the client's.
func (k *conn) request(o *op) {
	k.n.heard = append(k.n.heard, sign{k.id, k.s.now})
	k.tickets++
	o.ticket = k.tickets
	k.lane = append(k.lane, o)
	if o.kind == opSync {
		o.given = true
		k.n.feed.Sync(k.in, o.ticket)
		k.n.kick()
	}
	k.advance()
}

// wake lets the responder know, if there is something for it.
func (k *conn) wake() {
	select {
	case <-k.in.Ready():
	default:
		return
	}
	if k.waking {
		return
	}
	k.waking = true
	k.n.later(around(k.n.r, k.s.opt.responderDelay), func() {
		k.waking = false
		if !k.gone {
			k.respond()
		}
	})
}

// respond is the responder: it sends what can be sent.
func (k *conn) respond() {
	var more bool
	k.done, more = k.in.TakeDone(k.done)
	for i := range k.done {
		k.complete(&k.done[i])
	}
	k.advance()
	if !k.gone && len(k.lane) == 0 && more {
		k.deliver(k.n.feed.View().Zxid)
	}
	if !more && !k.gone {
		k.close()
	}
}

// complete takes an answer of the log. Those of writes come in their order; a sync may be confirmed
// before what stands in front of it is decided.
func (k *conn) complete(d *feed.Completion) {
	if k.gone {
		return
	}
	if d.Ticket == k.greeted {
		k.greeting(d)
		return
	}
	for _, o := range k.lane {
		if o.ticket != d.Ticket && o.kind.write() && o.given && o.result == nil && !k.sync(d.Ticket) {
			k.s.broken("L2", "client %d at server %d: ticket %d is completed before %d", k.c.i, k.n.id, d.Ticket, o.ticket)
		}
		if o.ticket == d.Ticket {
			if !o.given || o.result != nil {
				k.s.broken("L2", "client %d at server %d: ticket %d is completed twice, or unasked", k.c.i, k.n.id, d.Ticket)
			}
			o.result = new(*d)
			return
		}
	}
	k.s.broken("L2", "client %d at server %d: ticket %d is completed, which is no request", k.c.i, k.n.id, d.Ticket)
}

// sync says whether a ticket is that of a sync.
func (k *conn) sync(ticket uint64) bool {
	return slices.ContainsFunc(k.lane, func(o *op) bool { return o.ticket == ticket && o.kind == opSync })
}

// finish answers the head of the lane by what the log has said.
func (k *conn) finish(o *op) {
	res := &o.result.Result
	if o.kind == opSync {
		o.zxid = max(res.Zxid, k.shown)
		if uint64(res.Zxid) < o.atLeast {
			k.s.broken("L5", "client %d at server %d: sync is answered at %d, %d was told of before it was sent",
				k.c.i, k.n.id, res.Zxid, o.atLeast)
		}
		k.s.mark(markSyncs)
		k.reply(o)
		return
	}
	k.judge(o, res)
	if errors.Is(res.Err, session.ErrMoved) || errors.Is(res.Err, session.ErrExpired) {
		k.close()
		return
	}
	o.zxid, o.err = res.Zxid, res.Err
	k.s.mark(markWrites)
	k.reply(o)
	k.s.truth.done = max(k.s.truth.done, uint64(o.zxid))
	if o.kind == opClose && o.err == nil {
		k.close()
	}
}

// greeting takes the outcome of opening or attaching.
func (k *conn) greeting(d *feed.Completion) {
	switch r := &d.Result; {
	case k.knocks == 100: // the barrier: look again
		k.knocks++
		k.greet()
	case r.Err != nil:
		k.refuse()
	default:
		k.id, k.epoch = r.Session.ID, r.Session.Epoch
		one := r.Session
		k.shown = max(k.shown, k.since)
		k.toClient(func() { k.c.welcomed(k, one) })
	}
}

// judge holds the outcome of a write against the log: D2, L1, L2.
func (k *conn) judge(o *op, res *state.Result) {
	t := &k.s.truth
	r := t.at(uint64(res.Zxid))
	switch {
	case r == nil || r.op != o.number:
		k.s.broken("D2", "client %d at server %d: operation %d is said to be %d, which is another",
			k.c.i, k.n.id, o.number, res.Zxid)
	case uint64(res.Zxid) <= o.atLeast:
		k.s.broken("L1", "client %d at server %d: operation %d is %d, but %d was told of before it was sent",
			k.c.i, k.n.id, o.number, res.Zxid, o.atLeast)
	case res.Zxid <= k.written:
		k.s.broken("L2", "client %d at server %d: operation %d is %d, the one before it %d",
			k.c.i, k.n.id, o.number, res.Zxid, k.written)
	case !sameResult(res, &r.outcome.Result):
		k.s.broken("L1", "client %d at server %d: operation %d came to %+v, it should be %+v",
			k.c.i, k.n.id, o.number, res, &r.outcome.Result)
	}
	k.written = res.Zxid
}

func sameResult(a, b *state.Result) bool {
	same := a.Zxid == b.Zxid && a.Path == b.Path && a.Stat == b.Stat && a.Failed == b.Failed &&
		len(a.Multi) == len(b.Multi) && (a.Err == nil) == (b.Err == nil)
	for i := range a.Multi {
		same = same && sameResult(&a.Multi[i], &b.Multi[i])
	}
	return same
}

// advance answers what is at the head of the lane, and gives the log what it may have.
func (k *conn) advance() {
	for !k.gone && len(k.lane) > 0 {
		o := k.lane[0]
		if o.result != nil {
			k.finish(o)
			continue
		}
		if o.given || o.kind.write() {
			break
		}
		k.read(o)
	}
	if k.gone {
		return
	}
	var list []feed.Submission
	for _, o := range k.lane {
		if !o.kind.write() {
			break
		}
		if !o.given {
			o.given = true
			list = append(list, feed.Submission{Ticket: o.ticket, Command: o.encode(k.n, k.id, k.epoch)})
		}
	}
	if len(list) > 0 {
		k.submit(list)
	}
}

// reply answers the head of the lane: events first.
func (k *conn) reply(o *op) {
	k.deliver(o.zxid)
	if o.zxid < k.shown {
		k.s.broken("L4", "client %d at server %d is taken back from %d to %d", k.c.i, k.n.id, k.shown, o.zxid)
	}
	k.shown = o.zxid
	k.lane = k.lane[1:]
	k.s.note("reply", uint64(k.c.i), uint64(o.kind), uint64(o.zxid), "")
	k.toClient(func() { k.c.answered(k, o) })
}

// sign is a sign of life of a session.
type sign struct {
	id session.ID
	at int64
}
