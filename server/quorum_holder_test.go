package server

import (
	"net"
	"slices"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/member"
)

// holder is a client that keeps one session alive, wherever it is let in, and does nothing else. As long as
// it was answered not long ago the session must not expire.
type holder struct {
	f        *faults
	turn     int // which server is tried next
	session  int64
	password []byte
	zxid     int64
	answered time.Time // when a server last was heard of, that had heard of the session
	moved    int
}

const holderTimeout = 4 * time.Second

func (h *holder) run() {
	for !h.f.halted.Load() && !h.f.t.Failed() {
		h.life()
		h.turn++
		time.Sleep(20 * time.Millisecond)
	}
}

func (h *holder) life() {
	m, _ := h.f.table.Find(member.ID(1 + h.turn%len(h.f.table.Members)))
	nc, err := net.Dial("tcp", m.ClientAddr())
	if err != nil {
		return
	}
	defer nc.Close()
	l := &line{nc: nc}
	welcome, err := l.greet(wire.ConnectRequest{
		TimeoutMs: int32(holderTimeout / time.Millisecond), SessionID: h.session, Password: h.password, LastZxidSeen: h.zxid,
	})
	if err != nil {
		return
	}
	if welcome.SessionID == 0 {
		if silent := time.Since(h.answered); silent < holderTimeout/2 {
			h.f.t.Errorf("session %x is gone at server %d, %v after it was last heard of", h.session, m.ID, silent)
		}
		h.session, h.password = 0, nil
		return
	}
	h.session, h.password, h.answered = welcome.SessionID, slices.Clone(welcome.Password), time.Now()
	h.moved++
	for !h.f.halted.Load() {
		time.Sleep(holderTimeout / 16)
		l.nc.Write(wire.AppendRequest(nil, -2, wire.OpPing, nil))
		frame, err := l.frame()
		if err != nil {
			return
		}
		r := newReply(frame)
		h.zxid, h.answered = max(h.zxid, r.Zxid), time.Now()
	}
}
