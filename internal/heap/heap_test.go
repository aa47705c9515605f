package heap

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
)

func TestTheRoomIsBoundedBothWays(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, 1600},
		{1 << 20, 1600},
		{16 << 20, 400},
		{64 << 20, 100},
		{128 << 20, 50},
		{256 << 20, 25},
		{8 << 30, 20},
	} {
		if got := percent(c.live); got != c.want {
			t.Errorf("percent(%d MiB) = %d, want %d", c.live>>20, got, c.want)
		}
	}
}

func TestACollectionIsNoticed(t *testing.T) {
	collected := make(chan struct{}, 1)
	watch(collected)
	runtime.GC()
	<-collected
}

func TestTheCollectorIsLeftAsItWas(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- Tune(ctx) }()
		synctest.Wait()
		during := debug.SetGCPercent(100)
		cancel()
		<-done
		if during != percent(0) {
			t.Errorf("while tuned: %d, want %d", during, percent(0))
		}
	})
	if after := debug.SetGCPercent(100); after != 100 {
		t.Errorf("afterwards: %d, want 100", after)
	}
}
