// Package znode is the tree: frozen nodes with their paths, stats, access lists and kinds, and
// the edits that turn one state of the tree into the next. A tree is a value that clones in
// constant time; a clone that nobody edits is a view that never changes. Edits get their time,
// identity and zxid from the caller and either hold, or return an error and change nothing.
// The package has no clock, lock, goroutine or logger and never looks at sessions or watches.
package znode

import "github.com/google/btree"

// Tree is one state of all nodes. Readers of a tree that is not being edited may be many at
// once; an edit needs the tree to itself, but not its clones.
type Tree struct {
	nodes  index
	bytes  int64  // of paths and data
	digest uint64 // of all nodes: see digest.go

	// What could be found from the nodes, kept at hand.
	ephemerals sorted[ephemeral]
	reapable   sorted[string] // paths of container and TTL nodes
	quotas     sorted[string] // paths with limits

	lists [listsKept]ACL // lists met lately, by hash
}

// listsKept bounds how many lists a tree remembers so as to share them. Neighbours tend to have
// equal lists; a miss costs memory and nothing else.
const listsKept = 16

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

// New returns a tree with the built-in nodes: "/", "/zookeeper", "/zookeeper/quota" and
// "/zookeeper/config". Their zxids and times are 0, and they are not counted as created below
// their parents, which is why "/" begins at cversion -1, as in ZooKeeper.
func New() *Tree {
	t := &Tree{
		nodes:      newIndex(),
		ephemerals: sorted[ephemeral]{less: ephemeral.less},
		reapable:   sorted[string]{less: btree.Less[string]()},
		quotas:     sorted[string]{less: btree.Less[string]()},
	}
	for _, path := range builtins {
		f := facts{acl: openACL}
		switch path {
		case root:
			f.children = 1
		case "/zookeeper":
			f.children = 2
		case configPath:
			f.acl, f.aversion = readACL, -1
		}
		t.put(newNode(f, Persistent, 0, path, []byte{}))
	}
	return t
}

// Clone returns a tree with the same nodes in constant time. From then on both can be edited
// without the other noticing. Clone itself counts as an edit of t.
func (t *Tree) Clone() *Tree {
	c := *t
	c.nodes = t.nodes.clone()
	c.ephemerals = t.ephemerals.clone()
	c.reapable = t.reapable.clone()
	c.quotas = t.quotas.clone()
	return &c
}

// Get returns the node at path, or nil. It does not allocate for paths of up to 255 bytes.
func (t *Tree) Get(path string) *Node { return t.nodes.get(path) }

// Len returns the number of nodes, the built-in ones included.
func (t *Tree) Len() int { return t.nodes.count }

// Bytes returns the sum of the lengths of all paths and data.
func (t *Tree) Bytes() int64 { return t.bytes }

// Digest returns a number that two trees with the same nodes share, whatever way they came to
// be, and that others almost surely do not.
func (t *Tree) Digest() uint64 { return t.digest }

// Walk yields all nodes in the order of their keys: by parent, then by name. So a node comes
// after its parent.
func (t *Tree) Walk(yield func(*Node) bool) { t.nodes.walk(yield) }

// Children yields the children of the node at path in the order of their names.
func (t *Tree) Children(path string, yield func(*Node) bool) { t.nodes.childrenOf(path, yield) }

// CountBelow returns the number of nodes below path, at any depth.
func (t *Tree) CountBelow(path string) int {
	if path == root {
		return t.Len() - 1
	}
	count := 0
	t.below(path, func(*Node) bool { count++; return true })
	return count
}

// below yields the nodes below path, which is not the root, at any depth, children first.
func (t *Tree) below(path string, yield func(*Node) bool) {
	more := true
	t.nodes.childrenOf(path, func(n *Node) bool { more = yield(n); return more })
	if more {
		t.nodes.deeper(path, yield)
	}
}

// put stores n in place of its namesake, if any, and keeps the sums.
func (t *Tree) put(n *Node) {
	t.digest += n.statDigest() + n.contentDigest()
	t.bytes += n.size()
	if old := t.nodes.put(n); old != nil {
		t.digest -= old.statDigest() + old.contentDigest()
		t.bytes -= old.size()
	}
}

// amend stores n with other facts in its place, and returns what it stored. It does not look
// at the data: a parent is amended with each of its children.
func (t *Tree) amend(n *Node, f facts) *Node {
	c := n.withFacts(f)
	t.digest += c.statDigest() - n.statDigest()
	t.nodes.put(c)
	return c
}

// take removes a node and keeps the sums.
func (t *Tree) take(n *Node) {
	t.nodes.remove(n.Path())
	t.digest -= n.statDigest() + n.contentDigest()
	t.bytes -= n.size()
}

// share returns a list equal to acl, preferably one that other nodes use already.
func (t *Tree) share(acl ACL) ACL {
	kept := &t.lists[acl.hash%listsKept]
	if !acl.equal(*kept) {
		*kept = acl
	}
	return *kept
}
