package front

import (
	"context"
	"time"
)

// Drain lets go of all clients so that each can be served elsewhere at once: nobody new is let in, no
// request is read any more, what has been admitted is answered, and then the connections are closed,
// the sessions left alive. What is not answered when ctx ends is cut. Serve goes on until its own
// context ends.
func (f *Front) Drain(ctx context.Context) {
	f.mu.Lock()
	f.draining = true
	for l := range f.listeners {
		l.Close()
	}
	f.mu.Unlock()
	for _, c := range f.snapshot() {
		c.drain()
	}
	select {
	case <-f.vacant():
	case <-ctx.Done():
		for _, c := range f.snapshot() {
			c.cut()
		}
	}
}

// vacant yields when a draining front has no connection left.
func (f *Front) vacant() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.empty == nil {
		f.empty = make(chan struct{})
		f.noticeEmpty()
	}
	return f.empty
}

// noticeEmpty is called, with mu held, when a connection has gone.
func (f *Front) noticeEmpty() {
	if f.empty != nil && f.draining && len(f.conns) == 0 {
		select {
		case <-f.empty: // noticed before
		default:
			close(f.empty)
		}
	}
}

// drain keeps the reader from reading on: it is woken if it waits for its socket, and looks before it
// does again. From then on it is leave's.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving = true
	if !c.lingering {
		c.nc.SetReadDeadline(time.Now())
	}
}

// leave is for a reader whose read has failed: if that is because the connection is to be let go, what
// was admitted is answered first, and the client reads it. A client that has said its last may still read
// what the responder is writing just now: the answer to its handshake, say.
func (c *conn) leave() {
	c.mu.Lock()
	if !c.leaving || c.ending {
		c.hurry()
		for c.writing {
			c.turn.Wait()
		}
		c.mu.Unlock()
		return
	}
	err := c.leaveOrder(errEnding)
	c.mu.Unlock()
	c.linger(err)
}
