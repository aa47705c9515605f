package znode

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// twin is the tree as one would write it with no thought for speed: a map of paths. It knows
// access lists only as the permissions of world:anyone.
type twin struct {
	nodes   map[string]twinNode
	enforce bool
	zxid    Zxid
	now     int64
}

type twinNode struct {
	kind    Kind
	owner   int64
	ttl     int64
	data    string
	null    bool
	perms   int32
	stat    Stat // without Cversion, NumChildren, DataLength, EphemeralOwner
	created int32
}

func newTwin() *twin {
	return &twin{nodes: map[string]twinNode{
		"/":                 {perms: 31},
		"/zookeeper":        {perms: 31},
		"/zookeeper/quota":  {perms: 31},
		"/zookeeper/config": {perms: 1, stat: Stat{Aversion: -1}},
	}}
}

func (w *twin) clone() *twin {
	c := *w
	c.nodes = maps.Clone(w.nodes)
	return &c
}

func twinParent(path string) string {
	i := strings.LastIndex(path, "/")
	if i == 0 {
		return "/"
	}
	return path[:i]
}

func (w *twin) children(path string) (names []string) {
	for p := range w.nodes {
		if p != "/" && twinParent(p) == path {
			names = append(names, p)
		}
	}
	slices.Sort(names)
	return names
}

func (w *twin) below(path string) (paths []string) {
	for p := range w.nodes {
		if p != path && (path == "/" || strings.HasPrefix(p, path+"/")) {
			paths = append(paths, p)
		}
	}
	return paths
}

func (w *twin) show(path string) string {
	n := w.nodes[path]
	st := n.stat
	children := len(w.children(path))
	st.NumChildren = int32(children)
	st.Cversion = 2*n.created - int32(children)
	st.DataLength = int32(len(n.data))
	if n.kind == Ephemeral {
		st.EphemeralOwner = n.owner
	}
	return fmt.Sprintln(path, n.kind, n.ttl, n.null, n.data, n.perms, st)
}

func twinValid(path string) bool {
	if path == "/" {
		return true
	}
	if !strings.HasPrefix(path, "/") {
		return false
	}
	for _, part := range strings.Split(path[1:], "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "\x00\x1f\u0085\ue000\U0001F600\ufffd") {
			return false
		}
	}
	return true
}

type twinCreate struct {
	path  string
	data  []byte
	perms int32 // -1: an invalid list
	flags int32
	ttl   int64
	class Class
	owner int64
}

func (w *twin) create(op twinCreate) (string, error) {
	w.zxid++
	f := op.flags
	switch {
	case f < 0 || f > 6:
		return "", ErrBadArguments
	case op.class == ClassTTL && (f < 5 || op.ttl <= 0 || op.ttl > 0xFFFFFFFFFF):
		return "", ErrBadArguments
	case op.class != ClassTTL && f >= 5:
		return "", ErrBadArguments
	case !strings.Contains(op.path, "/") || strings.Contains(op.path, "\x00"):
		return "", ErrBadArguments
	case op.perms < 0:
		return "", ErrInvalidACL
	}
	up := twinParent(op.path)
	parent, ok := w.nodes[up]
	switch {
	case !ok:
		return "", ErrNoNode
	case parent.perms&4 == 0:
		return "", ErrNoAuth
	}
	path := op.path
	if f == 2 || f == 3 || f == 6 {
		if parent.created == math.MaxInt32 {
			return "", ErrSequenceExhausted
		}
		path += fmt.Sprintf("%010d", parent.created)
	}
	if !twinValid(path) {
		return "", ErrBadArguments
	}
	if _, ok := w.nodes[path]; ok {
		return "", ErrNodeExists
	}
	if parent.kind == Ephemeral {
		return "", ErrNoChildrenForEphemerals
	}
	if err := w.admit(path, 1, len(op.data)); err != nil {
		return "", err
	}
	n := twinNode{data: string(op.data), null: op.data == nil, perms: op.perms}
	n.stat = Stat{Czxid: w.zxid, Mzxid: w.zxid, Pzxid: w.zxid, Ctime: w.now, Mtime: w.now}
	switch {
	case op.class == ClassContainer || f == 4:
		n.kind = Container
	case op.class == ClassTTL:
		n.kind, n.ttl = TTL, op.ttl
	case f == 1 || f == 3:
		n.kind, n.owner = Ephemeral, op.owner
	}
	w.nodes[path] = n
	parent.created++
	parent.stat.Pzxid = w.zxid
	w.nodes[up] = parent
	if subject, ok := twinQuota(path, "/zookeeper_stats"); ok {
		w.measure(subject)
	}
	w.charge(path, 1, len(op.data))
	return path, nil
}

