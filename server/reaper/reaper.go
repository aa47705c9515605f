package reaper

import (
	"context"
	"sync"
	"time"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
)

// Proposer hands a command to the log, with the origin of this server. The outcome is not reported.
type Proposer interface {
	Propose(c *state.Command) error
}

// Views gives the current view of the applied state.
type Views interface {
	View() *state.View
}

// Config is what a reaper works with. Every field is required.
type Config struct {
	Settings
	Views Views
	Log   Proposer
	// Heard returns the sessions that sent anything since the last call, each at least once.
	Heard func() []session.ID
}

// Reaper is one goroutine around the core. Between its ticks it only collects.
type Reaper struct {
	cfg   Config
	start time.Time // zero of the monotonic clock

	mu   sync.Mutex // guards the fields below
	core *core      // nil while Run does not run
}

// New returns a reaper that does nothing until Run.
func New(cfg Config) *Reaper { return &Reaper{cfg: cfg, start: time.Now()} }

// Sessions takes in what became of sessions; the applier calls it and is not kept waiting. What
// happens while Run does not run is in the view that Run begins with.
func (r *Reaper) Sessions(changes []state.SessionChange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.core != nil {
		r.core.sessions(changes, r.mono())
	}
}

// Deadline returns when a session is due if nothing is heard of it, and whether it has a deadline.
func (r *Reaper) Deadline(id session.ID) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.core == nil {
		return time.Time{}, false
	}
	at, ok := r.core.expiry.Deadline(id)
	return r.start.Add(time.Duration(at) * time.Millisecond), ok
}

// Run reaps, a look a tick, until ctx ends or the log refuses a command. It begins by giving every
// session a full timeout.
func (r *Reaper) Run(ctx context.Context) error {
	r.take(newCore(r.cfg.Settings, r.cfg.Views.View(), r.mono()))
	defer r.take(nil)
	ticker := time.NewTicker(time.Duration(r.cfg.TickMs) * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			if err := r.tick(now.UnixMilli()); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (r *Reaper) take(c *core) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.core = c
	if c != nil {
		// A session opened between the reading of the view and now is in the next one.
		c.expiry.GrantAll(r.cfg.Views.View().Sessions, r.mono())
	}
}

// tick proposes without the lock: the log may make it wait.
func (r *Reaper) tick(wall int64) error {
	heard := r.cfg.Heard()
	v := r.cfg.Views.View()
	r.mu.Lock()
	mono := r.mono()
	r.core.heard(heard, v, mono)
	commands := r.core.tick(v, mono, wall)
	r.mu.Unlock()
	for i := range commands {
		if err := r.cfg.Log.Propose(&commands[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reaper) mono() int64 { return time.Since(r.start).Milliseconds() }
