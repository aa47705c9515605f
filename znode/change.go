package znode

// ChangeKind says what happened to a node.
type ChangeKind uint8

const (
	Created ChangeKind = iota + 1 // the node is new; its parent's stat changed with it
	Deleted                       // the node is gone; its parent's stat changed with it
	DataSet                       // the data was set, perhaps to the same bytes
	Touched                       // access list or quota bookkeeping: to be stored, fires nothing
)

// String names the kind as scripts and logs print it.
func (k ChangeKind) String() string {
	switch k {
	case Created:
		return "created"
	case Deleted:
		return "deleted"
	case DataSet:
		return "data-set"
	case Touched:
		return "touched"
	}
	return "unknown"
}

// Change is one effect of one command on one node. Changes are values: they are fired, stored
// and replayed. Path never shares memory with the data of a node, so keeping a change is cheap.
type Change struct {
	Kind      ChangeKind
	Path      string
	Zxid      Zxid
	ACL       ACL // of the node; for Deleted, the one it had
	ParentACL ACL // of its parent, for Created and Deleted; else nil
}

// Edit is the context of one command: who asks, when, under which zxid, and what came of it.
// Every edit that succeeds appends what it changed, in the order it happened.
type Edit struct {
	Zxid         Zxid
	Time         int64      // ms since the epoch
	Session      int64      // becomes the owner of ephemeral nodes
	IDs          []Identity // whom the access lists are asked about
	SkipACL      bool       // ask no access list
	EnforceQuota bool       // refuse what exceeds a hard limit

	Changes []Change
}

// allowed says whether the command may do perms where acl guards.
func (e *Edit) allowed(acl ACL, perms int32) bool {
	return e.SkipACL || acl.Allows(e.IDs, perms)
}

func (e *Edit) changed(kind ChangeKind, path string, acl, parent ACL) {
	e.Changes = append(e.Changes, Change{Kind: kind, Path: path, Zxid: e.Zxid, ACL: acl, ParentACL: parent})
}
