package znode

import "github.com/grovekeeper/grove/internal/bug"

// Delete removes the node at path if it has the given version, or any for AnyVersion.
// The checks and their order are those of ZooKeeper.
func (t *Tree) Delete(e *Edit, path string, version int32) error {
	parentPath, ok := split(path)
	if !ok || builtin(path) {
		return ErrBadArguments
	}
	parent := t.Get(parentPath)
	if parent == nil {
		return ErrNoNode
	}
	if !e.allowed(parent.acl, PermDelete) {
		return ErrNoAuth
	}
	n := t.Get(path)
	switch {
	case n == nil:
		return ErrNoNode
	case version != AnyVersion && version != n.version:
		return ErrBadVersion
	case n.children != 0:
		return ErrNotEmpty
	}
	t.remove(e, n, parent, path)
	return nil
}

// remove takes out a node that has no children.
func (t *Tree) remove(e *Edit, n, parent *Node, path string) {
	t.take(n)
	t.strike(n, path)

	f := parent.facts
	if f.children--; !bug.On(bug.PzxidKept) {
		f.pzxid = e.Zxid
	}
	t.amend(parent, f)

	e.changed(Deleted, path, n.acl, parent.acl)
	t.charge(e, path, -1, -int64(len(n.Data())))
}
