package znode

// Check says whether the node at path is there, may be read and has the given version, or any
// for AnyVersion. It changes nothing. The order of the checks is that of ZooKeeper.
func (t *Tree) Check(e *Edit, path string, version int32) error {
	if err := ValidPath(path); err != nil {
		return err
	}
	n := t.Get(path)
	switch {
	case n == nil:
		return ErrNoNode
	case !e.allowed(n.acl, PermRead):
		return ErrNoAuth
	case version != AnyVersion && version != n.version:
		return ErrBadVersion
	}
	return nil
}
