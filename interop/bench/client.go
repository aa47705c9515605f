package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
)

// sessionTimeoutMs is what every session asks for: the longest both servers grant by default. The
// load keeps a session alive by itself; no pings are sent.
const sessionTimeoutMs = 40_000

// client is one connection with a session. Requests are appended and go out together with flush;
// replies are read in the order of the requests. It is for one goroutine.
type client struct {
	nc   net.Conn
	out  []byte // requests not yet sent
	buf  []byte // what was read
	in   []byte // the part of buf not yet taken
	sent int32  // xid of the latest request
	seen int32  // xid of the latest reply
}

// dial opens a session. The connection closes when ctx ends.
func dial(ctx context.Context, addr string, within time.Duration) (*client, error) {
	d := net.Dialer{Timeout: within}
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &client{nc: nc, buf: make([]byte, 64<<10)}
	hello := wire.ConnectRequest{TimeoutMs: sessionTimeoutMs, Password: make([]byte, wire.PasswordLen), HasReadOnly: true}
	b, mark := wire.BeginFrame(nil)
	c.out = wire.EndFrame(hello.Append(b), mark)
	if err := c.open(within); err != nil {
		nc.Close()
		return nil, fmt.Errorf("open session at %s: %w", addr, err)
	}
	context.AfterFunc(ctx, func() { nc.Close() })
	return c, nil
}

func (c *client) open(within time.Duration) error {
	if err := c.nc.SetDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if err := c.flush(); err != nil {
		return err
	}
	frame, err := c.frame()
	if err != nil {
		return err
	}
	r := codec.NewReader(frame)
	var answer wire.ConnectResponse
	answer.Decode(&r)
	if err := r.Err(); err != nil {
		return err
	}
	if answer.SessionID == 0 {
		return fmt.Errorf("the server refused it")
	}
	return c.nc.SetDeadline(time.Time{})
}

// request appends one request.
func (c *client) request(op wire.Op, body wire.Record) {
	c.sent++
	c.out = wire.AppendRequest(c.out, c.sent, op, body)
}

func (c *client) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.nc.Write(c.out)
	c.out = c.out[:0]
	return err
}

// buffered returns the next frame if it is here already, else nil. It is valid until the next read.
func (c *client) buffered() ([]byte, error) {
	frame, rest, err := wire.NextFrame(c.in, wire.MaxFrame)
	c.in = rest
	return frame, err
}

// frame returns the next frame and waits for it if it must.
func (c *client) frame() ([]byte, error) {
	for {
		frame, err := c.buffered()
		if frame != nil || err != nil {
			return frame, err
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads once, behind what is left of the last read.
func (c *client) fill() error {
	held := copy(c.buf, c.in)
	if held == len(c.buf) {
		c.buf = append(c.buf, make([]byte, len(c.buf))...)
	}
	n, err := c.nc.Read(c.buf[held:])
	c.in = c.buf[:held+n]
	if n > 0 {
		return nil
	}
	return err
}

// header reads the header of a frame. An event is told by its xid; a reply must be the next one due.
func (c *client) header(frame []byte) (wire.ReplyHeader, codec.Reader, error) {
	r := codec.NewReader(frame)
	var h wire.ReplyHeader
	h.Decode(&r)
	if err := r.Err(); err != nil {
		return h, r, err
	}
	if h.Xid >= 0 {
		if c.seen++; h.Xid != c.seen {
			return h, r, fmt.Errorf("reply %d arrived in the place of %d", h.Xid, c.seen)
		}
	}
	return h, r, nil
}

// do sends one request, waits for its reply and decodes it into answer, unless that is nil.
func (c *client) do(op wire.Op, body, answer wire.Record) error {
	c.request(op, body)
	if err := c.flush(); err != nil {
		return err
	}
	for {
		frame, err := c.frame()
		if err != nil {
			return err
		}
		h, r, err := c.header(frame)
		if err != nil {
			return err
		}
		if h.Xid < 0 {
			continue
		}
		if err := h.Err.Err(); err != nil {
			return fmt.Errorf("%v: %w", op, err)
		}
		if answer != nil {
			answer.Decode(&r)
		}
		return r.Err()
	}
}

// close ends the session, so that the server need not wait for it to expire.
func (c *client) close() {
	c.request(wire.OpCloseSession, nil)
	c.flush() // the session may be gone; the connection goes now
	c.nc.Close()
}
