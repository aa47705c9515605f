package server

import (
	"testing"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/znode"
)

// A second image that arrives before the first is installed does not take its place: Raft wants both,
// one after the other, and a server that does not have the first ends.
func TestImagesWaitForTheirTurn(t *testing.T) {
	var a arrivals
	at := func(zxid znode.Zxid) *state.Machine {
		m, out := state.New(), new(state.Outcome)
		m.Apply(zxid, nil, out)
		return m
	}
	a.put(at(10))
	a.put(at(20))
	for _, index := range []uint64{10, 20} {
		if m := a.take(index); m == nil || uint64(m.Zxid()) != index {
			t.Errorf("the image at %d is not there", index)
		}
	}
	for zxid := range znode.Zxid(10) {
		a.put(at(30 + zxid))
	}
	if len(a) > arrivalsMax || a.take(39) == nil || len(a) > 0 {
		t.Errorf("%d images are kept", len(a))
	}
}
