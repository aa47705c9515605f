package front

import (
	"strings"
	"unsafe"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/watch"
	"github.com/grovekeeper/grove/znode"
)

// alias reads b as a string without copying it. The string must not outlive the frame b lies in.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// answerNow answers a request that nothing stands before: a read of the tree, or a matter of the
// connection. body is its record. Every case leaves one reply in the output.
func (c *conn) answerNow(s *slot, body []byte) {
	c.who = c.inbox.Identities()[:s.known] // they only ever grow
	r := codec.NewReader(body)
	switch s.op {
	case wire.OpPing:
		zxid := int64(c.catchUp())
		c.out = wire.AppendReply(c.out, wire.XidPing, zxid, wire.CodeOK)
		c.answered(s, zxid)
	case wire.OpExists, wire.OpGetData, wire.OpGetChildren, wire.OpGetChildren2:
		c.readNode(s, &r)
	case wire.OpGetACL, wire.OpGetAllChildrenNumber:
		var m wire.PathRequest
		m.Decode(&r)
		c.readPath(s, &r, m.Path)
	case wire.OpMultiRead:
		c.readMulti(s, &r)
	case wire.OpGetEphemerals:
		c.readEphemerals(s, &r)
	case wire.OpWhoAmI:
		c.whoAmI(s)
	default:
		c.watchNow(s, &r)
	}
}

// readNode answers the four reads that may leave a watch.
func (c *conn) readNode(s *slot, r *codec.Reader) {
	name, arm, ok := wire.DecodePathWatch(r)
	if !ok {
		c.fail(s, c.catchUp(), wire.CodeMarshallingError)
		return
	}
	path := rooted(alias(name))
	if !arm {
		v := c.current()
		c.overtake(v.Zxid)
		c.appendNode(s, v, path)
		return
	}
	path = strings.Clone(path) // the watch outlives the frame
	var v *state.View
	armed := true
	c.feed.Watching(func(now *state.View, w *watch.Table) {
		v = now
		if n := v.Nodes.Get(path); c.leavesWatch(s.op, n, path) {
			armed = c.arm(w, path, kindOf(s.op))
		}
	})
	c.newest(v)
	c.overtake(v.Zxid)
	if !armed {
		c.fail(s, v.Zxid, wire.CodeBadArguments) // an answer would be taken for a watch
		return
	}
	c.appendNode(s, v, path)
}

// leavesWatch says whether a read that asked for a watch gets one: exists also for a node that is not
// there, the others only when they succeed.
func (c *conn) leavesWatch(op wire.Op, n *znode.Node, path string) bool {
	if n == nil {
		return op == wire.OpExists && !hasNUL(path)
	}
	return c.allowed(n, znode.PermRead)
}

func kindOf(op wire.Op) watch.Kind {
	if op == wire.OpGetChildren || op == wire.OpGetChildren2 {
		return watch.Child
	}
	return watch.Data
}

