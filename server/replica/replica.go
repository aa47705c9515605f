package replica

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/grovekeeper/grove/internal/group"
	"github.com/grovekeeper/grove/internal/mailbox"
)

// Replica is one member: a Core and the goroutines that carry for it. Its methods may be called
// from any goroutine, from Open on; what they ask for happens while Run runs.
type Replica struct {
	cfg  Config
	core *Core // the raft goroutine's, once Run has begun

	// Towards the raft goroutine. They refuse what does not fit.
	proposals *mailbox.Mailbox[proposal]    // weight: payload bytes with overhead
	received  *mailbox.Mailbox[*pb.Message] // weight: about its bytes
	requests  *mailbox.Mailbox[request]     // weight: 1

	// Between it and the log and the applier: work out, reports back. Bounded by what raft hands
	// out, which stops at jobsHigh; they never refuse.
	appends *mailbox.Mailbox[*Append]
	durable *mailbox.Mailbox[*Append]
	applies *mailbox.Mailbox[applyJob]
	applied *mailbox.Mailbox[*Apply]

	status  atomic.Pointer[Status]
	reached atomic.Uint64 // the highest index applied; the applier's
	ready   chan struct{}
}

// proposal is one call of Propose.
type proposal struct {
	term uint64
	data [][]byte
}

// request is something small asked of the raft goroutine: do or read.
type request struct {
	do   func(*loop) error // an error ends the replica
	read func(index uint64, err error)
	fail func(error) // told if the replica stops first; nil if nobody waits
}

// Work handed to the log or the applier, in jobs. Above jobsHigh the raft goroutine takes no
// proposals and no messages, so that jobsMax is out of reach: ticks and requests bring a few at
// most.
const (
	jobsHigh = 256
	jobsMax  = 16384
)

// Open returns the replica that cfg describes, as its log has it. It does nothing before Run.
func Open(cfg Config) (*Replica, error) {
	cfg = cfg.complete()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := renew(cfg.Log, cfg.Start); err != nil {
		return nil, fmt.Errorf("replica: begin log after the image: %w", err)
	}
	core, err := NewCore(cfg.core())
	if err != nil {
		return nil, err
	}
	r := &Replica{
		cfg: cfg, core: core,
		proposals: mailbox.New[proposal]("proposals", cfg.Limits.ProposedBytes),
		received:  mailbox.New[*pb.Message]("received", cfg.Limits.ReceivedBytes),
		requests:  mailbox.New[request]("requests", cfg.Limits.Requests),
		durable:   mailbox.New[*Append]("durable", 2*jobsMax),
		applied:   mailbox.New[*Apply]("applied", 2*jobsMax),
		appends:   mailbox.New[*Append]("appends", jobsMax),
		applies:   mailbox.New[applyJob]("applies", jobsMax),
		ready:     make(chan struct{}),
	}
	r.reached.Store(cfg.Start.Index)
	r.publish(core, false)
	return r, nil
}

func (c Config) core() CoreConfig {
	var boot [8]byte
	_, _ = rand.Read(boot[:]) // documented never to fail
	cc := CoreConfig{
		ID: c.ID, Boot: binary.BigEndian.Uint64(boot[:]), Log: c.Log, Start: c.Start,
		ElectionTicks: c.ElectionTicks, HeartbeatTicks: c.HeartbeatTicks,
		Limits: c.Limits, Logger: raftLogger{c.Logger},
	}
	if c.Images != nil {
		cc.Image, cc.Installs = c.Images.Latest, true
	}
	return cc
}

// renew finishes what an installed image began: a crash may have come between the image and the
// log.
func renew(log Log, start Start) error {
	if !start.Installed || start.Index+1 == log.First() {
		return nil
	}
	if term, err := log.Term(start.Index); err == nil && term == start.Term {
		return nil // the log reaches through the image: nothing contradicts it
	}
	return log.Reset(start.Index, start.Term)
}

// Run carries until ctx ends, and then returns nil, or until the log fails or the log and the
// applier do not keep their promises, and then returns why. It returns ErrRemoved once the entry
// that removed this member has been applied, or at once if that was before Start. All its goroutines have ended when it
// returns; reads and changes still open are told ErrStopped. It can be called once.
func (r *Replica) Run(ctx context.Context) error {
	g, ctx := group.New(ctx)
	log := &logWriter{log: r.cfg.Log, in: r.appends, out: r.durable, applies: r.applies}
	g.Go("log", func() error { return log.run(ctx) })
	apply := &applier{
		applier: r.cfg.Applier, images: r.cfg.Images,
		in: r.applies, out: r.applied, reached: &r.reached,
	}
	g.Go("applier", apply.run)
	raft := &loop{Replica: r, core: r.core, changes: map[uint64]func([]byte, error){}}
	g.Go("raft", func() error { return raft.run(ctx) })
	return g.Wait()
}

