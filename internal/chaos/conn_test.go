//go:build linux

package chaos

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
)

// conn is one connection that speaks the protocol by hand, with requests pipelined by whoever uses it.
type conn struct {
	nc   net.Conn
	r    *bufio.Reader
	xid  int32 // of the last request sent
	next int32 // of the next reply due

	wait time.Duration // for an answer

	onEvent   func(zxid int64, e wire.WatcherEvent) // nil: none is due
	replaying bool                                  // for whoever listens
}

func dial(addr string) (*conn, error) { return dialFor(addr, patience) }

// dialFor connects, and waits no longer for the connection, or for any answer on it.
func dialFor(addr string, wait time.Duration) (*conn, error) {
	nc, err := net.DialTimeout("tcp", addr, wait)
	if err != nil {
		return nil, err
	}
	return &conn{nc: nc, r: bufio.NewReader(nc), next: 1, wait: wait}, nil
}

func (c *conn) close() { c.nc.Close() }

// credentials are what a client needs to return to its session.
type credentials struct {
	id       int64
	password []byte
}

// errGone says that a session cannot be resumed.
var errGone = errors.New("session is gone")

// hello opens a session, or returns to the one given. seen is the highest zxid the client knows of.
func (c *conn) hello(who credentials, timeout time.Duration, seen int64) (credentials, error) {
	m := wire.ConnectRequest{
		LastZxidSeen: seen, TimeoutMs: int32(timeout.Milliseconds()), HasReadOnly: true,
		SessionID: who.id, Password: who.password,
	}
	if who.id == 0 {
		m.Password = make([]byte, wire.PasswordLen)
	}
	b, mark := wire.BeginFrame(nil)
	if err := c.write(wire.EndFrame(m.Append(b), mark)); err != nil {
		return credentials{}, err
	}
	frame, err := c.frame()
	if err != nil {
		return credentials{}, err
	}
	var a wire.ConnectResponse
	r := codec.NewReader(frame)
	a.Decode(&r)
	if r.Err() != nil {
		return credentials{}, fmt.Errorf("connect response: %w", r.Err())
	}
	if a.SessionID == 0 {
		return credentials{}, errGone
	}
	return credentials{a.SessionID, append([]byte(nil), a.Password...)}, nil
}

func (c *conn) write(b []byte) error {
	if err := c.nc.SetDeadline(time.Now().Add(c.wait)); err != nil {
		return err
	}
	_, err := c.nc.Write(b)
	return err
}

func (c *conn) frame() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return nil, err
	}
	n, err := wire.CheckLength(binary.BigEndian.Uint32(head[:]), 64<<20)
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(c.r, b)
	return b, err
}

// request adds a request to b.
func (c *conn) request(b []byte, op wire.Op, m wire.Record) []byte {
	c.xid++
	return wire.AppendRequest(b, c.xid, op, m)
}

// protocolError is an answer that no request asked for: the server's fault, whatever happens to it.
type protocolError struct{ error }

// reply reads the next answer, which must be to the oldest request not yet answered. Into is its record.
func (c *conn) reply(into wire.Record) (wire.ReplyHeader, error) {
	h, r, err := c.message()
	for err == nil && h.Xid == wire.XidNotification && c.onEvent != nil {
		if err = c.tell(h, r); err == nil {
			h, r, err = c.message()
		}
	}
	if err != nil {
		return h, err
	}
	if r.Err() != nil || h.Xid != c.next {
		return h, protocolError{fmt.Errorf("reply to request %d, the oldest is %d (%v)", h.Xid, c.next, r.Err())}
	}
	c.next++
	if h.Err == wire.CodeOK && into != nil {
		if into.Decode(&r); r.Err() != nil {
			return h, protocolError{fmt.Errorf("reply to request %d: %w", h.Xid, r.Err())}
		}
	}
	return h, nil
}

// message reads the next frame and its header.
func (c *conn) message() (h wire.ReplyHeader, r codec.Reader, err error) {
	b, err := c.frame()
	if err != nil {
		return h, r, err
	}
	r = codec.NewReader(b)
	h.Decode(&r)
	return h, r, nil
}

// tell passes an event on.
func (c *conn) tell(h wire.ReplyHeader, r codec.Reader) error {
	var e wire.WatcherEvent
	if e.Decode(&r); r.Err() != nil {
		return protocolError{fmt.Errorf("event: %w", r.Err())}
	}
	c.onEvent(h.Zxid, e)
	return nil
}

// event waits for one event; no answer is due.
func (c *conn) event() error {
	if err := c.nc.SetDeadline(time.Now().Add(c.wait)); err != nil {
		return err
	}
	h, r, err := c.message()
	if err != nil {
		return err
	}
	if h.Xid != wire.XidNotification {
		return protocolError{fmt.Errorf("reply to request %d, and none is open", h.Xid)}
	}
	return c.tell(h, r)
}

// call makes one request and waits for its answer; a refusal is an error.
func (c *conn) call(op wire.Op, m, into wire.Record) (wire.ReplyHeader, error) {
	if err := c.write(c.request(nil, op, m)); err != nil {
		return wire.ReplyHeader{}, err
	}
	h, err := c.reply(into)
	if err != nil {
		return h, err
	}
	return h, h.Err.Err()
}

// words asks a four-letter word.
func words(addr, word string) (string, error) {
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(nc, word); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(nc)
	return string(answer), err
}
