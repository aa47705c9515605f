package replica

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/grovekeeper/grove/internal/mailbox"
	"github.com/grovekeeper/grove/server/wal"
)

// batchLog is a memLog that remembers its batches.
type batchLog struct {
	*memLog
	batches []wal.Batch
}

func (l *batchLog) Append(b wal.Batch) error {
	b.Entries = slices.Clone(b.Entries) // the writer uses its buffer again
	l.batches = append(l.batches, b)
	return l.memLog.Append(b)
}

func writer() (*logWriter, *batchLog) {
	log := &batchLog{memLog: newMemLog(Bootstrap(1))}
	return &logWriter{
		log: log, in: mailbox.New[*Append]("in", 100), out: mailbox.New[*Append]("out", 100),
		applies: mailbox.New[applyJob]("applies", 100),
	}, log
}

// Work that has piled up becomes one batch and one sync; one that replaces entries of the same
// batch begins another.
func TestLogWriterGathers(t *testing.T) {
	w, log := writer()
	answer := []*pb.Message{{}}
	voted := wal.HardState{Term: 2, Vote: 7, Commit: 2}
	jobs := []*Append{
		{Entries: []*pb.Entry{entry(2, 1, "a"), entry(3, 1, "b")}, Sync: true, responses: answer},
		{Hard: wal.HardState{Term: 1, Commit: 2}},
		{Entries: []*pb.Entry{entry(4, 1, "c")}, Sync: true, responses: answer},
		{Entries: []*pb.Entry{entry(3, 2, "B")}, Hard: voted, Sync: true, responses: answer},
		{Entries: []*pb.Entry{entry(4, 2, "C")}, Sync: true, responses: answer, Release: 3},
		{Hard: wal.HardState{Term: 2, Vote: 7, Commit: 4}},
	}
	if err := w.write(t.Context(), jobs); err != nil {
		t.Fatal(err)
	}
	if len(log.batches) != 2 || len(log.batches[0].Entries) != 3 || len(log.batches[1].Entries) != 2 || log.syncs != 2 {
		t.Fatalf("batches %+v", log.batches)
	}
	if first, last := log.First(), log.Last(); first != 3 || last != 4 {
		t.Errorf("log holds %d to %d", first, last)
	}
	if log.Hard() != (wal.HardState{Term: 2, Vote: 7, Commit: 4}) || log.batches[0].Hard.Commit != 2 {
		t.Errorf("hard state %+v", log.Hard())
	}
	if done := w.out.Drain(nil); len(done) != 4 || done[0] != jobs[0] || done[3] != jobs[4] {
		t.Errorf("%d reports", len(done))
	}
}

// A batch of nothing but the commit index is not synced, and silent work is not reported.
func TestLogWriterDoesNotSyncCommit(t *testing.T) {
	w, log := writer()
	if err := w.write(t.Context(), []*Append{{Hard: wal.HardState{Term: 1, Commit: 1}}, {}}); err != nil {
		t.Fatal(err)
	}
	if log.syncs != 0 || len(log.batches) != 1 || w.out.Len() != 0 {
		t.Errorf("%d syncs, %d batches, %d reports", log.syncs, len(log.batches), w.out.Len())
	}
	if err := w.write(t.Context(), []*Append{{Release: 1}}); err != nil || len(log.batches) != 1 {
		t.Errorf("%d batches for nothing: %v", len(log.batches), err)
	}
}

// What follows an image is not written if the image was not installed.
func TestLogWriterLeavesDuringInstall(t *testing.T) {
	w, log := writer()
	jobs := []*Append{
		{Entries: []*pb.Entry{entry(2, 1, "a")}, Sync: true},
		{Image: &Image{Index: 50, Term: 3}, Entries: []*pb.Entry{entry(51, 3, "z")}, Sync: true},
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.write(ctx, jobs); !errors.Is(err, errLeave) || stay(err) != nil {
		t.Errorf("write: %v", err)
	}
	if log.Last() != 2 {
		t.Errorf("log ends at %d", log.Last())
	}
	w.applies.Close()
	if err := w.write(t.Context(), jobs[1:]); !errors.Is(err, errLeave) {
		t.Errorf("write after the applier has left: %v", err)
	}
}

// entries, images, entries: the applier takes them in this order.
func TestApplierTakesImagesInTurn(t *testing.T) {
	app := &recorder{base: 1}
	a := &applier{
		applier: app, images: app, out: mailbox.New[*Apply]("out", 9), reached: new(atomic.Uint64),
	}
	done := make(chan struct{})
	one := &Apply{Entries: []*pb.Entry{entry(2, 1, "a")}}
	two := &Apply{Entries: []*pb.Entry{entry(3, 1, "b")}}
	far := &Apply{Entries: []*pb.Entry{entry(51, 3, "z")}}
	jobs := []applyJob{{apply: one}, {apply: two}, {image: &Image{Index: 50}, done: done}, {apply: far}}
	if err := a.work(jobs); err != nil {
		t.Fatal(err)
	}
	if got := app.all(); !isClosed(done) || !slices.Equal(got, []string{"z"}) || a.reached.Load() != 51 {
		t.Errorf("applied %q, reached %d", got, a.reached.Load())
	}
	if got := a.out.Drain(nil); !slices.Equal(got, []*Apply{one, two, far}) {
		t.Errorf("%d reports", len(got))
	}
}
