package client

import (
	"fmt"
	"time"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
)

// frame takes in one frame. After an error the connection is of no more use.
func (k *core) frame(now time.Time, frame []byte) error {
	err := k.dispatch(now, frame)
	if err != nil {
		k.giveUp(err)
	}
	return err
}

func (k *core) dispatch(now time.Time, frame []byte) error {
	if k.link.fault != nil {
		return k.link.fault
	}
	k.link.heard = now
	if k.link.phase == greeting {
		return k.greeted(now, frame)
	}
	r := codec.NewReader(frame)
	var h wire.ReplyHeader
	h.Decode(&r)
	if err := r.Err(); err != nil {
		return fmt.Errorf("%w: reply header: %w", ErrProtocol, err)
	}
	switch h.Xid {
	case wire.XidNotification:
		return k.notified(h, &r)
	case wire.XidAuth:
		return k.proved(h)
	case wire.XidSetWatches:
		return k.rearmed(h)
	case wire.XidPing:
		k.pinged()
		return nil
	}
	return k.replied(h, &r)
}

// pinged takes the answer to a ping as what it is: the server had heard of us.
func (k *core) pinged() {
	if k.session.lease.Before(k.link.ping) {
		k.session.lease = k.link.ping
	}
	k.link.ping = time.Time{}
}

// replied takes the answer to the call that is next. Answers come in the order of the requests: one
// that does not means that nothing on this connection can be believed.
func (k *core) replied(h wire.ReplyHeader, r *codec.Reader) error {
	if k.sent.len() == 0 || k.sent.at(0).xid != h.Xid {
		return fmt.Errorf("%w: reply %d was not to be expected", ErrProtocol, h.Xid)
	}
	q := k.sent.at(0)
	if h.Err == wire.CodeOK {
		q.decode(q.op, r)
		if err := r.Err(); err != nil {
			return fmt.Errorf("%w: reply to %v: %w", ErrProtocol, q.op, err) // q stays, and is lost
		}
	}
	k.sent.pop()
	k.session.zxid = max(k.session.zxid, h.Zxid)
	k.session.lease = q.at
	q.zxid = h.Zxid
	q.err = nil
	if h.Err != wire.CodeOK {
		q.err = Code(h.Err)
	}
	q.outcome = Definite
	k.end(q)
	if q.probeOf != nil {
		k.probed(q)
	}
	return nil
}
