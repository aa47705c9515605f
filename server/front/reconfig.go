package front

import (
	"context"
	"errors"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/member"
	"github.com/grovekeeper/grove/znode"
)

// ReconfigRequest is what a client wants of the membership. Empty strings are absent; From is the version
// of the membership to be changed, -1 is any.
type ReconfigRequest struct {
	Joining, Leaving, Members string
	From                      int64
	IDs                       []znode.Identity // of who asks; not to be changed
}

// Reconfigure changes the membership, without blocking, and tells done the zxid of the change. An error
// that is, or wraps, a wire.Code or one of refusals is told to the client; any other leaves it open what
// became of the change, and ends the connection. When ctx ends nobody waits any more.
type Reconfigure func(ctx context.Context, req ReconfigRequest, done func(zxid znode.Zxid, err error))

const configPath = "/zookeeper/config"

// admitReconfig puts the request into the lane, as a write that is not this server's to propose: it begins
// when all before it is answered, and what stands behind it sees what it did.
func (c *conn) admitReconfig(s slot, r *codec.Reader) {
	body := append([]byte(nil), r.Rest()...)
	_, readable := readReconfig(body)
	switch {
	case c.front.cfg.ReconfigDisabled:
		c.admitRefusal(s, wire.CodeReconfigDisabled)
	case c.front.cfg.Reconfigure == nil:
		c.admitRefusal(s, wire.CodeUnimplemented)
	case !readable:
		c.admitRefusal(s, wire.CodeMarshallingError)
	default:
		first := c.lane.empty()
		s.phase, s.body = deferred, body
		c.lane.enter(s)
		if first && !c.beginReconfig(c.lane.first()) {
			c.refuse(c.lane.first())
			c.lane.leave()
		}
	}
}

// readReconfig decodes the record of a request; strings that are null come out as empty ones.
func readReconfig(record []byte) (ReconfigRequest, bool) {
	var m wire.ReconfigRequest
	r := codec.NewReader(record)
	m.Decode(&r)
	return ReconfigRequest{
		Joining: m.Joining, Leaving: m.Leaving, Members: m.NewMembers, From: m.CurrentVersion,
	}, r.Err() == nil
}

// beginReconfig starts the request at the head of the lane, or refuses it: who may not write the
// membership need not trouble the leader, which looks again.
func (c *conn) beginReconfig(s *slot) bool {
	c.who = c.inbox.Identities()[:s.known]
	if n := c.current().Nodes.Get(configPath); n == nil || !c.allowed(n, znode.PermWrite) {
		c.lane.refuse(s, wire.CodeNoAuth)
		return false
	}
	req, _ := readReconfig(s.body)
	req.IDs = c.who
	s.phase = awaiting
	ticket := c.lane.head
	c.group.Go("reconfig", func() error { c.reconfigure(ticket, req); return nil })
	return true
}

// reconfigure has the membership changed and passes the outcome on.
func (c *conn) reconfigure(ticket uint64, req ReconfigRequest) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	type outcome struct {
		zxid znode.Zxid
		err  error
	}
	told := make(chan outcome, 1)
	c.front.cfg.Reconfigure(ctx, req, func(zxid znode.Zxid, err error) {
		select {
		case told <- outcome{zxid, err}:
		default: // told before
		}
	})
	select {
	case o := <-told:
		c.reconfigured(ticket, o.zxid, o.err)
	case <-c.gone:
	}
}

// reconfigured answers from a view that shows the change. No quorum is asked: this server may not be of
// it any more.
func (c *conn) reconfigured(ticket uint64, zxid znode.Zxid, err error) {
	if err == nil {
		c.feed.Await(c.inbox, ticket, zxid)
		return
	}
	code, told := RefusalOf(err)
	if !told {
		c.front.cfg.Log.Warn("reconfiguration has no known outcome", "err", err)
		c.dismiss()
		return
	}
	c.mu.Lock()
	c.lane.refuse(c.lane.at(ticket), code)
	c.mu.Unlock()
	c.inbox.Wake()
}

// refusals are the reasons not to change the membership that have a code of their own.
var refusals = []struct {
	err  error
	code wire.Code
}{
	{member.ErrBadArguments, wire.CodeBadArguments},
	{member.ErrUnreadable, wire.CodeMarshallingError},
	{member.ErrVersion, wire.CodeBadVersion},
	{member.ErrInProgress, wire.CodeReconfigInProgress},
	{member.ErrNoQuorum, wire.CodeNewConfigNoQuorum},
	{znode.ErrNoAuth, wire.CodeNoAuth},
}

// RefusalOf finds what a client is told of err, the reason why the membership was not changed, if it can
// be told.
func RefusalOf(err error) (wire.Code, bool) {
	var code wire.Code
	if errors.As(err, &code) {
		return code, code != wire.CodeOK
	}
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.code, true
		}
	}
	return wire.CodeOK, false
}

// answerConfig tells of the membership as the view of the completion has it.
func (c *conn) answerConfig(s *slot, d *feed.Completion) {
	n := d.View.Nodes.Get(configPath)
	if n == nil {
		c.fail(s, d.View.Zxid, wire.CodeNoNode)
		return
	}
	stat := wireStat(n.Stat())
	c.out = wire.AppendGetDataReply(c.out, s.xid, int64(d.View.Zxid), n.Data(), &stat)
	c.answered(s, int64(d.View.Zxid))
}
