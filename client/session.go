package client

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"
)

// SessionInfo is what the client knows of its session.
type SessionInfo struct {
	ID SessionID // 0 while there is none

	// Incarnation counts the sessions of this client. A new one means that the ephemeral nodes of the
	// one before are gone, or about to go.
	Incarnation uint64

	Timeout time.Duration // as the server granted it

	// Deadline is the time before which no server can have ended the session, as far as this client
	// knows. It moves on with every answer.
	Deadline time.Time

	Server string // host:port of the server connected to, or ""
}

// State is how it stands between a client and the service.
type State uint8

// The states.
const (
	Connecting State = iota // there is no session yet
	Connected               // requests are sent
	Suspended               // the connection is lost, the session may live; requests wait
	Expired                 // the session is gone; another will be opened
	Closed                  // nothing will happen any more
)

func (s State) String() string {
	return [...]string{"connecting", "connected", "suspended", "expired", "closed"}[s]
}

// StateChange is a step from one state to another.
type StateChange struct {
	State   State
	Session SessionInfo
	Err     error // why, for Suspended, Expired and Closed
}

// States yields the state there is, and then every change of it, until ctx ends or the client is closed,
// which is the last state yielded. Who is slow is told of the latest 64 changes.
func (c *Client) States(ctx context.Context) iter.Seq[StateChange] {
	return func(yield func(StateChange) bool) {
		f := c.shell.listen()
		defer c.shell.unlisten(f)
		for {
			for _, change := range c.shell.news(f) {
				if !yield(change) || change.State == Closed {
					return
				}
			}
			select {
			case <-f.wake:
			case <-ctx.Done():
				return
			}
		}
	}
}

// newsMax is how many changes are kept for one listener.
const newsMax = 64

// listener is one loop over States. The client's lock guards news.
type listener struct {
	news []StateChange
	wake chan struct{} // capacity 1
}

func (s *shell) listen() *listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := StateChange{State: s.core.state, Session: s.core.info(), Err: s.core.final}
	f := &listener{news: []StateChange{now}, wake: make(chan struct{}, 1)}
	s.listeners[f] = true
	return f
}

func (s *shell) unlisten(f *listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, f)
}

func (s *shell) news(f *listener) []StateChange {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := f.news
	f.news = nil
	return news
}

// spread tells all listeners. Under the lock.
func (s *shell) spread(changes []StateChange) {
	for f := range s.listeners {
		f.news = append(f.news, changes...)
		if over := len(f.news) - newsMax; over > 0 {
			f.news = slices.Delete(f.news, 0, over)
		}
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

// SessionLostError is the cause of a context of WithSession that has ended with the session.
// errors.Is matches it with ErrSessionExpired.
type SessionLostError struct {
	Session SessionInfo // as it was last known
	State   State       // Suspended if the deadline has passed, Expired or Closed if it is certain
}

func (e *SessionLostError) Error() string {
	return fmt.Sprintf("session %#x is lost: %v", uint64(e.Session.ID), e.State)
}

// Is makes the error match ErrSessionExpired.
func (e *SessionLostError) Is(target error) bool { return target == ErrSessionExpired }

// WithSession returns a context that ends when ctx does, or before any server can give away what the
// present session holds: at SessionInfo.Deadline, if no answer has moved that on, or at once if the
// session is known to be gone. Its cause is then a *SessionLostError. Hold locks under such a context.
//
// Err computes its answer, so that a process that was stopped beyond the deadline does not find the
// context alive when it wakes. If there is no session, the context has ended from the start. Call cancel
// when done.
func (c *Client) WithSession(ctx context.Context) (hold context.Context, cancel context.CancelFunc) {
	s := c.shell
	inner, end := context.WithCancelCause(ctx)
	s.mu.Lock()
	h := &holder{Context: inner, shell: s, session: s.core.info(), end: end}
	s.mu.Unlock()
	h.check()
	return h, func() {
		h.stop()
		end(context.Canceled)
	}
}

// holder is a context that ends with a session.
type holder struct {
	context.Context
	shell   *shell
	session SessionInfo
	end     context.CancelCauseFunc

	mu    sync.Mutex // guards the fields below; taken before the client's lock
	timer *time.Timer
	over  bool
}

// Err ends the context if it is time, and tells.
func (h *holder) Err() error {
	if err := h.Context.Err(); err != nil {
		return err
	}
	h.check()
	return h.Context.Err()
}

// check ends the context if the session is lost, and else sees to it that it is looked at again when it
// may be. The holder is on the client's list as long as it is alive.
func (h *holder) check() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return
	}
	now := time.Now()
	left, lost := h.shell.lost(h, now)
	if lost == nil && h.Context.Err() == nil {
		if h.timer == nil {
			h.timer = time.AfterFunc(left, h.check)
		} else {
			h.timer.Reset(left)
		}
		return
	}
	h.leave()
	if lost != nil {
		h.end(lost)
	}
}

func (h *holder) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leave()
}

func (h *holder) leave() {
	h.over = true
	if h.timer != nil {
		h.timer.Stop()
	}
	h.shell.mu.Lock()
	delete(h.shell.holders, h)
	h.shell.mu.Unlock()
}

// lost says why the session of h is lost, or how long it is good for.
func (s *shell) lost(h *holder, now time.Time) (left time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info := s.core.info()
	switch {
	case s.core.final != nil:
		return 0, &SessionLostError{Session: h.session, State: Closed}
	case info.ID != h.session.ID || info.ID == 0:
		return 0, &SessionLostError{Session: h.session, State: Expired}
	case !now.Before(info.Deadline):
		return 0, &SessionLostError{Session: info, State: Suspended}
	}
	s.holders[h] = true
	return info.Deadline.Sub(now), nil
}

// Ticket is what it takes to go on with a session in another client, or another process.
type Ticket struct {
	ID       SessionID
	Password []byte
	Zxid     Zxid // the last that was seen: the session continues on no server that is behind
}

// WithTicket continues a session: see Client.Detach. If it is gone, another one is opened: compare
// Session().ID.
func WithTicket(t Ticket) Option { return func(c *Config) { c.Ticket = t } }

// Detach stops the client and leaves its session alive, until its timeout, for whoever has the ticket.
// What waits to be sent fails with ErrClosed and was never sent; what is on its way fails, too, and the
// outcome of a write is unknown. Watches end with ErrClosed; ephemeral nodes stay.
func (c *Client) Detach() Ticket {
	s := c.shell
	s.mu.Lock()
	first := !s.closing
	s.closing = true
	t := Ticket{ID: s.core.session.id, Password: bytes.Clone(s.core.session.password), Zxid: Zxid(s.core.session.zxid)}
	s.mu.Unlock()
	if first {
		s.stop(ErrClosed)
		close(s.stopped)
	}
	return t
}
