// Package server opens, wires, runs and closes the parts of one server below it. It decides nothing:
// what a request means is the machine's affair, in which order it is answered the front's, when it is
// safe the replica's. What is here is the order in which things start and end.
//
//	start  lock ─► checkpoint ─► machine ─► log ─► replica (replays the log) ─► listen
//	end    listen ─► reaper ─► replica ─► last checkpoint ─► log ─► checkpoint ─► lock
package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/grovekeeper/grove/internal/disk"
	"github.com/grovekeeper/grove/internal/group"
	"github.com/grovekeeper/grove/server/admin"
	"github.com/grovekeeper/grove/server/checkpoint"
	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/front"
	"github.com/grovekeeper/grove/server/reaper"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/server/wal"
)

// The names below a server's directory.
const (
	lockName       = "LOCK"
	checkpointName = "checkpoint.db"
	logName        = "log"
)

// lone is the number of the only voter of a quorum of one.
const lone = 1

// Server is one server with everything it holds open.
type Server struct {
	cfg       Config
	log       *slog.Logger
	started   time.Time
	lock      io.Closer
	store     *checkpoint.Store
	wal       *wal.Log
	feed      *feed.Feed
	replica   *replica.Replica
	front     *front.Front
	reaper    *reaper.Reaper
	listeners []net.Listener
	admin     net.Listener // nil: none
	meters    meters
	ready     chan struct{}
}

// Open takes the directory, reads the checkpoint, opens the log and binds the addresses. Clients that
// connect are served once Run has replayed the log. The caller calls Run or Close.
func Open(cfg Config) (*Server, error) {
	cfg = cfg.Complete()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: cfg.Logger, started: time.Now(), ready: make(chan struct{})}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) open() error {
	if err := s.openDir(); err != nil {
		return err
	}
	machine, recent, err := s.openCheckpoint()
	if err != nil {
		return err
	}
	meta, _ := s.store.Meta()
	if err := s.openLog(meta); err != nil {
		return err
	}
	if err := s.wire(machine, recent, meta); err != nil {
		return err
	}
	return s.listen()
}

func (s *Server) openDir() error {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	lock, err := disk.Real().Lock(filepath.Join(s.cfg.Dir, lockName))
	if err != nil {
		return fmt.Errorf("lock data directory %s: is another server using it? %w", s.cfg.Dir, err)
	}
	s.lock = lock
	return nil
}

// openCheckpoint opens the checkpoint, or makes the first one of a new cluster of this server alone.
func (s *Server) openCheckpoint() (*state.Machine, checkpoint.Recent, error) {
	path := filepath.Join(s.cfg.Dir, checkpointName)
	used, err := logExists(s.cfg.Dir)
	if err != nil {
		return nil, checkpoint.Recent{}, err
	}
	if _, err := os.Stat(path); used && errors.Is(err, os.ErrNotExist) {
		return nil, checkpoint.Recent{}, noCheckpoint(path) // before an empty one is made
	}
	store, err := checkpoint.Open(path, checkpoint.Options{
		RecentMax: s.cfg.RecentChangesMax,
	})
	if err != nil {
		return nil, checkpoint.Recent{}, err
	}
	s.store = store
	machine, err := store.Load()
	if err != nil {
		return nil, checkpoint.Recent{}, err
	}
	if _, ok := store.Meta(); ok {
		return machine, store.Recent(), nil
	}
	if used {
		return nil, checkpoint.Recent{}, noCheckpoint(path)
	}
	var out state.Outcome
	start := replica.Bootstrap(lone)
	machine.Apply(1, nil, &out) // the entry that a bootstrapped log begins after
	meta := checkpoint.Meta{
		Cluster: randomUint64(), Member: lone, Incarnation: randomUint64(),
		Term: start.Term, Members: start.ConfState,
	}
	recent := checkpoint.Recent{} // complete from the beginning
	err = store.Write(machine.View(), recent, meta)
	return machine, recent, err
}

// noCheckpoint refuses a directory with a log and nothing that the log could be applied to: a server
// writes the first checkpoint before it makes a log.
func noCheckpoint(path string) error {
	return fmt.Errorf("%s has a log but no checkpoint: restore %s or move the directory away", filepath.Dir(path), path)
}

func logExists(dir string) (bool, error) {
	entries, err := os.ReadDir(filepath.Join(dir, logName))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return len(entries) > 0, err
}

