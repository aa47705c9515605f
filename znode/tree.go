// Package znode is the tree: frozen nodes with their paths, stats, access lists and kinds, and
// the edits that turn one state of the tree into the next. A tree is a value that clones in
// constant time; a clone that nobody edits is a view that never changes. Edits get their time,
// identity and zxid from the caller and either hold, or return an error and change nothing.
// The package has no clock, lock, goroutine or logger and never looks at sessions or watches.
package znode

import (
	"github.com/google/btree"
)

// Tree is one state of all nodes. Readers of a tree that is not being edited may be many at
// once; an edit needs the tree to itself, but not its clones.
type Tree struct {
	nodes  index
	bytes  int64  // of paths and data
	digest uint64 // sum of the digests of all nodes

	// What can be found from the nodes, kept at hand.
	ephemerals *btree.BTreeG[ephemeral]
	reapable   *btree.BTreeG[string] // paths of container and TTL nodes
	quotas     *btree.BTreeG[string] // paths with limits

	shared [sharedACLs]ACL // recently used lists, by hash
}

const (
	sharedACLs = 16
	degree     = 32 // of the side indexes, which are small
)

// ephemeral is an entry of the index of ephemeral nodes by owner.
type ephemeral struct {
	owner int64
	path  string
}

func (a ephemeral) less(b ephemeral) bool {
	if a.owner != b.owner {
		return a.owner < b.owner
	}
	return a.path < b.path
}

// New returns a tree with the built-in nodes: "/", "/zookeeper", "/zookeeper/quota" and
// "/zookeeper/config". Their zxids and times are 0, and they are not counted as created below
// their parents, which is why "/" begins at cversion -1, as in ZooKeeper.
func New() *Tree {
	t := &Tree{
		nodes:      newIndex(),
		ephemerals: btree.NewG(degree, ephemeral.less),
		reapable:   btree.NewG(degree, btree.Less[string]()),
		quotas:     btree.NewG(degree, btree.Less[string]()),
	}
	for _, path := range builtins {
		n := &Node{acl: openACL}
		switch path {
		case root:
			n.children = 1
		case "/zookeeper":
			n.children = 2
		case configPath:
			n.acl, n.aversion = readACL, -1
		}
		n.pack(Persistent, 0, path, []byte{})
		t.put(n)
	}
	return t
}

const configPath = "/zookeeper/config"

// builtins are the nodes that are always there.
var builtins = [...]string{root, "/zookeeper", quotaRoot, configPath}

func builtin(path string) bool {
	for _, b := range builtins {
		if path == b {
			return true
		}
	}
	return false
}

// Clone returns a tree with the same nodes in constant time. From then on both can be edited
// without the other noticing. Clone itself counts as an edit of t.
func (t *Tree) Clone() *Tree {
	c := *t
	c.nodes = t.nodes.clone()
	c.ephemerals = t.ephemerals.Clone()
	c.reapable = t.reapable.Clone()
	c.quotas = t.quotas.Clone()
	return &c
}

// Get returns the node at path, or nil. It does not allocate.
func (t *Tree) Get(path string) *Node { return t.nodes.get(path) }

// Len returns the number of nodes, the built-in ones included.
func (t *Tree) Len() int { return t.nodes.len() }

// Bytes returns the sum of the lengths of all paths and data.
func (t *Tree) Bytes() int64 { return t.bytes }

// Digest returns a number that two trees with the same nodes share, whatever way they came to
// be, and that others almost surely do not.
func (t *Tree) Digest() uint64 { return t.digest }

// EphemeralCount returns the number of ephemeral nodes.
func (t *Tree) EphemeralCount() int { return t.ephemerals.Len() }

// Children yields the children of the node at path in the order of their names.
func (t *Tree) Children(path string, yield func(*Node) bool) { t.nodes.childrenOf(path, yield) }

// CountBelow returns the number of nodes below path, at any depth.
func (t *Tree) CountBelow(path string) int {
	count := 0
	t.descendants(path, func(*Node) bool { count++; return true })
	return count
}

// descendants yields the nodes below path at any depth, children first.
func (t *Tree) descendants(path string, yield func(*Node) bool) {
	more := true
	t.nodes.childrenOf(path, func(n *Node) bool { more = yield(n); return more })
	if more {
		t.nodes.below(path, yield)
	}
}

// Walk yields all nodes in the order of their keys: by parent, then by name.
func (t *Tree) Walk(yield func(*Node) bool) { t.nodes.walk(yield) }

// Ephemerals yields the paths of the ephemeral nodes of a session, sorted.
func (t *Tree) Ephemerals(owner int64, yield func(path string) bool) {
	t.ephemerals.AscendGreaterOrEqual(ephemeral{owner: owner}, func(e ephemeral) bool {
		return e.owner == owner && yield(e.path)
	})
}

// Owners yields the sessions that own ephemeral nodes with the paths of those, sorted.
func (t *Tree) Owners(yield func(owner int64, path string) bool) {
	t.ephemerals.Ascend(func(e ephemeral) bool { return yield(e.owner, e.path) })
}

// Reapable yields the container and TTL nodes, by path. Ask Node.Reapable which are due.
func (t *Tree) Reapable(yield func(*Node) bool) {
	t.reapable.Ascend(func(path string) bool { return yield(t.Get(path)) })
}

// put stores n in place of its namesake, if any, and keeps the sums.
func (t *Tree) put(n *Node) {
	if old := t.nodes.put(n); old != nil {
		t.bytes -= old.size()
		t.digest -= old.digest()
	}
	t.bytes += n.size()
	t.digest += n.digest()
}

// enlist adds a node that is new to the indexes beside the tree.
func (t *Tree) enlist(n *Node, path string) {
	switch n.Kind() {
	case Ephemeral:
		t.ephemerals.ReplaceOrInsert(ephemeral{n.extra(), path})
	case Container, TTL:
		t.reapable.ReplaceOrInsert(path)
	}
	if prefix, ok := quotaPrefix(path, limitsName); ok {
		t.quotas.ReplaceOrInsert(prefix)
	}
}

// strike takes a node that is gone out of the indexes beside the tree.
func (t *Tree) strike(n *Node, path string) {
	switch n.Kind() {
	case Ephemeral:
		t.ephemerals.Delete(ephemeral{n.extra(), path})
	case Container, TTL:
		t.reapable.Delete(path)
	}
	if prefix, ok := quotaPrefix(path, limitsName); ok {
		t.quotas.Delete(prefix)
	}
}

// share returns a list equal to acl, preferably one that other nodes use already.
func (t *Tree) share(acl ACL) ACL {
	slot := &t.shared[acl.hash%sharedACLs]
	if *slot != nil && acl.equal(*slot) {
		return *slot
	}
	*slot = acl
	return acl
}

// size is what the node counts for in Bytes.
func (n *Node) size() int64 { return int64(n.pathLen) + int64(n.dataLen&dataLenMax) }
