package clienttest

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
)

// Direction is the way a frame goes.
type Direction uint8

// The directions.
const (
	ToServer Direction = iota
	FromServer
)

func (d Direction) String() string { return [...]string{"to server", "from server"}[d] }

// Frame is one message on a connection, in either direction.
type Frame struct {
	Index      int // counts the frames of all connections, in both directions
	Connection int // counts connections
	Direction  Direction
	Bytes      []byte // without the length in front
}

// Fault is what is to go wrong with a frame. The zero value lets it pass.
type Fault struct {
	Cut       Where         // ends the connection before the frame, or after it
	Truncate  bool          // ends the connection in the middle of the frame
	Duplicate bool          // lets the frame pass twice
	Delay     time.Duration // holds up the frame, and what follows in its direction
}

// Faults breaks the connections of a client to any server, at the boundaries of frames. What the client
// has written before a cut counts as written, as it does when a network loses what a kernel has accepted.
// For plain connections only: the frames of a TLS connection cannot be told apart.
type Faults struct {
	dial func(ctx context.Context, network, addr string) (net.Conn, error)

	mu     sync.Mutex // guards the fields below
	decide func(Frame) Fault
	frames int
	conns  int
}

// NewFaults breaks the connections that dial makes, as decide says, which is called for one frame at a
// time, in their order.
func NewFaults(
	dial func(ctx context.Context, network, addr string) (net.Conn, error), decide func(Frame) Fault,
) *Faults {
	return &Faults{dial: dial, decide: decide}
}

// Dial opens a connection that breaks as it is told: see client.WithDialer.
func (f *Faults) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := f.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns++
	return &faultConn{Conn: conn, faults: f, number: f.conns - 1, closed: make(chan struct{})}, nil
}

// Frames is how many frames there have been.
func (f *Faults) Frames() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.frames
}

func (f *Faults) ask(conn int, d Direction, frame []byte) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frames++
	return f.decide(Frame{Index: f.frames - 1, Connection: conn, Direction: d, Bytes: frame})
}

// faultConn is one connection of Faults. One goroutine reads, one writes.
type faultConn struct {
	net.Conn
	faults *Faults
	number int

	once   sync.Once
	closed chan struct{} // ends delays

	begun []byte // written: a frame that is not complete
	dead  bool   // what is written is lost

	ready []byte // to be read: whole frames, or the part of one that is let through
	over  bool   // after ready comes the end
}

// Close implements net.Conn.
func (c *faultConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// Write implements net.Conn.
func (c *faultConn) Write(b []byte) (int, error) {
	c.begun = append(c.begun, b...)
	for !c.dead {
		frame, rest, err := wire.NextFrame(c.begun, 1<<30)
		if err != nil {
			return 0, err
		}
		if frame == nil {
			return len(b), nil
		}
		whole := c.begun[:len(c.begun)-len(rest)]
		out, end := c.apply(ToServer, whole, frame)
		if _, err := c.Conn.Write(out); err != nil {
			return max(len(b)-len(c.begun), 0), err // the frames before this one are out
		}
		c.begun = append([]byte(nil), rest...)
		if end {
			c.dead = true
			c.Close()
		}
	}
	c.begun = nil
	return len(b), nil
}

// Read implements net.Conn.
func (c *faultConn) Read(b []byte) (int, error) {
	if len(c.ready) == 0 && !c.over {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if len(c.ready) == 0 {
		c.Close()
		return 0, io.EOF
	}
	n := copy(b, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}

// next takes the next frame from the server.
func (c *faultConn) next() error {
	var head [4]byte
	if _, err := io.ReadFull(c.Conn, head[:]); err != nil {
		return err
	}
	n, err := wire.CheckLength(binary.BigEndian.Uint32(head[:]), 1<<30)
	if err != nil {
		return err
	}
	whole := append(head[:], make([]byte, n)...)
	if _, err := io.ReadFull(c.Conn, whole[4:]); err != nil {
		return err
	}
	c.ready, c.over = c.apply(FromServer, whole, whole[4:])
	return nil
}

// apply returns what is left of a frame, and whether the connection ends behind it.
func (c *faultConn) apply(d Direction, whole, frame []byte) (out []byte, end bool) {
	fault := c.faults.ask(c.number, d, frame)
	if fault.Delay > 0 {
		timer := time.NewTimer(fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.closed:
			return nil, true
		}
	}
	out = whole
	switch {
	case fault.Cut == Before:
		return nil, true
	case fault.Truncate:
		return whole[:len(whole)/2], true
	case fault.Duplicate:
		out = append(append([]byte(nil), whole...), whole...)
	}
	return out, fault.Cut == After
}
