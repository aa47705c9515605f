// Package server opens, wires, runs and closes the parts of one server below it. It decides nothing:
// what a request means is the machine's affair, in which order it is answered the front's, when it is
// safe the replica's, who belongs to the quorum the planner's. What is here is the order in which things
// start and end, and the thin threads between the parts.
//
//	start  lock ─► checkpoint ─► machine ─► (find the others) ─► log ─► replica (replays the log) ─► serve
//	end    hand over ─► drain clients ─► office ─► replica ─► last checkpoint ─► log ─► checkpoint ─► lock
package server

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/grovekeeper/grove/internal/group"
	"github.com/grovekeeper/grove/server/admin"
	"github.com/grovekeeper/grove/server/checkpoint"
	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/front"
	"github.com/grovekeeper/grove/server/member"
	"github.com/grovekeeper/grove/server/peer"
	"github.com/grovekeeper/grove/server/reaper"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/trust"
)

// Server is one server with everything it holds open.
type Server struct {
	cfg     Config
	log     *slog.Logger
	started time.Time
	node    member.Node
	disk    storage
	doors   doors
	meters  meters

	feed    *feed.Feed
	front   *front.Front
	reaper  *reaper.Reaper
	peers   *peer.Peers                     // nil: alone
	cluster atomic.Uint64                   // which this server is of; 0 until it knows
	replica atomic.Pointer[replica.Replica] // nil until then

	members *members
	images  *images
	touches touches
	removed atomic.Bool   // this server is no member any more
	judging atomic.Uint64 // the term in which this server last began to lead
	errands *group.Group  // what connections ask of other servers
	signals signals
}

// signals are what the parts of a server tell one another of its life.
type signals struct {
	turned    chan struct{} // capacity 1: who leads may have changed
	placed    chan struct{} // closed when there is a replica
	ready     chan struct{} // closed when clients are served
	stopping  chan struct{} // closed when the server is on its way out
	abandoned chan struct{} // closed by Abandon
}

func newSignals() signals {
	return signals{
		turned: make(chan struct{}, 1), placed: make(chan struct{}), ready: make(chan struct{}),
		stopping: make(chan struct{}), abandoned: make(chan struct{}),
	}
}

// Open takes the directory, reads the checkpoint, opens the log and binds the addresses. Clients that
// connect are served once Run has replayed the log. The caller calls Run or Close.
func Open(cfg Config) (*Server, error) {
	cfg = cfg.Complete()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: cfg.Logger, started: time.Now(), disk: storage{dir: cfg.Dir}}
	s.signals = newSignals()
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) open() error {
	if err := s.disk.open(s.cfg.RecentChangesMax); err != nil {
		return err
	}
	machine, err := s.disk.load()
	if err != nil {
		return err
	}
	meta, err := s.identify(machine)
	if err != nil {
		return err
	}
	s.wire(machine, meta)
	if err := s.doors.open(s.cfg, s.peerAddr()); err != nil {
		return err
	}
	if err := s.connect(meta); err != nil {
		return err
	}
	if meta.Cluster == 0 {
		return nil // Run finds the others first
	}
	return s.openReplica(meta)
}

// openReplica opens the log that goes with the checkpoint, and the replica on it.
func (s *Server) openReplica(meta checkpoint.Meta) error {
	if err := s.disk.openLog(meta); err != nil {
		return err
	}
	r, err := replica.Open(replica.Config{
		ID: uint64(s.node), Log: s.disk.wal, Applier: s.feed, Logger: s.named(),
		Start: startOf(meta), Peers: courier{s}, Images: s.images, OnSoft: s.turn,
		Tick: time.Duration(s.cfg.RaftTickMs) * time.Millisecond,
	})
	if err != nil {
		return err
	}
	s.members.look(r.Status()) // before anybody comes who is to be let in, or not
	s.cluster.Store(meta.Cluster)
	s.replica.Store(r)
	close(s.signals.placed)
	return nil
}

// turn is told by the raft goroutine who leads.
func (s *Server) turn(soft replica.Soft) {
	s.feed.Lead(soft.Leader, soft.Term)
	select {
	case s.signals.turned <- struct{}{}:
	default: // the conductor will look anyway
	}
}

// Ready is closed when the log has been replayed and clients are served.
func (s *Server) Ready() <-chan struct{} { return s.signals.ready }

// Zxid returns the newest applied zxid.
func (s *Server) Zxid() int64 { return int64(s.feed.View().Zxid) }

// Run serves until ctx ends or a part fails, and closes everything. It returns nil if it was asked to
// end and could write down all it had.
func (s *Server) Run(ctx context.Context) error {
	err := s.run(ctx)
	if last := s.feed.Final(); err == nil && last != nil && !s.isAbandoned() {
		err = s.writeCheckpoint(last)
	}
	return errors.Join(err, s.Close())
}

// Abandon makes Run end as a crash would, as far as a process can that goes on: nobody is told, and
// nothing is written any more. It is for trying things out. It may be called once.
func (s *Server) Abandon() { close(s.signals.abandoned) }

func (s *Server) isAbandoned() bool { return done(s.signals.abandoned) }

