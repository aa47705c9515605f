package znode

import (
	"math"
	"strconv"

	"github.com/grovekeeper/grove/internal/bug"
)

// Class is the operation a create came by; it decides which flags mean something.
type Class uint8

const (
	ClassPlain     Class = iota // create, create2
	ClassContainer              // createContainer
	ClassTTL                    // createTTL
)

// Create asks for a new node.
type Create struct {
	Path  string
	Data  []byte
	ACL   []ACE
	Flags int32
	TTL   int64 // ms, for ClassTTL
	Class Class
}

const ttlMax = 0xFFFFFFFFFF // ms, almost 35 years

// mode is what flags mean.
type mode struct {
	kind       Kind
	sequential bool
}

// modes is indexed by flags.
var modes = [...]mode{
	{Persistent, false}, {Ephemeral, false}, {Persistent, true}, {Ephemeral, true},
	{Container, false}, {TTL, false}, {TTL, true},
}

// mode reads class, flags and time to live. Flags for a time to live belong to ClassTTL alone.
// ClassPlain with the container flag makes a container (ZooKeeper makes one only inside a
// multi); ClassContainer makes a container whatever the flags say, with a suffix if they ask
// for one, as ZooKeeper does.
func (op *Create) mode() (mode, error) {
	if op.Flags < 0 || int(op.Flags) >= len(modes) {
		return mode{}, ErrBadArguments
	}
	m := modes[op.Flags]
	if (m.kind == TTL) != (op.Class == ClassTTL) {
		return mode{}, ErrBadArguments
	}
	switch op.Class {
	case ClassTTL:
		if op.TTL < 1 || op.TTL > ttlMax {
			return mode{}, ErrBadArguments
		}
	case ClassContainer:
		m.kind = Container
	}
	return m, nil
}

// Create makes a node and returns it; its path differs from the one asked for if the flags ask
// for a sequence number. The data is copied, the path is kept. The checks and their order are
// those of ZooKeeper.
func (t *Tree) Create(e *Edit, op Create) (*Node, error) {
	m, err := op.mode()
	if err != nil {
		return nil, err
	}
	parentPath, ok := split(op.Path)
	if !ok || len(op.Data) > dataLenMax {
		return nil, ErrBadArguments
	}
	acl, err := FixUp(op.ACL, e.IDs)
	if err != nil {
		return nil, err
	}
	parent := t.Get(parentPath)
	if parent == nil {
		return nil, ErrNoNode
	}
	if !e.allowed(parent.acl, PermCreate) {
		return nil, ErrNoAuth
	}
	path := op.Path
	if m.sequential {
		if path, err = parent.successor(path); err != nil {
			return nil, err
		}
	}
	if err := ValidPath(path); err != nil {
		return nil, err
	}
	switch {
	case t.Get(path) != nil:
		return nil, ErrNodeExists
	case parent.Kind() == Ephemeral:
		return nil, ErrNoChildrenForEphemerals
	}
	if err := t.admit(e, path, 1, int64(len(op.Data))); err != nil {
		return nil, err
	}
	return t.insert(e, m.kind, path, parent, t.share(acl), &op), nil
}

// successor appends the next sequence number of parent to path. The largest number is refused,
// because the counter could not move past it and would give it out twice.
func (parent *Node) successor(path string) (string, error) {
	if parent.creates == math.MaxInt32 {
		return "", ErrSequenceExhausted
	}
	number := strconv.Itoa(int(parent.creates))
	if bug.On(bug.SequenceByCount) {
		number = strconv.Itoa(int(parent.children))
	}
	return path + "0000000000"[len(number):] + number, nil
}

// insert makes the node that Create has found nothing against.
func (t *Tree) insert(e *Edit, kind Kind, path string, parent *Node, acl ACL, op *Create) *Node {
	f := facts{acl: acl, czxid: e.Zxid, mzxid: e.Zxid, pzxid: e.Zxid, ctime: e.Time, mtime: e.Time}
	extra := e.Session
	if kind == TTL {
		extra = op.TTL
	}
	n := newNode(f, kind, extra, path, op.Data)
	t.put(n)
	t.enlist(n, path)
	t.adopted(e, parent)
	e.changed(Created, path, acl, parent.acl)
	t.charge(e, path, 1, int64(len(op.Data)))
	return n
}

// adopted counts one more child of parent.
func (t *Tree) adopted(e *Edit, parent *Node) {
	f := parent.facts
	if f.creates < math.MaxInt32 {
		f.creates++
	}
	f.children++
	f.pzxid = e.Zxid
	t.amend(parent, f)
}
