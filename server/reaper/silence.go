package reaper

import (
	"github.com/grovekeeper/grove/internal/bug"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
)

// silence judges sessions. mono is a monotonic clock, in milliseconds.
//
// What it hears of a session is of an attachment, and so is its verdict. It keeps the epoch of the
// last attachment it was told of: if the view has a later one, that news is still on its way, and
// the client is very much alive.
type silence struct {
	tickMs int64
	expiry *session.Expiry
	books  map[session.ID]attachment // of the sessions that have a deadline
	looked int64                     // mono, of the last look
	spared bool                      // that one was late, and judged nobody
}

// attachment is what is known of a session's last one.
type attachment struct {
	epoch     uint32
	timeoutMs int32
}

// newSilence begins a term of office.
func newSilence(tickMs int64, alive *session.Table, mono int64) *silence {
	s := &silence{tickMs: tickMs, expiry: session.NewExpiry(tickMs), looked: mono}
	if s.grant(alive, mono); bug.On(bug.NoGrace) {
		s.grant(alive, mono-1000)
	}
	return s
}

// grant gives every session a full timeout: nobody knows what it did until now.
func (s *silence) grant(alive *session.Table, mono int64) {
	s.expiry.GrantAll(alive, mono)
	s.books = make(map[session.ID]attachment, alive.Len())
	for one := range alive.Walk {
		s.books[one.ID] = attachment{one.Epoch, one.TimeoutMs}
	}
}

// sign notes that a session was attached, or gave another sign of life, at mono.
func (s *silence) sign(one session.Session, mono int64) {
	s.expiry.Touch(one.ID, one.TimeoutMs, mono)
	s.books[one.ID] = attachment{one.Epoch, one.TimeoutMs}
}

func (s *silence) forget(id session.ID) {
	s.expiry.Remove(id)
	delete(s.books, id)
}

// change takes in what became of a session at mono.
func (s *silence) change(c state.SessionChange, mono int64) {
	switch c.Kind {
	case state.Opened, state.Attached:
		s.sign(c.Session, mono)
	case state.Closed, state.Expired:
		s.forget(c.Session.ID)
	}
}

// look returns the verdicts that are due, by deadline. heard are the sessions that sent anything
// since the last look.
//
// Looks are a tick apart. If more than one is missing, this process was stopped, or starved: so may
// have been what carries the signs of life, and time that nobody watched does not count. After a shorter pause
// the signs wait in sockets: they are given until the next look.
func (s *silence) look(alive *session.Table, heard []session.ID, mono, wall int64) (out []state.Command) {
	if mono-s.looked > 2*s.tickMs && !bug.On(bug.PauseCounts) {
		s.grant(alive, mono)
	}
	s.spared = !s.spared && mono-s.looked > s.tickMs+s.tickMs/4 && !bug.On(bug.PauseCounts)
	s.looked = mono
	if bug.On(bug.TouchIgnored) {
		heard = nil
	}
	for _, id := range heard {
		if last, known := s.books[id]; known { // else it is gone, or the news that it is here will do
			s.expiry.Touch(id, last.timeoutMs, mono)
		}
	}
	if s.spared {
		return nil
	}
	for _, id := range s.expiry.Due(mono) {
		one, ok := alive.Get(id)
		if !ok {
			s.forget(id)
			continue
		}
		if one.Epoch == s.books[id].epoch {
			out = append(out, state.Command{Kind: state.ExpireSession, Session: id, Epoch: one.Epoch, Time: wall})
		}
		// If the verdict does not hold when it is applied, or was none, the session stays in the
		// books; if it does, the change that follows takes it out.
		s.sign(one, mono)
	}
	return out
}
