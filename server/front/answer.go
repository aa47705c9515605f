package front

import (
	"errors"

	"github.com/grovekeeper/grove/internal/bug"
	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/watch"
	"github.com/grovekeeper/grove/znode"
)

// codes maps what an edit or the machine can refuse to what clients are told. What is not here
// cannot be told to a client: see codeOf.
var codes = map[error]wire.Code{
	znode.ErrNoNode:                  wire.CodeNoNode,
	znode.ErrNodeExists:              wire.CodeNodeExists,
	znode.ErrNotEmpty:                wire.CodeNotEmpty,
	znode.ErrBadVersion:              wire.CodeBadVersion,
	znode.ErrNoAuth:                  wire.CodeNoAuth,
	znode.ErrInvalidACL:              wire.CodeInvalidACL,
	znode.ErrBadArguments:            wire.CodeBadArguments,
	znode.ErrNoChildrenForEphemerals: wire.CodeNoChildrenForEphemerals,
	znode.ErrQuotaExceeded:           wire.CodeQuotaExceeded,
	znode.ErrSequenceExhausted:       wire.CodeBadArguments,
	znode.ErrMarshalling:             wire.CodeMarshallingError,
	state.ErrRolledBack:              wire.CodeOK,
	state.ErrRuntimeInconsistency:    wire.CodeRuntimeInconsistency,
	session.ErrExpired:               wire.CodeSessionExpired,
}

func codeOf(err error) wire.Code {
	if err == nil {
		return wire.CodeOK
	}
	if code, ok := codes[err]; ok {
		return code
	}
	return wire.CodeMarshallingError // malformed and newer commands
}

// answerResult answers a request that went through the log. A session that has moved or gone in the
// meantime is not told: its connection closes, and the client learns the rest when it comes back.
func (c *conn) answerResult(s *slot, r *state.Result) {
	zxid := int64(r.Zxid)
	switch {
	case s.op == wire.OpCreateSession:
		c.welcome(r)
		return
	case errors.Is(r.Err, session.ErrMoved) || errors.Is(r.Err, session.ErrExpired):
		c.ending = true
		return
	case s.op == wire.OpCloseSession:
		c.out = wire.AppendReply(c.out, s.xid, zxid, wire.CodeOK)
		c.ending = true
	case r.Err != nil:
		c.out = wire.AppendReply(c.out, s.xid, zxid, codeOf(r.Err))
	default:
		c.appendResult(s, r)
	}
	c.answered(s, zxid)
}

// appendResult writes the reply to a write that held.
func (c *conn) appendResult(s *slot, r *state.Result) {
	zxid := int64(r.Zxid)
	switch s.op {
	case wire.OpCreate:
		c.out = wire.AppendCreateReply(c.out, s.xid, zxid, r.Path)
	case wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		stat := wireStat(r.Stat)
		c.out = wire.AppendCreate2Reply(c.out, s.xid, zxid, r.Path, &stat)
	case wire.OpSetData, wire.OpSetACL:
		stat := wireStat(r.Stat)
		c.out = wire.AppendStatReply(c.out, s.xid, zxid, &stat)
	case wire.OpMulti:
		c.appendMulti(s, r)
	case wire.OpSync:
		b, mark := wire.BeginReply(c.out, s.xid, zxid)
		c.out = wire.EndFrame(append(b, s.body...), mark)
	default: // delete
		c.out = wire.AppendReply(c.out, s.xid, zxid, wire.CodeOK)
	}
}

// appendMulti writes one result for each operation; s.body holds their types.
func (c *conn) appendMulti(s *slot, r *state.Result) {
	b, mark := wire.BeginReply(c.out, s.xid, int64(r.Zxid))
	for i := range r.Multi {
		one := &r.Multi[i]
		m := wire.MultiResult{Type: wire.Op(s.body[i]), Path: one.Path, Stat: wireStat(one.Stat)}
		if r.Failed >= 0 {
			m = wire.MultiResult{Type: wire.OpError, Err: codeOf(one.Err)}
		}
		b = m.Append(b)
	}
	c.out = wire.EndFrame(wire.AppendMultiEnd(b), mark)
}

// refuse answers a request whose answer was known when it was admitted.
func (c *conn) refuse(s *slot) {
	zxid := int64(c.catchUp())
	switch {
	case s.sentence == wire.CodeUnimplemented && !s.op.Live():
		zxid = wire.NoZxid // as ZooKeeper has it
		c.ending = true
	case s.sentence == wire.CodeAuthFailed:
		zxid = 0
		c.ending = true
	case s.op == wire.OpAuth:
		zxid = 0
	}
	c.out = wire.AppendReply(c.out, s.xid, zxid, s.sentence)
	c.answered(s, zxid)
}

// catchUp puts every event of the current view into the output and returns the view's zxid: what is
// answered next may show that view.
func (c *conn) catchUp() znode.Zxid {
	v := c.current()
	c.overtake(v.Zxid)
	return v.Zxid
}

// overtake puts the events up to zxid into the output. If some of them are lost, nothing that follows
// may be shown, and the connection ends.
func (c *conn) overtake(zxid znode.Zxid) {
	mark := len(c.out)
	if c.inbox.Waiting() {
		var buf [16]watch.Event
		for _, ev := range c.inbox.TakeEvents(zxid, buf[:0]) {
			c.appendEvent(&ev)
		}
	}
	if !c.hushed && !c.inbox.Whole(zxid) && !bug.On(bug.DroppedIgnored) { // after taking: it may have ended meanwhile
		c.hushed, c.hushedAt, c.ending = true, mark, true
	}
}

// hush takes out of the output what must not be shown.
func (c *conn) hush() {
	if c.hushed {
		c.out = c.out[:min(len(c.out), c.hushedAt)]
	}
}

func (c *conn) appendEvent(ev *watch.Event) {
	c.out = wire.AppendNotification(c.out, int64(ev.Zxid), wire.EventType(ev.Type), ev.Path)
	c.tally.sent++
}

// answered notes that the reply to s is in the output.
func (c *conn) answered(s *slot, zxid int64) {
	c.tally.reply(s.op, s.xid, zxid, c.now-s.arrived, c.nowMs)
}

func wireStat(s znode.Stat) wire.Stat {
	return wire.Stat{
		Czxid: int64(s.Czxid), Mzxid: int64(s.Mzxid), Ctime: s.Ctime, Mtime: s.Mtime,
		Version: s.Version, Cversion: s.Cversion, Aversion: s.Aversion, EphemeralOwner: s.EphemeralOwner,
		DataLength: s.DataLength, NumChildren: s.NumChildren, Pzxid: int64(s.Pzxid),
	}
}
