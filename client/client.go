package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"

	"github.com/grovekeeper/grove/internal/group"
)

// Client is a session of a service, kept up over whatever server can be reached. Its methods may be
// called by any number of goroutines.
type Client struct {
	root  string // what every path is below; "" for the whole tree
	shell *shell
}

// Dial connects to a service and returns once there is a session, or when ctx ends. After that, ctx
// is of no more meaning for the client: see Close.
//
// A target lists servers, and may end with a path that becomes the root of all others:
//
//	"zk1:2181,zk2:2181,zk3:2181"
//	"zk://[::1]:2181/apps/billing"
//
// The port may be left out. Names are resolved at every attempt. Nothing checks that the root
// exists: operations answer ErrNoNode if it does not.
func Dial(ctx context.Context, target string, opts ...Option) (*Client, error) {
	if err := checkContext(ctx); err != nil {
		return nil, misuse("dial", target, err)
	}
	addrs, root, err := parseTarget(target)
	if err != nil {
		return nil, misuse("dial", target, err)
	}
	var cfg Config
	for _, o := range opts {
		o(&cfg)
	}
	if err := cfg.complete(len(addrs)); err != nil {
		return nil, misuse("dial", target, err)
	}
	c := &Client{root: root, shell: start(cfg, addrs)}
	if _, err := c.AwaitSession(ctx); err != nil {
		c.shell.stop(ErrClosed)
		return nil, err
	}
	return c, nil
}

// AwaitSession waits until a server has granted a session and is connected, and returns it.
func (c *Client) AwaitSession(ctx context.Context) (SessionInfo, error) {
	if err := checkContext(ctx); err != nil {
		return SessionInfo{}, misuse("await session", "", err)
	}
	info, err := c.shell.await(ctx)
	if err != nil {
		return SessionInfo{}, misuse("await session", "", err)
	}
	return info, nil
}

// Session tells what is known of the session at this moment.
func (c *Client) Session() SessionInfo {
	c.shell.mu.Lock()
	defer c.shell.mu.Unlock()
	return c.shell.core.info()
}

// Close ends the session on the server, and with it its ephemeral nodes and watches; then the client.
// Operations that are waiting to be sent fail with ErrClosed and were never sent; the answers of those
// that were sent are still awaited.
//
// If no server can be reached, Close goes on trying until ctx ends or the session has timed out. The
// client is closed in any case and nothing of it is left running: an error means that the session may
// live on until its timeout. Closing again waits for the first call and returns the same.
func (c *Client) Close(ctx context.Context) error {
	if ctx == nil {
		return misuse("close", "", errNilContext)
	}
	return c.shell.close(ctx)
}

// shell runs a core: it owns the connection, the two goroutines, and the places where callers wait.
type shell struct {
	cfg   Config
	calls sync.Pool     // of *call; not global, so that a test's stay in its bubble
	slots chan struct{} // a token for every call that was admitted and has not ended
	wake  chan struct{} // capacity 1: the core has something for the writer

	group *group.Group
	ctx   context.Context // ends with the client

	stopped chan struct{} // closed when Close is through
	result  error         // of Close; set before stopped is closed

	writing sync.Mutex // held from take until it is known what went out; taken before mu
	outlet  outlet     // guarded by writing

	mu        sync.Mutex // guards the fields below
	closing   bool       // somebody is in Close
	core      core
	conn      net.Conn // nil while there is none
	reason    error    // why there is none; nil if one has never been missed
	listeners map[*listener]bool
	holders   map[*holder]bool
	changed   chan struct{} // closed and replaced at every change of state
}

func start(cfg Config, addrs []string) *shell {
	s := &shell{
		cfg:       cfg,
		slots:     make(chan struct{}, cfg.MaxInFlight),
		wake:      make(chan struct{}, 1),
		stopped:   make(chan struct{}),
		changed:   make(chan struct{}),
		listeners: map[*listener]bool{},
		holders:   map[*holder]bool{},
		core: core{settings: coreSettings{
			timeout:        cfg.SessionTimeout,
			connectTimeout: cfg.ConnectTimeout,
			drift:          cfg.ClockDrift,
		}},
	}
	if t := cfg.Ticket; t.ID != 0 {
		s.core.session = session{id: t.ID, password: t.Password, zxid: int64(t.Zxid), timeout: cfg.SessionTimeout}
	}
	s.calls.New = func() any { return &call{done: make(chan struct{}, 1)} }
	s.group, s.ctx = group.New(context.Background())
	r := &reader{shell: s, hosts: newHosts(addrs, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))}
	w := &writer{shell: s}
	s.group.Go("reader", r.run)
	s.group.Go("writer", w.run)
	return s
}

// await waits for a session that is connected.
func (s *shell) await(ctx context.Context) (SessionInfo, error) {
	for {
		s.mu.Lock()
		info, state, final := s.core.info(), s.core.state, s.core.final
		changed := s.changed
		s.mu.Unlock()
		switch {
		case final != nil:
			return info, final
		case state == Connected:
			return info, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			s.mu.Lock()
			defer s.mu.Unlock()
			return info, &waitError{err: context.Cause(ctx), link: s.missing()}
		}
	}
}

func (s *shell) close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.closing
	s.closing = true
	s.mu.Unlock()
	if first {
		s.result = s.endSession(ctx)
		s.stop(ErrClosed)
		close(s.stopped)
		return s.result
	}
	select {
	case <-s.stopped:
		return s.result
	case <-ctx.Done(): // somebody else is closing, with more patience
		return misuse("close", "", context.Cause(ctx))
	}
}

func (s *shell) endSession(ctx context.Context) error {
	s.mu.Lock()
	q := s.core.close()
	if q.done == nil {
		q.done = make(chan struct{}, 1)
	}
	out := s.collect(nil)
	s.mu.Unlock()
	s.deliver(out)
	s.nudge()
	select {
	case <-q.done:
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.opError("close", "", q, &waitError{err: context.Cause(ctx), link: s.missing()}, Unknown)
	}
	var code Code
	if q.err == nil || errors.As(q.err, &code) { // whatever a server says, the session is over
		return nil
	}
	return s.opError("close", "", q, q.err, Unknown)
}

// stop ends everything. When it returns, no goroutine is left and no caller waits.
func (s *shell) stop(err error) {
	s.mu.Lock()
	s.core.stop(err)
	if s.conn != nil {
		s.conn.Close() // ends a read and a write; the error would tell nothing
	}
	out := s.collect(nil)
	changes, holders := s.changes()
	s.mu.Unlock()
	s.log(changes, holders)
	s.group.Stop()
	s.deliver(out)
	if err := s.group.Wait(); err != nil {
		panic(fmt.Sprintf("client: %v", err)) // neither goroutine returns an error
	}
}
