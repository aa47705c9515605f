package state

import (
	"github.com/grovekeeper/grove/session"
)

// open starts a session. Its id is the server it was opened through in the top byte and the zxid
// below: unique, without anything to remember.
func (m *Machine) open(c *Command, out *Outcome) error {
	const zxidMask = 1<<56 - 1
	s := session.Session{
		ID:        session.ID(uint64(c.Origin.Server)<<56 | uint64(m.zxid)&zxidMask),
		TimeoutMs: c.TimeoutMs,
		Password:  session.Password(c.Random),
		Epoch:     1,
	}
	if err := m.sessions.Open(s); err != nil {
		return err
	}
	out.Session = s
	out.Sessions = append(out.Sessions, SessionChange{Opened, s})
	return nil
}
