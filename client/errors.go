package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/grovekeeper/grove/internal/wire"
)

// Code is an error as a server sends it. Match with errors.Is: errors.Is(err, client.ErrNoNode).
type Code int32

// The errors that a server answers with. All of them are definite: nothing was changed.
const (
	ErrMarshalling             Code = -5   // the server could not read the request
	ErrUnimplemented           Code = -6   // the server does not know the operation, or has it switched off
	ErrBadArguments            Code = -8   // the request contradicts itself
	ErrNoNode                  Code = -101 // the node, or the parent of one to be created, does not exist
	ErrNoAuth                  Code = -102 // the access list permits this to none of the session's identities
	ErrBadVersion              Code = -103 // the node has another version than the one named
	ErrNoChildrenForEphemerals Code = -108 // an ephemeral node cannot be a parent
	ErrNodeExists              Code = -110 // the node to be created exists
	ErrNotEmpty                Code = -111 // the node to be deleted has children
	ErrSessionExpired          Code = -112 // the session is gone, and its ephemeral nodes and watches with it
	ErrInvalidACL              Code = -114 // the access list is empty or malformed
	ErrAuthFailed              Code = -115 // a credential was refused
	ErrNotReadOnly             Code = -119 // the server has no quorum and takes no writes
	ErrNoWatcher               Code = -121 // no such watch
	ErrReconfigDisabled        Code = -123 // the members of the quorum cannot be changed this way
	ErrQuotaExceeded           Code = -125 // the write would exceed a quota
	ErrThrottled               Code = -127 // the server was too busy and did not run the request
)

// Error says in plain words what c means.
func (c Code) Error() string { return wire.Code(c).Error() }

// clientError is an error of this side of the connection.
type clientError string

func (e clientError) Error() string { return string(e) }

// The errors that arise in the client. Match with errors.Is.
const (
	// ErrClosed: the client was closed, or has given up for good.
	ErrClosed clientError = "client is closed"
	// ErrNotSent is matched by every error of an operation of which no server has seen anything.
	ErrNotSent clientError = "request was never sent"
	// ErrOutcomeUnknown is matched by the error of every write that was sent and whose answer was
	// lost: it may have taken effect, or may still, or never will.
	ErrOutcomeUnknown clientError = "request was sent and its outcome is not known"
	// ErrConnectionLost: the connection ended before the answer came.
	ErrConnectionLost clientError = "connection lost"
	// ErrInvalidArgument: a call that no server was asked about, because it cannot mean anything.
	ErrInvalidArgument clientError = "invalid argument"
	// ErrInvalidPath: a path that no server would accept.
	ErrInvalidPath clientError = "invalid path"
	// ErrTooLarge: a request beyond Config.MaxPacket.
	ErrTooLarge clientError = "request is larger than allowed"
	// ErrProtocol: the server said something that does not belong to the protocol.
	ErrProtocol clientError = "server broke the protocol"
)

// Outcome is what is known of an operation that has failed.
type Outcome uint8

// The outcomes.
const (
	// Definite: the error is the answer of a server, or the operation is one that changes nothing.
	// Either way nothing was changed. The outcome of an operation without an error is definite too.
	Definite Outcome = iota
	// NeverSent: no server has seen any of the request. It may be made again.
	NeverSent
	// Unknown: the request was sent and the answer was lost. A write may have taken effect.
	Unknown
)

func (o Outcome) String() string {
	return [...]string{"definite", "never sent", "unknown"}[o]
}

// OutcomeOf tells what is known of the operation that err came from: Definite for nil and for
// whatever a server has answered, NeverSent, or Unknown. An error that carries no outcome, because
// it is not from an operation of this package, is Unknown: that is the safe assumption.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return Definite
	}
	var o *OpError
	if errors.As(err, &o) {
		return o.Outcome
	}
	var c Code
	switch {
	case errors.Is(err, ErrOutcomeUnknown):
		return Unknown
	case errors.Is(err, ErrNotSent):
		return NeverSent
	case errors.As(err, &c):
		return Definite
	}
	return Unknown
}

// OpError is the error of every operation: which one, on what, what is known of it, and why.
// errors.Is and errors.As see Err, and ErrNotSent or ErrOutcomeUnknown according to Outcome.
type OpError struct {
	Op       string    // as the methods are named: "create", "get", …
	Path     string    // as the caller gave it
	Session  SessionID // 0 if there was none yet
	Server   string    // host:port that the request was sent to last, or ""
	Attempts int       // how many times it was sent
	Outcome  Outcome
	Err      error // why
}

func (e *OpError) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Path != "" {
		b.WriteString(" ")
		b.WriteString(e.Path)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	switch e.Outcome {
	case NeverSent:
		b.WriteString(" (never sent)")
	case Unknown:
		b.WriteString(" (outcome unknown)")
	}
	return b.String()
}

// Unwrap gives Err, and the sentinel of the outcome.
func (e *OpError) Unwrap() []error {
	switch e.Outcome {
	case NeverSent:
		return []error{e.Err, ErrNotSent}
	case Unknown:
		return []error{e.Err, ErrOutcomeUnknown}
	}
	return []error{e.Err}
}

// MultiError tells which operation of a Multi failed; none of them has taken effect. It comes
// inside of an OpError.
type MultiError struct {
	Index int    // of the operation that failed, among the arguments of Multi
	Op    string // what it was
	Path  string
	Err   error // why; a Code
}

func (e *MultiError) Error() string {
	return fmt.Sprintf("operation %d, %s %s: %v", e.Index, e.Op, e.Path, e.Err)
}

// Unwrap gives Err.
func (e *MultiError) Unwrap() error { return e.Err }

// isCode reports whether err is, or has inside, the code given.
func isCode(err error, code Code) bool {
	var c Code
	return errors.As(err, &c) && c == code
}

// waitError is why a wait ended, and what had kept the connection from standing meanwhile.
type waitError struct {
	err  error // of the context
	link error // may be nil
}

func (e *waitError) Error() string {
	if e.link == nil {
		return e.err.Error()
	}
	return fmt.Sprintf("%v (not connected: %v)", e.err, e.link)
}

func (e *waitError) Unwrap() []error {
	if e.link == nil {
		return []error{e.err}
	}
	return []error{e.err, e.link}
}

// misuse is the error of a call that cannot mean anything.
func misuse(op, path string, err error) error {
	return &OpError{Op: op, Path: path, Outcome: NeverSent, Err: err}
}

var errNilContext = fmt.Errorf("%w: context is nil", ErrInvalidArgument)

// checkContext tells at once of a context that is nil or has ended.
func checkContext(ctx context.Context) error {
	if ctx == nil {
		return errNilContext
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
