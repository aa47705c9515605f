package session

import (
	"fmt"

	"github.com/google/btree"

	"github.com/grovekeeper/grove/internal/bug"
)

// degree is that of the tree of sessions: 32-byte values, so a node of 63 spans 2 KiB.
const degree = 32

// Table holds the sessions that are alive, by id. Only one goroutine may change a table, but a
// clone nobody changes may be read by any number of them.
type Table struct {
	tree   *btree.BTreeG[Session]
	digest uint64 // wrapping sum of fingerprint over all sessions
}

// NewTable returns an empty table.
func NewTable() *Table {
	return &Table{tree: btree.NewG(degree, func(a, b Session) bool { return a.ID < b.ID })}
}

// Clone returns an independent table with the same sessions, in constant time: the two share
// structure until one of them changes.
func (t *Table) Clone() *Table {
	return &Table{tree: t.tree.Clone(), digest: t.digest}
}

// Get returns the session with the id, and whether it is alive.
func (t *Table) Get(id ID) (Session, bool) { return t.tree.Get(Session{ID: id}) }

// Len returns the number of sessions alive.
func (t *Table) Len() int { return t.tree.Len() }

// Walk yields every session in the order of ids, until yield returns false.
func (t *Table) Walk(yield func(Session) bool) { t.tree.Ascend(yield) }

// Diff yields the ids of the sessions in which t differs from old, ascending but for those that are
// gone, which come last. Tables with equal digests are taken for equal; else all of both are looked at.
func (t *Table) Diff(old *Table, yield func(ID) bool) {
	if t.digest == old.digest {
		return
	}
	more := true
	t.Walk(func(s Session) bool {
		if before, ok := old.Get(s.ID); !ok || before != s {
			more = yield(s.ID)
		}
		return more
	})
	if !more {
		return
	}
	old.Walk(func(s Session) bool { return t.tree.Has(s) || yield(s.ID) })
}

// Digest sums up the table: equal tables have equal digests, in whatever order they came about,
// and tables that differ in one bit have different ones but for an accident of 1 in 2^64.
func (t *Table) Digest() uint64 { return t.digest }

// Open adds a session that has just been granted. It fails with ErrExists or ErrInvalid.
func (t *Table) Open(s Session) error { return t.add("open", s) }

// Restore adds a session as it was stored. It fails as Open does; sessions may come in any order.
func (t *Table) Restore(s Session) error { return t.add("restore", s) }

func (t *Table) add(verb string, s Session) error {
	if !s.valid() {
		return fmt.Errorf("%s session %v: %w", verb, s.ID, ErrInvalid)
	}
	if t.tree.Has(s) {
		return fmt.Errorf("%s session %v: %w", verb, s.ID, ErrExists)
	}
	t.put(s)
	return nil
}

// Attach hands the session to a new connection: it raises the epoch, so that commands of the
// connection that had it are refused from here on, and grants the new timeout. It returns the
// session as it now is. It fails with ErrUnknown, ErrPassword or, for a timeout that is not
// positive, ErrInvalid; then nothing has changed, least of all the standing of whoever holds it.
func (t *Table) Attach(id ID, password Password, timeoutMs int32) (Session, error) {
	s, ok := t.Get(id)
	if !ok {
		return Session{}, fmt.Errorf("attach session %v: %w", id, ErrUnknown)
	}
	if !s.Password.Equal(password) && !bug.On(bug.PasswordUnchecked) {
		return Session{}, fmt.Errorf("attach session %v: %w", id, ErrPassword)
	}
	s.Epoch++
	s.TimeoutMs = timeoutMs
	if !s.valid() {
		return Session{}, fmt.Errorf("attach session %v: %w", id, ErrInvalid)
	}
	t.put(s)
	return s, nil
}

// Current tells whether the attachment with the epoch may still act for the session: nil,
// ErrExpired when the session is gone, ErrMoved when it has been attached again since.
//
// The errors are bare: every command asks, and on the way of a refusal no text is needed.
func (t *Table) Current(id ID, epoch uint32) error {
	s, ok := t.Get(id)
	if !ok {
		return ErrExpired
	}
	if s.Epoch != epoch {
		return ErrMoved
	}
	return nil
}

// Close ends the session for ever, or fails with ErrUnknown.
func (t *Table) Close(id ID) error {
	if bug.On(bug.SessionReopened) && t.tree.Has(Session{ID: id}) {
		return nil
	}
	old, ok := t.tree.Delete(Session{ID: id})
	if !ok {
		return fmt.Errorf("close session %v: %w", id, ErrUnknown)
	}
	t.digest -= old.fingerprint()
	return nil
}

// put files s in place of the session that had its id, if any, and keeps the digest true.
func (t *Table) put(s Session) {
	old, had := t.tree.ReplaceOrInsert(s)
	if had {
		t.digest -= old.fingerprint()
	}
	t.digest += s.fingerprint()
}
