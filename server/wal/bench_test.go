package wal

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/grovekeeper/grove/internal/disk"
)

// BenchmarkAppend makes batches of 200-byte entries durable, one after the other, with the keeper
// recycling segments beside it as in a server that has run for a while. GROVE_BENCH_DIR names a
// directory on the disk to measure. On the file system "none" what is left is the log's own work.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("real/batch=%d", n), func(b *testing.B) { benchmarkAppend(b, disk.Real(), n) })
	}
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("none/batch=%d", n), func(b *testing.B) { benchmarkAppend(b, nowhere{}, n) })
	}
}

func benchmarkAppend(b *testing.B, fs disk.FS, n int) {
	dir, err := os.MkdirTemp(os.Getenv("GROVE_BENCH_DIR"), "wal")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := Open(fs, filepath.Join(dir, "log"), Options{Identity: identity, SegmentBytes: 16 << 20})
	if err != nil {
		b.Fatal(err)
	}
	entries := make([]Entry, n)
	data := make([]byte, 200)
	next := warmUp(b, l)
	took := make([]time.Duration, 0, b.N)
	b.ReportAllocs()
	for b.Loop() {
		for i := range entries {
			entries[i] = Entry{next, 1, 0, data}
			next++
		}
		start := time.Now()
		if err := l.Append(Batch{Entries: entries, Hard: HardState{1, 1, next - 1}}); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
		if next%10_000 < uint64(n) {
			if err := l.Release(next - 10_000); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-µs")
	b.ReportMetric(float64(took[len(took)-1].Nanoseconds())/1e6, "max-ms")
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "entries/s")
}

// warmUp fills segments until the first of full size has been recycled, and returns the next index.
func warmUp(b *testing.B, l *Log) uint64 {
	next := uint64(100_000)
	if err := l.Reset(next-1, 1); err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 100<<10)
	for ; next < 101_200; next++ {
		mustAppend(b, l, Batch{Entries: []Entry{{next, 1, 0, data}}})
		if err := l.Release(next); err != nil {
			b.Fatal(err)
		}
	}
	return next
}

// BenchmarkEntries reads entries back, in runs of 64, from the kernel's cache.
func BenchmarkEntries(b *testing.B) {
	l, err := Open(disk.Real(), filepath.Join(b.TempDir(), "log"), Options{Identity: identity})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	const total = 64 << 8
	data := make([]byte, 200)
	for i := uint64(1); i <= total; i += 64 {
		var batch []Entry
		for j := range uint64(64) {
			batch = append(batch, Entry{i + j, 1, 0, data})
		}
		mustAppend(b, l, Batch{Entries: batch})
	}
	b.ReportAllocs()
	at := uint64(1)
	for b.Loop() {
		if _, err := l.Entries(at, at+64, 1<<40); err != nil {
			b.Fatal(err)
		}
		at = (at + 64) % (total - 64)
	}
}

// BenchmarkOpen opens a log of about 160 MiB that was not closed.
func BenchmarkOpen(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "log")
	l, err := Open(disk.Real(), dir, Options{Identity: identity})
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 200)
	batch := make([]Entry, 1000)
	for i := uint64(1); i < 600_000; i += 1000 {
		for j := range batch {
			batch[j] = Entry{i + uint64(j), 1, 0, data}
		}
		mustAppend(b, l, Batch{Entries: batch})
	}
	bytes := l.Stats().Bytes
	b.SetBytes(bytes)
	b.ReportAllocs()
	for b.Loop() {
		again, err := Open(disk.Real(), dir, Options{Identity: identity, Manual: true})
		if err != nil {
			b.Fatal(err)
		}
		if err := again.letFilesGo(); err != nil {
			b.Fatal(err)
		}
	}
	mustClose(b, l)
}

// nowhere is a file system whose files forget what is written: what is left to measure is the
// log's own work.
type nowhere struct{ disk.FS }

func (nowhere) MkdirAll(string) error            { return nil }
func (nowhere) List(string) ([]string, error)    { return nil, nil }
func (nowhere) Open(string) (disk.File, error)   { return nil, os.ErrNotExist }
func (nowhere) OpenRW(string) (disk.File, error) { return nil, os.ErrNotExist }
func (nowhere) Create(string) (disk.File, error) { return nothing{}, nil }
func (nowhere) Remove(string) error              { return nil }
func (nowhere) Rename(string, string) error      { return nil }
func (nowhere) SyncDir(string) error             { return nil }

type nothing struct{ disk.File }

func (nothing) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (nothing) Sync() error                            { return nil }
func (nothing) Truncate(int64) error                   { return nil }
func (nothing) Close() error                           { return nil }
