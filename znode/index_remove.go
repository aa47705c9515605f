package znode

import "slices"

// remove takes out the node at path and returns it, or nil.
func (x *index) remove(path string) *Node {
	var room [keyRoom + 1]byte
	k := keyOf(path, room[:0])
	x.edit()
	old := x.removeBelow(x.top, &k, path)
	if old != nil {
		x.count--
	}
	if len(x.top.kids) == 1 {
		x.top = x.top.kids[0]
	}
	return old
}

// removeBelow removes the node at path from below b, which is writable, and may leave b too
// narrow.
func (x *index) removeBelow(b *branch, k *key, path string) *Node {
	i := b.fence.find(k.flat)
	if b.leaves != nil {
		l := x.writableLeaf(b.leaves[i])
		b.leaves[i] = l
		old := l.remove(path)
		if l.count < leafMin && len(b.leaves) > 1 {
			x.mendLeaf(b, min(i, len(b.leaves)-2))
		}
		return old
	}
	kid := x.writable(b.kids[i])
	b.kids[i] = kid
	old := x.removeBelow(kid, k, path)
	if kid.width() < fanMin && len(b.kids) > 1 {
		x.mend(b, min(i, len(b.kids)-2))
	}
	return old
}

func (l *leaf) remove(path string) *Node {
	i := l.find(tagOf(path), path)
	if i < 0 {
		return nil
	}
	old, count := l.nodes[i], int(l.count)
	copy(l.nodes[i:], l.nodes[i+1:count])
	copy(l.tags[i:], l.tags[i+1:count])
	l.nodes[count-1] = nil
	l.count, l.next = l.count-1, 0
	return old
}

// mendLeaf merges leaves i and i+1 of b, one of which is nearly empty, or evens them out if one
// leaf could not hold both with some room to spare.
func (x *index) mendLeaf(b *branch, i int) {
	left, right := x.writableLeaf(b.leaves[i]), x.writableLeaf(b.leaves[i+1])
	total := int(left.count + right.count)
	if total <= leafMax*3/4 {
		left.moveTo(right, 0)
		b.leaves = slices.Delete(b.leaves, i, i+2)
		b.leaves = slices.Insert(b.leaves, i, right)
		b.fence = b.fence.without(i)
		return
	}
	if int(left.count) > total/2 {
		left.moveTo(right, total/2)
	} else {
		right.giveTo(left, total/2-int(left.count))
	}
	b.leaves[i], b.leaves[i+1] = left, right
	b.fence = b.fence.without(i).with(i, separator(left.nodes[left.count-1], right.nodes[0]))
}

// giveTo moves the first n nodes to the end of left.
func (l *leaf) giveTo(left *leaf, n int) {
	copy(left.nodes[left.count:], l.nodes[:n])
	copy(left.tags[left.count:], l.tags[:n])
	left.count, left.next = left.count+uint16(n), 0
	copy(l.nodes[:], l.nodes[n:l.count])
	copy(l.tags[:], l.tags[n:l.count])
	clear(l.nodes[int(l.count)-n : l.count])
	l.count, l.next = l.count-uint16(n), 0
}

// mend merges branches i and i+1 of b, one of which is too narrow, and splits them again if
// the result is too wide.
func (x *index) mend(b *branch, i int) {
	left, right := x.writable(b.kids[i]), b.kids[i+1]
	seps := append(slices.Clone(left.fence.seps), b.fence.seps[i])
	left.fence = newFence(append(seps, right.fence.seps...))
	if left.leaves != nil {
		left.leaves = append(left.leaves, right.leaves...)
	} else {
		left.kids = append(left.kids, right.kids...)
	}
	b.kids[i] = left
	if left.width() <= fanMax*3/4 {
		b.kids = slices.Delete(b.kids, i+1, i+2)
		b.fence = b.fence.without(i)
		return
	}
	rest, sep := x.split(left)
	b.kids[i+1] = rest
	b.fence = b.fence.without(i).with(i, sep)
}
