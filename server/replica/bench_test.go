package replica

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/grovekeeper/grove/internal/disk"
	"github.com/grovekeeper/grove/server/wal"
)

// BenchmarkReplica measures the way of single-entry proposals of 200 bytes, each a call of its own,
// until they are applied: on a disk in memory and on a real one, with as many outstanding as the
// name says. Besides the time it reports the processor time of all goroutines together, and the
// entries per write.
func BenchmarkReplica(b *testing.B) {
	for _, window := range []int{1, 16, 256, 4096} {
		b.Run(fmt.Sprintf("memory/%d", window), func(b *testing.B) { benchmark(b, disk.NewMemory(), "/log", window) })
		b.Run(fmt.Sprintf("disk/%d", window), func(b *testing.B) { benchmark(b, disk.Real(), b.TempDir(), window) })
	}
}

// counter is an Applier that lets one more proposal go for each entry with a payload.
type counter struct {
	window  chan struct{}
	calls   atomic.Int64
	highest uint64
}

func (c *counter) Apply(entries []Entry) {
	c.calls.Add(1)
	for _, e := range entries {
		if e.Index != c.highest+1 && c.highest != 0 {
			panic("gap")
		}
		if c.highest = e.Index; e.Data != nil {
			<-c.window
		}
	}
}

func benchmark(b *testing.B, fs disk.FS, dir string, window int) {
	start := Bootstrap(1)
	log, err := wal.Open(fs, dir, wal.Options{Start: start.Index + 1})
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	c := &counter{window: make(chan struct{}, window)}
	r, err := Open(Config{ID: 1, Log: log, Start: start, Applier: c})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	<-r.Ready()

	payload, term := make([]byte, 200), r.Status().Term
	b.ReportAllocs()
	b.ResetTimer()
	calls, cpu := c.calls.Load(), processorTime()
	for range b.N {
		c.window <- struct{}{}
		if err := r.Propose(term, [][]byte{payload}); err != nil {
			b.Fatal(err)
		}
	}
	for range window {
		c.window <- struct{}{}
	}
	b.StopTimer()
	b.ReportMetric(float64(processorTime()-cpu)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(b.N)/float64(c.calls.Load()-calls), "entries/apply")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}

// processorTime returns what the process has used, in nanoseconds.
func processorTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
