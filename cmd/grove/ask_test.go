package main

import (
	"net"
	"testing"
	"time"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
)

// Who waits for an answer for longer than a session lives in silence pings meanwhile, and takes the answers
// to that for what they are.
func TestWaitingForAnAnswerKeepsTheSessionAlive(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	pings := 0
	go func() {
		defer there.Close()
		server := asker{nc: there}
		var asked int32
		for pings < 3 {
			frame, err := server.frame()
			if err != nil {
				return
			}
			r := codec.NewReader(frame)
			xid, op := r.Int32(), wire.Op(r.Int32())
			if op != wire.OpPing {
				asked = xid
				continue
			}
			pings++
			there.Write(reply(wire.XidPing))
		}
		there.Write(reply(asked))
	}()
	a := asker{nc: here, timeout: 60 * time.Millisecond}
	if _, err := a.ask(wire.OpReconfig, &wire.ReconfigRequest{}); err != nil || pings != 3 {
		t.Errorf("%v after %d pings", err, pings)
	}
}

func reply(xid int32) []byte {
	b, mark := wire.BeginFrame(nil)
	h := wire.ReplyHeader{Xid: xid}
	return wire.EndFrame(h.Append(b), mark)
}
