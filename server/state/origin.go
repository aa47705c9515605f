package state

import (
	"slices"

	"github.com/grovekeeper/grove/internal/bug"
)

// advance takes o as the last command applied of its server and reports whether o was next: the
// one after the last of its boot, or the first of a later boot. Anything else has been applied
// before, or came over a hole that its server will fill by sending again; both are to be ignored.
// A command outside any stream is always next.
func (m *Machine) advance(o Origin) bool {
	if o.Boot == 0 && o.Seq == 0 || bug.On(bug.OriginForgotten) {
		return true
	}
	i, found := slices.BinarySearchFunc(m.origins, o.Server, func(last Origin, server uint8) int {
		return int(last.Server) - int(server)
	})
	if !found {
		if !o.follows(Origin{}) {
			return false
		}
		m.origins = slices.Insert(m.origins, i, o)
		return true
	}
	if !o.follows(m.origins[i]) {
		return false
	}
	m.origins[i] = o
	return true
}

// follows reports whether o comes right after last in the stream of one server. The zero Origin
// comes before every stream.
func (o Origin) follows(last Origin) bool {
	if o.Boot > last.Boot {
		return o.Seq == 1
	}
	if bug.On(bug.GapAccepted) && o.Boot == last.Boot {
		return o.Seq > last.Seq
	}
	return o.Boot == last.Boot && o.Boot != 0 && o.Seq == last.Seq+1
}
