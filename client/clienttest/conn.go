package clienttest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
)

// conn is one connection, seen from the server.
type conn struct {
	server  *Server
	pipe    net.Conn
	session *session // the reader's; nil before the handshake

	watches watches // the server's lock guards it

	mu   sync.Mutex // guards the fields below
	out  []byte
	wake chan struct{} // capacity 1
	over bool
}

func newConn(s *Server, pipe net.Conn) *conn {
	return &conn{server: s, pipe: pipe, watches: newWatches(), wake: make(chan struct{}, 1)}
}

// outMax is how much a connection may have unread.
const outMax = 64 << 20

// send queues a frame. It never waits.
func (c *conn) send(frame []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	c.out = append(c.out, frame...)
	if len(c.out) > outMax {
		c.shut()
	}
	c.nudge()
}

// finish closes the connection when what is queued has been sent.
func (c *conn) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	c.nudge()
}

// cut closes the connection at once.
func (c *conn) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shut()
}

func (c *conn) shut() {
	c.over, c.out = true, nil
	c.pipe.Close()
	c.nudge()
}

func (c *conn) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// write sends what is queued, until the connection is over.
func (c *conn) write() error {
	defer c.pipe.Close()
	for range c.wake {
		c.mu.Lock()
		out, over := c.out, c.over
		c.out = nil
		c.mu.Unlock()
		if _, err := c.pipe.Write(out); err != nil {
			return nil // the reader notices as well
		}
		if over {
			return nil
		}
	}
	return nil
}

// read takes requests until the connection is over.
func (c *conn) read() error {
	defer c.leave()
	for {
		frame, err := readFrame(c.pipe)
		if err != nil {
			return nil
		}
		if c.session == nil {
			err = c.greet(frame)
		} else {
			err = c.request(frame)
		}
		if err != nil {
			return nil
		}
	}
}

func readFrame(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n, err := wire.CheckLength(binary.BigEndian.Uint32(head[:]), wire.MaxFrame)
	if err != nil {
		return nil, err
	}
	frame := make([]byte, n)
	_, err = io.ReadFull(r, frame)
	return frame, err
}

// errOver ends the reader of a connection that is over.
var errOver = errors.New("connection is over")

func (c *conn) leave() {
	c.server.mu.Lock()
	delete(c.server.conns, c)
	if c.session != nil && c.session.conn == c {
		c.session.conn = nil
	}
	c.server.mu.Unlock()
	c.finish()
}

// The timeouts that are granted.
const (
	timeoutMin = 100 * time.Millisecond
	timeoutMax = time.Hour
)

// greet answers the handshake.
func (c *conn) greet(frame []byte) error {
	var m wire.ConnectRequest
	r := codec.NewReader(frame)
	m.Decode(&r)
	if r.Err() != nil {
		return r.Err()
	}
	a := c.server.ask("connect", "", m.SessionID)
	if a.Cut == Before {
		c.cut()
		return errOver
	}
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.LastZxidSeen > s.tree.zxid {
		c.cut()
		return errOver
	}
	timeout := min(max(time.Duration(m.TimeoutMs)*time.Millisecond, timeoutMin), timeoutMax)
	ses := s.attach(&m, timeout)
	answer := wire.InvalidSession(m.HasReadOnly)
	if ses != nil {
		if ses.conn != nil {
			ses.conn.cut()
		}
		ses.conn, c.session = c, ses
		answer = wire.ConnectResponse{TimeoutMs: int32(timeout / time.Millisecond), SessionID: ses.id,
			Password: ses.password, HasReadOnly: m.HasReadOnly}
	}
	if a.Cut == After {
		c.cut()
		return errOver
	}
	b, mark := wire.BeginFrame(nil)
	c.send(wire.EndFrame(answer.Append(b), mark))
	if ses == nil {
		return errOver
	}
	return nil
}

// attach finds the session that m names, or opens one; nil if it is gone.
func (s *Server) attach(m *wire.ConnectRequest, timeout time.Duration) *session {
	if m.SessionID != 0 {
		ses := s.sessions[m.SessionID]
		if ses == nil || string(ses.password) != string(m.Password) {
			return nil
		}
		ses.timeout = timeout
		ses.timer.Reset(timeout)
		return ses
	}
	s.lastID++
	s.tree.zxid++
	id := s.lastID
	ses := &session{id: id, timeout: timeout, password: make([]byte, wire.PasswordLen)}
	binary.BigEndian.PutUint64(ses.password, uint64(id)*0x9e3779b97f4a7c15)
	ses.timer = time.AfterFunc(timeout, func() { s.Expire(id) })
	s.sessions[id] = ses
	return ses
}
