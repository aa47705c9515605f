package front

import (
	"encoding/binary"
	"errors"
	"net"
	"time"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
)

// wordTimeout bounds the writing of the answer to a four-letter word.
const wordTimeout = 10 * time.Second

// Why a handshake was refused without an answer.
var (
	errAhead     = errors.New("client has seen a later zxid than this server")
	errNoSession = errors.New("session is gone")
)

// greet reads what the client says first: a four-letter word, which it answers, or the frame of a
// connect request, which it leaves in the buffer. It reports whether there is a client to serve.
func (c *conn) greet() bool {
	c.nc.SetReadDeadline(time.Now().Add(c.front.cfg.HandshakeTimeout))
	c.in.limit = wire.MaxConnectFrame
	for {
		got := c.in.pending()
		if len(got) >= 4 {
			first := binary.BigEndian.Uint32(got)
			if word, ok := wire.FourLetterWord(first); ok {
				c.answerWord(word)
				return false
			}
			size, err := wire.CheckLength(first, c.in.limit)
			if err != nil {
				c.front.stats.tooLong.Add(1)
				c.front.stats.dropped.Add(1)
				return false
			}
			if len(got) >= 4+size {
				c.nc.SetReadDeadline(time.Time{})
				return true
			}
		}
		if err := c.in.fill(c.nc); err != nil {
			var late net.Error
			if errors.As(err, &late) && late.Timeout() {
				c.front.stats.unspoken.Add(1)
				c.front.stats.dropped.Add(1)
			}
			return false
		}
	}
}

func (c *conn) answerWord(word string) {
	c.front.stats.received.Add(1)
	if c.front.cfg.Word == nil || word == wire.Telnet {
		return
	}
	c.nc.SetDeadline(time.Now().Add(wordTimeout))
	if c.front.cfg.Word(word, c.nc) == nil {
		c.front.stats.sent.Add(1)
		c.linger(nil)
	}
}

// connect opens a session or attaches the one the client names, and returns once the answer is in
// the output. What the client sends meanwhile stays unread: it needs the session.
func (c *conn) connect() error {
	frame, err := c.in.next()
	if err != nil {
		return err
	}
	r := codec.NewReader(frame)
	var hello wire.ConnectRequest
	hello.Decode(&r)
	if r.Err() != nil {
		return r.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock()
	c.tally.received++
	c.tally.bytesIn += int64(4 + len(frame))
	c.in.limit = c.front.cfg.FrameBytesMax
	c.readOnly = hello.HasReadOnly
	if hello.LastZxidSeen > int64(c.feed.View().Zxid) {
		c.front.stats.dropped.Add(1)
		return errAhead
	}
	op := wire.OpCreateSession
	c.commandHeader()
	c.command.TimeoutMs = session.Clamp(hello.TimeoutMs, c.front.cfg.SessionTimeoutMinMs, c.front.cfg.SessionTimeoutMaxMs)
	if hello.SessionID == 0 {
		c.command.Kind = state.OpenSession
		c.front.cfg.Random(c.command.Random[:])
	} else {
		// Refused here, a wrong password costs no entry in the log, and the connection that holds
		// the session does not notice. The machine checks again.
		id, password := session.ID(hello.SessionID), passwordOf(hello.Password)
		if s, ok := c.feed.View().Sessions.Get(id); !ok || !s.Password.Equal(password) {
			c.appendInvalidSession()
			return errors.Join(errNoSession, c.flush())
		}
		c.command.Kind = state.AttachSession
		c.command.Session, c.command.Password = id, password
	}
	c.propose(slot{op: op, arrived: c.now})
	if err := c.send(); err != nil {
		return err
	}
	for c.session == 0 && !c.ending {
		c.turn.Wait()
	}
	if c.session == 0 {
		return errNoSession
	}
	return nil
}

// passwordOf makes a password of whatever a client sent: one of another length matches nothing.
func passwordOf(b []byte) (p session.Password) {
	if len(b) == len(p) {
		copy(p[:], b)
	}
	return p
}

// welcome answers the connect request with what the machine made of it.
func (c *conn) welcome(r *state.Result) {
	if r.Err != nil {
		c.appendInvalidSession()
		c.ending = true
		return
	}
	c.session, c.epoch, c.timeout = r.Session.ID, r.Session.Epoch, r.Session.TimeoutMs
	c.appendConnectResponse(wire.ConnectResponse{
		TimeoutMs: c.timeout, SessionID: int64(c.session), Password: r.Session.Password[:], HasReadOnly: c.readOnly,
	})
	c.turn.Broadcast()
}

func (c *conn) appendInvalidSession() { c.appendConnectResponse(wire.InvalidSession(c.readOnly)) }

func (c *conn) appendConnectResponse(m wire.ConnectResponse) {
	b, mark := wire.BeginFrame(c.out)
	c.out = wire.EndFrame(m.Append(b), mark)
	c.tally.sent++
}

// commandHeader resets the scratch command and fills in what every command of the connection carries.
func (c *conn) commandHeader() {
	cmd := &c.command
	multi := cmd.Multi // its storage is reused
	clear(multi)
	if cap(multi) > multiKept {
		multi = nil
	}
	*cmd = state.Command{
		Origin: c.feed.Origin(), Policy: c.front.cfg.Policy, Time: c.nowMs,
		Session: c.session, Epoch: c.epoch, IDs: c.inbox.Identities(), Multi: multi[:0],
	}
}

// multiKept is for how many operations of a multi a connection keeps room.
const multiKept = 256

// propose encodes the scratch command for submission, and puts the request in the lane. The command goes
// to the log with the others of the batch: behind a fence if a read stands before it, which must not
// see it, and later if that read goes by whatever view is the newest.
func (c *conn) propose(s slot) {
	size := 96 + len(c.command.Op.Path) + len(c.command.Op.Data)
	command := state.AppendCommand(make([]byte, 0, size), &c.command)
	if c.lane.strict > 0 {
		s.phase, s.command = withheld, command
		c.lane.enter(s)
		return
	}
	fence := c.lane.fenceOff()
	c.submit = append(c.submit, feed.Submission{Ticket: c.lane.enter(s), Command: command, Fence: fence})
}
