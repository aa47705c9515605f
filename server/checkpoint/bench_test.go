package checkpoint

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// million returns a world of n nodes of 100 bytes, a thousand below each parent.
func million(b testing.TB, n int) *world {
	w := newWorld(b)
	w.open()
	data := string(make([]byte, 100))
	for i := range n {
		if i%1000 == 0 {
			w.create(fmt.Sprintf("/service-%04d", i/1000), "")
		}
		w.create(path(i), data)
		if i%4096 == 0 {
			w.clean()
		}
	}
	w.all = nil
	return w
}

func path(i int) string { return fmt.Sprintf("/service-%04d/node-%010d", i/1000, i) }

// probe measures how late a goroutine gets its turn that wants one every 200 µs.
type probe struct {
	stop atomic.Bool
	done chan []time.Duration
}

func startProbe() *probe {
	p := &probe{done: make(chan []time.Duration)}
	go func() {
		var late []time.Duration
		for !p.stop.Load() {
			begun := time.Now()
			time.Sleep(200 * time.Microsecond)
			late = append(late, time.Since(begun)-200*time.Microsecond)
		}
		p.done <- late
	}()
	return p
}

func (p *probe) report(b *testing.B) {
	p.stop.Store(true)
	late := <-p.done
	slices.Sort(late)
	at := func(q float64) float64 { return late[int(float64(len(late)-1)*q)].Seconds() * 1e6 }
	b.ReportMetric(at(0.99), "late-p99-µs")
	b.ReportMetric(at(0.999), "late-p99.9-µs")
}

// residentFile returns how much of any file this process has in its memory, in MiB.
func residentFile(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("no /proc here")
	}
	var kib float64
	for line := range strings.Lines(string(status)) {
		fmt.Sscanf(line, "RssFile: %f", &kib)
	}
	return kib / 1024
}

// BenchmarkMillion writes and loads a state of a million nodes of 100 bytes, and says how late
// another goroutine was meanwhile.
func BenchmarkMillion(b *testing.B) {
	const n = 1000000
	w := million(b, n)
	path0 := filepath.Join(b.TempDir(), "state")
	s, err := Open(path0, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("idle", func(b *testing.B) {
		for b.Loop() {
			p := startProbe()
			time.Sleep(time.Second)
			p.report(b)
		}
	})
	b.Run("rewrite", func(b *testing.B) {
		for b.Loop() {
			w.renew = true
			p := startProbe()
			w.save(s)
			p.report(b)
		}
	})
	r := rand.New(rand.NewPCG(1, 1))
	for _, k := range []int{100, 1000, 10000, 100000} {
		b.Run(fmt.Sprintf("dirty-%d", k), func(b *testing.B) {
			for b.Loop() {
				for range k {
					w.set(path(r.IntN(n)), string(make([]byte, 100)))
				}
				w.recent = nil
				p := startProbe()
				begun := time.Now()
				w.save(s)
				b.ReportMetric(time.Since(begun).Seconds()*1e3, "write-ms")
				b.ReportMetric(residentFile(b), "file-resident-MiB")
				p.report(b)
			}
		})
	}
	s.Close()
	info, _ := os.Stat(path0)
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			runtime.GC()
			s := openStore(b, path0)
			if _, err := s.Load(); err != nil {
				b.Fatal(err)
			}
			s.Close()
		}
		b.ReportMetric(float64(info.Size())/(1<<20), "file-MiB")
	})
}