func (s *Server) openLog(meta checkpoint.Meta) error {
	log, err := wal.Open(disk.Real(), filepath.Join(s.cfg.Dir, logName), logOptions(meta))
	if err != nil {
		return err
	}
	s.wal = log
	return nil
}

// logOptions says what a log must be to go with a checkpoint.
func logOptions(meta checkpoint.Meta) wal.Options {
	zxid := uint64(meta.State.Zxid)
	o := wal.Options{
		Identity: wal.Identity{Cluster: meta.Cluster, Member: meta.Member, Incarnation: meta.Incarnation},
		Start:    zxid + 1,
	}
	if zxid > replica.Bootstrap(lone).Index {
		o.Witness = zxid // a later state than the first was made of entries that the log has held
	}
	return o
}

// wire makes the parts and ties them together.
func (s *Server) wire(machine *state.Machine, recent checkpoint.Recent, meta checkpoint.Meta) error {
	var log lateLog
	s.feed = feed.New(feed.Config{
		Machine: machine, Log: &log, Server: lone, Term: meta.Term, ConfState: meta.Members,
		Recent: recent.Changes, RecentFrom: recent.From, RecentMax: s.cfg.RecentChangesMax,
		InboxBytesMax: s.cfg.InboxBytesMax, PendingBytesMax: pendingBytesMax,
		SkipACL:    s.cfg.SkipACL,
		OnSessions: func(changes []state.SessionChange) { s.reaper.Sessions(changes) },
		Checkpoint: feed.CheckpointPolicy{
			Entries: s.cfg.CheckpointEvery, Bytes: checkpointBytes,
		},
	})
	r, err := replica.Open(replica.Config{
		ID: lone, Log: s.wal, Applier: s.feed, Logger: s.log,
		OnSoft: func(soft replica.Soft) { s.feed.Lead(soft.Leader, soft.Term) },
		Start:  replica.Start{Index: uint64(meta.State.Zxid), Term: meta.Term, ConfState: meta.Members},
	})
	if err != nil {
		return err
	}
	s.replica, log.Replica = r, r
	var policy state.Policy
	if s.cfg.SkipACL {
		policy |= state.SkipACL
	}
	if s.cfg.EnforceQuota {
		policy |= state.EnforceQuota
	}
	s.front = front.New(front.Config{
		Feed: s.feed, Log: s.log,
		FrameBytesMax: s.cfg.FrameBytesMax, OutstandingMax: s.cfg.OutstandingMax,
		ConnectionsPerAddressMax: s.cfg.ConnectionsPerAddressMax, ConnectionsMax: s.cfg.ConnectionsMax,
		HandshakeTimeout:    time.Duration(s.cfg.HandshakeTimeoutMs) * time.Millisecond,
		SessionTimeoutMinMs: int32(s.cfg.SessionTimeoutMinMs), SessionTimeoutMaxMs: int32(s.cfg.SessionTimeoutMaxMs),
		Policy: policy, SuperDigest: s.cfg.SuperDigest,
		Word:   func(word string, w io.Writer) error { return admin.FourLetter(word, s, w) },
		Random: func(b []byte) { rand.Read(b) }, // never fails: crypto/rand ends the process instead
	})
	s.reaper = reaper.New(reaper.Config{
		Settings: reaper.Settings{
			TickMs: int64(s.cfg.TickMs), ScanEveryMs: int64(s.cfg.ContainerCheckMs),
			ReapsPerMinute: s.cfg.ContainersPerMinute, NeverUsedMs: int64(s.cfg.ContainerNeverUsedMs),
		},
		Views: s.feed, Log: verdicts{s}, Heard: s.front.Heard,
	})
	return nil
}

const (
	// pendingBytesMax bounds the commands of this server between a connection and the applier.
	pendingBytesMax = 16 << 20
	// checkpointBytes of log are enough for a checkpoint, however few entries they are.
	checkpointBytes = 64 << 20
)

// verdicts is how the reaper proposes: in the term it judges in, outside of any stream, and never again.
type verdicts struct{ s *Server }

func (v verdicts) Propose(c *state.Command) error {
	now := v.s.replica.Status()
	err := v.s.feed.Propose(now.Leader, now.Term, c)
	if errors.Is(err, replica.ErrOverloaded) {
		return reaper.ErrFull
	}
	if errors.Is(err, replica.ErrStopped) {
		return nil // the server is closing, and what is due now will be due again
	}
	return err
}

