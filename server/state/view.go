package state

import (
	"slices"

	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// View is the state after the command at Zxid. Everything in it is frozen: it is read from any
// number of goroutines and written by none.
type View struct {
	Zxid     znode.Zxid
	Time     int64 // ms; the latest time any command carried
	Nodes    *znode.Tree
	Sessions *session.Table
	Origins  []Origin // the last applied of each server, by server, ascending
}

// View pins the current state. The cost does not depend on its size; what has not changed since
// the last view is shared with it.
func (m *Machine) View() *View {
	if m.pinned.Nodes == nil {
		m.pinned.Nodes = m.nodes.Clone()
	}
	if m.pinned.Sessions == nil {
		m.pinned.Sessions = m.sessions.Clone()
	}
	if !slices.Equal(m.pinned.Origins, m.origins) {
		m.pinned.Origins = slices.Clone(m.origins)
	}
	m.pinned.Zxid, m.pinned.Time = m.zxid, m.time
	v := m.pinned
	return &v
}

// Digest sums up the machine: equal states have equal digests, and servers compare theirs at
// equal zxid. The cost does not depend on the size of the state.
func (m *Machine) Digest() uint64 {
	return digest(m.zxid, m.time, m.nodes.Digest(), m.sessions.Digest(), m.origins)
}

// Digest is that of the machine at the time the view was pinned.
func (v *View) Digest() uint64 {
	return digest(v.Zxid, v.Time, v.Nodes.Digest(), v.Sessions.Digest(), v.Origins)
}

func digest(zxid znode.Zxid, time int64, nodes, sessions uint64, origins []Origin) uint64 {
	h := fold(fold(fold(fold(fnvBasis, uint64(zxid)), uint64(time)), nodes), sessions)
	for _, o := range origins {
		h = fold(fold(fold(h, uint64(o.Server)), o.Boot), o.Seq)
	}
	return h
}

// FNV-1a (Fowler, Noll, Vo), taken a word at a time: nodes and sessions come hashed already.
const (
	fnvBasis = 0xcbf29ce484222325
	fnvPrime = 0x100000001b3
)

// fold adds v to the hash h. Two words that differ give different hashes.
func fold(h, v uint64) uint64 { return (h ^ v) * fnvPrime }
