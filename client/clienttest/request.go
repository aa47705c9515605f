package clienttest

import (
	"time"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
)

// request runs one request and answers it.
func (c *conn) request(frame []byte) error {
	r := codec.NewReader(frame)
	var h wire.RequestHeader
	h.Decode(&r)
	m := record(h.Op)
	if m != nil {
		m.Decode(&r)
	}
	if r.Err() != nil {
		return r.Err()
	}
	s := c.server
	a := s.ask(h.Op.String(), pathOf(m), c.session.id)
	if a.Cut == Before {
		c.cut()
		return errOver
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.session.conn != c || s.sessions[c.session.id] != c.session {
		return errOver // moved, or gone
	}
	c.session.timer.Reset(c.session.timeout)
	body, code := wire.Record(nil), wire.Code(a.Err)
	if code == wire.CodeOK {
		body, code = c.run(h.Op, m)
	}
	if a.Cut == After {
		c.cut()
		return errOver
	}
	c.send(reply(h.Xid, s.tree.zxid, code, body))
	if h.Op == wire.OpCloseSession || code == wire.CodeUnimplemented {
		return errOver
	}
	return nil
}

func reply(xid int32, zxid int64, code wire.Code, body wire.Record) []byte {
	if code != wire.CodeOK || body == nil {
		return wire.AppendReply(nil, xid, zxid, code)
	}
	return wire.AppendRecordReply(nil, xid, zxid, body)
}

// record returns an empty record for the request of op, or nil if it has none.
func record(op wire.Op) wire.Record {
	row, ok := op.Row()
	if !ok || row.Request == nil {
		return nil
	}
	return row.Request()
}

// pathOf is the path that a request names.
func pathOf(m wire.Record) string {
	switch m := m.(type) {
	case *wire.CreateRequest:
		return m.Path
	case *wire.CreateTTLRequest:
		return m.Path
	case *wire.PathVersionRequest:
		return m.Path
	case *wire.PathWatchRequest:
		return m.Path
	case *wire.SetDataRequest:
		return m.Path
	case *wire.PathRequest:
		return m.Path
	case *wire.SetACLRequest:
		return m.Path
	case *wire.SyncRequest:
		return m.Path
	case *wire.AddWatchRequest:
		return m.Path
	case *wire.WatchesRequest:
		return m.Path
	}
	return ""
}

// run does what a request asks for. Under the server's lock.
func (c *conn) run(op wire.Op, m wire.Record) (wire.Record, wire.Code) {
	switch m := m.(type) {
	case *wire.PathWatchRequest:
		return c.look(op, m)
	case *wire.PathRequest:
		n := c.server.tree.nodes[m.Path]
		if n == nil || op != wire.OpGetACL {
			return nil, wire.CodeNoNode
		}
		return &wire.GetACLResponse{ACL: n.acl, Stat: c.server.tree.stat(m.Path)}, wire.CodeOK
	case *wire.AddWatchRequest:
		if m.Mode == wire.ModePersistent {
			c.watches.persistent[m.Path] = true
		} else {
			c.watches.recursive[m.Path] = true
		}
		return &wire.ErrorResponse{}, wire.CodeOK
	case *wire.WatchesRequest:
		if !c.watches.remove(*m) {
			return nil, wire.CodeNoWatcher
		}
		return nil, wire.CodeOK
	case *wire.SetWatchesRequest:
		return c.rearm(&wire.SetWatches2Request{SetWatchesRequest: *m})
	case *wire.SetWatches2Request:
		return c.rearm(m)
	case *wire.SyncRequest:
		return m, wire.CodeOK
	case *wire.AuthRequest:
		return nil, wire.CodeOK
	}
	return c.change(op, m)
}

func (c *conn) rearm(m *wire.SetWatches2Request) (wire.Record, wire.Code) {
	for _, ch := range c.watches.rearm(c.server.tree, m) {
		c.send(wire.AppendNotification(nil, wire.NoZxid, ch.kind, ch.path))
	}
	return nil, wire.CodeOK
}

// look is a read, which may leave a watch.
func (c *conn) look(op wire.Op, m *wire.PathWatchRequest) (wire.Record, wire.Code) {
	t := c.server.tree
	n := t.nodes[m.Path]
	if n == nil {
		if m.Watch && op == wire.OpExists {
			c.watches.data[m.Path] = true
		}
		return nil, wire.CodeNoNode
	}
	armed := c.watches.data
	if op == wire.OpGetChildren || op == wire.OpGetChildren2 {
		armed = c.watches.child
	}
	if m.Watch {
		armed[m.Path] = true
	}
	switch op {
	case wire.OpExists:
		return &wire.StatResponse{Stat: t.stat(m.Path)}, wire.CodeOK
	case wire.OpGetData:
		return &wire.GetDataResponse{Data: n.data, Stat: t.stat(m.Path)}, wire.CodeOK
	case wire.OpGetChildren:
		return &wire.GetChildrenResponse{Children: t.children(m.Path)}, wire.CodeOK
	}
	return &wire.GetChildren2Response{Children: t.children(m.Path), Stat: t.stat(m.Path)}, wire.CodeOK
}

// change is a write, or what has no record.
func (c *conn) change(op wire.Op, m wire.Record) (wire.Record, wire.Code) {
	s := c.server
	switch op {
	case wire.OpPing:
		return nil, wire.CodeOK
	case wire.OpCloseSession:
		s.end(c.session)
		return nil, wire.CodeOK
	}
	now := time.Now().UnixMilli()
	if m, ok := m.(*wire.MultiRequest); ok {
		s.tree.zxid++
		results, changes := s.tree.multi(m.Ops, c.session.id, now)
		s.fire(changes)
		return &wire.MultiResponse{Results: results}, wire.CodeOK
	}
	if m, ok := m.(*wire.SetACLRequest); ok {
		return c.setACL(m)
	}
	edit, ok := editOf(op, m)
	if !ok {
		return nil, wire.CodeUnimplemented
	}
	s.tree.zxid++
	result, changes, code := s.tree.write(edit, c.session.id, now)
	s.fire(changes)
	switch op {
	case wire.OpDelete:
		return nil, code
	case wire.OpSetData:
		return &wire.StatResponse{Stat: result.Stat}, code
	case wire.OpCreate:
		return &wire.CreateResponse{Path: result.Path}, code
	}
	return &wire.Create2Response{Path: result.Path, Stat: result.Stat}, code
}

func (c *conn) setACL(m *wire.SetACLRequest) (wire.Record, wire.Code) {
	t := c.server.tree
	n := t.nodes[m.Path]
	switch {
	case n == nil:
		return nil, wire.CodeNoNode
	case m.Version != -1 && m.Version != n.stat.Aversion:
		return nil, wire.CodeBadVersion
	}
	t.zxid++
	next := *n
	next.acl = m.ACL
	next.stat.Aversion++
	t.nodes[m.Path] = &next
	return &wire.StatResponse{Stat: t.stat(m.Path)}, wire.CodeOK
}

// editOf is a write of its own as an operation of a multi.
func editOf(op wire.Op, m wire.Record) (wire.MultiOp, bool) {
	switch m := m.(type) {
	case *wire.CreateRequest:
		return wire.MultiOp{Op: op, Path: m.Path, Data: m.Data, ACL: m.ACL, Flags: m.Flags}, true
	case *wire.CreateTTLRequest:
		return wire.MultiOp{Op: op, Path: m.Path, Data: m.Data, ACL: m.ACL, Flags: m.Flags, TTL: m.TTL}, true
	case *wire.PathVersionRequest:
		return wire.MultiOp{Op: wire.OpDelete, Path: m.Path, Version: m.Version}, true
	case *wire.SetDataRequest:
		return wire.MultiOp{Op: wire.OpSetData, Path: m.Path, Data: m.Data, Version: m.Version}, true
	}
	return wire.MultiOp{}, false
}
