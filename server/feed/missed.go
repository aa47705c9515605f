package feed

import (
	"slices"
	"strings"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/watch"
	"github.com/grovekeeper/grove/znode"
)

// Rearm is what a client asks for when it comes back: its lasting watches, and the last zxid it saw. One
// who has many is served in batches.
type Rearm struct {
	Since      znode.Zxid
	Persistent []string // no path twice
	Recursive  []string // part of Top
	Top        []string // the recursive watches of all batches; none below another, see Topmost
}

// NoZxid is the zxid of an event that is derived from the state: what it announces happened some time
// after the client was last told anything.
const NoZxid znode.Zxid = -1

// Missed is what lasting watches missed up to a view, to be told before anything of a later one.
// Apache ZooKeeper loses it. It reaches as far back as the ring of recent changes; what happened before
// is derived from the tree as it is, which cannot know of nodes that came and went.
type Missed struct {
	view    *state.View
	asked   Rearm
	from    znode.Zxid // changes has all that happened after it
	changes []znode.Change
	begun   map[string]znode.ChangeKind // what the changes begin with, by path; made when it is asked for
	may     func(znode.ACL) bool
}

// Missed pins what the connection's watches missed; the view and the feed must be those of a Watching
// in which they are armed. It takes no longer than to copy the changes: telling them is for later.
func (f *Feed) Missed(in *Inbox, v *state.View, q Rearm) Missed {
	m := Missed{view: v, asked: q, from: max(q.Since, f.recent.from)}
	// Who was never told a zxid has seen nothing to compare with.
	if len(q.Persistent)+len(q.Recursive) > 0 && q.Since > 0 && q.Since < v.Zxid {
		m.changes = f.recent.since(m.from)
		m.may = func(acl znode.ACL) bool { return f.cfg.SkipACL || acl.Allows(in.Identities(), znode.PermRead) }
	}
	return m
}

// Tell calls tell with every event that was missed and that the connection may read, until it returns
// false: first those derived from the state, in the order of their paths, then those of the ring, in the
// order of their zxids.
func (m *Missed) Tell(tell func(watch.Event) bool) {
	if m.may == nil {
		return
	}
	if m.asked.Since < m.from && !m.derive(tell) {
		return
	}
	// A table with only this client's watches answers exactly as the real one would have.
	t := watch.New()
	for _, p := range m.asked.Persistent {
		t.Arm(0, p, watch.Persistent)
	}
	for _, p := range m.asked.Recursive {
		t.Arm(0, p, watch.Recursive)
	}
	on := true
	deliver := func(_ []watch.ID, ev watch.Event, acl znode.ACL) {
		if on && m.may(acl) && !m.elsewhere(ev) {
			on = tell(ev)
		}
	}
	for i := 0; on && i < len(m.changes); i++ {
		t.Fire(m.changes[i], deliver)
	}
}

// derive tells what the stats of the view say about the time after Since and up to from: creations
// and changes of nodes that are still there, changes of a list of children, and that a node watched by
// name is not there. Deletions below a recursive watch leave no trace but their parent's pzxid.
func (m *Missed) derive(tell func(watch.Event) bool) bool {
	for _, p := range m.asked.Persistent {
		n := m.view.Nodes.Get(p)
		if n == nil {
			_, again := slices.BinarySearchFunc(m.asked.Top, p, byComponents) // that one tells of it
			if !again && !m.absent(p, tell) {
				return false
			}
			continue
		}
		if !covered(m.asked.Top, p) && !m.own(n, tell) {
			return false
		}
		// A node's pzxid begins as its czxid, without any child.
		if s := n.Stat(); s.Pzxid != s.Czxid && !m.say(n, watch.ChildrenChanged, s.Pzxid, tell) {
			return false
		}
	}
	for _, p := range m.asked.Recursive {
		n := m.view.Nodes.Get(p)
		if n == nil && !m.absent(p, tell) || n != nil && !m.below(n, tell) {
			return false
		}
	}
	return true
}

// absent tells that the node at p is not there, unless it still was at the beginning of the ring: then
// the ring has its end.
func (m *Missed) absent(p string, tell func(watch.Event) bool) bool {
	if m.begun == nil {
		m.begun = make(map[string]znode.ChangeKind, len(m.changes))
		for i := len(m.changes) - 1; i >= 0; i-- {
			m.begun[m.changes[i].Path] = m.changes[i].Kind
		}
	}
	if kind := m.begun[p]; kind == znode.Deleted || kind == znode.DataSet {
		return true
	}
	return tell(watch.Event{Type: watch.Deleted, Path: p, Zxid: NoZxid})
}

// own tells that the node is new, or that its data is.
func (m *Missed) own(n *znode.Node, tell func(watch.Event) bool) bool {
	s := n.Stat()
	if s.Czxid > m.asked.Since {
		return m.say(n, watch.Created, s.Czxid, tell)
	}
	return m.say(n, watch.DataChanged, s.Mzxid, tell)
}

// below tells of the node and of all below it, parents first.
func (m *Missed) below(n *znode.Node, tell func(watch.Event) bool) bool {
	on := m.own(n, tell)
	if on && n.Stat().NumChildren > 0 {
		m.view.Nodes.Children(n.Path(), func(child *znode.Node) bool {
			on = m.below(child, tell)
			return on
		})
	}
	return on
}

// say tells of what happened to the node at a zxid, if that was in the time without changes.
func (m *Missed) say(n *znode.Node, t watch.EventType, at znode.Zxid, tell func(watch.Event) bool) bool {
	if at <= m.asked.Since || at > m.from || !m.may(n.ACL()) {
		return true
	}
	return tell(watch.Event{Type: t, Path: n.Path(), Zxid: NoZxid})
}

// elsewhere says whether a recursive watch of another batch tells of the event.
func (m *Missed) elsewhere(ev watch.Event) bool {
	return ev.Type != watch.ChildrenChanged && len(m.asked.Recursive) < len(m.asked.Top) &&
		covered(m.asked.Top, ev.Path) && !covered(m.asked.Recursive, ev.Path)
}

// covered says whether one of the recursive watches is on p or above it.
func covered(top []string, p string) bool {
	i, found := slices.BinarySearchFunc(top, p, byComponents)
	return found || i > 0 && under(top[i-1], p)
}

// Topmost sorts the paths of recursive watches and takes out those below another: that one hears the
// same and more. It works in the slice given.
func Topmost(paths []string) []string {
	slices.SortFunc(paths, byComponents)
	kept := paths[:0]
	for _, p := range paths {
		if len(kept) == 0 || !under(kept[len(kept)-1], p) {
			kept = append(kept, p)
		}
	}
	return kept
}

// byComponents orders paths such that what is below one follows it at once.
func byComponents(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	if n == len(a) || n == len(b) {
		return len(a) - len(b)
	}
	switch { // a slash comes before everything else
	case a[n] == '/':
		return -1
	case b[n] == '/':
		return 1
	}
	return int(a[n]) - int(b[n])
}

// under says whether path is root or lies below it.
func under(root, path string) bool {
	rest, ok := strings.CutPrefix(path, root)
	return ok && (rest == "" || rest[0] == '/' || root == "/")
}
