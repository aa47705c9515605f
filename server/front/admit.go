package front

import (
	"errors"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/znode"
)

// errShort ends a connection whose frame has no room for a header: there is no xid to answer to.
var errShort = errors.New("frame is shorter than a request header")

// admit takes one request in: a write is encoded for the log and awaited; anything else is answered
// at once if nothing is before it, or put in the lane until its turn. Called with mu held.
func (c *conn) admit(frame []byte) error {
	r := codec.NewReader(frame)
	var h wire.RequestHeader
	h.Decode(&r)
	if r.Err() != nil {
		return errShort
	}
	c.tally.received++
	c.tally.bytesIn += int64(4 + len(frame))
	s := slot{xid: h.Xid, op: h.Op, known: uint8(len(c.inbox.Identities())), arrived: c.now}
	if !h.Op.Live() {
		c.refuseAndEnd(s, wire.CodeUnimplemented)
		return errEnding
	}
	if c.local {
		if refused, err := c.admitLocal(&s); refused {
			return err
		}
	} else if c.front.cfg.LinearizableReads && !c.guarded && readsTree(h.Op) {
		c.guard()
	}
	switch {
	case h.Op == wire.OpAuth:
		return c.admitAuth(s, &r)
	case h.Op == wire.OpSASL:
		c.admitRefusal(s, wire.CodeUnimplemented)
	case h.Op == wire.OpReconfig:
		c.admitReconfig(s, &r)
	case h.Op == wire.OpSync:
		c.admitSync(s, &r)
	case h.Op == wire.OpCloseSession || h.Op.Class() == wire.ClassWrite:
		c.admitWrite(s, &r)
		if h.Op == wire.OpCloseSession {
			return errEnding // nothing after it is executed or answered
		}
	case c.lane.empty():
		c.answerNow(&s, r.Rest())
	default:
		s.phase, s.body = deferred, append([]byte(nil), r.Rest()...)
		c.lane.enter(s)
	}
	return nil
}

// admitRefusal answers with a code when the request's turn comes.
func (c *conn) admitRefusal(s slot, code wire.Code) {
	s.phase, s.sentence = refused, code
	if c.lane.empty() {
		c.refuse(&s)
		return
	}
	c.lane.enter(s)
}

// refuseAndEnd is admitRefusal for the last request of a connection.
func (c *conn) refuseAndEnd(s slot, code wire.Code) {
	c.front.stats.dropped.Add(1)
	c.admitRefusal(s, code)
}

func (c *conn) admitSync(s slot, r *codec.Reader) {
	var m wire.SyncRequest
	m.Decode(r)
	if r.Err() != nil {
		c.admitRefusal(s, wire.CodeMarshallingError)
		return
	}
	s.body = m.Append(nil)
	c.guarded = true
	ticket := c.lane.enter(s)
	// The barrier stands for all that was acknowledged before now, so nothing needs to be submitted first.
	c.feed.Sync(c.inbox, ticket)
}

// admitWrite turns a write into a command. What cannot be decoded never reaches the log.
func (c *conn) admitWrite(s slot, r *codec.Reader) {
	c.commandHeader()
	if s.op == wire.OpMulti {
		var m wire.MultiRequest
		m.Decode(r)
		c.command.Kind, c.command.Multi = state.Multi, fillMulti(c.command.Multi, m.Ops)
		s.body = resultTypes(m.Ops)
	} else {
		fillCommand(&c.command, s.op, r)
	}
	switch {
	case r.Err() != nil:
		c.admitRefusal(s, wire.CodeMarshallingError)
	case listsTooMuch(&c.command):
		c.admitRefusal(s, wire.CodeInvalidACL)
	default:
		c.propose(s)
	}
}

// resultTypes says, for each operation of a multi, what its result is marked as: a create with
// nothing but a path is told from all others, which answer with a Stat.
func resultTypes(ops []wire.MultiOp) []byte {
	types := make([]byte, len(ops))
	for i := range ops {
		types[i] = byte(ops[i].Op)
		switch op := &ops[i]; op.Op {
		case wire.OpCreate:
			if op.Flags == wire.FlagContainer {
				types[i] = byte(wire.OpCreate2)
			}
		case wire.OpCreateContainer, wire.OpCreateTTL:
			types[i] = byte(wire.OpCreate2)
		}
	}
	return types
}

// fillCommand decodes the record of a write into cmd. If it cannot, the reason is in r.
func fillCommand(cmd *state.Command, op wire.Op, r *codec.Reader) {
	o := &cmd.Op
	switch op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer:
		var m wire.CreateRequest
		m.Decode(r)
		fillCreate(o, op, &m, 0)
	case wire.OpCreateTTL:
		var m wire.CreateTTLRequest
		m.Decode(r)
		fillCreate(o, op, &m.CreateRequest, m.TTL)
	case wire.OpDelete:
		var m wire.DeleteRequest
		m.Decode(r)
		o.Kind, o.Path, o.Version = state.Delete, m.Path, m.Version
	case wire.OpSetData:
		path, data, version, _ := wire.DecodeSetData(r)
		o.Kind, o.Path, o.Data, o.Version = state.Set, alias(path), data, version
	case wire.OpSetACL:
		var m wire.SetACLRequest
		m.Decode(r)
		o.Kind, o.Path, o.ACL, o.Version = state.SetACL, m.Path, aces(m.ACL), m.Version
	case wire.OpCloseSession:
		o.Kind = state.CloseSession
	}
	cmd.Kind = o.Kind
}

func fillCreate(o *state.Op, op wire.Op, m *wire.CreateRequest, ttl int64) {
	o.Kind, o.Path, o.Data, o.ACL = state.Create, m.Path, m.Data, aces(m.ACL)
	o.Flags, o.TTL = m.Flags, ttl
	switch op {
	case wire.OpCreateContainer:
		o.Class = znode.ClassContainer
	case wire.OpCreateTTL:
		o.Class = znode.ClassTTL
	default:
		o.Class = znode.ClassPlain
	}
}

func fillMulti(into []state.Op, ops []wire.MultiOp) []state.Op {
	into = into[:0]
	for i := range ops {
		m := &ops[i]
		var o state.Op
		switch m.Op {
		case wire.OpDelete:
			o = state.Op{Kind: state.Delete, Path: m.Path, Version: m.Version}
		case wire.OpSetData:
			o = state.Op{Kind: state.Set, Path: m.Path, Data: m.Data, Version: m.Version}
		case wire.OpCheck:
			o = state.Op{Kind: state.Check, Path: m.Path, Version: m.Version}
		default:
			fillCreate(&o, m.Op, &wire.CreateRequest{Path: m.Path, Data: m.Data, ACL: m.ACL, Flags: m.Flags}, m.TTL)
		}
		into = append(into, o)
	}
	return into
}

// openList is what nearly every create carries; it is shared, and nobody changes it.
var openList = []znode.ACE{{Perms: znode.PermAll, Scheme: "world", ID: "anyone"}}

func aces(list []wire.ACL) []znode.ACE {
	if len(list) == 1 && znode.ACE(list[0]) == openList[0] {
		return openList
	}
	if list == nil {
		return nil
	}
	out := make([]znode.ACE, len(list))
	for i := range list {
		out[i] = znode.ACE(list[i])
	}
	return out
}
