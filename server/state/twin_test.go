package state

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// twin is the machine over again, slow and obvious: maps that are copied whole, nothing shared,
// nothing incremental. It knows no access lists and no quotas; those have twins in znode.
type twin struct {
	time     int64
	nodes    map[string]twinNode
	sessions map[session.ID]session.Session
	origins  map[uint8]Origin
}

type twinNode struct {
	stat  znode.Stat // without DataLength, NumChildren and Cversion
	data  string     // "null" or quoted
	made  int32      // children created so far
	class Class
	ttl   int64
}

// twinResult is the part of an outcome that the twin predicts.
type twinResult struct {
	err     error
	path    string
	stat    znode.Stat
	errs    []error // of a multi
	ignored bool
	changes []string
}

func newTwin() *twin {
	t := &twin{nodes: map[string]twinNode{}, sessions: map[session.ID]session.Session{}, origins: map[uint8]Origin{}}
	for _, path := range []string{"/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"} {
		n := twinNode{data: `""`}
		if path == "/zookeeper/config" {
			n.stat.Aversion = -1
		}
		t.nodes[path] = n
	}
	return t
}

func (t *twin) apply(zxid znode.Zxid, c *Command) (r twinResult) {
	if c.Origin.Boot != 0 || c.Origin.Seq != 0 {
		last := t.origins[c.Origin.Server]
		next := c.Origin.Boot == last.Boot && c.Origin.Seq == last.Seq+1
		first := c.Origin.Boot > last.Boot && c.Origin.Seq == 1
		if !next && !first {
			return twinResult{ignored: true}
		}
		t.origins[c.Origin.Server] = c.Origin
	}
	t.time = max(t.time, c.Time)
	switch c.Kind {
	case OpenSession:
		id := session.ID(int64(c.Origin.Server)<<56 | int64(zxid))
		t.sessions[id] = session.Session{ID: id, TimeoutMs: c.TimeoutMs, Password: c.Random, Epoch: 1}
		return r
	case AttachSession:
		s, ok := t.sessions[c.Session]
		switch {
		case !ok:
			r.err = session.ErrUnknown
		case s.Password != c.Password:
			r.err = session.ErrPassword
		default:
			s.Epoch, s.TimeoutMs = s.Epoch+1, c.TimeoutMs
			t.sessions[c.Session] = s
		}
		return r
	case Noop:
		return r
	case Configure:
		n := t.nodes["/zookeeper/config"]
		table := string(c.Op.Data)
		if table != "" {
			table += "\n"
		}
		n.data = shown(fmt.Appendf(nil, "%sversion=%x", table, int64(zxid)))
		n.stat.Version, n.stat.Mzxid, n.stat.Mtime = -1, zxid, t.time
		t.nodes["/zookeeper/config"] = n
		r.changes = append(r.changes, "data-set /zookeeper/config")
		return r
	case Reap:
		n, ok := t.nodes[c.Op.Path]
		dead := n.class == znode.ClassContainer && n.made > 0 || n.class == znode.ClassTTL && t.time-n.stat.Mtime > n.ttl
		if !ok || n.stat.Czxid != c.Op.Czxid || len(t.children(c.Op.Path)) > 0 || !dead {
			r.err = znode.ErrNotReapable
			return r
		}
		t.remove(zxid, c.Op.Path, &r)
		return r
	}
	s, ok := t.sessions[c.Session]
	switch {
	case !ok:
		r.err = session.ErrExpired
	case s.Epoch != c.Epoch:
		r.err = session.ErrMoved
	case c.Kind == CloseSession, c.Kind == ExpireSession:
		t.end(zxid, s.ID, &r)
	case c.Kind == Multi:
		t.multi(zxid, c, &r)
	default:
		t.op(zxid, s.ID, &c.Op, &r)
	}
	return r
}

func (t *twin) end(zxid znode.Zxid, id session.ID, r *twinResult) {
	delete(t.sessions, id)
	for _, path := range slices.Sorted(maps.Keys(t.nodes)) {
		if t.nodes[path].stat.EphemeralOwner == int64(id) {
			t.remove(zxid, path, r)
		}
	}
}

func (t *twin) multi(zxid znode.Zxid, c *Command, r *twinResult) {
	before := maps.Clone(t.nodes)
	for i := range c.Multi {
		one := twinResult{changes: r.changes}
		t.op(zxid, c.Session, &c.Multi[i], &one)
		r.errs, r.changes = append(r.errs, one.err), one.changes
		if one.err == nil {
			continue
		}
		t.nodes, r.changes = before, nil
		for j := range c.Multi {
			if j < i {
				r.errs[j] = ErrRolledBack
			} else if j > i {
				r.errs = append(r.errs, ErrRuntimeInconsistency)
			}
		}
		return
	}
}

func (t *twin) op(zxid znode.Zxid, id session.ID, op *Op, r *twinResult) {
	switch op.Kind {
	case Create:
		t.create(zxid, id, op, r)
	case Delete:
		t.delete(zxid, op, r)
	default:
		t.touch(zxid, op, r)
	}
}

func parentOf(path string) string { return path[:max(strings.LastIndexByte(path, '/'), 1)] }

func (t *twin) children(path string) (paths []string) {
	for child := range t.nodes {
		if child != "/" && parentOf(child) == path {
			paths = append(paths, child)
		}
	}
	return paths
}

