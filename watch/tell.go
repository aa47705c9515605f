package watch

import "github.com/grovekeeper/grove/znode"

// kinds of change by the event they cause on the node itself.
var causes = [...]znode.ChangeKind{Created: znode.Created, Deleted: znode.Deleted, DataChanged: znode.DataSet}

// Tell delivers one event to those who watch for it, and removes the one-shot watches that heard of it.
// It is Fire for what was found otherwise than change by change: an event of a node tells nothing of its
// parent, so that a node of which many children changed has one event, not many.
func (t *Table) Tell(e Event, acl znode.ACL, deliver Deliver) {
	switch {
	case t.tally.pairs == 0:
		return
	case e.Type == ChildrenChanged:
		t.gather(e.Path, hearChild)
	default:
		t.gather(e.Path, rules[causes[e.Type]].hear)
		t.gatherRecursive(e.Path)
	}
	t.deliver(e, acl, deliver)
}
