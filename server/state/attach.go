package state

// attach moves a session to a new connection: its epoch rises, and what the old connection still
// has in flight is refused from here on.
func (m *Machine) attach(c *Command, out *Outcome) error {
	s, err := m.sessions.Attach(c.Session, c.Password, c.TimeoutMs)
	if err != nil {
		return err
	}
	out.Session = s
	out.Sessions = append(out.Sessions, SessionChange{Attached, s})
	return nil
}
