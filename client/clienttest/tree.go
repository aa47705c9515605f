package clienttest

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/grovekeeper/grove/internal/wire"
)

// node is frozen once it is in a tree: a change is a copy.
type node struct {
	data    []byte
	acl     []wire.ACL
	stat    wire.Stat // without what follows from the tree: NumChildren, DataLength and Cversion
	created int32     // how many children have been
}

// tree is what the service agrees on, but for sessions.
type tree struct {
	zxid  int64
	nodes map[string]*node
}

func newTree() *tree { return &tree{nodes: map[string]*node{"/": {acl: openACL}}} }

var openACL = []wire.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}}

// change is what a watch may be told of.
type change struct {
	kind wire.EventType
	path string
}

func (t *tree) children(p string) []string {
	prefix := strings.TrimSuffix(p, "/") + "/"
	var names []string
	for name := range t.nodes {
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" && !strings.Contains(rest, "/") {
			names = append(names, rest)
		}
	}
	slices.Sort(names)
	return names
}

func (t *tree) stat(p string) wire.Stat {
	n := t.nodes[p]
	s := n.stat
	s.DataLength = int32(len(n.data))
	s.NumChildren = int32(len(t.children(p)))
	s.Cversion = n.created*2 - s.NumChildren
	return s
}

// write is one edit: what it results in, and what it changed.
func (t *tree) write(op wire.MultiOp, owner, nowMs int64) (wire.MultiResult, []change, wire.Code) {
	switch op.Op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		return t.create(op, owner, nowMs)
	case wire.OpDelete:
		return t.delete(op)
	case wire.OpSetData:
		return t.set(op, nowMs)
	case wire.OpCheck:
		return wire.MultiResult{Type: wire.OpCheck}, nil, t.check(op)
	}
	return wire.MultiResult{}, nil, wire.CodeUnimplemented
}

func (t *tree) check(op wire.MultiOp) wire.Code {
	n := t.nodes[op.Path]
	switch {
	case n == nil:
		return wire.CodeNoNode
	case op.Version != -1 && op.Version != n.stat.Version:
		return wire.CodeBadVersion
	}
	return wire.CodeOK
}

func (t *tree) create(op wire.MultiOp, owner, nowMs int64) (wire.MultiResult, []change, wire.Code) {
	parent := path.Dir(op.Path)
	above := t.nodes[parent]
	if strings.HasSuffix(op.Path, "/") {
		parent = path.Clean(op.Path)
		above = t.nodes[parent]
	}
	if above == nil {
		return wire.MultiResult{}, nil, wire.CodeNoNode
	}
	if above.stat.EphemeralOwner != 0 {
		return wire.MultiResult{}, nil, wire.CodeNoChildrenForEphemerals
	}
	name := op.Path
	if op.Flags == wire.FlagSequential || op.Flags == wire.FlagEphemeralSequential ||
		op.Flags == wire.FlagPersistentSequentialTTL {
		name += fmt.Sprintf("%010d", above.created)
	}
	if t.nodes[name] != nil {
		return wire.MultiResult{}, nil, wire.CodeNodeExists
	}
	made := &node{data: slices.Clone(op.Data), acl: slices.Clone(op.ACL)}
	made.stat = wire.Stat{Czxid: t.zxid, Mzxid: t.zxid, Pzxid: t.zxid, Ctime: nowMs, Mtime: nowMs}
	if op.Flags == wire.FlagEphemeral || op.Flags == wire.FlagEphemeralSequential {
		made.stat.EphemeralOwner = owner
	}
	t.nodes[name] = made
	next := *above
	next.created++
	next.stat.Pzxid = t.zxid
	t.nodes[parent] = &next
	return wire.MultiResult{Type: wire.OpCreate2, Path: name, Stat: t.stat(name)}, []change{
		{wire.EventNodeCreated, name}, {wire.EventNodeChildrenChanged, parent},
	}, wire.CodeOK
}

func (t *tree) delete(op wire.MultiOp) (wire.MultiResult, []change, wire.Code) {
	if code := t.check(op); code != wire.CodeOK {
		return wire.MultiResult{}, nil, code
	}
	if len(t.children(op.Path)) > 0 || op.Path == "/" {
		return wire.MultiResult{}, nil, wire.CodeNotEmpty
	}
	delete(t.nodes, op.Path)
	parent := path.Dir(op.Path)
	next := *t.nodes[parent]
	next.stat.Pzxid = t.zxid
	t.nodes[parent] = &next
	return wire.MultiResult{Type: wire.OpDelete}, []change{
		{wire.EventNodeDeleted, op.Path}, {wire.EventNodeChildrenChanged, parent},
	}, wire.CodeOK
}

func (t *tree) set(op wire.MultiOp, nowMs int64) (wire.MultiResult, []change, wire.Code) {
	if code := t.check(op); code != wire.CodeOK {
		return wire.MultiResult{}, nil, code
	}
	next := *t.nodes[op.Path]
	next.data = slices.Clone(op.Data)
	next.stat.Version++
	next.stat.Mzxid, next.stat.Mtime = t.zxid, nowMs
	t.nodes[op.Path] = &next
	return wire.MultiResult{Type: wire.OpSetData, Stat: t.stat(op.Path)},
		[]change{{wire.EventNodeDataChanged, op.Path}}, wire.CodeOK
}

// multi does all of ops or none.
func (t *tree) multi(ops []wire.MultiOp, owner, nowMs int64) ([]wire.MultiResult, []change) {
	fork := &tree{zxid: t.zxid, nodes: maps.Clone(t.nodes)}
	var results []wire.MultiResult
	var changes []change
	for i, op := range ops {
		result, made, code := fork.write(op, owner, nowMs)
		if code != wire.CodeOK {
			return refused(len(ops), i, code), nil
		}
		results = append(results, result)
		changes = append(changes, made...)
	}
	t.nodes = fork.nodes
	return results, changes
}

func refused(n, at int, code wire.Code) []wire.MultiResult {
	results := make([]wire.MultiResult, n)
	for i := range results {
		results[i].Type = wire.OpError
		switch {
		case i == at:
			results[i].Err = code
		case i > at:
			results[i].Err = wire.CodeRuntimeInconsistency
		}
	}
	return results
}

// bury deletes the ephemerals of a session.
func (t *tree) bury(owner int64) []change {
	var paths []string
	for p, n := range t.nodes {
		if n.stat.EphemeralOwner == owner {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	var changes []change
	for _, p := range paths {
		_, made, _ := t.delete(wire.MultiOp{Op: wire.OpDelete, Path: p, Version: -1})
		changes = append(changes, made...)
	}
	return changes
}
