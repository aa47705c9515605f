package front

import (
	"sync/atomic"
	"time"
)

// Mode says which clients are served.
type Mode uint8

// The modes. Four-letter words are answered in all of them.
const (
	Serving  Mode = iota // all
	ReadOnly             // those that are content with old news: see openLocal
	Closed               // none: a client is hung up on when it has introduced itself
)

func (m Mode) String() string { return [...]string{"serving", "read-only", "closed"}[m] }

// mode is a Mode that any goroutine may look at.
type mode struct{ atomic.Uint32 }

// Mode returns the mode that new connections are served in.
func (f *Front) Mode() Mode { return Mode(f.mode.Load()) }

// SetMode changes the mode for those who connect from now on. When read-only mode ends, so do the
// connections it let in: their clients come back for a real session. The others stay: a leader may be
// found before they miss it, see Leaderless.
func (f *Front) SetMode(m Mode) {
	if Mode(f.mode.Swap(uint32(m))) == m || m == ReadOnly {
		return
	}
	for _, c := range f.snapshot() {
		if c.isLocal() {
			c.dismiss()
		}
	}
}

// Leaderless ends the connections whose session has been without a leader for more than a third of its
// timeout: their clients have the rest of it to find a server that knows one. since is for how long
// nobody has led; 0 means that somebody leads. It is called every tick.
func (f *Front) Leaderless(since time.Duration) {
	if since <= 0 {
		return
	}
	ended := 0
	for _, c := range f.snapshot() {
		if !c.orphaned(since) {
			continue
		}
		if c.departing() {
			c.cut() // it was told before, and something holds it up: its client must not wait for that
			continue
		}
		c.dismiss()
		ended++
	}
	if ended > 0 {
		f.cfg.Log.Warn("connections ended: no leader", "connections", ended, "since", since)
	}
}

// orphaned says whether the session, or a client that waits for one, has been without a leader for too
// long; before it came, it was not this server's to serve.
func (c *conn) orphaned(since time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.local || c.lingering || c.timeout == 0 {
		return false
	}
	patience := time.Duration(c.timeout) * time.Millisecond / 3
	return min(since, time.Since(c.tally.since)) > patience
}

func (c *conn) isLocal() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.local
}

// dismiss ends the connection once it has sent what it has to say.
func (c *conn) dismiss() {
	c.mu.Lock()
	in := c.inbox
	c.mu.Unlock()
	if in == nil {
		c.cut()
		return
	}
	in.End()
}