func (w *twin) remove(path string) {
	n, up := w.nodes[path], twinParent(path)
	delete(w.nodes, path)
	parent := w.nodes[up]
	parent.stat.Pzxid = w.zxid
	w.nodes[up] = parent
	w.charge(path, -1, -len(n.data))
}

func (w *twin) delete(path string, version int32) error {
	w.zxid++
	if !strings.Contains(path, "/") || strings.Contains(path, "\x00") ||
		slices.Contains([]string{"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"}, path) {
		return ErrBadArguments
	}
	parent, ok := w.nodes[twinParent(path)]
	n, here := w.nodes[path]
	switch {
	case !ok:
		return ErrNoNode
	case parent.perms&8 == 0:
		return ErrNoAuth
	case !here:
		return ErrNoNode
	case version != -1 && n.stat.Version != version:
		return ErrBadVersion
	case len(w.children(path)) > 0:
		return ErrNotEmpty
	}
	w.remove(path)
	return nil
}

func twinNext(v int32) int32 {
	if v++; v == -1 {
		return 0
	}
	return v
}

func (w *twin) set(path string, data []byte, version int32) error {
	w.zxid++
	n, ok := w.nodes[path]
	switch {
	case !twinValid(path):
		return ErrBadArguments
	case !ok:
		return ErrNoNode
	case n.perms&2 == 0:
		return ErrNoAuth
	}
	growth := len(data) - len(n.data)
	if err := w.admit(path, 0, growth); err != nil {
		return err
	}
	if version != -1 && n.stat.Version != version {
		return ErrBadVersion
	}
	n.data, n.null = string(data), data == nil
	n.stat.Version = twinNext(n.stat.Version)
	n.stat.Mzxid, n.stat.Mtime = w.zxid, w.now
	w.nodes[path] = n
	w.charge(path, 0, growth)
	return nil
}

func (w *twin) setACL(path string, perms, version int32) error {
	w.zxid++
	n, ok := w.nodes[path]
	switch {
	case !twinValid(path):
		return ErrBadArguments
	case perms < 0:
		return ErrInvalidACL
	case !ok:
		return ErrNoNode
	case n.perms&16 == 0:
		return ErrNoAuth
	case version != -1 && n.stat.Aversion != version:
		return ErrBadVersion
	}
	n.perms, n.stat.Aversion = perms, twinNext(n.stat.Aversion)
	w.nodes[path] = n
	return nil
}

func (w *twin) check(path string, version int32) error {
	w.zxid++
	n, ok := w.nodes[path]
	switch {
	case !twinValid(path):
		return ErrBadArguments
	case !ok:
		return ErrNoNode
	case n.perms&1 == 0:
		return ErrNoAuth
	case version != -1 && n.stat.Version != version:
		return ErrBadVersion
	}
	return nil
}

func (w *twin) due(path string, unused int64) bool {
	n := w.nodes[path]
	return len(w.children(path)) == 0 &&
		(n.kind == Container && (n.created > 0 || unused > 0 && w.now > n.stat.Mtime+unused) ||
			n.kind == TTL && w.now > n.stat.Mtime+n.ttl)
}

func (w *twin) reap(path string, czxid Zxid, unused int64) error {
	w.zxid++
	if n, ok := w.nodes[path]; !ok || n.stat.Czxid != czxid || !w.due(path, unused) {
		return ErrNotReapable
	}
	w.remove(path)
	return nil
}

func (w *twin) owned(owner int64) (paths []string) {
	for path, n := range w.nodes {
		if n.kind == Ephemeral && n.owner == owner {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

func (w *twin) drop(owner int64) int {
	w.zxid++
	paths := w.owned(owner)
	for _, path := range paths {
		w.remove(path)
	}
	return len(paths)
}
