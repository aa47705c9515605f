package feed

import (
	"sort"

	"github.com/grovekeeper/grove/znode"
)

// recent is a ring of the newest changes that fire watches. Bound: a number of changes; the oldest
// are forgotten, and from says up to which zxid they may have been.
type recent struct {
	ring  []znode.Change
	first int // of the oldest
	max   int
	from  znode.Zxid // every firing change after this zxid is in the ring
}

func newRecent(changes []znode.Change, from znode.Zxid, limit int) recent {
	r := recent{max: max(limit, 1), from: from}
	r.add(changes)
	return r
}

func (r *recent) add(changes []znode.Change) {
	for i := range changes {
		if changes[i].Kind == znode.Touched {
			continue // fires nothing
		}
		if len(r.ring) < r.max {
			r.ring = append(r.ring, changes[i])
			continue
		}
		r.from = r.ring[r.first].Zxid
		r.ring[r.first] = changes[i]
		r.first = (r.first + 1) % r.max
	}
}

// since returns a copy of the changes after zxid, oldest first.
func (r *recent) since(zxid znode.Zxid) []znode.Change {
	n := sort.Search(len(r.ring), func(i int) bool { return r.at(i).Zxid > zxid })
	out := make([]znode.Change, 0, len(r.ring)-n)
	for ; n < len(r.ring); n++ {
		out = append(out, *r.at(n))
	}
	return out
}

// at returns the change that has i older ones in the ring.
func (r *recent) at(i int) *znode.Change { return &r.ring[(r.first+i)%len(r.ring)] }
