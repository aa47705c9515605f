package front

import (
	"slices"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/watch"
	"github.com/grovekeeper/grove/znode"
)

// watchNow answers the requests about watches.
func (c *conn) watchNow(s *slot, r *codec.Reader) {
	switch s.op {
	case wire.OpAddWatch:
		c.addWatch(s, r)
	case wire.OpCheckWatches, wire.OpRemoveWatches:
		c.tellWatches(s, r)
	case wire.OpSetWatches:
		var m wire.SetWatchesRequest
		m.Decode(r)
		c.setWatches(s, r, &wire.SetWatches2Request{SetWatchesRequest: m})
	case wire.OpSetWatches2:
		var m wire.SetWatches2Request
		m.Decode(r)
		c.setWatches(s, r, &m)
	default:
		// Live and not handled: a row of the table without a case here. TestEveryLiveOpIsAnswered fails.
		c.fail(s, c.catchUp(), wire.CodeUnimplemented)
	}
}

func (c *conn) addWatch(s *slot, r *codec.Reader) {
	var m wire.AddWatchRequest
	m.Decode(r)
	if r.Err() != nil {
		c.fail(s, c.catchUp(), wire.CodeMarshallingError)
		return
	}
	kind := watch.Persistent
	if m.Mode == wire.ModePersistentRecursive {
		kind = watch.Recursive
	}
	var zxid znode.Zxid
	var armed bool
	c.feed.Watching(func(v *state.View, w *watch.Table) {
		zxid, armed = v.Zxid, c.arm(w, rooted(m.Path), kind)
		c.newest(v)
	})
	c.overtake(zxid)
	if !armed {
		c.fail(s, zxid, wire.CodeBadArguments)
		return
	}
	c.reply(s, zxid, &wire.ErrorResponse{Err: wire.CodeOK})
}

// masks gives the kinds of watch that a watcher type selects.
var masks = map[wire.WatcherType]watch.Kind{
	wire.WatcherChildren:            watch.Child,
	wire.WatcherData:                watch.Data,
	wire.WatcherAny:                 watch.All,
	wire.WatcherPersistent:          watch.Persistent,
	wire.WatcherPersistentRecursive: watch.Recursive,
}

// tellWatches answers checkWatches, and removeWatches, for the watches of this connection alone.
func (c *conn) tellWatches(s *slot, r *codec.Reader) {
	var m wire.WatchesRequest
	m.Decode(r)
	if r.Err() != nil {
		c.fail(s, c.catchUp(), wire.CodeMarshallingError)
		return
	}
	var zxid znode.Zxid
	found := false
	c.feed.Watching(func(v *state.View, w *watch.Table) {
		zxid = v.Zxid
		c.newest(v)
		if s.op == wire.OpRemoveWatches {
			found = w.Disarm(c.inbox.ID(), rooted(m.Path), masks[m.Type])
		} else {
			found = w.Armed(c.inbox.ID(), rooted(m.Path), masks[m.Type])
		}
	})
	c.overtake(zxid)
	if !found {
		c.fail(s, zxid, wire.CodeNoWatcher)
		return
	}
	c.fail(s, zxid, wire.CodeOK)
}

// rearmBatch is how many paths are armed while changes wait to be published: a client that comes back
// with 100,000 of them must not hold up the others.
const rearmBatch = 512

// setWatches arms the watches of a client that has come back, and tells it what it missed: one event
// for each one-shot watch whose node is not as the client last saw it, and every event of the lasting
// ones. All of it leaves before the reply. One who has more watches than allowed is sent away: told of
// a failure, no client would try again, and its watches would be lost without a sign.
func (c *conn) setWatches(s *slot, r *codec.Reader, m *wire.SetWatches2Request) {
	zxid := c.catchUp()
	if r.Err() != nil {
		c.fail(s, zxid, wire.CodeMarshallingError)
		return
	}
	since := znode.Zxid(m.RelativeZxid)
	lists := [...][]string{watch.DataList: m.Data, watch.ExistList: m.Exist, watch.ChildList: m.Child}
	for list, paths := range lists {
		for batch := range slices.Chunk(allRooted(paths), rearmBatch) {
			zxid = c.rearm(watch.List(list), batch, since)
		}
	}
	top := feed.Topmost(slices.Clone(allRooted(m.PersistentRecursive)))
	slices.Sort(allRooted(m.Persistent))
	recursive, persistent := top, slices.Compact(m.Persistent)
	for len(recursive)+len(persistent) > 0 {
		q := feed.Rearm{Since: since, Top: top}
		q.Recursive, recursive = cut(recursive)
		q.Persistent, persistent = cut(persistent)
		zxid = c.rearmLasting(q)
	}
	// Those below another come last: until then the other tells of all they hear, and only that.
	for batch := range slices.Chunk(m.PersistentRecursive, rearmBatch) {
		zxid = c.rearmLasting(feed.Rearm{Recursive: batch})
	}
	if !c.ending {
		c.fail(s, zxid, wire.CodeOK)
	}
}

func allRooted(paths []string) []string {
	for i := range paths {
		paths[i] = rooted(paths[i])
	}
	return paths
}

// cut takes a batch off the front of a list.
func cut(list []string) (batch, rest []string) {
	n := min(len(list), rearmBatch)
	return list[:n], list[n:]
}

// rearm goes through a part of one list of one-shot watches and returns the zxid it went by. A change is
// told only to who may read the node; that a node is there or not is no secret: the errors of a read
// say it to anybody.
func (c *conn) rearm(l watch.List, paths []string, since znode.Zxid) (zxid znode.Zxid) {
	var told []watch.Event
	c.feed.Watching(func(v *state.View, w *watch.Table) {
		zxid = v.Zxid
		c.newest(v)
		for _, p := range paths {
			n := v.Nodes.Get(p)
			var st znode.Stat
			if n != nil {
				st = n.Stat()
			}
			ev, missed := watch.Missed(l, n != nil, st.Mzxid, st.Pzxid, since)
			if !missed {
				c.ending = c.ending || !c.arm(w, p, l.Kind())
				continue
			}
			if ev == watch.Created || ev == watch.Deleted || c.allowed(n, znode.PermRead) {
				told = append(told, watch.Event{Type: ev, Path: p, Zxid: feed.NoZxid})
			}
		}
	})
	c.overtake(zxid)
	for i := range told {
		c.appendEvent(&told[i])
	}
	c.ease()
	return zxid
}

// rearmLasting arms lasting watches, tells what they missed, and returns the zxid they are armed at.
// Without Since they missed nothing.
func (c *conn) rearmLasting(q feed.Rearm) (zxid znode.Zxid) {
	var missed feed.Missed
	c.feed.Watching(func(v *state.View, w *watch.Table) {
		zxid = v.Zxid
		c.newest(v)
		for _, p := range q.Recursive {
			c.ending = c.ending || !c.arm(w, p, watch.Recursive)
		}
		for _, p := range q.Persistent {
			c.ending = c.ending || !c.arm(w, p, watch.Persistent)
		}
		missed = c.feed.Missed(c.inbox, v, q)
	})
	if c.ending {
		return zxid
	}
	c.overtake(zxid)
	c.telling = true // nothing of a later view comes in between, though mu is free while output is written
	missed.Tell(func(ev watch.Event) bool {
		c.appendEvent(&ev)
		return c.ease() == nil && !c.ending
	})
	c.telling = false
	c.turn.Broadcast()
	return zxid
}
