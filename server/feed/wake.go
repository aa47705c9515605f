package feed

// Wake makes the inbox Ready though nothing was put into it: who serves it finds out why elsewhere.
func (in *Inbox) Wake() { in.signal() }
