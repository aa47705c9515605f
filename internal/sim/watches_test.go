package sim

import (
	"cmp"
	"slices"
	"strings"

	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/watch"
	"github.com/grovekeeper/grove/znode"
)

// armed is a watch: it hears what happens after since.
type armed struct {
	path  string
	kind  watch.Kind // one
	since znode.Zxid
}

// keepArmed adds a watch, unless there is one like it already, which has seen more.
func keepArmed(list []armed, a armed) []armed {
	for i := range list {
		if list[i].path == a.path && list[i].kind == a.kind {
			return list
		}
	}
	return append(list, a)
}

// hears says whether the watch hears of something that happens to a node, or to a child of it.
func (a *armed) hears(path string, kind znode.ChangeKind, child bool) bool {
	switch {
	case a.kind == watch.Recursive:
		return !child && within(a.path, path)
	case a.path != path:
		return false
	case child:
		return a.kind == watch.Child || a.kind == watch.Persistent
	case kind == znode.Deleted:
		return true
	}
	return a.kind != watch.Child
}

func within(root, path string) bool {
	rest, ok := strings.CutPrefix(path, root)
	return ok && (rest == "" || rest[0] == '/' || root == "/")
}

var eventOf = [...]watch.EventType{
	znode.Created: watch.Created, znode.Deleted: watch.Deleted, znode.DataSet: watch.DataChanged,
}

// spend takes out the one-shot watches that an event uses up.
func spend(list []armed, ev watch.Event) []armed {
	return slices.DeleteFunc(slices.Clone(list), func(a armed) bool {
		if a.path != ev.Path || a.kind&(watch.Data|watch.Child) == 0 || ev.Zxid >= 0 && a.since >= ev.Zxid {
			return false
		}
		switch ev.Type {
		case watch.ChildrenChanged:
			return a.kind == watch.Child
		case watch.Deleted:
			return true
		}
		return a.kind == watch.Data
	})
}

// expect works out, by the book, which events the connection is owed up to a zxid, and takes the
// watches that they use up.
func (k *conn) expect(upTo znode.Zxid) []watch.Event {
	var due []watch.Event
	t := &k.s.truth
	if len(k.armed) == 0 {
		k.told = max(k.told, upTo)
		return nil
	}
	for ; k.told < upTo; k.told++ {
		r := t.at(uint64(k.told) + 1)
		if r == nil {
			continue
		}
		for i := range r.outcome.Changes {
			c := &r.outcome.Changes[i]
			if c.Kind == znode.Touched {
				continue
			}
			due = k.owed(due, watch.Event{Type: eventOf[c.Kind], Path: c.Path, Zxid: c.Zxid}, c.Kind, false)
			if c.Kind != znode.DataSet {
				up := watch.Event{Type: watch.ChildrenChanged, Path: parentPath(c.Path), Zxid: c.Zxid}
				due = k.owed(due, up, c.Kind, true)
			}
		}
	}
	return due
}

func (k *conn) owed(due []watch.Event, ev watch.Event, kind znode.ChangeKind, child bool) []watch.Event {
	heard := false
	for i := range k.armed {
		heard = heard || k.armed[i].since < ev.Zxid && k.armed[i].hears(ev.Path, kind, child)
	}
	if !heard {
		return due
	}
	k.armed = spend(k.armed, ev)
	return append(due, ev)
}

// deliver tells the events up to a zxid, and holds them against what is owed: O1 to O4.
func (k *conn) deliver(upTo znode.Zxid) {
	got := k.in.TakeEvents(upTo, nil)
	var want []watch.Event
	if len(k.owing) > 0 {
		n := 0
		for n < len(k.owing) && k.owing[n].Zxid <= upTo {
			n++
		}
		want, k.owing = append(want, k.owing[:n]...), k.owing[n:]
	}
	want = append(want, k.expect(upTo)...)
	if k.jumped { // where zxids are equal, the order is of no importance
		sortEvents(got)
		sortEvents(want)
		k.jumped = len(k.owing) > 0
	}
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			k.s.broken("O1", "client %d at server %d is about to see %d without %v of %s at %d",
				k.c.i, k.n.id, upTo, want[i].Type, want[i].Path, want[i].Zxid)
		case i >= len(want):
			k.s.broken("O2", "client %d at server %d is told %v of %s at %d, which it does not watch",
				k.c.i, k.n.id, got[i].Type, got[i].Path, got[i].Zxid)
		case got[i] != want[i]:
			k.s.broken("O4", "client %d at server %d is told %v, %v is due", k.c.i, k.n.id, got[i], want[i])
		}
		k.tell(got[i])
	}
}

