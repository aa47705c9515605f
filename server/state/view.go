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
	Origins  []OriginMark // by server, ascending
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

func digest(zxid znode.Zxid, time int64, nodes, sessions uint64, origins []OriginMark) uint64 {
	h := mix(mix(mix(mix(0, uint64(zxid)), uint64(time)), nodes), sessions)
	for _, o := range origins {
		h = mix(mix(mix(h, uint64(o.Server)), o.Boot), o.Seq)
	}
	return h
}

// mix adds v to the hash h: the finaliser of splitmix64 (Steele, Lea and Flood, "Fast splittable
// pseudorandom number generators", 2014) over their sum.
func mix(h, v uint64) uint64 {
	h += v + 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
