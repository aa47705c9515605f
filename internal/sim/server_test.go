package sim

import (
	"errors"
	"math/rand/v2"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/grovekeeper/grove/internal/disk"
	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/member"
	"github.com/grovekeeper/grove/server/reaper"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/server/wal"
	"github.com/grovekeeper/grove/session"
)

const maxServers = 7

var errNoPipe = errors.New("no room for commands on the way")

// server is one machine: its disk and clocks, and the process that may run on it.
type server struct {
	s    *sim
	id   uint8
	node uint64 // this incarnation of it
	fs   *disk.Memory
	r    *rand.Rand

	up     bool
	life   uint64   // of the process
	paused bool     // the process is stopped
	held   []func() // what waits until it goes on

	rate   float64 // of the monotonic clock
	wall   int64   // offset of the time of day, ms
	slow   int64   // factor on the time that the disk takes
	bomb   int     // so many more calls to the disk, and the process ends; 0: it does not
	blow   error   // what those calls then say
	badly  bool    // the next flush of the log fails
	booted int     // starts that came to something

	retired bool // it is not to start again

	process
}

// process is what ends with it.
type process struct {
	wal   *wal.Log
	rep   *replica.Replica
	hand  *replica.Hand
	feed  *feed.Feed
	soft  replica.Soft
	ready bool
	judge *reaper.Judge // while it leads
	since int64         // when it began to lead
	heard []sign
	conns []*conn
	meta  meta // of the checkpoint

	office     *office // while it leads
	candidates map[member.ID]candidate
	alone      int64 // when somebody was last known to lead

	kicked, writing, applying bool
	tending                   bool                      // the log is doing what nobody waits for
	pinned                    map[uint64]*state.View    // what images on offer are made of, by index
	arrived                   map[uint64]*state.Machine // images that wait to be installed

	// What the disk is known to hold: taken when nothing waits for a flush.
	dirty   map[string]bool // files of the log with writes after the last flush
	durable wal.HardState
	last    uint64
}

// peer returns the server with the number of a node, if there is one.
func (s *sim) peer(node uint64) *server {
	if id := int(node & 0xff); id > 0 && id < len(s.servers) {
		return s.servers[id]
	}
	return nil
}

// event is something that the process notices: at once, when it goes on, or never.
func (n *server) event(do func()) {
	switch {
	case !n.up:
	case n.paused:
		n.held = append(n.held, do)
	default:
		do()
	}
}

// later does something in this life of the process.
func (n *server) later(d int64, do func()) {
	life := n.life
	n.s.after(d, func() {
		n.event(func() {
			if n.life == life && n.up {
				do()
			}
		})
	})
}

// mono is the monotonic clock, wallMs the time of day, both in ms.
func (n *server) mono() int64 { return int64(float64(n.s.now) * n.rate / float64(milli)) }
func (n *server) wallMs() int64 {
	return 1_700_000_000_000 + n.s.now/milli + n.wall
}

// leads says whether the process believes that it leads.
func (n *server) leads() bool { return n.up && n.soft.Role == replica.Leader }

// kick wakes the raft goroutine.
func (n *server) kick() {
	if n.kicked {
		return
	}
	n.kicked = true
	n.later(between(n.r, 5*micro, 60*micro), func() {
		n.kicked = false
		n.did(n.hand.Turn())
	})
}

// did looks after a turn of any goroutine: did it fail, and what is there to be done now?
func (n *server) did(err error) {
	if err != nil {
		n.failed(err)
		return
	}
	if !n.ready {
		n.begin()
	}
	if !n.writing && n.hand.Writing() > 0 {
		n.writing = true
		n.later(n.slow*around(n.r, n.s.opt.writeDelay), n.write)
	}
	if !n.applying && n.hand.Applying() > 0 {
		n.applying = true
		n.later(around(n.r, n.s.opt.applyDelay), n.apply)
	}
	n.serve()
}

func (n *server) write() {
	n.writing = false
	waiting := n.hand.Writing()
	err := n.hand.Write()
	if err == nil && len(n.dirty) == 0 {
		n.durable, n.last = n.wal.Hard(), n.wal.Last()
		n.s.truth.terms[n.node] = max(n.s.truth.terms[n.node], n.durable.Term)
	}
	n.s.note("write", uint64(n.id), uint64(waiting), n.last, "")
	if err != nil {
		n.failed(err)
		return
	}
	n.kick()
	if chance(n.r, 0.3) {
		n.later(around(n.r, 5*milli), func() {
			n.tending = true
			for more := true; more && n.up && n.bomb >= 0; {
				more = n.wal.Tend()
			}
			n.tending = false
			n.blast()
		})
	}
	n.did(nil)
}

func (n *server) apply() {
	n.applying = false
	noticed, err := n.hand.Apply()
	if err != nil {
		n.failed(err)
		return
	}
	if noticed {
		n.kick()
	}
	n.did(nil)
	n.checkpointIfDue()
}

