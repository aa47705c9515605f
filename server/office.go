package server

import (
	"context"
	"errors"

	"github.com/grovekeeper/grove/internal/group"
	"github.com/grovekeeper/grove/server/reaper"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
)

// office is what a leader does besides leading, for as long as one term lasts: it turns silence into
// verdicts and changes the membership. The conductor owns it.
type office struct {
	s    *Server
	term uint64 // 0: not held
	work *group.Group
}

// hold makes the office be held in term, or given up if term is 0. What a former term had under way has
// ended when it returns.
func (o *office) hold(ctx context.Context, term uint64) error {
	if o.term == term {
		return nil
	}
	if o.work != nil {
		o.work.Stop()
		err := o.work.Wait()
		o.work = nil
		o.s.members.appoint(nil)
		if err != nil {
			return err
		}
	}
	if o.term = term; term == 0 {
		return nil
	}
	g, ctx := group.New(ctx)
	o.work = g
	o.s.judging.Store(term)
	g.Go("reaper", func() error { return o.s.reaper.Run(ctx) })
	if o.s.peers != nil {
		r := newRegistrar(o.s.members, term)
		o.s.members.appoint(r)
		g.Go("registrar", func() error { return r.run(ctx) })
	}
	return nil
}

// verdicts is how the reaper proposes: in the term it judges in, outside of any stream, and never again.
type verdicts struct{ s *Server }

func (v verdicts) Propose(c *state.Command) error {
	err := v.s.feed.Propose(uint64(v.s.node), v.s.judging.Load(), c)
	if errors.Is(err, replica.ErrOverloaded) {
		return reaper.ErrFull
	}
	if errors.Is(err, replica.ErrStopped) {
		return nil // the server is closing, and what is due now will be due again
	}
	return err
}
