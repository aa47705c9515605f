package znode

import "github.com/google/btree"

const degree = 32

// index holds the nodes ordered by (parent, name).
type index struct{ nodes *btree.BTreeG[*Node] }

func newIndex() index { return index{btree.NewG(degree, less)} }

func less(a, b *Node) bool {
	p, n := KeyOf(a.Path())
	q, m := KeyOf(b.Path())
	if p != q {
		return p < q
	}
	return n < m
}

func probe(path string) *Node {
	n := new(Node)
	n.pack(Persistent, 0, path, nil)
	return n
}

func (x *index) clone() index { return index{x.nodes.Clone()} }
func (x *index) len() int     { return x.nodes.Len() }

func (x *index) get(path string) *Node {
	n, _ := x.nodes.Get(probe(path))
	return n
}

// put stores n in place of the node with its path, which it returns, or nil.
func (x *index) put(n *Node) *Node {
	old, _ := x.nodes.ReplaceOrInsert(n)
	return old
}

func (x *index) remove(path string) { x.nodes.Delete(probe(path)) }

func (x *index) walk(yield func(*Node) bool) { x.nodes.Ascend(yield) }

// children yields the nodes whose parent is path, by name.
func (x *index) childrenOf(path string, yield func(*Node) bool) {
	from := path + "/"
	if path == root {
		from = root
	}
	_ = from
	x.nodes.AscendGreaterOrEqual(probe(from), func(n *Node) bool {
		switch parent := n.Parent(); {
		case parent == path:
			return yield(n)
		case parent > path:
			return false
		}
		return true
	})
}

// below yields the descendants of path other than its children.
func (x *index) below(path string, yield func(*Node) bool) {
	x.nodes.Ascend(func(n *Node) bool {
		parent := n.Parent()
		if len(parent) > len(path) && parent[:len(path)] == path && (path == root || parent[len(path)] == '/') {
			return yield(n)
		}
		return true
	})
}
