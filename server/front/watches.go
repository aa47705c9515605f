package front

import (
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
	c.feed.Watching(func(v *state.View, w *watch.Table) {
		zxid = v.Zxid
		w.Arm(c.inbox.ID(), rooted(m.Path), kind)
	})
	c.overtake(zxid)
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

// setWatches arms the watches of a client that has come back, and tells it what it missed: one event
// for each one-shot watch whose node is not as the client last saw it, and every event of the
// persistent ones. All of it leaves before the reply.
func (c *conn) setWatches(s *slot, r *codec.Reader, m *wire.SetWatches2Request) {
	if r.Err() != nil {
		c.fail(s, c.catchUp(), wire.CodeMarshallingError)
		return
	}
	var v *state.View
	var told []watch.Event
	c.feed.Watching(func(now *state.View, w *watch.Table) {
		v = now
		since := znode.Zxid(m.RelativeZxid)
		told = c.rearm(told, v, w, watch.DataList, m.Data, since)
		told = c.rearm(told, v, w, watch.ExistList, m.Exist, since)
		told = c.rearm(told, v, w, watch.ChildList, m.Child, since)
		for _, p := range m.Persistent {
			w.Arm(c.inbox.ID(), rooted(p), watch.Persistent)
		}
		for _, p := range m.PersistentRecursive {
			w.Arm(c.inbox.ID(), rooted(p), watch.Recursive)
		}
		missed := c.feed.Missed(c.inbox, v, feed.Rearm{
			Since: since, Persist: m.Persistent, Recursive: m.PersistentRecursive,
		})
		told = append(told, missed...)
	})
	c.overtake(v.Zxid)
	for i := range told {
		c.appendEvent(&told[i])
	}
	c.fail(s, v.Zxid, wire.CodeOK)
}

// rearm goes through one list of setWatches. A change is told only to who may read the node; that a
// node is there or not is no secret: the errors of a read say it to anybody.
func (c *conn) rearm(told []watch.Event, v *state.View, w *watch.Table, l watch.List, paths []string, since znode.Zxid) []watch.Event {
	for _, p := range paths {
		p = rooted(p)
		n := v.Nodes.Get(p)
		var st znode.Stat
		if n != nil {
			st = n.Stat()
		}
		ev, missed := watch.Missed(l, n != nil, st.Mzxid, st.Pzxid, since)
		if !missed {
			w.Arm(c.inbox.ID(), p, l.Kind())
			continue
		}
		if ev == watch.Created || ev == watch.Deleted || c.allowed(n, znode.PermRead) {
			told = append(told, watch.Event{Type: ev, Path: p, Zxid: znode.Zxid(wire.NoZxid)})
		}
	}
	return told
}
