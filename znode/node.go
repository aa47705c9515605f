package znode

import "strings"

// Kind says how a node comes to its end.
type Kind uint8

const (
	Persistent Kind = iota // by being deleted
	Ephemeral              // with the session that owns it
	Container              // when its last child is gone
	TTL                    // when it has had no children and no set for its time to live
)

// String names the kind as the command line prints it.
func (k Kind) String() string {
	return [...]string{"persistent", "ephemeral", "container", "ttl"}[k&3]
}

// Node is one node of the tree at one moment: frozen, so that views may share it. What changes
// a node makes another one. The zero Node is of no use, and neither is a copy: path and data lie
// behind the struct (layout.go). Nodes come from trees and from DecodeNode.
type Node struct {
	facts
	pathLen uint32
	dataLen uint32 // with the kind, and whether the data is null, in the top bits
}

// facts is what may change about a node while its content stays.
type facts struct {
	acl ACL

	czxid, mzxid, pzxid Zxid
	ctime, mtime        int64 // ms
	version, aversion   int32
	creates             int32 // of children, ever: the next sequence number
	children            int32 // now
}

// Name returns the last component of the path, "" for the root.
func (n *Node) Name() string {
	path := n.Path()
	return path[strings.LastIndexByte(path, '/')+1:]
}

// Parent returns the path of the parent, "" for the root.
func (n *Node) Parent() string {
	parent, _ := KeyOf(n.Path())
	return parent
}

// ACL returns the access list, never nil for a node of a tree.
func (n *Node) ACL() ACL { return n.acl }

// Czxid returns the zxid of the creation: with the path it tells this node from its namesakes.
func (n *Node) Czxid() Zxid { return n.czxid }

// Mzxid returns the zxid of the last create or set.
func (n *Node) Mzxid() Zxid { return n.mzxid }

// Pzxid returns the zxid of the last create or delete of a child.
func (n *Node) Pzxid() Zxid { return n.pzxid }

// Version returns the number of sets, wrapping past -1.
func (n *Node) Version() int32 { return n.version }

// NumChildren returns the number of direct children.
func (n *Node) NumChildren() int { return int(n.children) }

// EphemeralOwner returns the session that owns an ephemeral node, else 0.
func (n *Node) EphemeralOwner() int64 {
	if n.Kind() != Ephemeral {
		return 0
	}
	return n.extra()
}

// TTL returns the time to live of a TTL node in ms, else 0.
func (n *Node) TTL() int64 {
	if n.Kind() != TTL {
		return 0
	}
	return n.extra()
}

// Stat returns what clients are shown.
func (n *Node) Stat() Stat {
	return Stat{
		Czxid:          n.czxid,
		Mzxid:          n.mzxid,
		Ctime:          n.ctime,
		Mtime:          n.mtime,
		Version:        n.version,
		Cversion:       2*n.creates - n.children, // creates and deletes; only creates are counted
		Aversion:       n.aversion,
		EphemeralOwner: n.EphemeralOwner(),
		DataLength:     int32(n.dataLen & dataLenMax),
		NumChildren:    n.children,
		Pzxid:          n.pzxid,
	}
}

// size is what the node counts for in Tree.Bytes.
func (n *Node) size() int64 { return int64(n.pathLen) + int64(n.dataLen&dataLenMax) }

// Reapable says whether the node may be removed at now (ms): it has no children, and it is a
// container that has had some, or its time to live has passed since the last set. A container that
// never had a child may go when more than unusedMs have passed since the last set; never, if
// unusedMs is 0.
func (n *Node) Reapable(now, unusedMs int64) bool {
	if n.children != 0 {
		return false
	}
	switch n.Kind() {
	case Container:
		return n.creates > 0 || unusedMs > 0 && now-n.mtime > unusedMs
	case TTL:
		return now-n.mtime > n.TTL()
	}
	return false
}
