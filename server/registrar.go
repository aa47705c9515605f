package server

import (
	"context"
	"errors"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/member"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/znode"
)

// registrar changes the membership, in the term in which this server leads: a request at a time, and
// what the leader does of its own accord. The planner decides; this brings its steps to Raft.
type registrar struct {
	m       *members
	term    uint64
	planner member.Planner
	in      chan reconfiguration // unbuffered: one at a time
	result  chan error           // of the step that Raft has; capacity 1
	waiting bool                 // for it
	change  *reconfiguration     // that the planner works on; nil if it does so of its own accord
	said    string               // what was last logged

	introduced bool // see introduce
}

// reconfiguration is a request, and who waits for its outcome.
type reconfiguration struct {
	member.Request
	ids   []znode.Identity // of who asks
	until time.Time        // it is given up then
	done  chan<- reconfigured
}

type reconfigured struct {
	zxid znode.Zxid // at which the new table was set
	err  error
}

const (
	// registerEvery is how often the registrar looks at where things stand.
	registerEvery = 50 * time.Millisecond
	// reconfigureTime is how long a change may wait for its servers to catch up.
	reconfigureTime = 3 * time.Minute
	// closeLooks and closePause bound how long a change is waited for whose term is over.
	closeLooks = 20
	closePause = 5 * time.Millisecond
	// leastVoters is how many participants a client must leave.
	leastVoters = 1
)

var errTooLong = errors.New("servers did not catch up in time")

func newRegistrar(m *members, term uint64) *registrar {
	return &registrar{m: m, term: term, in: make(chan reconfiguration), result: make(chan error, 1)}
}

func (g *registrar) run(ctx context.Context) error {
	ticker := time.NewTicker(registerEvery)
	defer ticker.Stop()
	for {
		in := g.in
		if g.change != nil || g.planner.Taken() || !g.ready() {
			in = nil
		}
		select {
		case c := <-in:
			g.begin(c)
		case err := <-g.result:
			if g.waiting = false; err != nil {
				g.introduced = false
				g.m.s.log.Warn("step of a change of the membership failed", "err", err)
				g.planner.Failed()
			}
		case <-ticker.C:
		case <-ctx.Done():
			g.close()
			return nil
		}
		if g.inOffice() {
			g.look(time.Now())
		}
	}
}

// inOffice says whether the table that this server sees is that of its own term: until then it may lag
// behind what a leader before agreed on.
func (g *registrar) inOffice() bool {
	_, term, _ := g.m.s.feed.Latest()
	return term == g.term
}

// ready says whether there is a table that could be changed: one that begins with nothing would lead to
// a quorum without those that have the data.
func (g *registrar) ready() bool {
	g.m.mu.Lock()
	defer g.m.mu.Unlock()
	return g.inOffice() && len(g.m.table.Members) > 0
}

// begin takes a request.
func (g *registrar) begin(c reconfiguration) {
	now := g.m.cluster(time.Now())
	g.change = &c
	if err := g.take(c, now); err != nil {
		g.m.s.log.Info("change of the membership refused", "err", err)
		g.finish(reconfigured{err: err})
	}
}

// take begins a request, or says why it cannot be. The order of the reasons is ZooKeeper's.
func (g *registrar) take(c reconfiguration, now member.Cluster) error {
	target, err := c.Target(now.Table, leastVoters)
	if err != nil {
		return err
	}
	if err := g.planner.Check(target, now); err != nil {
		return err
	}
	if !g.m.mayChange(c.ids) {
		return wire.CodeNoAuth
	}
	return g.planner.Begin(target, now)
}

func (g *registrar) finish(r reconfigured) {
	if g.change == nil {
		return
	}
	g.change.done <- r // has room
	g.change = nil
}

// close answers who still waits when the term is over. What the table shows has been agreed: the change may
// have removed this server, whose term is over when Raft knows that, a little before the table does.
func (g *registrar) close() {
	if g.change == nil {
		return
	}
	for range closeLooks {
		if now := g.m.cluster(time.Now()); g.planner.Shows(now) {
			g.finish(reconfigured{zxid: znode.Zxid(now.Table.Version)})
			return
		}
		time.Sleep(closePause)
	}
	g.finish(reconfigured{err: member.ErrUndecided})
}

// look goes on with the change under way, or finds one to begin.
func (g *registrar) look(at time.Time) {
	now := g.m.cluster(at)
	if !now.Leading {
		return // the term is over, which close is for
	}
	if len(now.Table.Members) == 0 {
		g.introduce(now)
		return
	}
	if !g.planner.Busy() {
		if g.change == nil {
			g.planner.Replacement(now)
		}
		return
	}
	if g.waiting {
		return
	}
	if g.change != nil && at.After(g.change.until) {
		g.planner.Abandon(errTooLong)
	}
	step, do, done, err := g.planner.Next(now)
	switch {
	case err != nil:
		g.m.s.log.Warn("change of the membership ended", "err", err)
		g.finish(reconfigured{err: err})
	case done:
		g.m.s.log.Info("membership changed", "table", now.Table.String())
		g.finish(reconfigured{zxid: znode.Zxid(now.Table.Version)})
	case do:
		g.step(step)
	default:
		if why := g.planner.Waiting(now); why != g.said {
			g.said = why
			g.m.s.log.Info("change of the membership waits", "for", why)
		}
	}
}

// introduce gives a server that was alone so far its line in the table: the others can join it then.
func (g *registrar) introduce(now member.Cluster) {
	me, ok := g.m.s.cfg.Peers.Find(now.Self.ID())
	if !ok || g.introduced || len(now.Voters) != 1 {
		return
	}
	g.introduced = true // what leads elsewhere ends the term, and with it this registrar
	g.step(member.Step{Table: &member.Table{Members: []member.Member{me}}})
}

// step brings one step to Raft.
func (g *registrar) step(step member.Step) {
	var payload []byte
	if step.Table != nil {
		c := configure(*step.Table)
		payload = state.AppendCommand(nil, &c)
	}
	g.waiting = true
	r := g.m.s.replica.Load()
	if len(step.Changes) == 0 {
		g.result <- r.Propose(g.term, [][]byte{payload}) // what comes of it shows in the table
		return
	}
	changes := make([]*pb.ConfChangeSingle, len(step.Changes))
	for i, c := range step.Changes {
		changes[i] = &pb.ConfChangeSingle{Type: kinds[c.Kind].Enum(), NodeId: new(uint64(c.Node))}
	}
	err := r.Change(func(_ []byte, err error) { g.result <- err }, payload, changes...)
	if err != nil {
		g.result <- err
	}
}

var kinds = [...]pb.ConfChangeType{
	member.AddLearner: pb.ConfChangeAddLearnerNode,
	member.AddVoter:   pb.ConfChangeAddNode,
	member.Remove:     pb.ConfChangeRemoveNode,
}

// configure is the command that sets the table.
func configure(t member.Table) state.Command {
	return state.Command{Kind: state.Configure, Op: state.Op{Kind: state.Configure, Data: t.AppendLines(nil)}}
}
