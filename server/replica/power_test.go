package replica

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/grovekeeper/grove/internal/disk"
	"github.com/grovekeeper/grove/server/wal"
)

// witness is an Applier that keeps what it was told, and says when it has been told enough.
type witness struct {
	enough  int
	reached chan struct{}

	mu      sync.Mutex
	entries []Entry
}

func (w *witness) Apply(entries []Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := len(w.entries)
	w.entries = append(w.entries, entries...)
	if was < w.enough && len(w.entries) >= w.enough {
		close(w.reached)
	}
}

func (w *witness) all() []Entry { w.mu.Lock(); defer w.mu.Unlock(); return slices.Clone(w.entries) }

// TestPowerCuts runs on the real log and a disk that loses power, again and again, in the midst of
// proposals. What was applied before must be applied after, the same at every index.
func TestPowerCuts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 7))
	fs, known := disk.NewMemory(), map[uint64]string{}
	for round := range 30 {
		app := &witness{enough: len(known) + 1 + r.IntN(300), reached: make(chan struct{})}
		log, err := wal.Open(fs, "/log", wal.Options{Start: 2, SegmentBytes: 1 << 16})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		rep, err := Open(Config{ID: 1, Log: log, Start: Bootstrap(1), Applier: app, Limits: Limits{InflightBytes: 8 << 10}})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- rep.Run(ctx) }()
		<-rep.Ready()
		term := rep.Status().Term
		for i := range 400 {
			if err := rep.Propose(term, payloads(fmt.Sprintf("round %d, %d", round, i))); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		<-app.reached
		applied := app.all()
		next := fs.Clone() // the disk as it is at this moment; the life that goes on is not ours any more
		next.CutPower(func(u disk.Unit) int {
			switch r.IntN(3) {
			case 0:
				return disk.Lost
			case 1:
				return disk.Kept
			default:
				return r.IntN(u.Len + 1)
			}
		})
		cancel()
		if err := <-ended; err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		_ = log.Close()
		compareEntries(t, round, applied, known)
		fs = next
	}
	t.Logf("%d entries", len(known))
}

// compareEntries holds what one life applied against the lives before, and adds to what is known.
func compareEntries(t *testing.T, round int, entries []Entry, known map[uint64]string) {
	t.Helper()
	if len(entries) < len(known) {
		t.Fatalf("round %d: %d entries applied, %d were before", round, len(entries), len(known))
	}
	for i, e := range entries {
		is := fmt.Sprintf("term %d: %s", e.Term, e.Data)
		if was, ok := known[e.Index]; e.Index != uint64(i+2) || ok && was != is {
			t.Fatalf("round %d: entry %d is %q, was %q", round, e.Index, is, was)
		}
		known[e.Index] = is
	}
}
