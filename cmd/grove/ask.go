package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
)

// asker is one session with a server, for commands that ask one thing at a time.
type asker struct {
	nc      net.Conn
	xid     int32
	buf     []byte
	timeout time.Duration // of the session, as granted
}

// askTimeout bounds one question. A change of the membership waits for a server to catch up.
const askTimeout = 5 * time.Minute

const (
	// startingMax is how long servers that take no session are taken for servers that have just been
	// started: those of a quorum serve only when they have found each other and somebody leads.
	startingMax = 5 * time.Second
	startingGap = 50 * time.Millisecond
)

// errClosed is what a server without a leader says to whoever asks for a session.
var errClosed = errors.New("server closed the connection")

// dialFirst opens a session with the first server of a comma-separated list that takes it.
func dialFirst(ctx context.Context, servers string) (*asker, error) {
	for end := time.Now().Add(startingMax); ; {
		a, err := dialAny(ctx, servers)
		starting := errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, errClosed)
		if !starting || time.Now().After(end) {
			return a, err
		}
		select {
		case <-time.After(startingGap):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func dialAny(ctx context.Context, servers string) (*asker, error) {
	var errs []error
	for addr := range strings.SplitSeq(servers, ",") {
		a, err := dialOne(ctx, strings.TrimSpace(addr))
		if err == nil {
			return a, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func dialOne(ctx context.Context, addr string) (*asker, error) {
	d := net.Dialer{Timeout: 5 * time.Second}
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	a := &asker{nc: nc}
	hello := wire.ConnectRequest{TimeoutMs: 30_000, Password: make([]byte, wire.PasswordLen)}
	b, mark := wire.BeginFrame(nil)
	frame, err := a.exchange(wire.EndFrame(hello.Append(b), mark))
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("open session with %s: %w", addr, err)
	}
	var welcome wire.ConnectResponse
	r := codec.NewReader(frame)
	if welcome.Decode(&r); r.Err() != nil || welcome.SessionID == 0 {
		nc.Close()
		return nil, fmt.Errorf("%s refused a session", addr)
	}
	a.timeout = time.Duration(welcome.TimeoutMs) * time.Millisecond
	return a, nil
}

// exchange sends a frame and returns the next one.
func (a *asker) exchange(request []byte) ([]byte, error) {
	a.nc.SetDeadline(time.Now().Add(askTimeout))
	if _, err := a.nc.Write(request); err != nil {
		return nil, err
	}
	return a.frame()
}

func (a *asker) frame() ([]byte, error) {
	for {
		frame, rest, err := wire.NextFrame(a.buf, wire.MaxFrame)
		if err != nil {
			return nil, err
		}
		if frame != nil {
			a.buf = rest
			return frame, nil
		}
		chunk := make([]byte, 4096)
		n, err := a.nc.Read(chunk)
		if a.buf = append(a.buf, chunk[:n]...); n == 0 && err != nil {
			if errors.Is(err, io.EOF) {
				err = errClosed
			}
			return nil, err
		}
	}
}

// ask sends a request and returns a reader of the record of its reply. Until that comes it keeps the session
// alive: a change of the membership may take longer than a session lives in silence.
func (a *asker) ask(op wire.Op, body wire.Record) (codec.Reader, error) {
	a.xid++
	xid := a.xid
	if op == wire.OpAuth {
		xid = wire.XidAuth
	}
	end := time.Now().Add(askTimeout)
	err := a.send(wire.AppendRequest(nil, xid, op, body))
	for err == nil {
		a.nc.SetReadDeadline(time.Now().Add(max(a.timeout/3, time.Millisecond)))
		var frame []byte
		if frame, err = a.frame(); errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(end) {
			err = a.send(wire.AppendRequest(nil, wire.XidPing, wire.OpPing, nil))
			continue
		} else if err != nil {
			break
		}
		r := codec.NewReader(frame)
		var h wire.ReplyHeader
		if h.Decode(&r); r.Err() != nil {
			return r, r.Err()
		}
		if h.Xid == xid {
			return r, h.Err.Err()
		}
	}
	return codec.Reader{}, err
}

func (a *asker) send(request []byte) error {
	a.nc.SetWriteDeadline(time.Now().Add(askTimeout))
	_, err := a.nc.Write(request)
	return err
}

// close ends the session; that it fails changes nothing.
func (a *asker) close() {
	_, _ = a.ask(wire.OpCloseSession, nil)
	a.nc.Close()
}
