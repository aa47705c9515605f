package peer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/grovekeeper/grove/internal/group"
)

// Peers is the other servers, as far as bytes go. All methods may be called from any goroutine.
type Peers struct {
	cfg      Config
	me       atomic.Pointer[identity]
	remotes  atomic.Pointer[map[uint64]*remote] // by node; replaced whole, under mu
	refusals refusals
	totals   totals
	losses   chan struct{} // capacity 1: a token while the reporter has something to look for
	images   chan struct{} // a token for every image that is being received

	mu     sync.Mutex // guards the fields below; innermost
	group  *group.Group
	ctx    context.Context // of group; set while running
	open   map[net.Conn]struct{}
	inlets map[inletKey]*inlet
	askers map[uint8]*asker
	former map[string]string // host and port → the address that answered last
}

// New returns the peers of cfg, which Run begins to serve.
func New(cfg Config) *Peers {
	p := &Peers{
		cfg:    cfg.complete(),
		losses: make(chan struct{}, 1),
		open:   map[net.Conn]struct{}{},
		inlets: map[inletKey]*inlet{},
		askers: map[uint8]*asker{},
		former: map[string]string{},
	}
	p.images = make(chan struct{}, p.cfg.Limits.ImagesMax)
	p.remotes.Store(&map[uint64]*remote{})
	p.me.Store(&identity{node: cfg.Self, cluster: cfg.Cluster})
	return p
}

// SetCluster says which cluster we belong to, and as which node, as soon as that is known.
// Connections that are open stay as they are: without a cluster, they are for questions only.
func (p *Peers) SetCluster(cluster, self uint64) {
	p.me.Store(&identity{node: self, cluster: cluster})
}

// Run accepts and dials connections until ctx ends. It returns when every call of the Handler has
// returned: one that blocks (see Commands) must be let go by its owner. It runs once.
func (p *Peers) Run(ctx context.Context) error {
	if err := p.cfg.validate(); err != nil {
		return err
	}
	g, ctx := group.New(ctx)
	p.mu.Lock()
	if p.group != nil {
		p.mu.Unlock()
		return errors.New("peer: Run was called before")
	}
	p.group, p.ctx = g, ctx
	p.mu.Unlock()
	g.Go("peer accept", func() error { return p.accept(ctx) })
	g.Go("peer reporter", func() error { p.report(ctx); return nil })
	g.Go("peer closer", func() error { <-ctx.Done(); p.close(); return nil })
	return g.Wait()
}

// close ends every connection, and with it every goroutine; no new ones are started.
func (p *Peers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ctx = nil
	p.cfg.Listener.Close()
	for c := range p.open {
		c.Close()
	}
}

// start runs f as a member of the group, or says that there is none.
func (p *Peers) start(name string, f func(ctx context.Context)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx == nil || p.ctx.Err() != nil {
		return false
	}
	ctx := p.ctx
	p.group.Go(name, func() error { f(ctx); return nil })
	return true
}

// track remembers a connection, so that close finds it. It says no when it is too late.
func (p *Peers) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx == nil {
		return false
	}
	p.open[c] = struct{}{}
	return true
}

func (p *Peers) forget(c net.Conn) {
	c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}

// remote returns what belongs to a node, nil if there are too many.
func (p *Peers) remote(node uint64) *remote {
	if r := (*p.remotes.Load())[node]; r != nil {
		return r
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	old := *p.remotes.Load()
	if r := old[node]; r != nil {
		return r
	}
	if len(old) >= p.cfg.Limits.PeersMax || p.ctx == nil {
		return nil
	}
	r := newRemote(p, node)
	all := maps.Clone(old)
	all[node] = r
	p.remotes.Store(&all)
	return r
}

// drop forgets a node that is no member any more and has not been written to for a while.
func (p *Peers) drop(r *remote) {
	p.mu.Lock()
	all := maps.Clone(*p.remotes.Load())
	delete(all, r.node)
	p.remotes.Store(&all)
	p.mu.Unlock()
	r.close()
}

// Send sends messages of Raft to the nodes they name. It does not block: what does not fit the
// queue of its receiver is dropped, and Lost is called. A MsgSnap is sent together with the image
// it names. The messages are read-only from here on.
func (p *Peers) Send(messages []*pb.Message) {
	var r *remote
	for _, m := range messages {
		to := m.GetTo()
		if r == nil || r.node != to {
			if r = p.remote(to); r == nil {
				p.totals.dropped.Add(1)
				continue
			}
		}
		r.send(m)
	}
}

// Forward sends commands to the node that leads in term. It does not block; what it takes arrives
// in order or is reported as Lost. See ErrFull, ErrLost, ErrTooLarge. The commands are read-only
// from here on.
func (p *Peers) Forward(to, term uint64, commands [][]byte) error {
	if len(commands) == 0 {
		return nil
	}
	weight := 0
	for _, c := range commands {
		if len(c) > p.cfg.Limits.FrameBytesMax-frameSlack {
			return fmt.Errorf("%w: command of %d bytes", ErrTooLarge, len(c))
		}
		weight += len(c) + commandCost
	}
	r := p.remote(to)
	if r == nil {
		return ErrStopped
	}
	return r.commands.offer(item{commands: commands, term: term}, weight)
}

// Hear sends sessions that were heard of to the node that leads. It does not block. The slice is
// read-only from here on.
func (p *Peers) Hear(to uint64, sessions []int64) error {
	if len(sessions) == 0 {
		return nil
	}
	r := p.remote(to)
	if r == nil {
		return ErrStopped
	}
	return r.urgent.offer(item{sessions: sessions}, 8*len(sessions))
}

// sweepEvery is how often remotes are looked through, and how long one that is not allowed any
// more is kept after it was last written to.
const sweepEvery = 10 * time.Second

// lostEvery is how often Lost is called for one node, at most.
const lostEvery = 100 * time.Millisecond

// report calls Lost for those to whom something was lost, and forgets nodes of the past.
func (p *Peers) report(ctx context.Context) {
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	again := time.NewTimer(time.Hour)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.losses:
		case <-again.C:
		case now := <-sweep.C:
			p.sweep(now)
			continue
		}
		again.Reset(p.reportLost(time.Now()))
	}
}

// reportLost returns how long to wait before it is called again.
func (p *Peers) reportLost(now time.Time) time.Duration {
	wait := time.Hour
	for _, r := range *p.remotes.Load() {
		if n := r.unsent.Swap(0); n > 0 {
			for range n {
				p.cfg.ImageSent(r.node, false)
			}
		}
		if !r.lost.Load() {
			continue
		}
		if since := now.Sub(r.reported); since < lostEvery {
			wait = min(wait, lostEvery-since)
			continue
		}
		r.reported = now
		r.lost.Store(false)
		commands := r.commands.mend() // before Lost, which may forward
		p.totals.losses.Add(1)
		p.cfg.Handler.Lost(r.node, commands)
	}
	return wait
}

func (p *Peers) sweep(now time.Time) {
	for _, r := range *p.remotes.Load() {
		if used := r.used.Swap(false); used || p.cfg.Allowed(r.node) {
			r.idle = now
		} else if now.Sub(r.idle) >= sweepEvery {
			p.drop(r)
		}
	}
}
