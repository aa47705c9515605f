package znode

import "math"

// ephemeral is an entry of the index of ephemeral nodes by owner.
type ephemeral struct {
	owner int64
	path  string
}

func (a ephemeral) less(b ephemeral) bool {
	if a.owner != b.owner {
		return a.owner < b.owner
	}
	return a.path < b.path
}

// enlist adds a node that is new to the indexes beside the tree. path must not share memory
// with the node, or the indexes would keep its data alive.
func (t *Tree) enlist(n *Node, path string) {
	switch n.Kind() {
	case Ephemeral:
		t.ephemerals.add(ephemeral{n.extra(), path})
	case Container, TTL:
		t.reapable.add(path)
	}
	if prefix, ok := quotaPrefix(path, limitsName); ok {
		t.quotas.add(prefix)
	}
}

// strike takes a node that is gone out of the indexes beside the tree.
func (t *Tree) strike(n *Node, path string) {
	switch n.Kind() {
	case Ephemeral:
		t.ephemerals.remove(ephemeral{n.extra(), path})
	case Container, TTL:
		t.reapable.remove(path)
	}
	if prefix, ok := quotaPrefix(path, limitsName); ok {
		t.quotas.remove(prefix)
	}
}

// EphemeralCount returns the number of ephemeral nodes.
func (t *Tree) EphemeralCount() int { return t.ephemerals.len() }

// Ephemerals yields the paths of the ephemeral nodes of a session, sorted.
func (t *Tree) Ephemerals(owner int64, yield func(path string) bool) {
	t.ephemerals.from(ephemeral{owner: owner}, func(e ephemeral) bool {
		return e.owner == owner && yield(e.path)
	})
}

// Owners yields the sessions that own ephemeral nodes with the paths of those, sorted.
func (t *Tree) Owners(yield func(owner int64, path string) bool) {
	t.ephemerals.from(ephemeral{owner: math.MinInt64}, func(e ephemeral) bool {
		return yield(e.owner, e.path)
	})
}

// Reapable yields the container and TTL nodes, by path. Ask Node.Reapable which are due.
func (t *Tree) Reapable(yield func(*Node) bool) {
	t.reapable.from("", func(path string) bool { return yield(t.Get(path)) })
}
