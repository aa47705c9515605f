package client

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"runtime"
	"slices"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
)

// reader is the goroutine that dials, and then reads. It ends with the client.
type reader struct {
	shell *shell
	hosts hosts
	buf   []byte  // what was read: frames, the last of which may be incomplete
	out   []*call // scratch of deliver
}

// steady is how long a connection must have lasted for the next server to be tried at once when it is
// lost. One that is lost as soon as it stands counts as an attempt in vain, and leads to a pause.
const steady = time.Second

func (r *reader) run() error {
	s := r.shell
	for !s.over() {
		addr, wait := r.hosts.turn()
		if !sleep(s.ctx, wait) {
			return nil
		}
		conn, secrets, err := r.dial(addr)
		if err != nil {
			r.lost(addr, err)
			continue
		}
		began := time.Now()
		err = r.serve(conn, addr, secrets)
		if time.Since(began) >= steady || errors.Is(err, ErrSessionExpired) {
			r.hosts.connected()
		}
		r.lost(addr, err)
	}
	return nil
}

// dial opens a connection, and asks for what is to be told on it.
func (r *reader) dial(addr string) (net.Conn, []secret, error) {
	cfg := &r.shell.cfg
	ctx, cancel := context.WithTimeout(r.shell.ctx, cfg.ConnectTimeout)
	defer cancel()
	secrets, err := cfg.secrets(ctx)
	if err != nil {
		return nil, nil, err
	}
	conn, err := cfg.Dialer(ctx, "tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	conn, err = cfg.secure(ctx, conn, addr)
	return conn, secrets, err
}

// serve reads frames until the connection ends, and says why it did.
func (r *reader) serve(conn net.Conn, addr string, secrets []secret) error {
	defer conn.Close()
	if !r.shell.dialled(conn, addr, secrets) {
		return ErrClosed
	}
	r.buf = r.buf[:0]
	for {
		r.makeRoom()
		n, err := conn.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		if n > 0 {
			if err := r.frames(); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

const (
	readMin  = 64 << 10 // of the buffer: what one read can bring
	readKeep = 1 << 20  // a larger buffer is dropped when it is empty
)

// makeRoom sees to it that there is room to read to: for the rest of the frame that has begun, or for
// a good many.
func (r *reader) makeRoom() {
	need := readMin
	if len(r.buf) >= 4 {
		if n, err := wire.CheckLength(be32(r.buf), r.shell.cfg.MaxReply); err == nil {
			need = max(need, 4+n)
		}
	}
	if cap(r.buf) >= need && cap(r.buf) > len(r.buf) && (cap(r.buf) <= readKeep || len(r.buf) > 0) {
		return
	}
	// A frame that was announced is not believed to come: room grows with what has arrived.
	grown := make([]byte, len(r.buf), min(need, max(readMin, 2*len(r.buf))))
	copy(grown, r.buf)
	r.buf = grown
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// frames lets the core have every frame that is complete, and keeps the rest.
func (r *reader) frames() error {
	s := r.shell
	now := time.Now()
	rest := r.buf
	s.mu.Lock()
	var err error
	for err == nil {
		var frame []byte
		frame, rest, err = wire.NextFrame(rest, s.cfg.MaxReply)
		if frame == nil || err != nil {
			break
		}
		err = s.core.frame(now, frame)
	}
	more := s.core.wanting()
	changes, holders := s.changes()
	r.out = s.collect(r.out)
	s.mu.Unlock()
	r.buf = r.buf[:copy(r.buf, rest)]
	if more {
		s.nudge()
	}
	s.log(changes, holders)
	s.deliver(r.out)
	return err
}

// lost tells the core that the connection to addr is gone, or could not be made.
func (r *reader) lost(addr string, err error) {
	s := r.shell
	s.writing.Lock() // a write on the connection has failed by now, and what it left over is not lost
	defer s.writing.Unlock()
	s.mu.Lock()
	s.conn = nil
	if fault := s.core.link.fault; fault != nil {
		err = fault
	}
	s.reason = &linkError{addr, err}
	s.core.closed(s.reason)
	changes, holders := s.changes()
	r.out = s.collect(r.out)
	s.mu.Unlock()
	s.nudge() // there may be a new time to tick at
	s.log(changes, holders)
	s.deliver(r.out)
	if len(changes) == 0 {
		s.cfg.Logger.Debug("server not reached", "server", addr, "err", err)
	}
}

// linkError is why there is no connection.
type linkError struct {
	server string
	err    error
}

func (e *linkError) Error() string { return e.server + ": " + e.err.Error() }
func (e *linkError) Unwrap() error { return e.err }

// writer is the goroutine that writes, and keeps time for the core. It ends with the client.
type writer struct {
	shell *shell
	armed time.Time // when the timer fires; zero if it does not
	out   []*call
}

func (w *writer) run() error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-w.shell.wake:
		case <-timer.C:
			w.armed = time.Time{}
		case <-w.shell.ctx.Done():
			return nil
		}
		// Whoever else is ready to ask something gets to do so first: the answers of one read wake
		// many callers, and their next requests should travel together, too.
		runtime.Gosched()
		w.tick(timer)
		if !w.shell.writing.TryLock() {
			continue // a caller is writing, and sees to it afterwards; who ticks must not wait for that
		}
		for w.shell.flush() {
		}
		w.shell.writing.Unlock()
	}
}

// tick lets the core know what time it is, and sets the timer for the next time.
func (w *writer) tick(timer *time.Timer) {
	s := w.shell
	now := time.Now()
	s.mu.Lock()
	s.core.tick(now)
	due, conn, fault := s.core.due(), s.conn, s.core.link.fault
	w.out = s.collect(w.out)
	s.mu.Unlock()
	if fault != nil && conn != nil {
		conn.Close() // ends a read and a write; the reader tells the core
	}
	w.arm(timer, now, due)
	s.deliver(w.out)
}

// arm sets the timer for due, unless it fires sooner anyway: most of what was due has moved on by
// then, and the timer is set again.
func (w *writer) arm(timer *time.Timer, now, due time.Time) {
	if due.IsZero() || !w.armed.IsZero() && !due.Before(w.armed) {
		return
	}
	w.armed = due
	timer.Reset(max(due.Sub(now), 0))
}

// outlet is where bytes leave. Whoever holds shell.writing may use it: the writer, or a caller whose
// request is the only one.
type outlet struct {
	buf   []byte
	conn  net.Conn  // which was written to last
	until time.Time // the deadline of writes on conn
}

// keepOut is the capacity up to which the buffer of an outlet is kept.
const keepOut = 2 * batchBytes

// flush writes what there is, and reports whether there may be more. The caller holds writing.
func (s *shell) flush() bool {
	now := time.Now()
	o := &s.outlet
	s.mu.Lock()
	o.buf = s.core.take(now, o.buf)
	conn, fault := s.conn, s.core.link.fault
	s.mu.Unlock()
	if fault != nil && conn != nil {
		conn.Close() // the reader sees it and says so to the core
		return false
	}
	if len(o.buf) == 0 {
		return false
	}
	if n, err := o.write(conn, now); err != nil {
		s.mu.Lock()
		s.core.unsent(n, err)
		s.mu.Unlock()
		conn.Close()
		return false
	}
	if cap(o.buf) > keepOut {
		o.buf = nil
	}
	return true
}

// writeMax is how long a write may take. The session's silence ends the connection sooner if the
// server does not read for good; but whoever writes cannot tick.
const writeMax = 5 * time.Second

func (o *outlet) write(conn net.Conn, now time.Time) (int, error) {
	if conn != o.conn || o.until.Sub(now) < writeMax/2 {
		o.conn, o.until = conn, now.Add(writeMax)
		if err := conn.SetWriteDeadline(o.until); err != nil {
			return 0, err
		}
	}
	return conn.Write(o.buf)
}

// push sees to it that what was queued is written: by the caller itself if its request is alone, which
// saves it a change of goroutines, else by the writer. Nothing alone can be kept waiting by a
// connection: all that was written before has been answered.
func (s *shell) push(alone bool) {
	if !alone || !s.writing.TryLock() {
		s.nudge()
		return
	}
	s.flush()
	s.writing.Unlock()
	s.mu.Lock()
	more := s.core.wanting()
	s.mu.Unlock()
	if more { // the writer may have looked meanwhile, and found us here
		s.nudge()
	}
}

// dialled tells the core of a new connection, unless the client is closed.
func (s *shell) dialled(conn net.Conn, addr string, secrets []secret) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.core.over() {
		return false
	}
	s.conn = conn
	s.core.dialled(time.Now(), addr, secrets)
	s.nudge()
	return true
}

// over reports whether there is to be no further connection.
func (s *shell) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.over()
}

