package replica

import (
	"context"
	"fmt"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/grovekeeper/grove/internal/bug"
	"github.com/grovekeeper/grove/internal/mailbox"
)

// loop is the raft goroutine. It owns the core and whatever waits for its answers.
type loop struct {
	*Replica
	core    *Core
	reads   []func(uint64, error)          // who waits for an index, oldest first
	changes map[uint64]func([]byte, error) // who waits for a change, by token
	fresh   uint64                         // Ready when this is applied; 0 while not known
	caught  bool                           // Ready is closed
	heir    heir                           // set when the leader's process has ended
	watch   watch                          // over the log
	leaving []handover                     // who waits until somebody else leads

	// What was last drained; the mailboxes reuse it.
	batch struct {
		durable   []*Append
		applied   []*Apply
		received  []*pb.Message
		requests  []request
		proposals []proposal
	}
}

// run ends with ctx or the first error. It does not stop the others if it panics: Run would return
// as if nothing were wrong, and its caller could end the process before the panic does.
func (l *loop) run(ctx context.Context) error {
	err := l.turns(ctx)
	l.stop()
	return err
}

func (l *loop) turns(ctx context.Context) error {
	ticker := time.NewTicker(l.cfg.Tick)
	defer ticker.Stop()
	l.read(func(index uint64, err error) { l.fresh = index })
	for {
		if err := l.turn(); err != nil {
			return err
		}
		// Both questions before both looks: what is put after a look leaves a token.
		roomy, wants := l.roomy(), l.wants()
		if roomy && l.received.Len() > 0 || wants && l.proposals.Len() > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := l.tick(); err != nil {
				return err
			}
		case <-l.heir.due():
			if err := l.campaign(); err != nil {
				return err
			}
		case <-l.durable.Ready():
		case <-l.requests.Ready():
		case <-when(roomy, l.received):
		case <-when(wants, l.proposals):
		case <-when(!roomy || !l.caught || l.core.NeedsApplied(), l.applied):
		}
	}
}

// when returns the channel that says that m has something, or one that never does.
func when[T any](wanted bool, m *mailbox.Mailbox[T]) <-chan struct{} {
	if !wanted {
		return nil
	}
	return m.Ready()
}

// take drains m, and the token that says that there is something to drain.
func take[T any](m *mailbox.Mailbox[T], into []T) []T {
	select {
	case <-m.Ready():
	default:
	}
	return m.Drain(into)
}

// roomy says whether the log and the applier keep up.
func (l *loop) roomy() bool { return l.appends.Len() < jobsHigh && l.applies.Len() < jobsHigh }

// wants says whether proposals are to be taken. Those that are not gather in their mailbox, which
// is bounded. A member that does not lead takes them to drop them.
func (l *loop) wants() bool { return !l.core.Leads() || l.core.Wants() && l.roomy() }

// turn gives the core everything that has come, and carries what it wants done. Reports go first:
// what they set free, proposals of the same turn can use, and one append carries both.
func (l *loop) turn() error {
	b := &l.batch
	b.durable = take(l.durable, b.durable)
	for _, a := range b.durable {
		l.watch.done(a)
		if err := l.core.Appended(a); err != nil {
			return err
		}
	}
	b.applied = take(l.applied, b.applied)
	for _, a := range b.applied {
		if err := l.core.Applied(a); err != nil {
			return err
		}
	}
	if err := l.listen(); err != nil {
		return err
	}
	if l.wants() {
		b.proposals = take(l.proposals, b.proposals)
		for _, p := range b.proposals {
			l.core.Propose(p.term, p.data)
		}
	}
	if err := l.carry(); err != nil {
		return err
	}
	if l.core.Removed() {
		return ErrRemoved
	}
	return nil
}

// tick says that one unit of time has passed.
func (l *loop) tick() error {
	if err := l.core.Tick(); err != nil {
		return err
	}
	l.watch.now++
	l.publish(l.core, l.stalled())
	if err := l.yield(); err != nil {
		return err
	}
	return l.handOn()
}

