// Package reaper turns silence and emptiness into commands: sessions nobody has heard from for their
// timeout, containers whose last child is gone, nodes whose time to live has passed. It runs where
// writes are led. Its verdicts are proposals: the machine judges each again when it applies it, so a
// stale one does no harm. It never changes anything itself.
package reaper

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
)

// ErrFull is how a Proposer refuses a verdict for now: it is made anew, if it still holds, a tick later.
var ErrFull = errors.New("the log takes no more verdicts now")

// Proposer hands a command to the log, in the term of office in which it was judged: if that is over the
// command must be lost, for another reaper has granted everybody a full timeout since. The outcome
// is not reported. It may wait. Any error but ErrFull ends Run.
type Proposer interface {
	Propose(c *state.Command) error
}

// Views gives the current view of the applied state.
type Views interface {
	View() *state.View
}

// Settings are the times a reaper goes by, in milliseconds, and its pace.
type Settings struct {
	TickMs         int64 // between two looks, and the width of an expiry bucket
	ScanEveryMs    int64 // between two looks at containers and TTL nodes
	ReapsPerMinute int   // at most
	NeverUsedMs    int64 // age at which a container that never had a child goes too; 0: never
}

// Config is what a reaper works with. Every field is required.
type Config struct {
	Settings
	Views Views
	Log   Proposer
	// Heard returns the sessions that sent anything to any server since the last call, each at least
	// once. Those that are not known here are passed over: the news of them is still on its way, and
	// counts as a sign of life itself.
	Heard func() []session.ID
}

// Reaper is one goroutine around two judges. The judges are its own, so that neither the applier,
// which brings it news, nor the log, which makes it wait, has anything to do with the other.
type Reaper struct {
	cfg   Config
	start time.Time // zero of the monotonic clock

	newsMu sync.Mutex // guards the two below; held for an append
	news   []news     // in the order they were brought. Bound: the changes of one tick
	listen bool       // Run runs, and will take the news

	mu      sync.Mutex // guards silence against Deadline; taken by Run for the length of a look
	silence *silence   // nil while Run does not run
}

// news is what became of a session, and when that was brought.
type news struct {
	state.SessionChange
	mono int64
}

// New returns a reaper that does nothing until Run.
func New(cfg Config) *Reaper { return &Reaper{cfg: cfg, start: time.Now()} }

// Sessions takes in what became of sessions; the applier calls it and is not kept waiting. What
// happens while Run does not run is in the view that Run begins with.
func (r *Reaper) Sessions(changes []state.SessionChange) {
	r.newsMu.Lock()
	defer r.newsMu.Unlock()
	if !r.listen {
		return
	}
	mono := r.mono()
	for _, c := range changes {
		r.news = append(r.news, news{c, mono})
	}
}

// Deadline returns when a session is due if nothing is heard of it, and whether it has a deadline.
// It may be a tick behind.
func (r *Reaper) Deadline(id session.ID) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.silence == nil {
		return time.Time{}, false
	}
	at, ok := r.silence.expiry.Deadline(id)
	return r.start.Add(time.Duration(at) * time.Millisecond), ok
}

// Run reaps, a look a tick, until ctx ends or the log fails. It is one term of office: it begins by giving
// every session a full timeout, since nobody knows when the server before last heard of it, and it
// leaves nothing behind for the next, which Run may be called for once it has returned.
func (r *Reaper) Run(ctx context.Context) error {
	r.hear(true) // before the view is read: what comes after it is news
	defer r.hear(false)
	r.take(newSilence(r.cfg.TickMs, r.cfg.Views.View().Sessions, r.mono()))
	defer r.take(nil)
	empty := newEmptiness(r.cfg.Settings, r.mono())
	ticker := time.NewTicker(time.Duration(r.cfg.TickMs) * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			if err := r.look(empty, now.UnixMilli()); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (r *Reaper) take(s *silence) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.silence = s
}

// hear begins or ends the taking of news, and returns what has come.
func (r *Reaper) hear(listen bool) []news {
	r.newsMu.Lock()
	defer r.newsMu.Unlock()
	come := r.news
	r.news, r.listen = nil, listen
	return come
}

// look proposes what is due. It takes the news before the view, so that the view is the newer of
// the two: that way round, silence can tell.
func (r *Reaper) look(empty *emptiness, wall int64) error {
	come, heard := r.hear(true), r.cfg.Heard()
	v := r.cfg.Views.View()
	verdicts := r.judge(come, heard, v.Sessions, wall)
	verdicts = append(verdicts, empty.look(v.Nodes, r.mono(), wall)...)
	for i := range verdicts {
		err := r.cfg.Log.Propose(&verdicts[i])
		if errors.Is(err, ErrFull) {
			r.postpone(verdicts[i:])
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// postpone makes sessions whose verdicts were not taken due again at the next look, unless they are heard
// of until then. Nodes need nothing: the next scan finds them again.
func (r *Reaper) postpone(verdicts []state.Command) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range verdicts {
		if verdicts[i].Kind == state.ExpireSession {
			r.silence.expiry.Touch(verdicts[i].Session, 0, r.mono())
		}
	}
}

func (r *Reaper) judge(come []news, heard []session.ID, alive *session.Table, wall int64) []state.Command {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range come {
		r.silence.change(n.SessionChange, n.mono)
	}
	return r.silence.look(alive, heard, r.mono(), wall)
}

func (r *Reaper) mono() int64 { return time.Since(r.start).Milliseconds() }
