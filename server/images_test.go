package server

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/znode"
)

// A second image that arrives before the first is installed does not take its place: Raft wants both,
// one after the other, and a server that does not have the first ends.
func TestImagesWaitForTheirTurn(t *testing.T) {
	var a arrivals
	a.put(stateAt(10))
	a.put(stateAt(20))
	for _, index := range []uint64{10, 20} {
		if m := a.take(index); m == nil || uint64(m.Zxid()) != index {
			t.Errorf("the image at %d is not there", index)
		}
	}
	for zxid := range znode.Zxid(10) {
		a.put(stateAt(30 + zxid))
	}
	if len(a) > arrivalsMax || a.take(39) == nil || len(a) > 0 {
		t.Errorf("%d images are kept", len(a))
	}
}

// An image that arrives when there is no room waits for the next to be installed. None that Raft may want gives
// way to it: on a server that installs more slowly than images come, that one was missing and the server ended.
func TestNoImageGivesWayToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g images
		for zxid := range arrivalsMax {
			if err := g.keep(t.Context(), stateAt(znode.Zxid(10+zxid))); err != nil {
				t.Fatal(err)
			}
		}
		kept := make(chan error)
		go func() { kept <- g.keep(t.Context(), stateAt(20)) }()
		synctest.Wait()
		select {
		case <-kept:
			t.Error("there was no room, and an image was kept")
		default:
		}
		if g.wanted(10) == nil {
			t.Error("the oldest image has given way")
		}
		if err := <-kept; err != nil || g.wanted(20) == nil {
			t.Errorf("the image that waited is not there: %v", err)
		}

		for zxid := range arrivalsMax { // which nobody wants
			if err := g.keep(t.Context(), stateAt(znode.Zxid(30+zxid))); err != nil {
				t.Fatal(err)
			}
		}
		if err := g.keep(t.Context(), stateAt(40)); err != nil || g.wanted(40) == nil {
			t.Errorf("three that nobody wants are in the way for ever: %v", err)
		}

		ctx, cancel := context.WithCancel(t.Context())
		for zxid := range arrivalsMax {
			if err := g.keep(ctx, stateAt(znode.Zxid(50+zxid))); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		if err := g.keep(ctx, stateAt(60)); err == nil {
			t.Error("an image was kept by a server that ends")
		}
	})
}

// stateAt is a machine that has got so far.
func stateAt(zxid znode.Zxid) *state.Machine {
	m, out := state.New(), new(state.Outcome)
	m.Apply(zxid, nil, out)
	return m
}
