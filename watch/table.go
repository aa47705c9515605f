package watch

import "github.com/grovekeeper/grove/znode"

// HeldMax is how many paths one connection can watch at most.
const HeldMax = 1<<24 - 1

// Deliver takes one event to all connections that are to hear it, in the order of their ids. The
// receivers must be allowed to read by acl, at that moment, or else not hear of it. It must not
// keep ids and must not call the table.
type Deliver func(ids []ID, e Event, acl znode.ACL)

// Table holds the armed watches of one server.
type Table struct {
	pairs int
}

// New returns an empty table.
func New() *Table { return &Table{} }

// Empty tells whether nobody watches anything.
func (t *Table) Empty() bool { return t.pairs == 0 }

// Watches returns the number of pairs of a connection and a path that it watches in any way.
func (t *Table) Watches() int { return t.pairs }

// Paths returns the number of paths watched by anybody.
func (t *Table) Paths() int { return 0 }

// Watchers returns the number of connections that watch anything.
func (t *Table) Watchers() int { return 0 }

// Held returns the number of paths the connection watches.
func (t *Table) Held(id ID) int { return 0 }

// Arm adds watches of the kinds to what the connection has on the path. It returns false, and has
// done nothing, if the path would be one more than HeldMax.
func (t *Table) Arm(id ID, path string, kind Kind) bool { return false }

// Disarm removes the kinds in mask from what the connection has on the path, and tells whether
// there was any of them.
func (t *Table) Disarm(id ID, path string, mask Kind) bool { return false }

// Armed tells whether the connection has any of the kinds in mask on the path.
func (t *Table) Armed(id ID, path string, mask Kind) bool { return false }

// Drop removes every watch of the connection.
func (t *Table) Drop(id ID) {}

// Fire delivers the events of one change to those who watch for it, and removes the one-shot
// watches it spends.
func (t *Table) Fire(c znode.Change, deliver Deliver) {}

// ByPath yields every watched path with each of its watchers.
func (t *Table) ByPath(yield func(path string, id ID, kind Kind) bool) {}

// ByWatcher yields every connection with each of the paths it watches.
func (t *Table) ByWatcher(yield func(id ID, path string, kind Kind) bool) {}

// Of yields what one connection watches.
func (t *Table) Of(id ID, yield func(path string, kind Kind) bool) {}
