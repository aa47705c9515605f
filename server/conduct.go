package server

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/server/front"
	"github.com/grovekeeper/grove/server/member"
	"github.com/grovekeeper/grove/server/replica"
)

const (
	// conductEvery is how often the conductor looks without being told that something has changed.
	conductEvery = 100 * time.Millisecond
	// lonelyAfter is how long nobody may lead before new clients are only let in to read.
	lonelyAfter = 2 * time.Second
	// digestEvery is how often a follower compares its state with the leader's.
	digestEvery = 5 * time.Second
)

// conductor keeps what this server does in step with who leads. It is one goroutine.
type conductor struct {
	s       *Server
	office  office
	led     time.Time // when somebody was last known to lead
	touched time.Time // when the leader was last told who was heard
	untold  []int64   // who was heard, and there was no room to tell. Bound: touchesMax
	began   time.Time
	stood   bool // somebody has led since the start, or this server has stood for election
}

func (s *Server) conduct(ctx context.Context) error {
	c := &conductor{s: s, office: office{s: s}, led: time.Now(), began: time.Now()}
	defer func() { _ = c.office.hold(ctx, 0) }() // what ends here has been told elsewhere
	ticker := time.NewTicker(s.cfg.beat())
	defer ticker.Stop()
	for {
		select {
		case <-s.signals.turned:
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		if err := c.turn(ctx, time.Now()); err != nil {
			return err
		}
	}
}

// turn brings everything in step once.
func (c *conductor) turn(ctx context.Context, now time.Time) error {
	status := c.s.replica.Load().Status()
	term := uint64(0)
	if status.Role == replica.Leader {
		term = status.Term
	}
	if err := c.office.hold(ctx, term); err != nil {
		return err
	}
	c.s.members.look(status)
	c.s.feed.Pump()
	if c.s.peers == nil {
		return nil
	}
	if status.Leader != 0 {
		c.led = now
	}
	c.attend(now.Sub(c.led))
	c.touch(status, now)
	return c.stand(status, now)
}

// stand makes the servers of a quorum that has just started stand for election one after the other,
// without waiting for a time-out: there is nobody whose silence could mean anything. Where somebody
// leads, the others refuse to hear of it.
func (c *conductor) stand(status replica.Status, now time.Time) error {
	rank := slices.Index(status.Voters, status.ID)
	if c.stood = c.stood || status.Leader != 0; c.stood || rank < 0 {
		return nil
	}
	patience := time.Duration(rank+1) * conductEvery * 3 / 2
	if c.stood = now.Sub(c.began) > patience; !c.stood {
		return nil
	}
	err := c.s.replica.Load().Campaign()
	if errors.Is(err, replica.ErrStopped) || errors.Is(err, replica.ErrOverloaded) {
		return nil
	}
	return err
}

// attend lets clients in as far as there is somebody to serve them.
func (c *conductor) attend(leaderless time.Duration) {
	f, serving := c.s.front, c.s.serving()
	if serving {
		f.Leaderless(leaderless)
	}
	switch {
	case c.s.Zxid() == 0: // who has not been sent the first state yet has nothing to show
	case leaderless > lonelyAfter:
		f.SetMode(front.ReadOnly)
	case serving && leaderless == 0:
		f.SetMode(front.Serving)
	}
}

// touch tells the leader who was heard. The leader's own reaper asks for itself.
func (c *conductor) touch(status replica.Status, now time.Time) {
	if status.Role == replica.Leader || status.Leader == 0 || now.Sub(c.touched) < c.s.cfg.touchEvery() {
		return
	}
	c.touched = now
	ids := c.untold
	for _, id := range c.s.front.Heard() {
		ids = append(ids, int64(id))
	}
	if c.untold = nil; len(ids) == 0 {
		return
	}
	if err := c.s.peers.Hear(status.Leader, ids); err != nil {
		c.untold = ids[:min(len(ids), touchesMax)]
		c.s.log.Warn("the leader was not told who was heard", "leader", member.Node(status.Leader), "err", err)
	}
}

// touchEvery is short enough that no session is judged silent for what was still to be told.
func (c Config) touchEvery() time.Duration {
	ms := min(c.TickMs/2, c.SessionTimeoutMinMs/6)
	return time.Duration(max(ms, 5)) * time.Millisecond
}

// beat is how often the conductor looks: no touch must wait for it.
func (c Config) beat() time.Duration { return min(conductEvery, c.touchEvery()) }

// applyForPlace asks to be let in until this server has the place that the table has for it, and again
// if it loses it: a server that came back without its data has none, though its number is in the table.
// With that, and whenever nobody leads, it asks who the members are now.
func (s *Server) applyForPlace(ctx context.Context) error {
	me, listed := s.cfg.Peers.Find(s.node.ID())
	body := member.Candidate{Node: s.node, Member: me}.Append(nil)
	warned := false
	for !s.removed.Load() {
		placed := s.placed()
		warned = warned || placed && s.warnOfStrangers()
		if !placed || s.replica.Load().Status().Leader == 0 {
			if err := s.members.inquire(ctx); err != nil {
				return err
			}
		}
		if !placed && listed {
			asking, cancel := context.WithTimeout(ctx, askPatience)
			s.askEach(asking, s.members.everyone(), askAdmit, body)
			cancel()
		}
		select {
		case <-time.After(askEveryone):
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// warnOfStrangers says which of the servers that this one was given as peers are no members. They may never
// become any: a server that served alone does not make members of others, and they may be of another cluster. It
// returns false as long as there is no table.
func (s *Server) warnOfStrangers() bool {
	t := s.members.seen().table
	if len(t.Members) == 0 {
		return false
	}
	for _, one := range s.cfg.Peers.Members {
		if _, ok := t.Find(one.ID); !ok {
			s.log.Warn("a server given as peer is no member: grove member add lets it in", "peer", one.ID,
				"address", one.PeerAddr())
		}
	}
	return true
}

// placed says whether this server is what the table says it is.
func (s *Server) placed() bool {
	status := s.replica.Load().Status()
	me, ok := s.table().Find(s.node.ID())
	if !ok {
		return false
	}
	if me.Role == member.Observer {
		return slices.Contains(status.Learners, uint64(s.node))
	}
	return slices.Contains(status.Voters, uint64(s.node))
}

// watchDigest compares this server's state with the leader's from time to time.
func (s *Server) watchDigest(ctx context.Context) error {
	for {
		select {
		case <-time.After(digestEvery):
		case <-ctx.Done():
			return nil
		}
		status := s.replica.Load().Status()
		mark := s.feed.NewestDigest()
		if mark.Zxid == 0 || status.Leader == 0 || status.Leader == uint64(s.node) {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, askPatience)
		body := codec.AppendUint64(codec.AppendInt64(nil, int64(mark.Zxid)), mark.Digest)
		answer, err := s.peers.Ask(asking, member.Node(status.Leader).ID(), askDigest, body)
		cancel()
		r := codec.NewReader(answer)
		if kept, same := r.Bool(), r.Bool(); err == nil && r.Err() == nil && kept && !same {
			s.meters.diverged.Add(1)
			s.log.Error("this state is not the leader's", "zxid", mark.Zxid, "leader", member.Node(status.Leader))
		}
	}
}
