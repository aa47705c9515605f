package client

import (
	"fmt"
	"time"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
)

// phase is how far a connection has come.
type phase uint8

const (
	down     phase = iota // there is none
	greeting              // the handshake is on its way
	live                  // requests may follow
)

// link is what ends with a connection.
type link struct {
	phase   phase
	server  string // host:port
	control []byte // frames to be written before any call
	fault   error  // why the connection is to be given up; nil while it is not

	opened, heard, spoke time.Time
	secrets              []secret // to be told once there is a session
	proving              int      // how many of them have not been answered

	rearming deque[[]*spot] // to be armed again: one for each setWatches under way

	ping time.Time // when the ping under way was due; zero if there is none
}

// dialled is told that a connection to server stands. It begins with the handshake, and nothing else
// is sent before that is answered: a server that refuses closes the connection, and requests in its
// receive buffer would turn its answer into a reset.
func (k *core) dialled(now time.Time, server string, secrets []secret) {
	k.link = link{phase: greeting, server: server, secrets: secrets, opened: now, heard: now, spoke: now}
	m := wire.ConnectRequest{
		LastZxidSeen: k.session.zxid,
		TimeoutMs:    int32(k.settings.timeout / time.Millisecond),
		SessionID:    int64(k.session.id),
		Password:     k.session.password,
		HasReadOnly:  true,
	}
	if m.Password == nil {
		m.Password = make([]byte, wire.PasswordLen)
	}
	b, mark := wire.BeginFrame(nil)
	k.link.control = wire.EndFrame(m.Append(b), mark)
}

// greeted reads the answer to the handshake.
func (k *core) greeted(now time.Time, frame []byte) error {
	var m wire.ConnectResponse
	r := codec.NewReader(frame)
	m.Decode(&r)
	if err := r.Err(); err != nil {
		return fmt.Errorf("%w: handshake: %w", ErrProtocol, err)
	}
	// A server that has another session for us than the one we named has said that ours is gone.
	if k.session.id != 0 && (m.TimeoutMs <= 0 || SessionID(m.SessionID) != k.session.id) {
		k.expire()
		return ErrSessionExpired
	}
	if m.TimeoutMs <= 0 || m.SessionID == 0 {
		return fmt.Errorf("%w: handshake: no session was granted", ErrProtocol)
	}
	if k.session.id == 0 || k.session.incarnation == 0 { // the latter with a ticket
		k.session.incarnation++
	}
	k.session.id = SessionID(m.SessionID)
	k.session.password = append([]byte(nil), m.Password...)
	k.session.timeout = time.Duration(m.TimeoutMs) * time.Millisecond
	k.session.lease = k.link.opened
	k.link.phase = live
	k.prove()
	k.rearm()
	if k.link.proving == 0 {
		k.tell(Connected, nil)
	}
	return nil
}

// expire ends the session, and what was to end with it. What is queued goes on in the next one.
func (k *core) expire() {
	k.tell(Expired, ErrSessionExpired)
	k.dropWatches(ErrSessionExpired, false)
	k.session = session{incarnation: k.session.incarnation, zxid: k.session.zxid}
}

// closed is told that the connection is gone, or that there was none to be had. What was sent and may
// be sent again goes back to the front of the queue, in order; what may not is over, and nobody knows
// how it went.
func (k *core) closed(err error) {
	if k.link.fault != nil {
		err = k.link.fault
	}
	k.link = link{}
	k.queue.keep(func(q *call) bool { return !q.transient })
	var lost []*call
	for k.sent.len() > 0 {
		q := k.sent.pop()
		switch {
		case q.transient:
		case q.abandoned && q.guid == "":
			k.fail(q, err)
		default:
			lost = append(lost, q)
		}
	}
	k.queue.keep(func(q *call) bool {
		if q.doubt != nil { // what has been asked about it was lost; what is known of it was not
			q.doubt.looking, q.doubt.found = false, nil
		}
		return true
	})
	again := k.lostWrites(lost, err)
	for i := len(again) - 1; i >= 0; i-- {
		again[i].place = queued
		k.queue.unshift(again[i])
	}
	if k.state == Connected && !k.over() {
		k.tell(Suspended, err)
	}
	if k.closing != nil && k.closing.place == queued && k.session.id == 0 {
		k.queue.keep(func(q *call) bool { return q != k.closing })
		k.end(k.closing) // there is no session to be closed, or none that we know of
	}
}

// tick is told that time has passed.
func (k *core) tick(now time.Time) {
	switch k.link.phase {
	case down:
		k.giveUpClosing(now)
	case greeting:
		if late(now, k.link.opened, k.settings.connectTimeout) {
			k.giveUp(fmt.Errorf("no answer to the handshake within %v", k.settings.connectTimeout))
		}
	case live:
		if late(now, k.link.heard, k.silenceMax()) {
			k.giveUp(fmt.Errorf("nothing heard for %v", k.silenceMax()))
			return
		}
		if k.link.ping.IsZero() && late(now, k.link.spoke, k.pingAfter()) {
			k.link.ping, k.link.spoke = now, now
			k.link.control = wire.AppendRequest(k.link.control, wire.XidPing, wire.OpPing, nil)
		}
	}
}

// giveUpClosing ends the wait for a server that would close the session, once the session's timeout
// has passed: whatever server is left will close it by itself.
func (k *core) giveUpClosing(now time.Time) {
	if k.closing != nil && k.closing.place != over && late(now, k.session.lease, k.session.timeout) {
		k.queue.keep(func(q *call) bool { return q != k.closing })
		k.fail(k.closing, ErrConnectionLost)
	}
}

// due is when tick has something to do; zero if never.
func (k *core) due() time.Time {
	switch k.link.phase {
	case greeting:
		return k.link.opened.Add(k.settings.connectTimeout)
	case live:
		at := k.link.heard.Add(k.silenceMax())
		if say := k.link.spoke.Add(k.pingAfter()); k.link.ping.IsZero() && say.Before(at) {
			at = say
		}
		return at
	}
	if k.closing != nil && k.closing.place != over {
		return k.session.lease.Add(k.session.timeout)
	}
	return time.Time{}
}

// silenceMax is how long a server may say nothing: it was asked for a sign of life at half of that.
func (k *core) silenceMax() time.Duration { return k.session.timeout * 2 / 3 }

// pingAfter is how long we say nothing.
func (k *core) pingAfter() time.Duration { return k.session.timeout / 3 }

func late(now, since time.Time, after time.Duration) bool { return !now.Before(since.Add(after)) }

// giveUp gives the connection up.
func (k *core) giveUp(err error) {
	if k.link.fault == nil {
		k.link.fault = err
	}
}