func (t *twin) create(zxid znode.Zxid, id session.ID, op *Op, r *twinResult) {
	parent, ok := t.nodes[parentOf(op.Path)]
	if !ok {
		r.err = znode.ErrNoNode
		return
	}
	path := op.Path
	if op.Flags == 2 || op.Flags == 3 {
		path += fmt.Sprintf("%010d", parent.made)
	}
	_, taken := t.nodes[path]
	switch {
	case path != "/" && strings.HasSuffix(path, "/"):
		r.err = znode.ErrBadArguments
		return
	case taken:
		r.err = znode.ErrNodeExists
		return
	case parent.stat.EphemeralOwner != 0:
		r.err = znode.ErrNoChildrenForEphemerals
		return
	}
	n := twinNode{data: shown(op.Data), class: op.Class, ttl: op.TTL}
	n.stat = znode.Stat{Czxid: zxid, Mzxid: zxid, Pzxid: zxid, Ctime: t.time, Mtime: t.time}
	if op.Flags == 1 || op.Flags == 3 {
		n.stat.EphemeralOwner = int64(id)
	}
	parent.made++
	parent.stat.Pzxid = zxid
	t.nodes[path], t.nodes[parentOf(path)] = n, parent
	r.path, r.stat = path, t.stat(path)
	r.changes = append(r.changes, "created "+path)
}

func (t *twin) delete(zxid znode.Zxid, op *Op, r *twinResult) {
	n, ok := t.nodes[op.Path]
	switch {
	case op.Path == "/":
		r.err = znode.ErrBadArguments
	case !ok:
		r.err = znode.ErrNoNode
	case op.Version != -1 && op.Version != n.stat.Version:
		r.err = znode.ErrBadVersion
	case len(t.children(op.Path)) > 0:
		r.err = znode.ErrNotEmpty
	default:
		t.remove(zxid, op.Path, r)
	}
}

func (t *twin) remove(zxid znode.Zxid, path string, r *twinResult) {
	delete(t.nodes, path)
	parent := t.nodes[parentOf(path)]
	parent.stat.Pzxid = zxid
	t.nodes[parentOf(path)] = parent
	r.changes = append(r.changes, "deleted "+path)
}

// touch is set and check.
func (t *twin) touch(zxid znode.Zxid, op *Op, r *twinResult) {
	n, ok := t.nodes[op.Path]
	switch {
	case op.Path != "/" && strings.HasSuffix(op.Path, "/"):
		r.err = znode.ErrBadArguments
	case !ok:
		r.err = znode.ErrNoNode
	case op.Version != -1 && op.Version != n.stat.Version:
		r.err = znode.ErrBadVersion
	case op.Kind == Set:
		n.data = shown(op.Data)
		n.stat.Version++
		n.stat.Mzxid, n.stat.Mtime = zxid, t.time
		t.nodes[op.Path] = n
		r.stat = t.stat(op.Path)
		r.changes = append(r.changes, "data-set "+op.Path)
	}
}

// stat completes the stat of the node at path with what follows from its surroundings.
func (t *twin) stat(path string) znode.Stat {
	n := t.nodes[path]
	st := n.stat
	st.NumChildren = int32(len(t.children(path)))
	st.Cversion = 2*n.made - st.NumChildren
	if n.data != "null" {
		data, _ := strconv.Unquote(n.data)
		st.DataLength = int32(len(data))
	}
	return st
}

func shown(data []byte) string {
	if data == nil {
		return "null"
	}
	return fmt.Sprintf("%q", data)
}

// dump prints everything the twin holds, in the form of dumpView.
func (t *twin) dump(zxid znode.Zxid) string {
	var b strings.Builder
	fmt.Fprintf(&b, "zxid %d time %d\n", zxid, t.time)
	for _, path := range slices.Sorted(maps.Keys(t.nodes)) {
		fmt.Fprintf(&b, "%s %s %+v\n", path, t.nodes[path].data, t.stat(path))
	}
	for _, id := range slices.Sorted(maps.Keys(t.sessions)) {
		fmt.Fprintf(&b, "%+v %x\n", t.sessions[id], [16]byte(t.sessions[id].Password))
	}
	for _, server := range slices.Sorted(maps.Keys(t.origins)) {
		fmt.Fprintf(&b, "%+v\n", t.origins[server])
	}
	return b.String()
}

// dumpView prints everything a view holds.
func dumpView(v *View) string {
	var b strings.Builder
	fmt.Fprintf(&b, "zxid %d time %d\n", v.Zxid, v.Time)
	var nodes []string
	v.Nodes.Walk(func(n *znode.Node) bool {
		nodes = append(nodes, fmt.Sprintf("%s %s %+v\n", n.Path(), shown(n.Data()), n.Stat()))
		return true
	})
	slices.SortFunc(nodes, func(a, b string) int { return strings.Compare(pathOf(a), pathOf(b)) })
	b.WriteString(strings.Join(nodes, ""))
	v.Sessions.Walk(func(s session.Session) bool {
		fmt.Fprintf(&b, "%+v %x\n", s, [16]byte(s.Password))
		return true
	})
	for _, o := range v.Origins {
		fmt.Fprintf(&b, "%+v\n", o)
	}
	return b.String()
}

func pathOf(line string) string { return line[:strings.IndexByte(line, ' ')] }