// listen takes what others ask for.
func (l *loop) listen() error {
	b := &l.batch
	b.requests = take(l.requests, b.requests)
	for _, q := range b.requests {
		if q.read != nil {
			l.read(q.read)
		} else if err := q.do(l); err != nil {
			return err
		}
	}
	if !l.roomy() {
		return nil
	}
	b.received = take(l.received, b.received)
	for _, m := range b.received {
		err := l.core.Receive(m)
		if err != nil && l.core.Failed() {
			return err
		} else if err != nil {
			l.cfg.Logger.Warn("message refused", "peer", m.GetFrom(), "err", err)
		}
	}
	return nil
}

// carry brings what the core wants done to whoever does it.
func (l *loop) carry() error {
	for {
		out, some, err := l.core.Output()
		if err != nil || !some {
			l.catchUp()
			return err
		}
		l.publish(l.core, l.stalled()) // before anybody can see more of it
		if err := l.hand(out); err != nil {
			return err
		}
		if len(out.Messages) > 0 && l.cfg.Peers != nil {
			l.cfg.Peers.Send(out.Messages)
		}
		l.tell(out)
	}
}

// hand puts work in the mailboxes of the log and the applier. They cannot be full, see jobsHigh; if
// one is, nobody has been working there for a very long time.
func (l *loop) hand(out Output) error {
	if out.Append != nil {
		if err := l.appends.Put(out.Append, 1); err != nil {
			return fmt.Errorf("hand to the log: %w", err)
		}
		l.watch.begin(out.Append)
	}
	if out.Apply != nil {
		if err := l.applies.Put(applyJob{apply: out.Apply}, 1); err != nil {
			return fmt.Errorf("hand to the applier: %w", err)
		}
	}
	return nil
}

// tell answers who waited.
func (l *loop) tell(out Output) {
	if s := out.Soft; s != nil {
		l.cfg.Logger.Info("raft",
			"member", l.cfg.ID, "role", s.Role.String(), "leader", s.Leader, "term", s.Term)
		if l.cfg.OnSoft != nil {
			l.cfg.OnSoft(*s)
		}
		l.left(*s)
	}
	if m := out.Members; m != nil {
		l.cfg.Logger.Info("raft", "member", l.cfg.ID,
			"voters", m.Voters, "outgoing", m.VotersOutgoing, "learners", m.Learners)
	}
	if n := out.Reads; n > 0 {
		for _, done := range l.reads[:n] {
			done(out.Read, nil)
		}
		clear(l.reads[:n])
		l.reads = l.reads[n:]
	}
	if c := out.Change; c != nil {
		l.changes[c.Token](c.ConfState, c.Err)
		delete(l.changes, c.Token)
	}
}

// catchUp closes Ready when it is time.
func (l *loop) catchUp() {
	if !l.caught && (l.fresh > 0 && l.core.AppliedIndex() >= l.fresh || bug.On(bug.ReadyEarly)) {
		l.caught = true
		close(l.ready)
	}
}

func (l *loop) read(done func(uint64, error)) {
	l.reads = append(l.reads, done)
	l.core.ReadIndex()
}

// change asks the core for a change of the membership.
func (l *loop) change(
	done func([]byte, error), payload []byte, changes []*pb.ConfChangeSingle,
) error {
	token, err := l.core.Change(payload, changes...)
	if l.core.Failed() {
		return err
	}
	if err != nil {
		done(nil, err)
		return nil
	}
	l.changes[token] = done
	return nil
}

// stop ends the other two goroutines, once they have done what they were handed, and tells
// everybody who waits that there will be no answer.
func (l *loop) stop() {
	l.appends.Close()
	l.applies.Close()
	l.received.Close()
	l.proposals.Close()
	l.requests.Close()
	for _, q := range l.requests.Drain(l.batch.requests) {
		if q.fail != nil {
			q.fail(ErrStopped)
		}
	}
	for _, done := range l.reads {
		done(0, ErrStopped)
	}
	for _, done := range l.changes {
		done(nil, ErrStopped)
	}
	for _, h := range l.leaving {
		h.told <- ErrStopped
	}
	l.heir.stop()
}
