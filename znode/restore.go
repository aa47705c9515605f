package znode

import (
	"fmt"
	"strings"
)

// Restore stores a node that was read back and now belongs to the tree. It is for loading
// alone: a node must come after its parent, as in the order of Walk, into a tree that nobody
// has edited. What New built in is replaced by what was stored.
func (t *Tree) Restore(n *Node) error {
	path := n.Path()
	if parent, _ := KeyOf(path); parent != "" && t.Get(parent) == nil {
		return fmt.Errorf("restore %s: parent: %w", path, ErrNoNode)
	}
	n.acl = t.share(n.acl)
	t.put(n)
	t.enlist(n, strings.Clone(path))
	return nil
}