// installed works out what the connection is owed when the state jumps: what differs between the two,
// as if it had just happened.
func (k *conn) installed(was *state.View) {
	now := k.n.feed.View()
	k.owing = append(k.owing, k.expect(was.Zxid)...)
	var news []watch.Event
	add := func(kind watch.EventType, path string, at znode.Zxid) {
		news = append(news, watch.Event{Type: kind, Path: path, Zxid: min(max(at, was.Zxid+1), now.Zxid)})
	}
	was.Nodes.Walk(func(n *znode.Node) bool {
		if m := now.Nodes.Get(n.Path()); m == nil || m.Czxid() != n.Czxid() {
			add(watch.Deleted, n.Path(), 0)
		}
		return true
	})
	now.Nodes.Walk(func(n *znode.Node) bool {
		m, st := was.Nodes.Get(n.Path()), n.Stat()
		fresh := m == nil || m.Czxid() != n.Czxid()
		if fresh {
			add(watch.Created, n.Path(), st.Czxid)
		} else if m.Mzxid() != st.Mzxid {
			add(watch.DataChanged, n.Path(), st.Mzxid)
		}
		if fresh && st.Pzxid != st.Czxid || !fresh && m.Stat().Pzxid != st.Pzxid {
			add(watch.ChildrenChanged, n.Path(), st.Pzxid)
		}
		return true
	})
	sortEvents(news)
	slices.SortStableFunc(news, func(a, b watch.Event) int { return int(a.Zxid - b.Zxid) })
	kinds := map[watch.EventType]znode.ChangeKind{
		watch.Created: znode.Created, watch.Deleted: znode.Deleted, watch.DataChanged: znode.DataSet,
	}
	for _, ev := range news {
		k.owing = k.owed(k.owing, ev, kinds[ev.Type], ev.Type == watch.ChildrenChanged)
	}
	k.told, k.jumped = now.Zxid, true
}

func sortEvents(list []watch.Event) {
	slices.SortFunc(list, func(a, b watch.Event) int {
		return cmp.Or(cmp.Compare(a.Zxid, b.Zxid), strings.Compare(a.Path, b.Path), -cmp.Compare(a.Type, b.Type))
	})
}

func (k *conn) tell(ev watch.Event) {
	k.s.mark(markEvents)
	k.s.note("event", uint64(k.c.i), uint64(ev.Zxid), uint64(ev.Type), ev.Path)
	k.toClient(func() { k.c.told(k, ev) })
}

// arm does what a front does for a read with a watch, or a request for a lasting one.
func (k *conn) arm(o *op) (v *state.View) {
	kind := map[opKind]watch.Kind{
		opWatch: watch.Data, opWatchChildren: watch.Child, opPersistent: watch.Persistent, opRecursive: watch.Recursive,
	}[o.kind]
	k.n.feed.Watching(func(now *state.View, w *watch.Table) {
		v = now
		if o.kind == opWatchChildren && now.Nodes.Get(o.path) == nil {
			o.err = znode.ErrNoNode
			return
		}
		w.Arm(k.in.ID(), o.path, kind)
	})
	k.deliver(v.Zxid)
	if o.err == nil {
		k.armed = keepArmed(k.armed, armed{o.path, kind, v.Zxid})
	}
	return v
}

// rearm does what a front does for a client that has come back with watches: O5.
func (k *conn) rearm(o *op) (v *state.View) {
	var told []watch.Event
	var missed feed.Missed
	q := feed.Rearm{Since: o.since}
	var armedNow []armed
	k.n.feed.Watching(func(now *state.View, w *watch.Table) {
		v = now
		for _, a := range o.rearm {
			k.s.mark(markRearmed)
			if a.kind == watch.Persistent || a.kind == watch.Recursive {
				if a.kind == watch.Persistent {
					q.Persistent = append(q.Persistent, a.path)
				} else {
					q.Recursive = append(q.Recursive, a.path)
				}
				w.Arm(k.in.ID(), a.path, a.kind)
				armedNow = append(armedNow, armed{a.path, a.kind, now.Zxid})
				continue
			}
			ev, gone := k.check(now, a, o.since)
			if gone {
				told = append(told, watch.Event{Type: ev, Path: a.path, Zxid: feed.NoZxid})
				continue
			}
			w.Arm(k.in.ID(), a.path, a.kind)
			armedNow = append(armedNow, armed{a.path, a.kind, now.Zxid})
		}
		slices.Sort(q.Persistent)
		q.Recursive = feed.Topmost(q.Recursive)
		q.Top = q.Recursive
		missed = k.n.feed.Missed(k.in, now, q)
	})
	k.deliver(v.Zxid)
	for _, ev := range told {
		k.tell(ev)
	}
	missed.Tell(func(ev watch.Event) bool { k.tell(ev); return true })
	for _, a := range armedNow {
		k.armed = keepArmed(k.armed, a)
	}
	return v
}

// check says whether a one-shot watch has missed something, as the product has it, and holds that
// against the state that the client knew.
func (k *conn) check(now *state.View, a armed, since znode.Zxid) (watch.EventType, bool) {
	list := watch.ChildList
	then := k.s.truth.at(uint64(since))
	if a.kind == watch.Data {
		list = watch.ExistList
		if then != nil && then.view.Nodes.Get(a.path) != nil {
			list = watch.DataList
		}
	}
	var st znode.Stat
	n := now.Nodes.Get(a.path)
	if n != nil {
		st = n.Stat()
	}
	ev, gone := watch.Missed(list, n != nil, st.Mzxid, st.Pzxid, since)
	if then == nil {
		return ev, gone
	}
	m := then.view.Nodes.Get(a.path)
	differs := (n == nil) != (m == nil)
	if n != nil && m != nil {
		differs = a.kind == watch.Data && n.Mzxid() != m.Mzxid() ||
			a.kind == watch.Child && n.Stat().Pzxid != m.Stat().Pzxid
	}
	if differs != gone {
		k.s.broken("O5", "client %d comes back to server %d: %v of %s since %d differs %v, told %v",
			k.c.i, k.n.id, a.kind, a.path, since, differs, gone)
	}
	return ev, gone
}
