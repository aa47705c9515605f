package znode

import (
	"fmt"
	"strings"
)

// Restore stores a node that was read back. It is for loading alone: nodes must come in the
// order of Walk, so that parents come first, into a tree that nobody has edited.
func (t *Tree) Restore(n *Node) error {
	path := n.Path()
	parent, _ := KeyOf(path)
	if path != root && t.Get(parent) == nil {
		return fmt.Errorf("restore %s: parent: %w", path, ErrNoNode)
	}
	n.acl = t.share(n.acl)
	t.put(n)
	t.enlist(n, strings.Clone(path))
	return nil
}
