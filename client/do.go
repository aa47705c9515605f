package client

import (
	"context"
	"fmt"

	"github.com/grovekeeper/grove/internal/wire"
)

// newCall returns a call that is empty but for what it asks for. Calls are used again once their
// callers have received the token: nobody else touches them after that.
func (c *Client) newCall(op wire.Op, path string) *call {
	q := c.shell.calls.Get().(*call)
	q.op = op
	q.path = absolute(c.root, path)
	return q
}

// free gives back a call whose token was received.
func (c *Client) free(q *call) {
	*q = call{done: q.done}
	c.shell.calls.Put(q)
}

// do sends q, waits for its answer and returns what is wrong with it. After an error the call is not
// to be used any more; without one, the caller frees it.
func (c *Client) do(ctx context.Context, op, path string, q *call) error {
	if err := c.check(ctx, path, q); err != nil {
		return misuse(op, path, err)
	}
	s := c.shell
	ctx, cancel := s.bound(ctx)
	if cancel != nil {
		defer cancel()
	}
	if err := s.admit(ctx, q, nil); err != nil {
		return s.opError(op, path, q, err, NeverSent)
	}
	if ctx.Done() == nil {
		<-q.done
	} else {
		select {
		case <-q.done:
		case <-ctx.Done():
			if err := s.cancel(ctx, op, path, q); err != nil {
				return err
			}
		}
	}
	if q.err == nil {
		return nil
	}
	err := s.opError(op, path, q, q.err, q.outcome)
	c.free(q)
	return err
}

// bound gives a context without a deadline that of Config.RequestTimeout. cancel is nil if it is as it was.
func (s *shell) bound(ctx context.Context) (bounded context.Context, cancel context.CancelFunc) {
	if s.cfg.RequestTimeout == 0 {
		return ctx, nil
	}
	if _, has := ctx.Deadline(); has {
		return ctx, nil
	}
	return context.WithTimeout(ctx, s.cfg.RequestTimeout)
}

// check tells what is wrong with a call before anything is done about it.
func (c *Client) check(ctx context.Context, path string, q *call) error {
	if err := checkContext(ctx); err != nil {
		return err
	}
	if q.op != wire.OpMulti { // whose operations were checked as they were made
		if err := checkPath(path, q.sequential()); err != nil {
			return err
		}
	}
	if q.version < -1 {
		return fmt.Errorf("%w: version %d", ErrInvalidArgument, q.version)
	}
	if n := q.size(); n > c.shell.cfg.MaxPacket {
		return fmt.Errorf("%w: about %d bytes, at most %d", ErrTooLarge, n, c.shell.cfg.MaxPacket)
	}
	return nil
}

// admit waits for room, and hands q to the core. If hook is not nil, it is called when ctx ends, unless
// the call has ended before.
func (s *shell) admit(ctx context.Context, q *call, hook func()) error {
	select {
	case s.slots <- struct{}{}:
	default:
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.ctx.Done():
			return ErrClosed
		}
	}
	q.slot = true
	s.mu.Lock()
	err := s.core.request(q)
	if err == nil && hook != nil {
		q.unhook = context.AfterFunc(ctx, hook)
	}
	alone := s.core.alone(q)
	s.mu.Unlock()
	if err != nil {
		<-s.slots
		return err
	}
	s.push(alone)
	return nil
}

// cancel gives up waiting for q, because ctx has ended. It returns nil if q has just ended.
func (s *shell) cancel(ctx context.Context, op, path string, q *call) error {
	s.mu.Lock()
	removed, done := s.core.cancel(q)
	if done {
		s.mu.Unlock()
		<-q.done
		return nil
	}
	defer s.mu.Unlock() // q is not ours: under the lock it holds still
	if removed {
		<-s.slots
	}
	s.nudge() // a watch may have to be given back
	lost := *q
	lost.fail(&waitError{err: context.Cause(ctx), link: s.missing()})
	return s.opError(op, path, &lost, lost.err, lost.outcome)
}

// missing is why there is no connection, nil if there is one. Under the lock.
func (s *shell) missing() error {
	if s.conn != nil {
		return nil
	}
	return s.reason
}

// opError says what has become of q. Nobody else may be using it.
func (s *shell) opError(op, path string, q *call, err error, outcome Outcome) error {
	return &OpError{
		Op: op, Path: path, Session: q.session, Server: q.server, Attempts: q.attempts,
		Outcome: outcome, Err: err,
	}
}
