// Package heap sizes the room that the garbage collector leaves between two collections. Go's default
// doubles the heap whatever its size: too little for a small server under load, which then collects
// dozens of times a second, and too much for one that holds gigabytes, whose users pay for memory.
package heap

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// roomMin is the least room in bytes, as long as that is not more than shareMax of the live heap.
	roomMin = 64 << 20
	// shareMin and shareMax bound the room in percent of the live heap. With a fifth, filling a tree
	// with a million nodes spends a tenth of its time on collections (GODEBUG=gctrace=1 tells).
	shareMin = 20
	shareMax = 1600
)

// percent returns the setting of the collector for a live heap of that many bytes.
func percent(live uint64) int {
	if live == 0 {
		return shareMax
	}
	return int(min(max(roomMin*100/live, shareMin), shareMax))
}

// Tune keeps the collector's setting in step with the live heap until ctx ends. An operator's GOGC is
// left alone. It sets what the whole process shares, so only a program's main part may run it.
func Tune(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		<-ctx.Done()
		return nil
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	set := percent(0)
	before := debug.SetGCPercent(set)
	defer debug.SetGCPercent(before)
	collected := make(chan struct{}, 1)
	for {
		watch(collected)
		select {
		case <-collected:
		case <-ctx.Done():
			return nil
		}
		metrics.Read(sample)
		// Setting it stops the world for a moment, so small steps are not taken.
		if want := percent(sample[0].Value.Uint64()); want*10 < set*9 || want*9 > set*10 {
			debug.SetGCPercent(want)
			set = want
		}
	}
}

// watch has the next collection signalled. It must be noticed at once: while a state is loaded, a
// second at the setting of a small heap would let a large one grow many times over.
func watch(collected chan<- struct{}) {
	unreachable := new([32]byte) // too large for the allocator to put beside something that lives on
	runtime.SetFinalizer(unreachable, func(*[32]byte) {
		select {
		case collected <- struct{}{}:
		default:
		}
	})
}
