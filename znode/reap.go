package znode

// Reap removes the container or TTL node at path that was created at czxid, if at e.Time the
// verdict still holds: see Node.Reapable for unusedMs. Otherwise it returns ErrNotReapable.
func (t *Tree) Reap(e *Edit, path string, czxid Zxid, unusedMs int64) error {
	n := t.Get(path)
	if n == nil || n.czxid != czxid || !n.Reapable(e.Time, unusedMs) {
		return ErrNotReapable
	}
	t.remove(e, n, t.Get(n.Parent()), path)
	return nil
}

// DropEphemerals removes the ephemeral nodes of a session, in the order of their paths, and
// returns their number. It asks no access list.
func (t *Tree) DropEphemerals(e *Edit, owner int64) int {
	var paths []string
	t.Ephemerals(owner, func(path string) bool {
		paths = append(paths, path)
		return true
	})
	for _, path := range paths {
		n := t.Get(path)
		t.remove(e, n, t.Get(n.Parent()), path)
	}
	return len(paths)
}