// nudge wakes the writer.
func (s *shell) nudge() {
	select {
	case s.wake <- struct{}{}:
	default: // it has been woken and has not looked yet
	}
}

// collect takes the calls that have ended, to be delivered after the lock is released. The storage is
// the caller's.
func (s *shell) collect(into []*call) []*call {
	clear(into)
	into = append(into[:0], s.core.ended...)
	clear(s.core.ended)
	s.core.ended = s.core.ended[:0]
	return into
}

// deliver lets the callers know. A call is not touched after that: its caller may use it again.
func (s *shell) deliver(calls []*call) {
	for _, q := range calls {
		if q.slot {
			<-s.slots
		}
		if q.unhook != nil {
			q.unhook()
		}
		switch {
		case q.done == nil || q.abandoned: // nobody waits
		case cap(q.done) == 0:
			close(q.done)
		default:
			q.done <- struct{}{}
		}
	}
}

// changes takes the changes of state, and wakes whoever waits for one. Under the lock.
func (s *shell) changes() (changes []StateChange, holders []*holder) {
	changes = s.core.changes
	if len(changes) == 0 {
		return nil, nil
	}
	s.core.changes = nil
	close(s.changed)
	s.changed = make(chan struct{})
	s.spread(changes)
	for _, c := range changes {
		if c.State == Expired || c.State == Closed {
			return changes, slices.Collect(maps.Keys(s.holders))
		}
	}
	return changes, nil
}

// log writes the changes down, and lets holders see for themselves what they mean. Without the lock.
func (s *shell) log(changes []StateChange, holders []*holder) {
	for _, h := range holders {
		h.check()
	}
	for _, c := range changes {
		attrs := []any{"state", c.State.String(), "session", slog.Uint64Value(uint64(c.Session.ID)),
			"server", c.Session.Server}
		if c.Err != nil {
			attrs = append(attrs, "err", c.Err)
		}
		s.cfg.Logger.Info("session", attrs...)
	}
}

// sleep waits for d, and reports whether ctx has not ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
