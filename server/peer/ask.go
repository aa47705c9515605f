package peer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A question and its answer:
//
//	number u64 | kind u8 | patience ms u32 | body
//	number u64 | code u8 | body, or what went wrong
const (
	askHead    = 8 + 1 + 4
	answerHead = 8 + 1
)

// patience is how long an answer is worked on for who does not say how long it waits.
const patience = time.Minute

// askedMax is how many questions may wait for their answers on one connection.
const askedMax = 1024

// The codes of answers. A Handler's own begin at AskOwn.
const (
	askFine     = uint8(0)
	AskFailed   = uint8(1) // for the reason given
	AskUnknown  = uint8(2) // the kind of question is unknown
	AskTooLarge = uint8(3) // the answer would be
	AskOwn      = uint8(16)
)

// AskError is the answer of a server that could not, or would not, give one.
type AskError struct {
	Code uint8
	Text string
}

func (e *AskError) Error() string { return fmt.Sprintf("peer: answer %d: %s", e.Code, e.Text) }

// Unwrap returns the error that the code stands for, if it is one of this package.
func (e *AskError) Unwrap() error {
	switch e.Code {
	case AskUnknown:
		return ErrUnknownAsk
	case AskTooLarge:
		return ErrTooLarge
	default:
		return nil
	}
}

// asker is the way to put questions to the server of one number.
type asker struct {
	turn chan struct{} // capacity 1: held by who looks at line, and dials
	line *line
}

// line is one connection for questions, as seen by who asks.
type line struct {
	c    *conn
	turn chan struct{} // capacity 1: held by who writes

	mu      sync.Mutex // guards the fields below
	number  uint64
	waiting map[uint64]chan answer
	closed  bool
}

type answer struct {
	code uint8
	body []byte
}

// Ask puts a question to the server of a number and waits for the answer. It works before the
// cluster is known. An *AskError is what the other side said; ErrBroken means that it may have
// done what it was asked for.
func (p *Peers) Ask(ctx context.Context, to uint8, kind uint8, body []byte) ([]byte, error) {
	if len(body) > p.cfg.Limits.AskBytesMax {
		return nil, fmt.Errorf("%w: question of %d bytes", ErrTooLarge, len(body))
	}
	ln, err := p.line(ctx, to)
	if err != nil {
		return nil, err
	}
	a, err := ln.ask(ctx, kind, body)
	if err != nil {
		return nil, err
	}
	if a.code != askFine {
		return nil, &AskError{Code: a.code, Text: string(a.body)}
	}
	return a.body, nil
}

// line returns an open connection to a number.
func (p *Peers) line(ctx context.Context, to uint8) (*line, error) {
	p.mu.Lock()
	a := p.askers[to]
	if a == nil {
		a = &asker{turn: make(chan struct{}, 1)}
		p.askers[to] = a
	}
	p.mu.Unlock()
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if a.line != nil && !a.line.ended() {
		return a.line, nil
	}
	c, err := p.dial(ctx, hello{channel: asks, id: to})
	if err != nil {
		return nil, err
	}
	ln := &line{c: c, turn: make(chan struct{}, 1), waiting: map[uint64]chan answer{}}
	if !p.start("peer answers", func(context.Context) { ln.read(p.cfg.Limits.AskBytesMax) }) {
		c.Close()
		return nil, ErrStopped
	}
	a.line = ln
	return ln, nil
}

func (ln *line) ended() bool {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	return ln.closed
}

