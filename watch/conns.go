package watch

import "slices"

// conns holds, for every connection that watches anything, the entries of the paths it watches.
// Ids are handed out in sequence, so neighbours share a page, and a connection with one path
// costs 16 bytes.
type conns struct {
	pages map[ID]*page // by id / pageSize
	live  int          // connections with any path
}

const pageSize = 64

type page struct {
	conns [pageSize]conn
	live  int // of those, how many have any path
}

// conn is the list of one connection, in no order. A list of one needs no memory of its own.
type conn struct {
	one  [1]ref
	more *[]ref // when there are several; then one is not used
}

func newConns() conns { return conns{pages: map[ID]*page{}} }

// refs returns the entries of the connection's paths, to be read only. The slice is good until
// the list changes.
func (c *conns) refs(id ID) []ref {
	p := c.pages[id/pageSize]
	if p == nil {
		return nil
	}
	return p.conns[id%pageSize].refs()
}

func (n *conn) refs() []ref {
	if n.more != nil {
		return *n.more
	}
	if n.one[0] == 0 {
		return nil
	}
	return n.one[:]
}

// push adds an entry at the end of the connection's list.
func (c *conns) push(id ID, r ref) {
	p := c.pages[id/pageSize]
	if p == nil {
		p = new(page)
		c.pages[id/pageSize] = p
	}
	n := &p.conns[id%pageSize]
	switch {
	case n.more != nil:
		*n.more = append(*n.more, r)
	case n.one[0] != 0:
		n.more = &[]ref{n.one[0], r}
	default:
		n.one[0] = r
		p.live++
		c.live++
	}
}

// cut takes the entry at the place off the connection's list. If the last one had to move there to
// fill the gap, it returns it and true.
func (c *conns) cut(id ID, place int) (moved ref, ok bool) {
	p := c.pages[id/pageSize]
	n := &p.conns[id%pageSize]
	if n.more == nil {
		c.release(p, id)
		return 0, false
	}
	list := *n.more
	last := len(list) - 1
	list[place] = list[last]
	*n.more = list[:last]
	if last == 1 {
		*n = conn{one: [1]ref{list[0]}}
	}
	return list[place], place < last
}

// drop forgets the connection and its list.
func (c *conns) drop(id ID) {
	p := c.pages[id/pageSize]
	if p != nil && p.conns[id%pageSize].refs() != nil {
		c.release(p, id)
	}
}

// release empties the connection's list, and frees the page with its last one.
func (c *conns) release(p *page, id ID) {
	p.conns[id%pageSize] = conn{}
	c.live--
	if p.live--; p.live == 0 {
		delete(c.pages, id/pageSize)
	}
}

// ids returns the connections that watch anything, ascending.
func (c *conns) ids() []ID {
	ids := make([]ID, 0, c.live)
	for base, p := range c.pages {
		for i := range p.conns {
			if p.conns[i].refs() != nil {
				ids = append(ids, base*pageSize+ID(i))
			}
		}
	}
	slices.Sort(ids)
	return ids
}
