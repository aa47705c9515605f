package feed

import (
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/watch"
	"github.com/grovekeeper/grove/znode"
)

// recent is a ring of the newest changes that fire watches. Bound: a number of changes; the oldest
// are forgotten, and from says up to which zxid they may have been.
type recent struct {
	ring  []znode.Change
	first int // of the oldest
	max   int
	from  znode.Zxid // every firing change after this zxid is in the ring
}

func newRecent(changes []znode.Change, from znode.Zxid, limit int) recent {
	r := recent{max: max(limit, 1), from: from}
	r.add(changes)
	return r
}

func (r *recent) add(changes []znode.Change) {
	for i := range changes {
		if changes[i].Kind == znode.Touched {
			continue // fires nothing
		}
		if len(r.ring) < r.max {
			r.ring = append(r.ring, changes[i])
			continue
		}
		r.from = r.ring[r.first].Zxid
		r.ring[r.first] = changes[i]
		r.first = (r.first + 1) % r.max
	}
}

// since calls yield with the changes after zxid, oldest first.
func (r *recent) since(zxid znode.Zxid, yield func(c znode.Change)) {
	for i := range r.ring {
		if c := r.ring[(r.first+i)%len(r.ring)]; c.Zxid > zxid {
			yield(c)
		}
	}
}

// Rearm is what a client asks for when it comes back: its persistent watches, and the last zxid it saw.
type Rearm struct {
	Since     znode.Zxid
	Persist   []string
	Recursive []string
}

// Missed returns what the persistent watches of a returning client would have been told since it was
// last told anything, in zxid order, as far as the connection may read it. Apache ZooKeeper loses
// these. It reaches as far back as the ring; what happened before is derived from the tree as it is
// (see missedByState), which cannot know of nodes that came and went. It is called within Watching.
func (f *Feed) Missed(in *Inbox, v *state.View, q Rearm) []watch.Event {
	if len(q.Persist)+len(q.Recursive) == 0 || q.Since <= 0 || q.Since >= v.Zxid {
		return nil // who was never told a zxid has seen nothing to compare with
	}
	// A table with only this client's watches answers exactly as the real one would have.
	t := watch.New()
	for _, p := range q.Persist {
		t.Arm(in.id, p, watch.Persistent)
	}
	for _, p := range q.Recursive {
		t.Arm(in.id, p, watch.Recursive)
	}
	var out []watch.Event
	may := func(acl znode.ACL) bool {
		return f.cfg.SkipACL || acl.Allows(in.Identities(), znode.PermRead)
	}
	since := q.Since
	if since < f.recent.from {
		out = missedByState(v, q, f.recent.from, may)
		since = f.recent.from
	}
	f.recent.since(since, func(c znode.Change) {
		t.Fire(c, func(_ []watch.ID, ev watch.Event, acl znode.ACL) {
			if may(acl) {
				out = append(out, ev)
			}
		})
	})
	return out
}

// missedByState derives from the stats of v what happened after q.Since and up to upTo: creations and
// changes of nodes that are still there, changes of the list of children, and the absence of a node
// watched by name. Deletions below a recursive watch leave no trace but their parent's pzxid.
func missedByState(v *state.View, q Rearm, upTo znode.Zxid, may func(znode.ACL) bool) []watch.Event {
	var out []watch.Event
	in := func(z znode.Zxid) bool { return z > q.Since && z <= upTo }
	tell := func(n *znode.Node, t watch.EventType, z znode.Zxid) {
		if in(z) && may(n.ACL()) {
			out = append(out, watch.Event{Type: t, Path: n.Path(), Zxid: z})
		}
	}
	own := func(n *znode.Node) {
		if s := n.Stat(); in(s.Czxid) {
			tell(n, watch.Created, s.Czxid)
		} else {
			tell(n, watch.DataChanged, s.Mzxid)
		}
	}
	for _, p := range q.Persist {
		n := v.Nodes.Get(p)
		if n == nil {
			out = append(out, watch.Event{Type: watch.Deleted, Path: p, Zxid: upTo})
			continue
		}
		own(n)
		tell(n, watch.ChildrenChanged, n.Stat().Pzxid)
	}
	for _, p := range q.Recursive {
		if v.Nodes.Get(p) == nil {
			out = append(out, watch.Event{Type: watch.Deleted, Path: p, Zxid: upTo})
		}
		below(v, p, own)
	}
	return out
}

// below calls visit for the node at path and everything under it.
func below(v *state.View, path string, visit func(*znode.Node)) {
	n := v.Nodes.Get(path)
	if n == nil {
		return
	}
	visit(n)
	v.Nodes.Children(path, func(c *znode.Node) bool {
		below(v, c.Path(), visit)
		return true
	})
}
