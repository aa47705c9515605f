package client

import (
	"context"

	"github.com/grovekeeper/grove/internal/wire"
)

// EventType says what has happened to a node.
type EventType int32

// The events.
const (
	NodeCreated         EventType = 1
	NodeDeleted         EventType = 2
	NodeDataChanged     EventType = 3
	NodeChildrenChanged EventType = 4 // a child was created or deleted

	// Resync is told to subscriptions only: something may have happened that will not be told. Read
	// again whatever the subscription is to keep you informed of.
	Resync EventType = 5
)

func (t EventType) String() string {
	switch t {
	case NodeCreated:
		return "created"
	case NodeDeleted:
		return "deleted"
	case NodeDataChanged:
		return "data changed"
	case NodeChildrenChanged:
		return "children changed"
	case Resync:
		return "resync"
	}
	return "no event"
}

// Event tells that a node is not as it was. It does not tell how it is: read again.
type Event struct {
	Type EventType
	Path string
	Zxid Zxid // the change, 0 if the server does not say
}

// Watch waits for one event, which ends it. Its methods may be called by any number of goroutines.
//
// Watches outlive connections: on the next one they are armed again, and what has happened meanwhile
// is told. A watch that can no longer be relied on ends with an error: ErrSessionExpired, ErrClosed, or
// what a server said when it was to be armed again.
type Watch struct {
	c   *Client
	key watchKey

	done  chan struct{}
	event Event // set before done is closed
	err   error // set before done is closed

	missing bool // the node was not there when it was looked at; guarded by the client's lock
	ended   bool // done is closed; guarded by the client's lock
}

// end lets the watch know. Under the client's lock.
func (w *Watch) end(e Event, err error) {
	if w.ended {
		return
	}
	w.ended = true
	e.Path = relative(w.c.root, e.Path)
	w.event, w.err = e, err
	close(w.done)
}

// Done is closed when the watch has ended. By then nobody has read what the event is about by this
// client.
func (w *Watch) Done() <-chan struct{} { return w.done }

// Event waits for Done, and returns the event or why there will be none.
func (w *Watch) Event() (Event, error) {
	<-w.done
	return w.event, w.err
}

// Wait waits for the event. If ctx ends before, the watch goes on: see Cancel.
func (w *Watch) Wait(ctx context.Context) (Event, error) {
	if ctx == nil {
		return Event{}, errNilContext
	}
	select {
	case <-w.done:
		return w.event, w.err
	case <-ctx.Done():
		return Event{}, context.Cause(ctx)
	}
}

// ErrWatchCancelled is how a watch ends that was cancelled.
const ErrWatchCancelled clientError = "watch was cancelled"

// Cancel ends the watch, and lets the server forget it unless another watch of this client needs it.
// It does not wait for the server. A watch that has ended stays as it is.
func (w *Watch) Cancel() {
	s := w.c.shell
	s.mu.Lock()
	if w.ended {
		s.mu.Unlock()
		return
	}
	w.end(Event{}, ErrWatchCancelled)
	s.core.forget(w)
	s.mu.Unlock()
	s.nudge()
}

// watched makes q arm a watch of a kind.
func (c *Client) watched(q *call, kind watchKind) *Watch {
	w := &Watch{c: c, key: watchKey{kind, q.request.path}, done: make(chan struct{})}
	q.watch = w
	return w
}

// GetW is Get, and watches for the node to be set or deleted.
func (c *Client) GetW(ctx context.Context, path string) (Node, *Watch, error) {
	q := c.newCall(wire.OpGetData, path)
	w := c.watched(q, dataWatch)
	if err := c.do(ctx, "get", path, q); err != nil {
		return Node{}, nil, err
	}
	defer c.free(q)
	n, err := c.node(path, q)
	return n, w, err
}

// StatW is Stat, and watches for the node to be created, set or deleted. If there is none, the error
// is ErrNoNode and the watch is alive: it waits for the node.
func (c *Client) StatW(ctx context.Context, path string) (Stat, *Watch, error) {
	q := c.newCall(wire.OpExists, path)
	w := c.watched(q, dataWatch)
	err := c.do(ctx, "stat", path, q)
	if isCode(err, ErrNoNode) {
		return Stat{}, w, err
	}
	if err != nil {
		return Stat{}, nil, err
	}
	defer c.free(q)
	s, err := c.stat(path, q)
	return s, w, err
}

// ChildrenW is Children, and watches for a child to be created or deleted, or for the node itself to be
// deleted.
func (c *Client) ChildrenW(ctx context.Context, path string) (Children, *Watch, error) {
	q := c.newCall(wire.OpGetChildren2, path)
	w := c.watched(q, childWatch)
	if err := c.do(ctx, "children", path, q); err != nil {
		return Children{}, nil, err
	}
	defer c.free(q)
	l, err := c.children(path, q)
	return l, w, err
}
