package replica

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/grovekeeper/grove/internal/bug"
	"github.com/grovekeeper/grove/internal/mailbox"
	"github.com/grovekeeper/grove/server/wal"
)

// applyJob is for the applier: entries, or an image to install on behalf of the log.
type applyJob struct {
	apply *Apply
	image *Image
	done  chan<- struct{} // closed when the image is installed
}

// bufferKept is how many entries a buffer may have room for to be kept for the next batch.
const bufferKept = 16384

// logWriter is the log goroutine: the only one that writes to the log. It ends when its mailbox is
// closed and empty, or the log fails.
type logWriter struct {
	log     Log
	in      *mailbox.Mailbox[*Append]
	out     *mailbox.Mailbox[*Append]
	applies *mailbox.Mailbox[applyJob]
	buffer  []wal.Entry

	meanwhile func() error // by hand: does what the applier does while install waits; see Hand
}

// errLeave says that ctx ended while an image was being installed. What follows the image must not
// be written without it; the next start finishes the job.
var errLeave = errors.New("stopped during an install")

func (w *logWriter) run(ctx context.Context) error {
	var jobs []*Append
	for range w.in.Ready() {
		jobs = w.in.Drain(jobs)
		if err := w.write(ctx, jobs); err != nil {
			return stay(err)
		}
	}
	return stay(w.write(ctx, w.in.Drain(jobs)))
}

func stay(err error) error {
	if errors.Is(err, errLeave) {
		return nil
	}
	return err
}

// write makes jobs durable, as few batches as it can, and reports them.
func (w *logWriter) write(ctx context.Context, jobs []*Append) error {
	for len(jobs) > 0 {
		n, batch := w.gather(jobs)
		if err := w.commit(ctx, jobs[0].Image, batch); err != nil {
			return err
		}
		if err := w.report(jobs[:n]); err != nil {
			return err
		}
		jobs = jobs[n:]
	}
	return nil
}

// gather puts jobs together into one batch, up to one that replaces entries of the same batch or
// begins the log anew.
func (w *logWriter) gather(jobs []*Append) (n int, batch wal.Batch) {
	entries := w.buffer[:0]
	for _, job := range jobs {
		if n > 0 && job.Image != nil {
			break
		}
		if len(entries) > 0 && len(job.Entries) > 0 &&
			job.Entries[0].GetIndex() != entries[len(entries)-1].Index+1 {
			break
		}
		entries = toLog(entries, job.Entries)
		if job.Hard != (wal.HardState{}) {
			batch.Hard = job.Hard
		}
		batch.Sync = batch.Sync || job.Sync
		n++
	}
	w.buffer, batch.Entries = entries, entries
	return n, batch
}

// commit installs the image if there is one, and makes batch durable.
func (w *logWriter) commit(ctx context.Context, image *Image, batch wal.Batch) error {
	if image != nil {
		if err := w.install(ctx, image); err != nil {
			return err
		}
	}
	if len(batch.Entries) == 0 && batch.Hard == (wal.HardState{}) {
		return nil
	}
	if err := w.log.Append(batch); err != nil {
		return fmt.Errorf("append %d entries: %w", len(batch.Entries), err)
	}
	clear(w.buffer)
	if cap(w.buffer) > bufferKept {
		w.buffer = nil
	}
	return nil
}

// install lets the applier take the image in its turn, and then begins the log anew after it: in
// this order, for a log without its beginning is of no use without the image, while the image needs
// no log.
func (w *logWriter) install(ctx context.Context, image *Image) error {
	if bug.On(bug.LogBeforeImage) {
		_ = w.log.Reset(image.Index, image.Term)
	}
	done := make(chan struct{})
	if err := w.applies.Put(applyJob{image: image, done: done}, 1); err != nil {
		return fmt.Errorf("%w: %w", errLeave, err)
	}
	if w.meanwhile != nil {
		if err := w.meanwhile(); err != nil {
			return err
		}
	}
	select {
	case <-done:
	case <-ctx.Done():
		return errLeave
	}
	if err := w.log.Reset(image.Index, image.Term); err != nil {
		return fmt.Errorf("begin anew after %d: %w", image.Index, err)
	}
	return nil
}

// report lets go what is not needed and tells the raft goroutine.
func (w *logWriter) report(jobs []*Append) error {
	for _, job := range jobs {
		if job.Release > 0 {
			if err := w.log.Release(job.Release); err != nil {
				return fmt.Errorf("release entries below %d: %w", job.Release, err)
			}
		}
		if job.Silent() {
			continue
		}
		if err := w.out.Put(job, 1); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return nil
}

// applier is the applier goroutine: the only one that calls the Applier. It ends when its mailbox
// is closed and empty.
type applier struct {
	applier Applier
	images  Images // nil only if no image is ever taken
	in      *mailbox.Mailbox[applyJob]
	out     *mailbox.Mailbox[*Apply]
	reached *atomic.Uint64
	buffer  []Entry
}

func (a *applier) run() error {
	var jobs []applyJob
	for range a.in.Ready() {
		jobs = a.in.Drain(jobs)
		if err := a.work(jobs); err != nil {
			return err
		}
	}
	return a.work(a.in.Drain(jobs))
}

// work applies all jobs in one go, but for images, which come in between.
func (a *applier) work(jobs []applyJob) error {
	from := 0
	for i, job := range jobs {
		if job.image == nil {
			continue
		}
		if err := a.apply(jobs[from:i]); err != nil {
			return err
		}
		if err := a.images.Install(*job.image); err != nil {
			return fmt.Errorf("install image at %d: %w", job.image.Index, err)
		}
		a.reached.Store(job.image.Index)
		close(job.done)
		from = i + 1
	}
	return a.apply(jobs[from:])
}

// apply applies jobs, none of which is an image.
func (a *applier) apply(jobs []applyJob) error {
	if len(jobs) == 0 {
		return nil
	}
	entries := a.buffer[:0]
	for _, job := range jobs {
		entries = job.apply.plain(entries)
	}
	a.applier.Apply(entries)
	a.reached.Store(entries[len(entries)-1].Index)
	clear(entries)
	if a.buffer = entries; cap(entries) > bufferKept {
		a.buffer = nil
	}
	for _, job := range jobs {
		if err := a.out.Put(job.apply, 1); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return nil
}

// plain appends the entries of a as an Applier takes them.
func (a *Apply) plain(out []Entry) []Entry {
	confs := a.confs
	for _, e := range a.Entries {
		entry := Entry{Index: e.GetIndex(), Term: e.GetTerm()}
		if len(confs) > 0 && confs[0].index == entry.Index {
			entry.ConfState, entry.Data, confs = confs[0].state, confs[0].payload, confs[1:]
		} else if len(e.Data) > 0 {
			entry.Data = e.Data
		}
		out = append(out, entry)
	}
	return out
}
