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
	"github.com/grovekeeper/grove/znode"
)

// wordTimeout bounds the writing of the answer to a four-letter word.
const wordTimeout = 10 * time.Second

// Why a handshake was refused without an answer.
var (
	errAhead       = errors.New("client has seen a later zxid than this server")
	errNoSession   = errors.New("session is gone")
	errUnconfirmed = errors.New("nobody confirms that the session is gone")
	errClosed      = errors.New("server does not serve this client now")
)

// greet reads what the client says first: a four-letter word, which it answers, or the frame of a
// connect request, which it leaves in the buffer. It reports whether there is a client to serve.
func (c *conn) greet() bool {
	// Both ways: behind the first Read there may be a TLS handshake, which writes as well.
	c.deadline(c.nc.SetDeadline, time.Now().Add(c.front.cfg.HandshakeTimeout))
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
				c.deadline(c.nc.SetDeadline, time.Time{})
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

// deadline sets a deadline of the socket, unless the connection is on its way out: then it has another,
// which must not be put off.
func (c *conn) deadline(set func(time.Time) error, t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ending && !c.leaving {
		set(t)
	}
}

// connect opens a session or attaches the one the client names, and returns once the answer is in
// the output. What the client sends meanwhile stays unread: it needs the session.
func (c *conn) connect() error {
	hello, err := c.hello()
	if err != nil {
		return err
	}
	switch c.front.Mode() {
	case Closed:
		err = errClosed
	case ReadOnly:
		err = c.openLocal(&hello)
	default:
		err = c.openShared(&hello)
	}
	if errors.Is(err, errClosed) || errors.Is(err, errAhead) || errors.Is(err, errUnconfirmed) {
		c.front.stats.dropped.Add(1)
	}
	return err
}

// hello takes the connect request out of the buffer, which it aliases.
func (c *conn) hello() (m wire.ConnectRequest, err error) {
	frame, err := c.in.next()
	if err != nil {
		return m, err
	}
	r := codec.NewReader(frame)
	if m.Decode(&r); r.Err() != nil {
		return m, r.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock()
	c.tally.received++
	c.tally.bytesIn += int64(4 + len(frame))
	c.in.limit = c.front.cfg.FrameBytesMax
	c.readOnly = m.HasReadOnly
	c.timeout = session.Clamp(m.TimeoutMs, c.front.cfg.SessionTimeoutMinMs, c.front.cfg.SessionTimeoutMaxMs)
	return m, nil
}

// openShared opens or attaches a session that all servers know.
func (c *conn) openShared(hello *wire.ConnectRequest) error {
	if !c.reaches(znode.Zxid(hello.LastZxidSeen)) {
		return errAhead
	}
	id, password := session.ID(hello.SessionID), passwordOf(hello.Password)
	// Refused here, a wrong password costs no entry in the log, and the connection that holds the
	// session does not notice. The machine checks again.
	known := id == 0
	if !known {
		var err error
		if known, err = c.knows(id, password); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !known {
		c.appendInvalidSession()
		return errors.Join(errNoSession, c.flush())
	}
	c.clock()
	c.commandHeader()
	c.command.TimeoutMs = c.timeout
	if id == 0 {
		c.command.Kind = state.OpenSession
		c.front.cfg.Random(c.command.Random[:])
	} else {
		c.command.Kind = state.AttachSession
		c.command.Session, c.command.Password = id, password
	}
	c.propose(slot{op: wire.OpCreateSession, arrived: c.now})
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
	c.guarded = true
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
