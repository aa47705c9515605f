package peer

import (
	"context"
	"errors"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// inletKey names what there is one connection of: a second one takes the place of the first, which
// is one of before a partition, or a restart.
type inletKey struct {
	node uint64
	kind channel
}

// inlet is an accepted connection that is being read.
type inlet struct {
	c    *conn
	last *inlet        // whose place it took; nil when that one has ended
	done chan struct{} // closed when nothing of it will be handed out any more
}

// serve reads a connection until it ends.
func (p *Peers) serve(ctx context.Context, v *visitor) {
	if r := (*p.remotes.Load())[v.from]; r != nil {
		r.kick()
	}
	switch v.channel {
	case asks:
		p.ended(v, p.serveAsks(ctx, v))
		return
	case image:
		p.ended(v, p.serveImage(ctx, v))
		return
	}
	if v.place.last != nil {
		select { // what came on that one stays before what comes now
		case <-v.place.last.done:
		case <-ctx.Done():
		}
		v.place.last = nil
	}
	var err error
	if v.channel == commands {
		err = p.serveCommands(v)
	} else {
		err = p.serveMessages(v)
	}
	p.ended(v, err)
	// Said after everything it has sent was handed out. A connection that we closed, or that
	// timed out, says nothing about its process.
	if v.channel == urgent && ended(err) && ctx.Err() == nil {
		p.cfg.Handler.Gone(v.from)
	}
}

// supersede puts the connection in the place of the last one of its kind, which is closed.
func (p *Peers) supersede(v *visitor) {
	v.place = &inlet{c: v.c, done: make(chan struct{})}
	key := inletKey{v.from, v.channel}
	p.mu.Lock()
	v.place.last = p.inlets[key]
	p.inlets[key] = v.place
	p.mu.Unlock()
	if v.place.last != nil {
		v.place.last.c.Close()
	}
}

// leave gives the place up, once nothing of the connection will be handed out any more.
func (p *Peers) leave(v *visitor) {
	if last := v.place.last; last != nil {
		<-last.done // it was never waited for; it is closed, and so will be what waits for us
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if key := (inletKey{v.from, v.channel}); p.inlets[key] == v.place {
		delete(p.inlets, key)
	}
	close(v.place.done)
}

// errStranger ends the connection of a node that is not allowed any more.
var errStranger = errors.New("not a member any more")

// ended logs and counts how a connection ended, if somebody should know.
func (p *Peers) ended(v *visitor, err error) {
	switch {
	case corrupt(err):
		p.totals.corrupt.Add(1)
		if p.refusals.first(time.Now(), v.socket.RemoteAddr().String(), "corrupt") {
			p.cfg.Logger.Error("corrupt frame", "peer", v.from, "channel", v.channel.String(),
				"remote", v.socket.RemoteAddr().String(), "error", err)
		}
	case errors.Is(err, errStranger):
		p.refuse(v, "removed", err)
	case err != nil && !ended(err):
		p.cfg.Logger.Debug("connection ended", "peer", v.from, "channel", v.channel.String(), "error", err)
	}
}

const (
	// urgentMax is the longest frame of an urgent connection: a gathered one and slack.
	urgentMax = 1 << 20
	// handMax is how many messages are handed out at once.
	handMax = 256
)

// serveMessages hands out messages, as many at a time as have arrived together.
func (p *Peers) serveMessages(v *visitor) error {
	lengthMax := p.cfg.Limits.FrameBytesMax
	if v.channel == urgent {
		lengthMax = min(lengthMax, urgentMax)
	}
	in := newReader(v.c, readBytes, lengthMax, kindLight, kindHeavy, kindHeard)
	me, seen := p.me.Load().node, p.seen(v.from)
	var messages []*pb.Message
	hand := func() error {
		if len(messages) == 0 {
			return nil
		}
		if !p.cfg.Allowed(v.from) {
			return errStranger
		}
		seen.messages.Add(uint64(len(messages)))
		p.cfg.Handler.Messages(v.from, messages)
		clear(messages)
		messages = messages[:0]
		return nil
	}
	for {
		kind, body, err := in.next()
		if err == nil && kind == kindHeard {
			if err = hand(); err == nil {
				err = p.heard(v.from, body)
			}
		} else if err == nil {
			var decoded []*pb.Message
			decoded, err = decodeMessages(messages, kind, body, v.from, me)
			if err == nil {
				messages = decoded
			}
		}
		if err != nil || !in.another() || len(messages) >= handMax {
			err = errors.Join(err, hand())
			seen.bytes.Add(in.taken())
		}
		if err != nil {
			return err
		}
	}
}

func (p *Peers) heard(from uint64, body []byte) error {
	sessions, err := decodeHeard(body)
	if err != nil {
		return err
	}
	if !p.cfg.Allowed(from) {
		return errStranger
	}
	p.cfg.Handler.Heard(from, sessions)
	return nil
}

// serveCommands hands out commands, a frame at a time.
func (p *Peers) serveCommands(v *visitor) error {
	in := newReader(v.c, readBytes, p.cfg.Limits.FrameBytesMax, kindCommands)
	seen := p.seen(v.from)
	for {
		_, body, err := in.next()
		if err != nil {
			return err
		}
		term, commands, err := decodeCommands(body)
		if err != nil {
			return err
		}
		if !p.cfg.Allowed(v.from) {
			return errStranger
		}
		seen.commands.Add(uint64(len(commands)))
		seen.bytes.Add(in.taken())
		if err := p.cfg.Handler.Commands(v.from, term, commands); err != nil {
			return err
		}
	}
}

// seen returns the figures of a node. One that there is no room for has figures nobody looks at.
func (p *Peers) seen(node uint64) *received {
	if r := p.remote(node); r != nil {
		return &r.seen
	}
	return &received{}
}
