// Package front serves client connections: frames in, admitted requests out; ordered replies and
// events back. It decides the order in which one connection is answered and nothing about the tree:
// writes become commands that the feed submits, reads run on the feed's current view. It knows nothing
// of consensus and keeps nothing that outlives a connection.
package front

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/grovekeeper/grove/internal/group"
	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
)

// Config is what connections are served with. Every number must be positive unless said otherwise.
type Config struct {
	Feed *feed.Feed
	Log  *slog.Logger

	FrameBytesMax            int // longest request
	OutstandingMax           int // unanswered requests of one connection, beyond which it is not read
	ConnectionsPerAddressMax int // 0: no bound
	ConnectionsMax           int // 0: no bound
	WatchesPerConnectionMax  int // paths one connection watches; 0: 100,000
	WatchesMax               int // those of all connections together; 0: 5,000,000
	HandshakeTimeout         time.Duration
	SessionTimeoutMinMs      int32
	SessionTimeoutMaxMs      int32

	Policy      state.Policy // travels with every command
	SuperDigest string       // the digest identity that passes every check; empty: none

	// LinearizableReads has a quorum confirm, before each read of the tree, that it will show all that was
	// acknowledged before it was sent. Reads that arrive together share that.
	LinearizableReads bool
	// Reconfigure changes the membership. Nil: there is none to be changed.
	Reconfigure Reconfigure
	// ReconfigDisabled has every request for that refused before anything else is looked at.
	ReconfigDisabled bool

	// Word answers a four-letter word. Nil: none is answered.
	Word func(word string, w io.Writer) error
	// Random fills b with bytes nobody can guess.
	Random func(b []byte)
}

// Front is the set of client connections of one server.
type Front struct {
	cfg    Config
	stats  totals
	mode   mode
	rounds rounds // what handshakes ask of the quorum

	mu       sync.Mutex // guards the fields below; innermost
	conns    map[*conn]struct{}
	perAddr  map[netip.Addr]int
	heard    []session.ID // sessions that sent anything since the last Heard
	draining bool

	listeners map[net.Listener]struct{} // of Serve
	empty     chan struct{}             // closed when draining has come to its end; nil: nobody waits
}

// New returns a front without connections.
func New(cfg Config) *Front {
	if cfg.WatchesPerConnectionMax == 0 {
		cfg.WatchesPerConnectionMax = watchesPerConnectionMax
	}
	if cfg.WatchesMax == 0 {
		cfg.WatchesMax = watchesMax
	}
	f := &Front{
		cfg: cfg, conns: map[*conn]struct{}{}, perAddr: map[netip.Addr]int{},
		listeners: map[net.Listener]struct{}{},
	}
	f.stats.reset()
	return f
}

// Serve accepts connections from l until ctx ends, then closes l and every connection and returns nil
// once their goroutines have ended.
func (f *Front) Serve(ctx context.Context, l net.Listener) error {
	g, ctx := group.New(ctx)
	stop := context.AfterFunc(ctx, func() {
		l.Close()
		f.closeAll()
	})
	defer stop()
	f.mu.Lock()
	f.listeners[l] = struct{}{}
	f.mu.Unlock()
	err := f.accept(ctx, g, l)
	f.mu.Lock()
	delete(f.listeners, l)
	f.mu.Unlock()
	g.Stop()
	f.closeAll()
	return errors.Join(err, g.Wait())
}

func (f *Front) accept(ctx context.Context, g *group.Group, l net.Listener) error {
	var pause time.Duration
	for {
		nc, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				nc.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed) && f.isDraining():
			<-ctx.Done() // those who are here already are still being served
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept on %s: %w", l.Addr(), err)
		case err != nil:
			// Out of descriptors, or the peer hung up while queued: what is being served goes on.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			f.cfg.Log.Warn("accept failed", "addr", l.Addr().String(), "err", err, "retry", pause)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			continue
		}
		pause = 0
		f.admitConn(g, nc)
	}
}

// admitConn starts serving nc, or closes it at once if it is one too many.
func (f *Front) admitConn(g *group.Group, nc net.Conn) {
	c := newConn(f, nc)
	f.mu.Lock()
	over := f.draining ||
		f.cfg.ConnectionsMax > 0 && len(f.conns) >= f.cfg.ConnectionsMax ||
		f.cfg.ConnectionsPerAddressMax > 0 && f.perAddr[c.remote.Addr()] >= f.cfg.ConnectionsPerAddressMax
	if !over {
		f.conns[c] = struct{}{}
		f.perAddr[c.remote.Addr()]++
	}
	f.mu.Unlock()
	f.stats.accepted.Add(1)
	if over {
		f.stats.rejected.Add(1)
		if tcp, ok := nc.(interface{ SetLinger(sec int) error }); ok {
			tcp.SetLinger(0) // a refusal keeps no TIME_WAIT entry here
		}
		nc.Close()
		return
	}
	g.Go("reader", func() error { c.read(g); return nil })
}

// forget is called by a connection's reader when it ends.
func (f *Front) forget(c *conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, c)
	if f.perAddr[c.remote.Addr()]--; f.perAddr[c.remote.Addr()] <= 0 {
		delete(f.perAddr, c.remote.Addr())
	}
	f.noticeEmpty()
}

func (f *Front) isDraining() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.draining
}

func (f *Front) closeAll() {
	f.mu.Lock()
	f.draining = true
	f.mu.Unlock()
	for _, c := range f.snapshot() {
		c.cut()
	}
}

// hear notes that a session was heard of. Connections call it once between two calls of Heard.
func (f *Front) hear(id session.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard = append(f.heard, id)
}

// Heard returns the sessions that sent anything since the last call, each at least once.
func (f *Front) Heard() []session.ID {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids := f.heard
	f.heard = nil
	for c := range f.conns {
		c.silent.Store(true)
	}
	return ids
}

func (f *Front) snapshot() []*conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]*conn, 0, len(f.conns))
	for c := range f.conns {
		all = append(all, c)
	}
	return all
}
