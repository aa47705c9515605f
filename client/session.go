package client

import "time"

// SessionInfo is what the client knows of its session.
type SessionInfo struct {
	ID SessionID // 0 while there is none

	// Incarnation counts the sessions of this client. A new one means that the ephemeral nodes of the
	// one before are gone, or about to go.
	Incarnation uint64

	Timeout time.Duration // as the server granted it

	// Deadline is the time before which no server can have ended the session, as far as this client
	// knows. It moves on with every answer.
	Deadline time.Time

	Server string // host:port of the server connected to, or ""
}

// State is how it stands between a client and the service.
type State uint8

// The states.
const (
	Connecting State = iota // there is no session yet
	Connected               // requests are sent
	Suspended               // the connection is lost, the session may live; requests wait
	Expired                 // the session is gone; another will be opened
	Closed                  // nothing will happen any more
)

func (s State) String() string {
	return [...]string{"connecting", "connected", "suspended", "expired", "closed"}[s]
}

// StateChange is a step from one state to another.
type StateChange struct {
	State   State
	Session SessionInfo
	Err     error // why, for Suspended, Expired and Closed
}
