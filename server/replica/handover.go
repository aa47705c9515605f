package replica

import (
	"context"
	"math"
	"slices"
	"time"
)

// watch is over the log: it knows since when the oldest append waits that was handed to it.
type watch struct {
	now            uint64  // ticks
	oldest, newest *Append // not yet reported
	quiet          uint64  // no transfer before this tick
}

// begin notes an append that was handed to the log and will be reported.
func (w *watch) begin(a *Append) {
	if a.Silent() {
		return
	}
	if a.begun = w.now; w.oldest == nil {
		w.oldest = a
	} else {
		w.newest.next = a
	}
	w.newest = a
}

// done notes a report: they come in the order of the appends.
func (w *watch) done(a *Append) {
	if w.oldest, a.next = a.next, nil; w.oldest == nil {
		w.newest = nil // it holds entries
	}
}

// stalled says that the log has not finished what it was handed half an election time-out ago.
func (l *loop) stalled() bool {
	w := &l.watch
	return w.oldest != nil && w.now-w.oldest.begun > uint64(l.cfg.ElectionTicks)/2
}

// A leader whose log is stalled holds up everybody, though the others could go on without it: it
// yields to one that is not far behind. It does so seldom: if all disks are slow it helps nobody.
const (
	yieldEvery  = 10 * time.Second
	yieldBehind = 1000
)

func (l *loop) yield() error {
	w := &l.watch
	if w.now < w.quiet || !l.core.Leads() || !l.stalled() {
		return nil
	}
	to, ok := l.core.Successor(yieldBehind)
	if !ok {
		return nil
	}
	w.quiet = w.now + uint64(yieldEvery/l.cfg.Tick)
	l.cfg.Logger.Warn("log is stalled: leadership is handed over", "member", l.cfg.ID, "peer", to,
		"term", l.core.Soft().Term, "took", time.Duration(w.now-w.oldest.begun)*l.cfg.Tick)
	return l.core.Transfer(to)
}

// handover is a caller of Handover that waits.
type handover struct {
	ctx  context.Context
	told chan<- error // has room
}

// Handover hands leadership over to the voter that is furthest, if this member leads, and waits until
// somebody else is known to lead, or ctx ends. It returns nil if this member does not lead, and
// ErrNoSuccessor if nobody else could. What is proposed meanwhile is held, and dropped in the end.
func (r *Replica) Handover(ctx context.Context) error {
	told := make(chan error, 1)
	h := handover{ctx, told}
	err := r.requests.Put(request{
		do:   func(l *loop) error { return l.handOver(h) },
		fail: func(err error) { told <- err },
	}, 1)
	if err != nil {
		return refusal(err)
	}
	select {
	case err := <-told:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *loop) handOver(h handover) error {
	if !l.core.Leads() {
		h.told <- nil
		return nil
	}
	l.leaving = append(l.leaving, h)
	return l.handOn()
}

// handOn hands leadership over if somebody waits for it. A transfer that did not succeed within an
// election time-out, and was given up by Raft, is tried again.
func (l *loop) handOn() error {
	l.leaving = slices.DeleteFunc(l.leaving, func(h handover) bool { return h.ctx.Err() != nil })
	if len(l.leaving) == 0 || !l.core.Leads() || l.core.Transferring() {
		return nil
	}
	to, ok := l.core.Successor(math.MaxUint64 / 2) // it gets what it lacks first
	if !ok {
		l.release(ErrNoSuccessor)
		return nil
	}
	l.cfg.Logger.Info("leadership is handed over", "member", l.cfg.ID, "peer", to, "term", l.core.Soft().Term)
	return l.core.Transfer(to)
}

// left is told who leads: once that is somebody else, nobody has to wait.
func (l *loop) left(now Soft) {
	if now.Leader != 0 && now.Leader != l.cfg.ID {
		l.release(nil)
	}
}

// release tells all that wait what came of it.
func (l *loop) release(err error) {
	for _, h := range l.leaving {
		h.told <- err
	}
	l.leaving = nil
}
