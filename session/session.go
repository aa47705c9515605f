// Package session knows who is alive. It holds the replicated table of sessions, and the
// deadlines by which the leader must have heard from each of them.
//
// The two halves meet only in the leader's reaper. Table is replicated state: it changes by
// commands alone, and every server holds the same one at the same zxid. Expiry is one server's
// private book of deadlines; it never changes the table, it only says whom to propose to expire.
//
// A session is attached by at most one connection at a time. Every attachment raises the epoch,
// and commands carry the epoch of the attachment they came in on, so whatever an older
// connection still had in flight is refused when it is applied:
//
//	         Open            Attach (epoch+1)
//	(none) ───────► alive ◄──────────┐
//	                  │  └───────────┘
//	                  │ Close, by its client or because its deadline passed
//	                  ▼
//	               (gone)   ids are never used twice: a session that is gone stays gone
//
// The package has no clock, no lock and no goroutine: time is an argument, in milliseconds.
package session

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"strconv"
)

// Why a session is refused. Match with errors.Is; the text around them names the session.
var (
	ErrUnknown  = errors.New("no such session")            // Attach, Close: never opened, or gone
	ErrExpired  = errors.New("session expired")            // Current: never opened, or gone
	ErrMoved    = errors.New("session moved")              // Current: attached again since
	ErrPassword = errors.New("wrong session password")     // Attach: nothing was changed
	ErrExists   = errors.New("session already open")       // Open, Restore: the id is in use
	ErrInvalid  = errors.New("invalid session")            // Open, Restore: an id or timeout no client can hold
	ErrFormat   = errors.New("malformed session encoding") // DecodeSession
)

// ID names a session for ever; zero is no session.
type ID int64

// String writes the id the way ZooKeeper's logs and admin commands do: 0x and hex digits.
func (id ID) String() string { return "0x" + strconv.FormatUint(uint64(id), 16) }

// Password is the secret a client shows to attach to its session again. It is never printed.
type Password [16]byte

// Equal compares without telling, by the time it takes, how many bytes were right.
func (p Password) Equal(q Password) bool { return subtle.ConstantTimeCompare(p[:], q[:]) == 1 }

// Format keeps the secret out of logs and error texts, whatever the verb.
func (p Password) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[password]") }

// Session is one client's life on the service. It is a value: what a table hands out is a copy.
type Session struct {
	ID        ID
	Password  Password
	TimeoutMs int32  // granted, not requested
	Epoch     uint32 // of the newest attachment; raised by Attach, never lowered
}

// valid tells whether the session could have been granted to a client.
func (s Session) valid() bool { return s.ID != 0 && s.TimeoutMs > 0 }

// Clamp returns the timeout to grant: the requested one, held between lower and upper. All are in
// milliseconds. Zero and negative requests become lower, as in ZooKeeper.
func Clamp(requested, lower, upper int32) int32 {
	return max(lower, min(requested, upper))
}
