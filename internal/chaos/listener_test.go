//go:build linux

package chaos

import (
	"fmt"
	"sync"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
)

// listener is a client with a recursive watch on what multis make. Over all kills it must be told of every
// node made and every node deleted there, and of nothing else: what happens while it has no connection is
// replayed when it comes back. Unmodified clients count as seen what the last reply bears, not the last
// event, so the events behind that reply come twice.
type listener struct {
	run  *run
	who  credentials
	seen int64  // zxid of the last reply
	told []news // since the last judgement, in order

	mu   sync.Mutex // guards conn, which whoever ends the round closes
	conn *conn
}

// news is an event as it was told.
type news struct {
	wire.WatcherEvent
	zxid      int64 // as its header bears it
	replayed  bool
	presented int64 // the zxid that the listener presented when it came back last
}

func (n news) String() string {
	if n.replayed {
		return fmt.Sprintf("event %d of %s at %d, replayed after %d", n.Type, n.Path, n.zxid, n.presented)
	}
	return fmt.Sprintf("event %d of %s at %d", n.Type, n.Path, n.zxid)
}

// resume connects, for the first time or again, and hears what it has missed.
func (l *listener) resume() error {
	c, err := l.run.dial(anywhere)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.conn = c
	l.mu.Unlock()
	c.replaying = l.who.id != 0
	presented := l.seen
	c.onEvent = func(zxid int64, e wire.WatcherEvent) {
		l.told = append(l.told, news{e, zxid, c.replaying, presented})
	}
	op, m, a := wire.OpAddWatch, wire.Record(&wire.AddWatchRequest{Path: made, Mode: wire.ModePersistentRecursive}), wire.Record(&wire.ErrorResponse{})
	if l.who.id != 0 {
		again := &wire.SetWatches2Request{PersistentRecursive: []string{made}}
		again.RelativeZxid = l.seen
		op, m, a = wire.OpSetWatches2, again, nil
	}
	who, err := c.hello(l.who, longTimeout, l.seen)
	if err != nil {
		return fmt.Errorf("listener: %w", err)
	}
	l.who = who
	if _, err := c.call(op, m, a); err != nil {
		return fmt.Errorf("listener: %v: %w", op, err)
	}
	err = l.catchUp()
	c.replaying = false
	return err
}

// catchUp asks something, so that every event up to now comes before the answer.
func (l *listener) catchUp() error {
	h, err := l.conn.call(wire.OpExists, &wire.ExistsRequest{Path: "/"}, &wire.ExistsResponse{})
	if err != nil {
		return fmt.Errorf("listener: %w", err)
	}
	l.seen = h.Zxid
	return nil
}

// hangUp closes the connection, whoever listens on it.
func (l *listener) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn.close()
}

// listen hears events until the round ends. A connection that is lost ends it too, unless the run is stubborn.
func (l *listener) listen() error {
	err := l.hear()
	for l.run.stubborn && err != nil && !l.run.over.Load() && !fatal(err) {
		l.hangUp()
		time.Sleep(retryAfter)
		if err = l.resume(); err == nil {
			err = l.hear()
		}
	}
	return l.excuse(err)
}

func (l *listener) hear() error {
	for !l.run.over.Load() {
		for range 20 {
			if err := l.conn.event(); err != nil {
				return err
			}
		}
		if err := l.catchUp(); err != nil {
			return err
		}
	}
	return nil
}

func (l *listener) excuse(err error) error {
	if err == nil || (l.run.over.Load() || l.run.mortal.Load()) && !fatal(err) {
		return nil
	}
	return fmt.Errorf("listener: %w", err)
}

// judge holds what was told to what was done. A server that was sent the tree as it is knows nothing of what has
// come and gone meanwhile: then only what is there must have been told of, and an end may be replayed without
// its beginning.
func (l *listener) judge(ops []*op, now *tree, lossy bool) (wrong []string) {
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	due := map[wire.WatcherEvent]*op{}
	for _, o := range ops {
		if o.kind != wire.OpMulti || !o.held() && o.fate != done {
			continue
		}
		due[wire.WatcherEvent{Type: wire.EventNodeCreated, State: wire.StateSyncConnected, Path: o.path}] = o
		for _, p := range o.parts {
			if p.Op == wire.OpDelete {
				due[wire.WatcherEvent{Type: wire.EventNodeDeleted, State: wire.StateSyncConnected, Path: p.Path}] = o
			}
		}
	}
	heard := map[wire.WatcherEvent]news{}
	last := int64(0)
	for _, n := range l.told {
		before, twice := heard[n.WatcherEvent]
		switch {
		case due[n.WatcherEvent] == nil:
			complain("%v, which did not happen", n)
		case twice && (!n.replayed || zxidOf(due[n.WatcherEvent], before) <= n.presented):
			complain("%v twice: %v and %v, seen was %d", n, before, n, n.presented)
		case !n.replayed && n.zxid < last:
			complain("%v after one of %d", n, last)
		case n.Type == wire.EventNodeDeleted && l.createdAfter(n, heard, due) && !(lossy && n.replayed):
			complain("%v before its creation: %v; all that was told of it: %v", n, due[creationOf(n)], l.about(n.Path))
		}
		if !n.replayed {
			last = n.zxid
		}
		heard[n.WatcherEvent] = n
	}
	for e, o := range due {
		_, ok := heard[e]
		_, there := now.nodes[e.Path]
		if !ok && (!lossy || there && e.Type == wire.EventNodeCreated) {
			complain("event %d of %s was never told, seen is %d: %v", e.Type, e.Path, l.seen, o)
		}
	}
	l.told = nil
	return wrong
}

// zxidOf is that of what an event tells: of the request, if it was answered, or as it was told first.
func zxidOf(o *op, first news) int64 {
	if o.answered() {
		return o.zxid
	}
	return first.zxid
}

// createdAfter tells whether a deletion was told and the creation that was due before it has not been.
func (l *listener) createdAfter(n news, heard map[wire.WatcherEvent]news, due map[wire.WatcherEvent]*op) bool {
	_, ok := heard[creationOf(n)]
	return due[creationOf(n)] != nil && !ok
}

func creationOf(n news) wire.WatcherEvent {
	created := n.WatcherEvent
	created.Type = wire.EventNodeCreated
	return created
}

// about lists what was told of a node.
func (l *listener) about(path string) (list []news) {
	for _, n := range l.told {
		if n.Path == path {
			list = append(list, n)
		}
	}
	return list
}
