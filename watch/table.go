package watch

// HeldMax is how many paths one connection can watch. It is a limit of the table's layout; what
// a server allows is far less and is for the caller to count, with Held and Watches.
const HeldMax = 1 << 24

// Table holds the armed watches of one server. It is a matrix of paths and connections that is
// empty nearly everywhere, so only the pairs that have a watch are kept, each from both sides:
//
//	paths   path ──► watchers, ascending by id    who hears of a change
//	conns   id   ──► paths, in no order           what ends with a connection
//
// Each watcher notes where its connection's list holds the path, and so either side of a pair is
// found from the other without a search through a list.
//
// A table is not safe for concurrent use: feed guards it by the lock under which it swaps views.
type Table struct {
	paths paths
	conns conns
	tally tally

	ids []ID // whom Fire is collecting; empty between calls, kept for its capacity
}

// New returns an empty table.
func New() *Table { return &Table{paths: newPaths(), conns: newConns()} }

// Empty tells whether nobody watches anything.
func (t *Table) Empty() bool { return t.tally.pairs == 0 }

// Watches returns the number of watches: pairs of a connection and a path it watches in any way.
func (t *Table) Watches() int { return t.tally.pairs }

// Paths returns the number of paths that anybody watches.
func (t *Table) Paths() int { return t.paths.live }

// Watchers returns the number of connections that watch anything.
func (t *Table) Watchers() int { return t.conns.live }

// Held returns the number of paths the connection watches.
func (t *Table) Held(id ID) int { return len(t.conns.refs(id)) }

// kindOf returns the kinds the connection has on the entry's path.
func (t *Table) kindOf(r ref, id ID) Kind {
	i, ok := t.paths.search(r, id)
	if !ok {
		return 0
	}
	return t.paths.watchers(r)[i].kind()
}