// follow is told who leads.
func (n *server) follow(soft replica.Soft) {
	n.s.note("soft", uint64(n.id), soft.Leader, soft.Term, soft.Role.String())
	led := n.leads()
	n.soft = soft
	n.feed.Lead(soft.Leader, soft.Term)
	if n.leads() {
		n.s.truth.led(n)
		if !led || n.judge == nil {
			n.s.mark(markElections)
		}
		n.judge, n.since = reaper.NewJudge(n.settings(), n.feed.View(), n.mono()), n.s.now
		n.office = &office{}
	} else {
		n.judge, n.office = nil, nil
	}
	n.kick()
}

// begin lets clients in once what was agreed before is applied.
func (n *server) begin() {
	select {
	case <-n.rep.Ready():
		n.ready = true
		n.feed.Begin(n.wallMs())
		n.s.note("ready", uint64(n.id), uint64(n.feed.View().Zxid), 0, "")
	default:
	}
}

func (n *server) settings() reaper.Settings {
	return reaper.Settings{TickMs: n.s.opt.sessionTick, ScanEveryMs: 500, ReapsPerMinute: 60_000, NeverUsedMs: 0}
}

// receive takes a message of Raft.
func (n *server) receive(m *pb.Message) {
	_ = n.rep.Receive(m)
	n.kick()
}

// commands takes commands that another server sent here as to who leads in the term, and says whether
// it was right to.
func (n *server) commands(term uint64, commands [][]byte) bool {
	if !n.leads() || n.soft.Term != term {
		return false
	}
	ok := n.rep.Propose(term, commands) == nil
	n.kick()
	return ok
}

// Propose is part of feed.Log.
func (n *server) Propose(leader, term uint64, commands [][]byte) error {
	if leader != n.node {
		return n.s.net.forward(n, leader, term, commands)
	}
	if n.leads() && n.soft.Term == term {
		defer n.kick()
		return n.rep.Propose(term, commands)
	}
	return nil // it has ceased to lead: nobody takes them, see Lead
}

// ReadIndex is part of feed.Log.
func (n *server) ReadIndex(done func(uint64, error)) error {
	defer n.kick()
	return n.rep.ReadIndex(done)
}

// Send is part of replica.Transport.
func (n *server) Send(messages []*pb.Message) {
	for _, m := range messages {
		n.promised(m)
		n.s.net.send(n, m)
	}
}

// Apply is part of replica.Applier.
func (n *server) Apply(entries []replica.Entry) {
	for i := range entries {
		n.s.truth.applied(n, &entries[i])
	}
	n.feed.Apply(entries)
	v := n.feed.View()
	n.s.note("apply", uint64(n.id), uint64(len(entries)), uint64(v.Zxid), "")
	n.s.truth.compare(n, v)
}

// sessions is told by the feed what became of sessions.
func (n *server) sessions(changes []state.SessionChange) {
	if n.judge != nil {
		n.judge.Sessions(changes, n.mono())
	}
}

// tick is one of raft's.
func (n *server) tick() {
	n.later(int64(float64(n.s.opt.tick)/n.rate), n.tick)
	n.feed.Pump()
	n.lonely()
	n.did(n.hand.Tick())
}

// lonely lets the clients of a server go that has not known a leader for long: it may have been removed,
// or be cut off, and others may serve them.
func (n *server) lonely() {
	if n.soft.Leader != 0 {
		n.alone = n.s.now
	}
	if n.s.now-n.alone > lonelyAfter {
		for _, k := range slices.Clone(n.conns) {
			k.close()
		}
	}
}

const lonelyAfter = 2 * second

// look is the reaper's tick: who leads judges, the others tell it whom they heard.
func (n *server) look() {
	n.later(int64(float64(n.s.opt.sessionTick*milli)/n.rate), n.look)
	heard := n.heard
	n.heard = nil
	if n.judge == nil {
		if n.soft.Leader != 0 && n.soft.Leader != n.node && len(heard) > 0 {
			n.s.net.hear(n, n.soft.Leader, heard)
		}
		return
	}
	ids := make([]session.ID, len(heard))
	for i, h := range heard {
		ids[i] = h.id
		if b := n.s.truth.sessions[h.id]; b != nil {
			b.heard[n.node] = max(b.heard[n.node], h.at)
		}
	}
	verdicts := n.judge.Look(n.feed.View(), ids, n.mono(), n.wallMs())
	for i := range verdicts {
		c := &verdicts[i]
		c.Origin = state.Origin{Server: n.id}
		n.s.truth.judged(n, c)
		if n.rep.Propose(n.soft.Term, [][]byte{state.AppendCommand(nil, c)}) == nil {
			n.kick()
		}
	}
}

// serve wakes the connections that have got something. E5: one that this server knows to be superseded
// is on its way out.
func (n *server) serve() {
	v := n.feed.View()
	for _, k := range n.conns {
		if one, ok := v.Sessions.Get(k.id); k.epoch != 0 && (!ok || one.Epoch != k.epoch) && !k.in.Ended() {
			n.s.broken("E5", "server %d at %d keeps a connection of session %v at epoch %d, it is at %d",
				n.id, v.Zxid, k.id, k.epoch, one.Epoch)
		}
		k.wake()
	}
}
