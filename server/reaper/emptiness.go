package reaper

import (
	"strings"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/znode"
)

// emptiness judges containers and TTL nodes. mono is a monotonic clock and wall the time of day,
// both in milliseconds.
type emptiness struct {
	set      Settings
	nextScan int64    // mono
	due      []victim // found by the last scan and not proposed yet; at most what a minute allows
	credit   float64  // reaps that the pace allows now
	paidMs   int64    // mono, up to when credit was given
}

// victim is a node found due.
type victim struct {
	path  string
	czxid znode.Zxid
}

// newEmptiness begins a term of office. The first scan comes one interval later, as in ZooKeeper.
func newEmptiness(set Settings, mono int64) *emptiness {
	return &emptiness{set: set, nextScan: mono + set.ScanEveryMs, paidMs: mono}
}

// look returns the verdicts that are due, by path and at the pace set.
func (e *emptiness) look(nodes *znode.Tree, mono, wall int64) (out []state.Command) {
	if mono >= e.nextScan && len(e.due) == 0 && e.scan(nodes, wall) {
		e.nextScan = mono + e.set.ScanEveryMs
	}
	e.earn(mono)
	for ; len(e.due) > 0 && e.credit >= 1; e.credit-- {
		out = append(out, state.Command{
			Kind: state.Reap, Time: wall,
			Op: state.Op{Kind: state.Reap, Path: e.due[0].path, Czxid: e.due[0].czxid, TTL: e.set.NeverUsedMs},
		})
		e.due = e.due[1:]
	}
	return out
}

// scan finds what is due, and reports whether that is all. What exceeds a minute's worth is left to
// the next scan, which then comes as soon as this one's is spent.
func (e *emptiness) scan(nodes *znode.Tree, wall int64) (all bool) {
	e.due = nil
	for n := range nodes.Reapable {
		if len(e.due) == e.set.ReapsPerMinute {
			return false
		}
		if n.Reapable(wall, e.set.NeverUsedMs) {
			e.due = append(e.due, victim{strings.Clone(n.Path()), n.Czxid()}) // holds on to no node
		}
	}
	return true
}

// earn turns the time since it was last called into credit, at most one second's worth.
func (e *emptiness) earn(mono int64) {
	perMs := float64(e.set.ReapsPerMinute) / 60_000
	e.credit = min(e.credit+float64(mono-e.paidMs)*perMs, max(1, perMs*1000))
	e.paidMs = mono
}
