package clienttest

import (
	"path"

	"github.com/grovekeeper/grove/internal/wire"
)

// watches are those of one connection, by path.
type watches struct {
	data, child, persistent, recursive map[string]bool
}

func newWatches() watches {
	return watches{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
}

// fires reports whether the owner is to be told of c, and spends the watches that are for once.
func (w watches) fires(c change) bool {
	told := w.persistent[c.path]
	if c.kind != wire.EventNodeChildrenChanged {
		told = told || w.within(c.path) || w.data[c.path]
		delete(w.data, c.path)
	}
	if c.kind == wire.EventNodeChildrenChanged || c.kind == wire.EventNodeDeleted {
		told = told || w.child[c.path]
		delete(w.child, c.path)
	}
	return told
}

func (w watches) within(p string) bool {
	for ; ; p = path.Dir(p) {
		if w.recursive[p] {
			return true
		}
		if p == "/" {
			return false
		}
	}
}

// remove drops what r names, and reports whether there was anything.
func (w watches) remove(r wire.RemoveWatchesRequest) bool {
	found := false
	for _, m := range []struct {
		kind wire.WatcherType
		of   map[string]bool
	}{
		{wire.WatcherData, w.data},
		{wire.WatcherChildren, w.child},
		{wire.WatcherPersistent, w.persistent},
		{wire.WatcherPersistentRecursive, w.recursive},
	} {
		if r.Type == m.kind || r.Type == wire.WatcherAny {
			found = found || m.of[r.Path]
			delete(m.of, r.Path)
		}
	}
	return found
}

// rearm arms what a client had armed before it reconnected, and returns what it has missed.
func (w watches) rearm(t *tree, m *wire.SetWatches2Request) []change {
	var missed []change
	for _, p := range m.Data {
		switch n := t.nodes[p]; {
		case n == nil:
			missed = append(missed, change{wire.EventNodeDeleted, p})
		case n.stat.Mzxid > m.RelativeZxid:
			missed = append(missed, change{wire.EventNodeDataChanged, p})
		default:
			w.data[p] = true
		}
	}
	for _, p := range m.Exist {
		if t.nodes[p] != nil {
			missed = append(missed, change{wire.EventNodeCreated, p})
		} else {
			w.data[p] = true
		}
	}
	for _, p := range m.Child {
		switch n := t.nodes[p]; {
		case n == nil:
			missed = append(missed, change{wire.EventNodeDeleted, p})
		case n.stat.Pzxid > m.RelativeZxid:
			missed = append(missed, change{wire.EventNodeChildrenChanged, p})
		default:
			w.child[p] = true
		}
	}
	for _, p := range m.Persistent {
		w.persistent[p] = true
	}
	for _, p := range m.PersistentRecursive {
		w.recursive[p] = true
	}
	return missed
}

// count is how many watches there are.
func (w watches) count() int {
	return len(w.data) + len(w.child) + len(w.persistent) + len(w.recursive)
}
