// Package clienttest is a ZooKeeper service in memory that does as it is told: programs that use package
// client can be tested against it without a server, a port or a sleep, also inside testing/synctest, and
// see what they do when requests fail, answers are lost, connections break and sessions expire.
//
//	srv := clienttest.NewServer()
//	defer srv.Close()
//	srv.Script(func(r clienttest.Request) clienttest.Action {
//		if r.Op == "create2" && r.Attempt == 0 {
//			return clienttest.Action{Cut: clienttest.After} // it is done, and nobody is told
//		}
//		return clienttest.Action{}
//	})
//	c, err := client.Dial(ctx, "anywhere", client.WithDialer(srv.Dial))
//
// The server is one process without a disk, without access control and without quotas; what it agrees
// to is in the order of its zxids. It is not a measure for speed.
package clienttest

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/grovekeeper/grove/internal/group"
	"github.com/grovekeeper/grove/internal/wire"
)

// Server is a service in memory. Its methods may be called by any number of goroutines.
type Server struct {
	group *group.Group

	scripting sync.Mutex // held while a script decides; taken before mu

	mu       sync.Mutex // guards the fields below, and those of conns and sessions
	tree     *tree
	sessions map[int64]*session
	conns    map[*conn]bool
	lastID   int64
	script   func(Request) Action
	seen     map[string]int // how often each request was received
	down     bool
	closed   bool
	dialled  int
}

type session struct {
	id       int64
	password []byte
	timeout  time.Duration
	timer    *time.Timer // expires it
	conn     *conn       // nil while it has none
}

// NewServer starts a service with nothing in it but the root. Close ends it.
func NewServer() *Server {
	s := &Server{
		tree:     newTree(),
		sessions: map[int64]*session{},
		conns:    map[*conn]bool{},
		seen:     map[string]int{},
		lastID:   1 << 56,
	}
	s.group, _ = group.New(context.Background())
	return s
}

// Close cuts all connections, forgets all sessions and waits until nothing is left running.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.cut()
	for id, ses := range s.sessions {
		ses.timer.Stop()
		delete(s.sessions, id)
	}
	s.mu.Unlock()
	_ = s.group.Wait() // connections end in errors
}

// ErrDown is why Dial fails while the service is down.
var ErrDown = errors.New("clienttest: connection refused")

// Dial connects to the service, whatever the address: see client.WithDialer.
func (s *Server) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialled++
	if s.down || s.closed {
		return nil, ErrDown
	}
	near, far := net.Pipe()
	c := newConn(s, far)
	s.conns[c] = true
	s.group.Go("reader", c.read)
	s.group.Go("writer", c.write)
	return near, nil
}

// Dialled is how often Dial was called.
func (s *Server) Dialled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dialled
}

// Down lets the service be unreachable, or reachable again. Going down cuts all connections; sessions
// are kept, and expire.
func (s *Server) Down(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
	if down {
		s.cut()
	}
}

// Cut ends all connections.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut()
}

func (s *Server) cut() {
	for c := range s.conns {
		c.cut()
	}
}

// Expire ends a session at once, with its ephemeral nodes, and cuts its connection.
func (s *Server) Expire(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(id)
}

func (s *Server) expire(id int64) {
	ses := s.sessions[id]
	if ses == nil {
		return
	}
	c := ses.conn
	s.end(ses)
	if c != nil {
		c.cut()
	}
}

// end is the end of a session: its ephemerals go, and whoever watches them is told.
func (s *Server) end(ses *session) {
	ses.timer.Stop()
	delete(s.sessions, ses.id)
	s.tree.zxid++
	s.fire(s.tree.bury(ses.id))
}

// Sessions lists the sessions that are alive.
func (s *Server) Sessions() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []int64
	for id := range s.sessions {
		ids = append(ids, id)
	}
	return ids
}

// Data reads a node without a client. ok tells whether it exists.
func (s *Server) Data(path string) (data []byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.tree.nodes[path]
	if n == nil {
		return nil, false
	}
	return n.data, true
}

// Children lists the names below a node, sorted.
func (s *Server) Children(path string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tree.children(path)
}

// Watches is how many watches are armed, of all connections.
func (s *Server) Watches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for c := range s.conns {
		n += c.watches.count()
	}
	return n
}

// Request is what a script is asked about.
type Request struct {
	Op      string // "create2", "getData", "ping", …; "connect" for the handshake
	Path    string // "" if the operation has none
	Session int64
	Attempt int // how many requests of the same Op and Path have been received before
}

// Where is a place relative to what a request does.
type Where uint8

// The places.
const (
	Nowhere Where = iota
	Before        // the request is not run
	After         // the request is run, and its answer is not sent
)

// Action is what is to be done with a request. The zero value runs and answers it.
type Action struct {
	Cut   Where         // cuts the connection
	Err   int32         // answers with this code, and does not run it
	Delay time.Duration // waits before it is looked at; what follows on the connection waits, too
	Do    func()        // is called before the request is run, without any lock
}

// Script lets f decide about every request from now on; nil lets all pass. f is called for one request
// at a time, in the order in which those of a connection arrive, and must not wait.
func (s *Server) Script(f func(Request) Action) {
	s.scripting.Lock()
	defer s.scripting.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = f
	clear(s.seen)
}

func (s *Server) ask(op, path string, session int64) Action {
	a := s.decide(op, path, session)
	if a.Delay > 0 {
		time.Sleep(a.Delay) // the time of a bubble, or what the script wants to be real
	}
	if a.Do != nil {
		a.Do()
	}
	return a
}

func (s *Server) decide(op, path string, session int64) Action {
	s.scripting.Lock()
	defer s.scripting.Unlock()
	s.mu.Lock()
	f := s.script
	n := s.seen[op+" "+path]
	s.seen[op+" "+path]++
	s.mu.Unlock()
	if f == nil {
		return Action{}
	}
	return f(Request{Op: op, Path: path, Session: session, Attempt: n})
}

// fire tells every connection what it watches, before anything else it is told.
func (s *Server) fire(changes []change) {
	for c := range s.conns {
		for _, ch := range changes {
			if c.watches.fires(ch) {
				c.send(wire.AppendNotification(nil, s.tree.zxid, ch.kind, ch.path))
			}
		}
	}
}