func (ln *line) ask(ctx context.Context, kind uint8, body []byte) (answer, error) {
	number, reply, err := ln.enter()
	if err != nil {
		return answer{}, err
	}
	defer ln.leave(number)
	b, at := openFrame(make([]byte, 0, headBytes+askHead+len(body)))
	b = append(binary.BigEndian.AppendUint64(b, number), kind)
	b = append(binary.BigEndian.AppendUint32(b, waits(ctx)), body...)
	b = closeFrame(b, at, kindAsk)
	select {
	case ln.turn <- struct{}{}:
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
	_, err = ln.c.Write(b)
	<-ln.turn
	if err != nil {
		ln.c.Close()
		return answer{}, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	select {
	case a, ok := <-reply:
		if !ok {
			return answer{}, ErrBroken
		}
		return a, nil
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
}

// waits returns for how many milliseconds ctx still waits, and a little more, so that it is the first
// to end; 0: without end.
func waits(ctx context.Context) uint32 {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return uint32(min(max(time.Until(deadline).Milliseconds(), 0)+20, 1<<31))
}

func (ln *line) enter() (uint64, chan answer, error) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.closed {
		return 0, nil, ErrBroken
	}
	if len(ln.waiting) >= askedMax {
		return 0, nil, fmt.Errorf("%w: %d questions are not answered yet", ErrFull, askedMax)
	}
	ln.number++
	reply := make(chan answer, 1)
	ln.waiting[ln.number] = reply
	return ln.number, reply, nil
}

func (ln *line) leave(number uint64) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	delete(ln.waiting, number)
}

// read hands answers to those who wait for them, until the connection ends.
func (ln *line) read(bytesMax int) {
	defer ln.end()
	in := newReader(ln.c, 4<<10, bytesMax+answerHead, kindAnswer)
	for {
		_, b, err := in.next()
		if err != nil || len(b) < answerHead {
			return
		}
		number := binary.BigEndian.Uint64(b)
		ln.mu.Lock()
		if reply := ln.waiting[number]; reply != nil {
			reply <- answer{code: b[8], body: b[answerHead:]}
			delete(ln.waiting, number) // so that there is room for it
		}
		ln.mu.Unlock()
	}
}

func (ln *line) end() {
	ln.c.Close()
	ln.mu.Lock()
	defer ln.mu.Unlock()
	ln.closed = true
	for _, reply := range ln.waiting {
		close(reply)
	}
	clear(ln.waiting)
}

// serveAsks answers questions, several at a time, in any order.
func (p *Peers) serveAsks(ctx context.Context, v *visitor) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // nobody waits for the answers any more
	in := newReader(v.c, 4<<10, p.cfg.Limits.AskBytesMax+askHead, kindAsk)
	busy := make(chan struct{}, p.cfg.Limits.AsksMax)
	turn := make(chan struct{}, 1)
	for {
		_, b, err := in.next()
		if err != nil {
			return err
		}
		if len(b) < askHead {
			return fmt.Errorf("%w: question of %d bytes", errBody, len(b))
		}
		select {
		case busy <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		started := p.start("peer ask", func(context.Context) {
			defer func() { <-busy }()
			reply := p.answer(ctx, v.from, b)
			turn <- struct{}{}
			_, err := v.c.Write(reply)
			<-turn
			if err != nil {
				v.c.Close()
			}
		})
		if !started {
			return ErrStopped
		}
	}
}

// answer asks the Handler and returns the frame of what it says.
func (p *Peers) answer(ctx context.Context, from uint64, b []byte) []byte {
	wait := patience
	if ms := binary.BigEndian.Uint32(b[9:]); ms != 0 {
		wait = time.Duration(ms) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	body, err := p.cfg.Handler.Ask(ctx, from, b[8], b[askHead:])
	code := askFine
	switch own := (*AskError)(nil); {
	case err == nil && len(body) > p.cfg.Limits.AskBytesMax:
		code, body = AskTooLarge, fmt.Appendf(nil, "answer of %d bytes", len(body))
	case err == nil:
	case errors.As(err, &own):
		code, body = max(own.Code, AskFailed), []byte(own.Text)
	case errors.Is(err, ErrUnknownAsk):
		code, body = AskUnknown, fmt.Appendf(nil, "kind %d is unknown", b[8])
	default:
		code, body = AskFailed, []byte(err.Error())
	}
	if code != askFine {
		body = body[:min(len(body), p.cfg.Limits.AskBytesMax)]
	}
	out, at := openFrame(make([]byte, 0, headBytes+answerHead+len(body)))
	out = append(append(out, b[:8]...), code)
	return closeFrame(append(out, body...), at, kindAnswer)
}
