package znode

// Set replaces the data of the node at path if it has the given version, or any for AnyVersion,
// and returns the node as it is then. The data is copied, the path is kept. The checks and their
// order are those of ZooKeeper.
func (t *Tree) Set(e *Edit, path string, data []byte, version int32) (*Node, error) {
	if err := ValidPath(path); err != nil {
		return nil, err
	}
	if len(data) > dataLenMax {
		return nil, ErrBadArguments
	}
	old := t.Get(path)
	if old == nil {
		return nil, ErrNoNode
	}
	if !e.allowed(old.acl, PermWrite) {
		return nil, ErrNoAuth
	}
	growth := int64(len(data)) - int64(len(old.Data()))
	if err := t.admit(e, path, 0, growth); err != nil {
		return nil, err
	}
	if version != AnyVersion && version != old.version {
		return nil, ErrBadVersion
	}
	f := old.facts
	f.version = nextVersion(f.version)
	f.mzxid, f.mtime = e.Zxid, e.Time
	n := old.withData(f, data)
	t.put(n)
	e.changed(DataSet, path, n.acl, nil)
	t.charge(e, path, 0, growth)
	return n, nil
}
