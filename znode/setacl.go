package znode

// SetACL replaces the access list of the node at path if its aversion is the given one, or any
// for AnyVersion, and returns the node as it is then. The checks and their order are those of
// ZooKeeper.
func (t *Tree) SetACL(e *Edit, path string, entries []ACE, version int32) (*Node, error) {
	if err := ValidPath(path); err != nil {
		return nil, err
	}
	acl, err := FixUp(entries, e.IDs)
	if err != nil {
		return nil, err
	}
	old := t.Get(path)
	if old == nil {
		return nil, ErrNoNode
	}
	if !e.allowed(old.acl, PermAdmin) {
		return nil, ErrNoAuth
	}
	if version != AnyVersion && version != old.aversion {
		return nil, ErrBadVersion
	}
	f := old.facts
	f.acl = t.share(acl)
	f.aversion = nextVersion(f.aversion)
	n := t.amend(old, f)
	e.changed(Touched, path, n.acl, nil)
	return n, nil
}