// rooted reads the empty path as the root, as ZooKeeper does for reads.
func rooted(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

func hasNUL(path string) bool { return strings.IndexByte(path, 0) >= 0 }

func (c *conn) allowed(n *znode.Node, perms int32) bool {
	return c.front.cfg.Policy&state.SkipACL != 0 || n.ACL().Allows(c.who, perms)
}

// appendNode writes the reply of readNode as v has it.
func (c *conn) appendNode(s *slot, v *state.View, path string) {
	n := v.Nodes.Get(path)
	zxid := int64(v.Zxid)
	switch {
	case s.op == wire.OpExists && hasNUL(path):
		c.fail(s, v.Zxid, wire.CodeBadArguments)
		return
	case n == nil:
		c.fail(s, v.Zxid, wire.CodeNoNode)
		return
	case !c.allowed(n, znode.PermRead):
		c.fail(s, v.Zxid, wire.CodeNoAuth)
		return
	}
	stat := wireStat(n.Stat())
	switch s.op {
	case wire.OpExists:
		c.out = wire.AppendStatReply(c.out, s.xid, zxid, &stat)
	case wire.OpGetData:
		c.out = wire.AppendGetDataReply(c.out, s.xid, zxid, n.Data(), &stat)
	default:
		b, mark := wire.BeginReply(c.out, s.xid, zxid)
		b = appendChildren(b, mark, v, n)
		if tooLong(b, mark) {
			c.fail(s, v.Zxid, wire.CodeBadArguments)
			return
		}
		if s.op == wire.OpGetChildren2 {
			b = stat.Append(b)
		}
		c.out = wire.EndFrame(b, mark)
	}
	c.answered(s, zxid)
}

// appendChildren writes the names of the children, in order, to the reply begun at mark; it stops
// when that has become too long.
func appendChildren(b []byte, mark int, v *state.View, n *znode.Node) []byte {
	b = codec.AppendCount(b, int(n.Stat().NumChildren))
	v.Nodes.Children(n.Path(), func(child *znode.Node) bool {
		b = codec.AppendString(b, child.Name())
		return !tooLong(b, mark)
	})
	return b
}

// readPath answers the reads that leave no watch.
func (c *conn) readPath(s *slot, r *codec.Reader, path string) {
	v := c.current()
	c.overtake(v.Zxid)
	if r.Err() != nil {
		c.fail(s, v.Zxid, wire.CodeMarshallingError)
		return
	}
	n := v.Nodes.Get(rooted(path))
	need := znode.PermRead
	if s.op == wire.OpGetACL {
		need |= znode.PermAdmin // either suffices
	}
	switch {
	case n == nil:
		c.fail(s, v.Zxid, wire.CodeNoNode)
	case !c.allowed(n, need):
		c.fail(s, v.Zxid, wire.CodeNoAuth)
	case s.op == wire.OpGetACL:
		list := n.ACL().Entries()
		if !c.allowed(n, znode.PermAdmin) {
			list = n.ACL().Masked()
		}
		c.reply(s, v.Zxid, &wire.GetACLResponse{ACL: wireACL(list), Stat: wireStat(n.Stat())})
	default:
		c.reply(s, v.Zxid, &wire.GetAllChildrenNumberResponse{Total: int32(v.Nodes.CountBelow(n.Path()))})
	}
}

func wireACL(list []znode.ACE) []wire.ACL {
	out := make([]wire.ACL, len(list))
	for i := range list {
		out[i] = wire.ACL(list[i])
	}
	return out
}

// readMulti answers a list of reads, each on its own, all on one view.
func (c *conn) readMulti(s *slot, r *codec.Reader) {
	v := c.current()
	c.overtake(v.Zxid)
	var m wire.MultiReadRequest
	m.Decode(r)
	if r.Err() != nil {
		c.fail(s, v.Zxid, wire.CodeMarshallingError)
		return
	}
	b, mark := wire.BeginReply(c.out, s.xid, int64(v.Zxid))
	for i := range m.Ops {
		res := c.readOne(v, &m.Ops[i])
		if b = res.Append(b); tooLong(b, mark) {
			c.fail(s, v.Zxid, wire.CodeBadArguments)
			return
		}
	}
	c.out = wire.EndFrame(wire.AppendMultiEnd(b), mark)
	c.answered(s, int64(v.Zxid))
}

func (c *conn) readOne(v *state.View, op *wire.MultiReadOp) wire.MultiResult {
	n := v.Nodes.Get(rooted(op.Path))
	switch {
	case n == nil:
		return wire.MultiResult{Type: wire.OpError, Err: wire.CodeNoNode}
	case !c.allowed(n, znode.PermRead):
		return wire.MultiResult{Type: wire.OpError, Err: wire.CodeNoAuth}
	case op.Op == wire.OpGetData:
		return wire.MultiResult{Type: op.Op, Data: n.Data(), Stat: wireStat(n.Stat())}
	}
	res := wire.MultiResult{Type: op.Op, Children: []string{}}
	v.Nodes.Children(n.Path(), func(child *znode.Node) bool {
		res.Children = append(res.Children, child.Name())
		return true
	})
	return res
}

// readEphemerals lists the session's own ephemerals whose path begins with the characters asked for.
func (c *conn) readEphemerals(s *slot, r *codec.Reader) {
	v := c.current()
	c.overtake(v.Zxid)
	var m wire.GetEphemeralsRequest
	m.Decode(r)
	if r.Err() != nil {
		c.fail(s, v.Zxid, wire.CodeMarshallingError)
		return
	}
	all := strings.TrimSpace(m.Prefix) == ""
	paths := []string{}
	v.Nodes.Ephemerals(int64(c.session), func(path string) bool {
		if all || strings.HasPrefix(path, m.Prefix) {
			paths = append(paths, path)
		}
		return true
	})
	c.reply(s, v.Zxid, &wire.GetEphemeralsResponse{Paths: paths})
}

func (c *conn) whoAmI(s *slot) {
	var m wire.WhoAmIResponse
	for _, id := range c.who {
		user := id.ID
		if id.Scheme == "digest" {
			user, _, _ = strings.Cut(user, ":")
		}
		m.Clients = append(m.Clients, wire.ClientInfo{Scheme: id.Scheme, User: user})
	}
	c.reply(s, c.catchUp(), &m)
}

func (c *conn) reply(s *slot, zxid znode.Zxid, m wire.Record) {
	b := wire.AppendRecordReply(c.out, s.xid, int64(zxid), m)
	if tooLong(b, len(c.out)) {
		c.fail(s, zxid, wire.CodeBadArguments)
		return
	}
	c.out = b
	c.answered(s, int64(zxid))
}

func (c *conn) fail(s *slot, zxid znode.Zxid, code wire.Code) {
	c.out = wire.AppendReply(c.out, s.xid, int64(zxid), code)
	c.answered(s, int64(zxid))
}
