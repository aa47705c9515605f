package znode

import "slices"

// put stores n in place of the node with its path, which it returns, or nil.
func (x *index) put(n *Node) *Node {
	var room [keyRoom + 1]byte
	k := keyOf(n.Path(), room[:0])
	x.edit()
	old := x.putBelow(x.top, &k, n)
	if old == nil {
		x.count++
	}
	if x.top.width() > fanMax {
		right, sep := x.split(x.top)
		x.top = &branch{own: x.own, fence: newFence([]string{sep}), kids: []*branch{x.top, right}}
	}
	return old
}

// putBelow puts n below b, which is writable, and may leave b one child too wide.
func (x *index) putBelow(b *branch, k *key, n *Node) *Node {
	i := b.fence.find(k.flat)
	if b.leaves != nil {
		l := x.writableLeaf(b.leaves[i])
		b.leaves[i] = l
		old, right := x.putLeaf(l, k, n)
		if right != nil {
			b.leaves = slices.Insert(b.leaves, i+1, right)
			b.fence = b.fence.with(i, separator(l.nodes[l.count-1], right.nodes[0]))
		}
		return old
	}
	kid := x.writable(b.kids[i])
	b.kids[i] = kid
	old := x.putBelow(kid, k, n)
	if kid.width() > fanMax {
		right, sep := x.split(kid)
		b.kids = slices.Insert(b.kids, i+1, right)
		b.fence = b.fence.with(i, sep)
	}
	return old
}

// putLeaf puts n into l, which is writable. If l is full it also returns a new right neighbour.
func (x *index) putLeaf(l *leaf, k *key, n *Node) (old *Node, right *leaf) {
	path := n.Path()
	tag := tagOf(path)
	if i := l.find(tag, path); i >= 0 {
		old, l.nodes[i] = l.nodes[i], n
		return old, nil
	}
	at := l.position(k)
	if l.count < leafMax {
		l.insert(at, tag, n)
		return nil, nil
	}
	right = &leaf{own: x.own}
	if at == leafMax {
		right.insert(0, tag, n)
		return nil, right
	}
	// An ascending run is split where it ends, or it would leave half-empty leaves behind.
	cut := leafMax / 2
	if at == int(l.next) && at > 0 {
		cut = at
	}
	l.moveTo(right, cut)
	if at <= cut {
		l.insert(at, tag, n)
	} else {
		right.insert(at-cut, tag, n)
	}
	return nil, right
}

func (l *leaf) insert(at int, tag uint8, n *Node) {
	count := int(l.count)
	copy(l.nodes[at+1:count+1], l.nodes[at:count])
	copy(l.tags[at+1:count+1], l.tags[at:count])
	l.nodes[at], l.tags[at] = n, tag
	l.count++
	l.next = uint16(at + 1)
}

// moveTo moves the nodes from position cut on to the front of right.
func (l *leaf) moveTo(right *leaf, cut int) {
	moved := int(l.count) - cut
	copy(right.nodes[moved:], right.nodes[:right.count])
	copy(right.tags[moved:], right.tags[:right.count])
	copy(right.nodes[:], l.nodes[cut:l.count])
	copy(right.tags[:], l.tags[cut:l.count])
	clear(l.nodes[cut:l.count])
	l.count, l.next = uint16(cut), 0
	right.count, right.next = right.count+uint16(moved), 0
}

// split moves the right half of b to a new branch and returns it with its separator from b.
func (x *index) split(b *branch) (right *branch, sep string) {
	half := b.width() / 2
	right = &branch{own: x.own, fence: newFence(slices.Clone(b.fence.seps[half:]))}
	sep = b.fence.seps[half-1]
	b.fence = newFence(slices.Clone(b.fence.seps[:half-1]))
	b.kids, right.kids = cut(b.kids, half)
	b.leaves, right.leaves = cut(b.leaves, half)
	return right, sep
}

// cut returns the children before and from half on, without sharing memory.
func cut[T any](row []*T, half int) (left, right []*T) {
	if row == nil {
		return nil, nil
	}
	right = append(make([]*T, 0, fanMax+1), row[half:]...)
	clear(row[half:])
	return row[:half], right
}

func (b *branch) width() int { return len(b.fence.seps) + 1 }

// writable returns b if it may be written, else a copy.
func (x *index) writable(b *branch) *branch {
	if b.own == x.own {
		return b
	}
	return &branch{own: x.own, fence: b.fence, kids: slices.Clone(b.kids), leaves: slices.Clone(b.leaves)}
}

// writableLeaf returns l if it may be written, else a copy.
func (x *index) writableLeaf(l *leaf) *leaf {
	if l.own == x.own {
		return l
	}
	c := *l
	c.own = x.own
	return &c
}
