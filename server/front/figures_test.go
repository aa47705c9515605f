package front_test

import (
	"testing"

	"github.com/grovekeeper/grove/internal/wire"
)

// What went through the ports is counted, also by connections that have ended.
func TestBytesAreCounted(t *testing.T) {
	h := newHouse(t, nil)
	k := h.open(t)
	k.send(wire.OpPing, nil)
	k.reply()
	k.send(wire.OpCloseSession, nil)
	k.reply()
	k.closed()
	h.until(t, func() bool { load, _ := h.front.Figures(); return load.Connections == 0 && load.BytesSent > 0 })
	load, _ := h.front.Figures()
	// The connect request and its answer, then two requests and two replies without records.
	if load.BytesReceived != 49+12+12 || load.BytesSent != 41+20+20 {
		t.Errorf("%d bytes received, %d sent", load.BytesReceived, load.BytesSent)
	}
	if load.PacketsReceived != 3 || load.PacketsSent != 3 || load.Outstanding != 0 {
		t.Errorf("%d packets received, %d sent, %d outstanding", load.PacketsReceived, load.PacketsSent, load.Outstanding)
	}
	h.front.ResetFigures()
	if load, _ := h.front.Figures(); load.BytesReceived+load.BytesSent+load.PacketsReceived+load.PacketsSent != 0 {
		t.Errorf("after a reset: %+v", load)
	}
}
