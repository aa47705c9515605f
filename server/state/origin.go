package state

import (
	"slices"
)

// OriginMark is how far the stream of one server has been applied: everything up to Seq of Boot,
// and nothing after.
type OriginMark struct {
	Server uint8
	Boot   uint64
	Seq    uint64
}

// advance moves the mark of o's server to o and reports whether o was next: the follower of the
// last one of its boot, or the first of a later boot. Anything else has been applied before, or
// came over a hole that its server will fill by sending again; both are to be ignored.
func (m *Machine) advance(o Origin) bool {
	if o == (Origin{}) {
		return true
	}
	i, found := slices.BinarySearchFunc(m.origins, o.Server, func(mark OriginMark, server uint8) int {
		return int(mark.Server) - int(server)
	})
	var last OriginMark
	if found {
		last = m.origins[i]
	}
	switch {
	case o.Boot < last.Boot:
		return false
	case o.Boot > last.Boot:
		last.Seq = 0
	}
	if o.Seq != last.Seq+1 || o.Boot == 0 {
		return false
	}
	next := OriginMark{Server: o.Server, Boot: o.Boot, Seq: o.Seq}
	if found {
		m.origins[i] = next
	} else {
		m.origins = slices.Insert(m.origins, i, next)
	}
	return true
}