// lateLog stands for the replica while the feed that it will apply to is being made.
type lateLog struct{ *replica.Replica }

// Propose gives commands to this server's replica, which is the only one to lead.
func (l lateLog) Propose(_, term uint64, commands [][]byte) error {
	return l.Replica.Propose(term, commands)
}

// pumpEvery is how often what the log has refused is offered again, if nothing else moves.
const pumpEvery = 100 * time.Millisecond

func (s *Server) pump(ctx context.Context) error {
	ticker := time.NewTicker(pumpEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.feed.Pump()
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Server) listen() error {
	for _, addr := range s.cfg.ClientAddrs {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("listen for clients: %w", err)
		}
		s.listeners = append(s.listeners, l)
	}
	if s.cfg.AdminAddr == "" {
		return nil
	}
	l, err := net.Listen("tcp", s.cfg.AdminAddr)
	if err != nil {
		return fmt.Errorf("listen for administration: %w", err)
	}
	s.admin = l
	return nil
}

// Addrs returns where clients connect, in the order of Config.ClientAddrs.
func (s *Server) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(s.listeners))
	for i, l := range s.listeners {
		addrs[i] = l.Addr()
	}
	return addrs
}

// Addr returns the first of Addrs.
func (s *Server) Addr() net.Addr { return s.listeners[0].Addr() }

// Ready is closed when the log has been replayed and clients are served.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Zxid returns the newest applied zxid.
func (s *Server) Zxid() int64 { return int64(s.feed.View().Zxid) }

// Run serves until ctx ends or a part fails, and closes everything. It returns nil if it was asked to
// end and could write down all it had.
func (s *Server) Run(ctx context.Context) error {
	err := s.run(ctx)
	if last := s.feed.Final(); err == nil && last != nil {
		err = s.writeCheckpoint(last)
	}
	return errors.Join(err, s.Close())
}

// run starts the parts in the order in which they need each other. The log ends last: what connections
// and the reaper have proposed is either in it or was never acknowledged.
func (s *Server) run(ctx context.Context) error {
	back, backCtx := group.New(context.WithoutCancel(ctx))
	back.Go("replica", func() error { return s.replica.Run(backCtx) })
	back.Go("checkpointer", func() error { return s.checkpoints(backCtx) })
	back.Go("pump", func() error { return s.pump(backCtx) })

	face, faceCtx := group.New(ctx)
	stop := context.AfterFunc(backCtx, face.Stop)
	defer stop()
	face.Go("face", func() error { return s.serve(faceCtx, face) })
	<-faceCtx.Done()
	s.feed.Stop()
	err := face.Wait()
	back.Stop()
	return errors.Join(err, back.Wait())
}

// serve waits for the replay and then lets clients in.
func (s *Server) serve(ctx context.Context, g *group.Group) error {
	if s.admin != nil {
		g.Go("admin", func() error { return admin.Serve(ctx, s.admin, s) })
	}
	select {
	case <-s.replica.Ready():
	case <-ctx.Done():
		return nil
	}
	s.feed.Begin(time.Now().UnixMilli())
	s.meters.started(time.Since(s.started))
	g.Go("reaper", func() error { return s.reaper.Run(ctx) })
	for _, l := range s.listeners {
		g.Go("front", func() error { return s.front.Serve(ctx, l) })
	}
	close(s.ready)
	return nil
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
	meta, _ := s.store.Meta()
	meta.Term, meta.Members = p.Term, p.ConfState
	err := s.store.Write(p.View, checkpoint.Recent{From: p.RecentFrom, Changes: p.Recent}, meta)
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
	err := s.replica.Released(uint64(below))
	if errors.Is(err, replica.ErrStopped) || errors.Is(err, replica.ErrOverloaded) {
		return nil
	}
	return err
}

// Close releases what Open took. Run calls it.
func (s *Server) Close() error {
	var errs []error
	for _, l := range append(s.listeners, s.admin) {
		if l != nil {
			l.Close() // closed already, when Run served it
		}
	}
	if s.wal != nil {
		errs = append(errs, s.wal.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

func randomUint64() uint64 {
	var b [8]byte
	rand.Read(b[:])
	var v uint64
	for _, x := range b {
		v = v<<8 | uint64(x)
	}
	return v
}
