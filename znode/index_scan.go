package znode

import "strings"

// walk yields all nodes in order.
func (x *index) walk(yield func(*Node) bool) { x.top.scan(nil, yield) }

// from yields the nodes from the key (parent, name) on.
func (x *index) from(parent, name string, yield func(*Node) bool) {
	var room [keyRoom + 1]byte
	k := makeKey(parent, name, room[:0])
	x.top.scan(&k, yield)
}

// scan yields the nodes below b from k on, or all for a nil k, until yield says no.
func (b *branch) scan(k *key, yield func(*Node) bool) bool {
	first := 0
	if k != nil {
		first = b.fence.find(k.flat)
	}
	for i := first; i < len(b.kids); i++ {
		if !b.kids[i].scan(k, yield) {
			return false
		}
		k = nil
	}
	for i := first; i < len(b.leaves); i++ {
		if !b.leaves[i].scan(k, yield) {
			return false
		}
		k = nil
	}
	return true
}

func (l *leaf) scan(k *key, yield func(*Node) bool) bool {
	first := 0
	if k != nil {
		first = l.position(k)
	}
	for _, n := range l.nodes[first:l.count] {
		if !yield(n) {
			return false
		}
	}
	return true
}

// childrenOf yields the nodes whose parent is path, by name.
func (x *index) childrenOf(path string, yield func(*Node) bool) {
	// The root is its own neighbour in the order, not its own child: names are not empty.
	slash := len(path)
	if path == root {
		slash = 0
	}
	x.from(path, "", func(n *Node) bool {
		p := n.Path()
		if len(p) <= slash+1 || p[slash] != '/' || p[:slash] != path[:slash] ||
			strings.IndexByte(p[slash+1:], '/') >= 0 {
			return false
		}
		return yield(n)
	})
}

// deeper yields the descendants of path, which is not the root, other than its children: their
// parents' paths begin with path and a slash, and are neighbours in the order.
func (x *index) deeper(path string, yield func(*Node) bool) {
	prefix := path + "/"
	x.from(prefix, "", func(n *Node) bool {
		return strings.HasPrefix(n.Path(), prefix) && yield(n)
	})
}