// run starts the parts in the order in which they need each other. The log ends last: what connections
// have proposed is either in it or was never acknowledged.
func (s *Server) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	back, backCtx := group.New(context.WithoutCancel(ctx))
	s.errands = back
	face, faceCtx := group.New(context.WithoutCancel(ctx))
	back.Go("end", func() error { return s.watchEnd(backCtx, faceCtx, ctx, cancel) })
	for _, source := range []*trust.Source{s.doors.clientTrust, s.doors.peerTrust} {
		if source != nil {
			back.Go("certificates", func() error { return source.Run(backCtx) })
		}
	}
	if s.peers != nil {
		back.Go("peers", func() error { return s.peers.Run(backCtx) })
	}
	face.Go("face", func() error { return s.serve(ctx, faceCtx, face) })
	var err error
	if s.replica.Load() == nil {
		err = s.join(ctx)
	}
	if err == nil && s.replica.Load() != nil {
		back.Go("replica", func() error { return s.partake(backCtx) })
		back.Go("checkpointer", func() error { return s.checkpoints(backCtx) })
		back.Go("conductor", func() error { return s.conduct(backCtx) })
		if s.peers != nil {
			back.Go("applicant", func() error { return s.applyForPlace(backCtx) })
			back.Go("digests", func() error { return s.watchDigest(backCtx) })
		}
		<-ctx.Done()
		s.leave(backCtx)
	}
	close(s.signals.stopping)
	s.feed.Stop()
	face.Stop()
	err = errors.Join(err, face.Wait())
	back.Stop()
	return errors.Join(err, back.Wait())
}

// partake runs the replica. One that is removed does not go before it could tell whoever asked for that.
func (s *Server) partake(ctx context.Context) error {
	err := s.replica.Load().Run(ctx)
	if !errors.Is(err, replica.ErrRemoved) || s.peers == nil {
		return err
	}
	s.removed.Store(true)
	parting, cancel := context.WithTimeout(ctx, partingTime)
	defer cancel()
	s.front.Drain(parting)
	select {
	case <-parting.Done():
	case <-s.signals.stopping:
	}
	return fmt.Errorf("%s is of no member any more; with an empty directory this server can ask to be let in: %w",
		s.cfg.Dir, err)
}

// watchEnd ends the server when a part of it has failed or it is abandoned.
func (s *Server) watchEnd(back, face, ctx context.Context, cancel func()) error {
	select {
	case <-back.Done():
	case <-face.Done():
	case <-s.signals.abandoned:
	case <-ctx.Done():
	}
	cancel()
	return nil
}

// The most that leaving takes.
const (
	handoverTime = 2 * time.Second
	drainTime    = 3 * time.Second
	partingTime  = 300 * time.Millisecond
)

// leave hands leadership over and lets clients go, so that nobody waits for a server that is not there.
func (s *Server) leave(ctx context.Context) {
	if s.peers == nil || s.isAbandoned() || ctx.Err() != nil {
		return
	}
	handing, cancel := context.WithTimeout(ctx, handoverTime)
	if err := s.replica.Load().Handover(handing); err != nil {
		s.log.Warn("leadership was not handed over", "err", err)
	}
	cancel()
	draining, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	s.front.Drain(draining)
}

// serve lets clients in: those of a server alone once the log has been replayed, the others at once,
// because they can be told to go elsewhere.
func (s *Server) serve(ctx, faceCtx context.Context, g *group.Group) error {
	if s.doors.admin != nil {
		g.Go("admin", func() error { return admin.Serve(faceCtx, s.doors.admin, s) })
	}
	if s.peers != nil {
		s.front.SetMode(front.Closed)
		s.admit(faceCtx, g)
	}
	if !s.caughtUp(ctx) {
		return nil
	}
	s.feed.Begin(time.Now().UnixMilli())
	s.meters.started(time.Since(s.started))
	s.front.SetMode(front.Serving)
	if s.peers == nil {
		s.admit(faceCtx, g)
	}
	close(s.signals.ready)
	return nil
}

func (s *Server) admit(ctx context.Context, g *group.Group) {
	for _, l := range s.doors.clients {
		g.Go("front", func() error { return s.front.Serve(ctx, l) })
	}
}

// caughtUp waits until the state shows everything that was acknowledged before this start, and reports
// whether that came before the end of ctx.
func (s *Server) caughtUp(ctx context.Context) bool {
	select {
	case <-s.signals.placed:
	case <-ctx.Done():
		return false
	}
	select {
	case <-s.replica.Load().Ready():
		return true
	case <-ctx.Done():
		return false
	}
}

// checkpoints writes down applied state whenever the feed finds it due.
func (s *Server) checkpoints(ctx context.Context) error {
	for {
		select {
		case p := <-s.feed.Checkpoints():
			if err := s.writeCheckpoint(p); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Server) writeCheckpoint(p *feed.Pinned) error {
	begun := time.Now()
	err := s.disk.write(p)
	if errors.Is(err, checkpoint.ErrFull) {
		s.log.Error("checkpoint not written: the log is kept until there is room", "zxid", p.View.Zxid, "err", err)
		return nil
	}
	if err != nil {
		return err
	}
	took := time.Since(begun)
	s.meters.checkpointed(took)
	s.log.Info("checkpoint written", "zxid", p.View.Zxid, "took", took)
	return s.release(int64(p.View.Zxid) - int64(max(s.cfg.LogRetain, 0)))
}

// release lets go of the log up to a zxid that is in the checkpoint. Not to have done so does no harm: the
// replica may have stopped, when this is the last checkpoint, or be too busy, and the next one asks again.
func (s *Server) release(below int64) error {
	if below <= 0 {
		return nil
	}
	r, retain := s.replica.Load(), uint64(max(s.cfg.LogRetain, 0))
	most := heldCheckpoints*(uint64(s.cfg.CheckpointEvery)+retain) + heldPerNode*uint64(s.feed.View().Nodes.Len())
	err := r.Released(s.images.holds.limit(uint64(below), r.Status(), retain, most))
	if errors.Is(err, replica.ErrStopped) || errors.Is(err, replica.ErrOverloaded) {
		return nil
	}
	return err
}

// Close releases what Open took. Run calls it.
func (s *Server) Close() error {
	s.doors.close()
	return s.disk.close()
}

func randomUint64() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:])
}

func done(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
