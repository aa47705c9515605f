package znode

// Diff yields, in the order of the keys, each node in which t differs from old: before is nil for a
// node that is new, after for one that is gone. Trees that descend from one another by Clone share
// the pages that no edit has touched, and those are passed over unread, so the cost follows what
// was edited and not the size of the trees. Either tree may be read by others meanwhile.
func (t *Tree) Diff(old *Tree, yield func(before, after *Node) bool) {
	a, b := newCursor(&old.nodes), newCursor(&t.nodes)
	for a.leaf != nil || b.leaf != nil {
		if a.leaf != nil && a.leaf == b.leaf && a.at == 0 && b.at == 0 {
			skipShared(&a, &b)
			continue
		}
		before, after := a.node(), b.node()
		switch {
		case before == after:
			a.advance()
			b.advance()
			continue
		case after == nil || before != nil && sortsBefore(before, after):
			after = nil
			a.advance()
		case before == nil || sortsBefore(after, before):
			before = nil
			b.advance()
		default: // the same path
			a.advance()
			b.advance()
		}
		if !yield(before, after) {
			return
		}
	}
}

func sortsBefore(n, m *Node) bool {
	k := key{}
	k.parent, k.name = KeyOf(m.Path())
	return n.before(&k)
}

// skipShared moves two cursors past the largest page that both are at the beginning of.
func skipShared(a, b *cursor) {
	i, j := len(a.stack)-1, len(b.stack)-1
	for i >= 0 && j >= 0 && a.stack[i].at == 0 && b.stack[j].at == 0 && a.stack[i].page == b.stack[j].page {
		i, j = i-1, j-1
	}
	a.leave(i)
	b.leave(j)
}

// cursor stands at a node of an index, or at its end.
type cursor struct {
	stack []step // from the top down
	leaf  *leaf  // nil at the end
	at    int    // in leaf
}

// step is a branch on the way down and the child taken.
type step struct {
	page *branch
	at   int
}

func newCursor(x *index) cursor {
	var c cursor
	c.descend(x.top)
	c.settle()
	return c
}

// descend goes down to the first leaf below b.
func (c *cursor) descend(b *branch) {
	for b.leaves == nil {
		c.stack = append(c.stack, step{b, 0})
		b = b.kids[0]
	}
	c.stack = append(c.stack, step{b, 0})
	c.leaf, c.at = b.leaves[0], 0
}

// node returns where the cursor stands, nil at the end.
func (c *cursor) node() *Node {
	if c.leaf == nil {
		return nil
	}
	return c.leaf.nodes[c.at]
}

func (c *cursor) advance() {
	c.at++
	c.settle()
}

// settle moves on from the end of a leaf, past leaves without nodes.
func (c *cursor) settle() {
	for c.leaf != nil && c.at >= int(c.leaf.count) {
		c.leave(len(c.stack) - 1)
	}
}

// leave goes on with the page after the one that level is at, or ends.
func (c *cursor) leave(level int) {
	for ; level >= 0; level-- {
		s := &c.stack[level]
		if s.at+1 < s.page.width() {
			s.at++
			c.stack = c.stack[:level+1]
			if s.page.leaves != nil {
				c.leaf, c.at = s.page.leaves[s.at], 0
			} else {
				c.descend(s.page.kids[s.at])
			}
			c.settle()
			return
		}
	}
	c.stack, c.leaf, c.at = nil, nil, 0
}
