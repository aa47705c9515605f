package client

import (
	"time"

	"github.com/grovekeeper/grove/internal/wire"
)

// core is the client as a value. What happens is told to it by request, cancel, dialled, frame, tick
// and closed; what is to be done is asked of it by take (bytes to write), ended (calls to deliver),
// due (when to tick) and broken (the connection is to be given up). It knows no clock, no socket and
// no goroutine, and never waits. The client's lock guards it.
type core struct {
	settings coreSettings

	session session
	link    link

	queue deque[*call] // to be sent, the oldest first
	sent  deque[*call] // to be answered, the oldest first
	xid   int32
	batch uint64 // counts what take gave

	spots map[watchKey]*spot // who is interested in what

	ended   []*call       // not yet delivered
	changes []StateChange // not yet told
	state   State         // the latest of them
	closing *call         // the end of the session, once asked for
	final   error         // why nothing is taken on any more; nil while it is
}

// coreSettings are decided before there is a core.
type coreSettings struct {
	timeout        time.Duration // of the session, as asked for
	connectTimeout time.Duration
	drift          float64
}

// session is what survives a connection.
type session struct {
	id          SessionID // 0 before the first and between two
	password    []byte
	timeout     time.Duration // as granted
	incarnation uint64
	zxid        int64     // the highest seen in an answer: no server behind it will do
	lease       time.Time // when the newest answered request was handed over
}

// batchBytes is how much one write gathers before the rest has to wait for the next.
const batchBytes = 256 << 10

// request takes q on, or says why not.
func (k *core) request(q *call) error {
	switch {
	case k.final != nil:
		return k.final
	case k.closing != nil:
		return ErrClosed
	}
	q.place = queued
	switch {
	case q.watch != nil:
		q.spot = k.spotFor(q.watch.key)
	case q.sub != nil:
		q.spot = k.spotFor(q.sub.key)
	}
	k.queue.push(q)
	return nil
}

// cancel is told that nobody waits for q any more. If q is queued it is taken out, and removed is
// true: it will not be among the ended. If it is on the wire, its answer will be dropped. If it has
// ended, nothing happens, and done is true.
func (k *core) cancel(q *call) (removed, done bool) {
	switch q.place {
	case queued:
		if q.guid != "" && q.doubt != nil {
			q.abandoned = true // it is looked for nevertheless, or it might be left behind
			return false, false
		}
		k.queue.keep(func(other *call) bool { return other != q })
		k.arrived(q) // before it is over: it has armed nothing
		q.place = over
		return true, false
	case sent:
		q.abandoned = true
		return false, false
	}
	return false, true
}

// close asks for the end of the session. What is queued was never sent, what is on the wire may be
// answered before. The call it returns ends when the session is over.
func (k *core) close() *call {
	if k.closing != nil {
		return k.closing
	}
	q := &call{request: request{op: wire.OpCloseSession}}
	k.closing = q
	for k.queue.len() > 0 {
		k.fail(k.queue.pop(), ErrClosed)
	}
	if k.final != nil || k.session.id == 0 && k.link.phase != greeting {
		k.end(q) // nothing to close
		return q
	}
	q.place = queued
	k.queue.push(q)
	return q
}

// over reports whether no connection is of any use any more.
func (k *core) over() bool {
	return k.final != nil || k.closing != nil && k.closing.place == over
}

// stop ends everything at once: whatever is not answered will not be.
func (k *core) stop(err error) {
	if k.final == nil {
		k.final = err
		k.tell(Closed, err)
	}
	for k.sent.len() > 0 {
		k.fail(k.sent.pop(), err)
	}
	for k.queue.len() > 0 {
		k.fail(k.queue.pop(), err)
	}
	k.link = link{}
	k.dropWatches(err, true)
}

// take returns what is to be written now, in the storage of b. It counts as sent, unless unsent is told
// otherwise.
func (k *core) take(now time.Time, b []byte) []byte {
	if k.link.phase == down || k.link.fault != nil {
		return b[:0]
	}
	k.batch++
	b = append(b[:0], k.link.control...)
	k.link.control = k.link.control[:0]
	for k.link.phase == live && len(b) < batchBytes && k.ready() {
		if q := k.queue.at(0); q.doubt != nil {
			b = k.look(now, b, q) // it stays, and with it what is behind
			break
		}
		b = k.send(now, b, k.queue.pop())
	}
	if len(b) > 0 {
		k.link.spoke = now
	}
	return b
}

// unsent is told that only the first n bytes of what take gave last went out. A server runs no request
// that it has not got whole: those calls were never sent, and go back to the front of the queue.
func (k *core) unsent(n int, err error) {
	k.giveUp(err)
	for k.sent.len() > 0 {
		q := k.sent.last()
		if q.batch != k.batch || q.until <= n {
			k.sent.push(q)
			return
		}
		q.attempts--
		if q.abandoned || q.transient {
			k.fail(q, err)
			continue
		}
		q.place = queued
		k.queue.unshift(q)
	}
}

func (k *core) send(now time.Time, b []byte, q *call) []byte {
	q.xid = k.nextXid()
	q.at, q.server, q.session = now, k.link.server, k.session.id
	q.attempts++
	q.place = sent
	k.sent.push(q)
	b = q.append(b)
	q.batch, q.until = k.batch, len(b)
	return b
}

// nextXid goes from 1 to the largest number and starts again: those below have a meaning.
func (k *core) nextXid() int32 {
	k.xid++
	if k.xid <= 0 {
		k.xid = 1
	}
	return k.xid
}

// fail ends a call that will not be answered.
func (k *core) fail(q *call, err error) {
	q.fail(err)
	k.end(q)
}

func (k *core) end(q *call) {
	q.place = over
	k.arrived(q)
	if q.abandoned && q.guid != "" && q.err == nil && k.final == nil && k.closing == nil {
		k.orphaned(q)
	}
	k.ended = append(k.ended, q)
}

// tell notes a change of state.
func (k *core) tell(s State, err error) {
	k.state = s
	k.changes = append(k.changes, StateChange{State: s, Session: k.info(), Err: err})
}

// info is what there is to know of the session.
func (k *core) info() SessionInfo {
	i := SessionInfo{
		ID:          k.session.id,
		Incarnation: k.session.incarnation,
		Timeout:     k.session.timeout,
		Server:      k.link.server,
	}
	if i.ID != 0 {
		i.Deadline = k.session.lease.Add(time.Duration(float64(i.Timeout) * (1 - k.settings.drift)))
	}
	return i
}

// wanting reports whether take would have something to write.
func (k *core) wanting() bool {
	return len(k.link.control) > 0 || k.link.phase == live && k.ready()
}

// ready reports whether the call in front may be sent, or looked for.
func (k *core) ready() bool {
	return k.link.proving == 0 && k.queue.len() > 0 && (k.queue.at(0).doubt == nil || !k.queue.at(0).doubt.looking)
}

// alone reports whether q, which was queued just now, is all that there is to be done, and small.
func (k *core) alone(q *call) bool {
	return k.link.phase == live && k.link.proving == 0 && k.link.ping.IsZero() &&
		k.queue.len() == 1 && k.sent.len() == 0 && len(k.link.control) == 0 && len(q.request.data) <= aloneMax
}

// aloneMax is how much fits any socket that has nothing else to hold.
const aloneMax = 4 << 10