// Propose gives payloads to the log, all of them or none: in the order of the calls and, within
// one, of the slice. It never blocks. They are for the term that the caller knows this member to
// lead: if it does not, or ceases to before they are in the log, they are dropped without a word,
// and do not appear in a later term. What becomes of them shows in what is applied. Data and all it
// refers to are the replica's from here on.
func (r *Replica) Propose(term uint64, data [][]byte) error {
	weight := 0
	for _, d := range data {
		weight += len(d) + entryOverhead
	}
	return refusal(r.proposals.Put(proposal{term, data}, weight))
}

// Receive takes messages from peers: the other end of a Transport. Those that find no room are
// dropped.
func (r *Replica) Receive(messages ...*pb.Message) error {
	for _, m := range messages {
		weight := entryOverhead
		for _, e := range m.GetEntries() {
			weight += weigh(e)
		}
		if err := r.received.Put(m, weight); err != nil {
			return refusal(err)
		}
	}
	return nil
}

// ReadIndex asks which index a state must have applied to show everything that was agreed before
// this call, as confirmed by a quorum; done is told, in the order of the calls, on the raft
// goroutine, which it must not hold up. While there is no leader the question is held. The only
// errors are ErrOverloaded, returned, and ErrStopped.
func (r *Replica) ReadIndex(done func(index uint64, err error)) error {
	return refusal(r.requests.Put(request{read: done, fail: func(err error) { done(0, err) }}, 1))
}

// Change changes the membership, see Core.Change; done is told the new one, or why there is none,
// on the raft goroutine. The payload is the replica's from here on.
func (r *Replica) Change(
	done func(confState []byte, err error), payload []byte, changes ...*pb.ConfChangeSingle,
) error {
	do := func(l *loop) error { return l.change(done, payload, changes) }
	fail := func(err error) { done(nil, err) }
	return refusal(r.requests.Put(request{do: do, fail: fail}, 1))
}

// Transfer asks that member to lead; Status tells whether it came to that.
func (r *Replica) Transfer(to uint64) error {
	return r.ask(func(c *Core) error { return c.Transfer(to) })
}

// Gone says that a peer's process has ended, or it has closed its connection, which it does when it
// ends: if it leads here, it is forgotten, and this member campaigns after a delay that differs
// between members, without waiting for an election time-out. Were it alive after all, the others
// would not listen: Raft asks them first whether they hear of a leader.
func (r *Replica) Gone(peer uint64) error {
	return refusal(r.requests.Put(request{do: func(l *loop) error { return l.gone(peer) }}, 1))
}

// Campaign asks to lead now, without waiting for an election time-out.
func (r *Replica) Campaign() error { return r.ask((*Core).Campaign) }

// Unreachable says that messages to a peer were lost.
func (r *Replica) Unreachable(peer uint64) error {
	return r.ask(func(c *Core) error { return c.Unreachable(peer) })
}

// ImageSent says whether the image that a peer was sent has arrived.
func (r *Replica) ImageSent(peer uint64, arrived bool) error {
	return r.ask(func(c *Core) error { return c.ImageSent(peer, arrived) })
}

// Released says that the entries up to and including index are not needed here any more: a state on
// disk contains them. The log may let them go.
func (r *Replica) Released(index uint64) error {
	return r.ask(func(c *Core) error { return c.Compact(index) })
}

// Ready is closed when the applied state has caught up with everything agreed before this start:
// reads before that could miss what was acknowledged.
func (r *Replica) Ready() <-chan struct{} { return r.ready }

func (r *Replica) ask(do func(*Core) error) error {
	return refusal(r.requests.Put(request{do: func(l *loop) error { return do(l.core) }}, 1))
}

// refusal gives the errors of a mailbox the names this package promises.
func refusal(err error) error {
	switch {
	case errors.Is(err, mailbox.ErrFull):
		return fmt.Errorf("%w: %w", ErrOverloaded, err)
	case errors.Is(err, mailbox.ErrClosed):
		return ErrStopped
	}
	return err
}
