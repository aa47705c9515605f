package front

import (
	"encoding/binary"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// openLocal gives a client that asked for it a session that nobody else knows: reads and watches on
// whatever this server has applied. It lives as long as its connection, and that as long as it is not
// silent for longer than the timeout. Who names a session is sent away: whether it is alive only a
// quorum could say.
func (c *conn) openLocal(hello *wire.ConnectRequest) error {
	behind := znode.Zxid(hello.LastZxidSeen) > c.feed.View().Zxid
	if !hello.ReadOnly || hello.SessionID != 0 || behind {
		return errClosed
	}
	var secret [8]byte
	var password session.Password
	c.front.cfg.Random(secret[:])
	c.front.cfg.Random(password[:])
	c.mu.Lock()
	defer c.mu.Unlock()
	// No server has the number 0, so the id is none that was or will be given to a real session.
	c.session = session.ID(binary.BigEndian.Uint64(secret[:])>>8 | 1)
	c.local = true
	// Who changes the mode looks for local connections afterwards: either this one is found, or it
	// finds the new mode here.
	if c.front.Mode() != ReadOnly {
		return errClosed
	}
	c.appendConnectResponse(wire.ConnectResponse{
		TimeoutMs: c.timeout, SessionID: int64(c.session), Password: password[:], HasReadOnly: c.readOnly, ReadOnly: true,
	})
	return c.send()
}

// expect sets until when a client without a real session must be heard of.
func (c *conn) expect() {
	if c.local {
		c.deadline(c.nc.SetReadDeadline, time.Now().Add(time.Duration(c.timeout)*time.Millisecond))
	}
}

// admitLocal refuses what a local session cannot do, and says whether it was that: what needs the log or
// a quorum. Ending the session is a matter of this server alone.
func (c *conn) admitLocal(s *slot) (refused bool, err error) {
	switch {
	case s.op == wire.OpCloseSession:
		c.admitRefusal(*s, wire.CodeOK)
		return true, errEnding
	case s.op == wire.OpSync || s.op.Class() == wire.ClassWrite:
		c.admitRefusal(*s, wire.CodeNotReadOnly)
		return true, nil
	}
	return false, nil
}
