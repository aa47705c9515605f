package client

import (
	"context"
	"fmt"
	"iter"

	"github.com/grovekeeper/grove/internal/wire"
)

// SubOption says how Subscribe is to go about it.
type SubOption func(*subSpec)

type subSpec struct {
	recursive bool
	buffer    int
	overflow  OverflowPolicy
}

// Recursive subscribes to everything below the node, too. Such a subscription is told that nodes were
// created, set and deleted, and not that children changed, which would be the same again.
func Recursive() SubOption { return func(s *subSpec) { s.recursive = true } }

// Buffer is how many events may be waiting to be taken. The default is 1024.
func Buffer(n int) SubOption { return func(s *subSpec) { s.buffer = n } }

// OnOverflow says what becomes of an event for which there is no room. The default is CollapseToResync.
func OnOverflow(p OverflowPolicy) SubOption { return func(s *subSpec) { s.overflow = p } }

// OverflowPolicy is what happens to a subscription whose events are not taken fast enough. Whatever it
// is, the client itself never waits for them.
type OverflowPolicy uint8

const (
	// CollapseToResync drops what is waiting and tells Resync in its place.
	CollapseToResync OverflowPolicy = iota
	// FailStream ends the subscription with ErrSlowConsumer, after what is waiting.
	FailStream
)

// The ends of a subscription.
const (
	// ErrSlowConsumer: events were not taken fast enough, and FailStream was asked for.
	ErrSlowConsumer clientError = "events were not taken fast enough"
	// ErrUnsubscribed: the subscription was closed.
	ErrUnsubscribed clientError = "subscription was closed"
)

const bufferDefault = 1024

// Subscription is a stream of events, in the order in which they happened. Its methods may be called by
// any number of goroutines, of which each event reaches one.
//
// It outlives connections and sessions. After each of their ends it tells Resync: not every server can
// say what has happened meanwhile.
type Subscription struct {
	c    *Client
	key  watchKey
	ctx  context.Context
	spec subSpec
	stop func() bool // lets ctx go

	wake chan struct{} // capacity 1: there is something to take

	// Guarded by the client's lock.
	events deque[Event]
	stats  SubStats
	err    error // why there will be no more
}

// SubStats counts the events of a subscription.
type SubStats struct {
	Delivered uint64 // taken
	Dropped   uint64 // for want of room; each time a Resync took their place
	Resyncs   uint64 // put in the stream, for whatever reason
	Pending   int    // waiting to be taken
}

// Subscribe tells of everything that happens to a node from now on, until ctx ends or the subscription
// is closed. The node need not exist. Servers know this since Apache ZooKeeper 3.6; older ones answer
// ErrUnimplemented.
func (c *Client) Subscribe(ctx context.Context, path string, opts ...SubOption) (*Subscription, error) {
	spec := subSpec{buffer: bufferDefault}
	for _, o := range opts {
		o(&spec)
	}
	if spec.buffer < 1 || spec.overflow > FailStream {
		return nil, misuse("subscribe", path, fmt.Errorf("%w: buffer %d, overflow policy %d",
			ErrInvalidArgument, spec.buffer, spec.overflow))
	}
	q := c.newCall(wire.OpAddWatch, path)
	key := watchKey{persistentWatch, q.request.path}
	if spec.recursive {
		key.kind = recursiveWatch
		q.flags = int32(wire.ModePersistentRecursive)
	}
	sub := &Subscription{c: c, key: key, ctx: ctx, spec: spec, wake: make(chan struct{}, 1)}
	q.sub = sub
	if err := c.do(ctx, "subscribe", path, q); err != nil {
		return nil, err
	}
	c.free(q)
	sub.stop = context.AfterFunc(ctx, func() { sub.close(context.Cause(ctx)) })
	return sub, nil
}

// put adds an event, or does what was agreed if there is no room. Under the client's lock.
func (s *Subscription) put(e Event) {
	if s.err != nil {
		return
	}
	e.Path = relative(s.c.root, e.Path)
	if s.events.len() >= s.spec.buffer {
		if s.spec.overflow == FailStream {
			s.fail(ErrSlowConsumer)
			s.c.shell.core.unsubscribe(s)
			return
		}
		s.stats.Dropped += uint64(s.events.len())
		s.events = deque[Event]{}
		e = Event{Type: Resync, Path: relative(s.c.root, s.key.path)}
	}
	if e.Type == Resync {
		s.stats.Resyncs++
	}
	s.events.push(e)
	s.nudge()
}

// fail is the end, after what is waiting. Under the client's lock.
func (s *Subscription) fail(err error) {
	if s.err == nil {
		s.err = err
	}
	s.nudge()
}

func (s *Subscription) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Next waits for the next event and takes it. The error is final, unless it is that of ctx: the end of
// the context of Subscribe, ErrUnsubscribed, ErrClosed, ErrSlowConsumer, or what a server has said.
func (s *Subscription) Next(ctx context.Context) (Event, error) {
	if ctx == nil {
		return Event{}, errNilContext
	}
	for {
		if e, ok, err := s.take(); ok || err != nil {
			return e, err
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return Event{}, context.Cause(ctx)
		}
	}
}

func (s *Subscription) take() (e Event, ok bool, err error) {
	mu := &s.c.shell.mu
	mu.Lock()
	defer mu.Unlock()
	if s.events.len() == 0 {
		if s.err != nil {
			s.nudge() // for others who wait
		}
		return Event{}, false, s.err
	}
	s.stats.Delivered++
	e = s.events.pop()
	if s.events.len() > 0 || s.err != nil {
		s.nudge()
	}
	return e, true, nil
}

// Events yields the events until the subscription ends, and last why it did. A subscription whose
// events are no longer wanted is to be closed: leaving the loop does not.
func (s *Subscription) Events() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for {
			e, err := s.Next(s.ctx)
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// Stats tells how the subscription is doing.
func (s *Subscription) Stats() SubStats {
	mu := &s.c.shell.mu
	mu.Lock()
	defer mu.Unlock()
	stats := s.stats
	stats.Pending = s.events.len()
	return stats
}

// Close ends the subscription, and lets the server forget it unless another one of this client is to
// the same. It does not wait for the server. Closing again does nothing.
func (s *Subscription) Close() {
	s.stop()
	s.close(ErrUnsubscribed)
}

func (s *Subscription) close(err error) {
	shell := s.c.shell
	shell.mu.Lock()
	s.fail(err)
	shell.core.unsubscribe(s)
	shell.mu.Unlock()
	shell.nudge()
}
