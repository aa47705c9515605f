package sim

import (
	"errors"
	"fmt"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/grovekeeper/grove/server/member"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
)

// office is what a leader does besides leading and judging: it changes the membership, as the
// registrar of a server does.
type office struct {
	planner member.Planner
	waiting bool  // for the outcome of a step
	result  error // of it
	asked   bool  // the change is somebody's wish
	until   int64
}

// candidate is a server that has asked to be let in, and when.
type candidate struct {
	node member.Node
	seen int64
}

var errTooLong = errors.New("servers did not catch up in time")

const (
	configPath    = "/zookeeper/config"
	candidateLife = second
	changeTime    = 3 * second
)

// foundingTable is the table of a new cluster.
func foundingTable(servers int) member.Table {
	var t member.Table
	for i := range servers {
		t.Members = append(t.Members, memberOf(uint8(i+1), member.Participant))
	}
	return t
}

func memberOf(id uint8, role member.Role) member.Member {
	m, err := member.ParsePeer(fmt.Sprintf("%d=s%d:1", id, id))
	if err != nil {
		panic(err)
	}
	m.Role = role
	return m
}

func configure(t member.Table) []byte {
	c := state.Command{Kind: state.Configure, Op: state.Op{Kind: state.Configure, Data: t.AppendLines(nil)}}
	return state.AppendCommand(nil, &c)
}

// tableOf returns the table that a view holds.
func tableOf(v *state.View) member.Table {
	n := v.Nodes.Get(configPath)
	if n == nil || len(n.Data()) == 0 {
		return member.Table{}
	}
	t, err := member.ParseTable(n.Data())
	if err != nil {
		panic(err)
	}
	return t
}

// cluster is what the planner goes by: the membership and the table as of the same applied entry, which
// is one of the leader's own term.
func (n *server) cluster() member.Cluster {
	status := n.rep.Status()
	v, term, state := n.feed.Latest()
	conf := &pb.ConfState{}
	if err := proto.Unmarshal(state, conf); err != nil {
		panic(err)
	}
	c := member.Cluster{
		Self: member.Node(n.node), Leading: status.Role == replica.Leader && term == status.Term,
		Joint:  len(conf.GetVotersOutgoing()) > 0 || len(conf.GetLearnersNext()) > 0,
		Voters: nodes(conf.GetVoters()), Learners: nodes(conf.GetLearners()), Table: tableOf(v),
		Last: status.LastIndex, Progress: map[member.Node]member.Progress{}, Candidates: map[member.ID]member.Node{},
	}
	for node, p := range status.Progress {
		c.Progress[member.Node(node)] = member.Progress{Match: p.Match, Active: p.Active}
	}
	for id, one := range n.candidates {
		if n.s.now-one.seen < candidateLife {
			c.Candidates[id] = one.node
		}
	}
	return c
}

func nodes(list []uint64) []member.Node {
	out := make([]member.Node, len(list))
	for i, n := range list {
		out[i] = member.Node(n)
	}
	return out
}

// register is the registrar's look at where things stand.
func (n *server) register() {
	n.later(50*milli, n.register)
	o := n.office
	if o == nil || n.s.opt.faults&reshaped == 0 {
		return
	}
	now := n.cluster()
	if o.result != nil {
		o.result = nil
		o.planner.Failed()
	}
	if !o.planner.Busy() {
		o.asked = false
		o.planner.Replacement(now)
		return
	}
	if o.waiting {
		return
	}
	if o.asked && n.s.now > o.until {
		o.planner.Abandon(errTooLong)
	}
	step, do, done, err := o.planner.Next(now)
	switch {
	case err != nil:
		n.s.note("change ended", uint64(n.id), 0, 0, err.Error())
	case done:
		n.s.note("changed", uint64(n.id), now.Table.Version, 0, "")
		n.s.mark(markChanges)
	case do:
		n.step(o, step)
	}
}

// step brings one step of a change to Raft.
func (n *server) step(o *office, step member.Step) {
	var payload []byte
	if step.Table != nil {
		payload = configure(*step.Table)
	}
	n.s.note("step", uint64(n.id), uint64(len(step.Changes)), uint64(len(payload)), fmt.Sprint(step.Changes))
	defer n.kick()
	if len(step.Changes) == 0 {
		o.result = n.rep.Propose(n.soft.Term, [][]byte{payload})
		return
	}
	kinds := [...]pb.ConfChangeType{
		member.AddLearner: pb.ConfChangeAddLearnerNode,
		member.AddVoter:   pb.ConfChangeAddNode, member.Remove: pb.ConfChangeRemoveNode,
	}
	changes := make([]*pb.ConfChangeSingle, len(step.Changes))
	for i, c := range step.Changes {
		changes[i] = &pb.ConfChangeSingle{Type: kinds[c.Kind].Enum(), NodeId: new(uint64(c.Node))}
	}
	o.waiting = true
	err := n.rep.Change(func(_ []byte, err error) { o.waiting, o.result = false, err }, payload, changes...)
	if err != nil {
		o.waiting, o.result = false, err
	}
}

// apply for a place, until this server has the one that the table has for it, or as one that wants to
// be in the table.
func (n *server) applyForPlace() {
	n.later(300*milli, n.applyForPlace)
	if n.s.opt.faults&reshaped == 0 || n.placed() {
		return
	}
	for _, to := range n.s.servers[1:] {
		if to == n || n.s.net.link(n.id, to.id).cut {
			continue
		}
		id, one := n.id, candidate{member.Node(n.node), 0}
		n.s.after(n.s.net.way(), func() {
			to.event(func() {
				one.seen = n.s.now
				to.candidates[id] = one
			})
		})
	}
}

// placed says whether this server is what the table says it is.
func (n *server) placed() bool {
	status := n.rep.Status()
	me, ok := tableOf(n.feed.View()).Find(n.id)
	if !ok {
		return false
	}
	if me.Role == member.Observer {
		return slices.Contains(status.Learners, n.node)
	}
	return slices.Contains(status.Voters, n.node)
}

// reshape asks for some change of the membership, or takes a server's disk away.
func (s *sim) reshape() {
	r := s.trouble
	table := tableOf(s.truth.machine.View())
	if r.IntN(3) == 0 {
		s.wipe(table)
		return
	}
	target := member.Table{Members: slices.Clone(table.Members)}
	i := r.IntN(len(target.Members))
	switch r.IntN(3) {
	case 0:
		id := uint8(len(s.servers))
		if id > maxServers {
			return
		}
		role := pick(r, member.Participant, member.Participant, member.Observer)
		target.Members = append(target.Members, memberOf(id, role))
		n := s.addServer(id, uint64(member.NewNode(id, r.Uint64())))
		n.join()
		s.start(n)
	case 1:
		if table.Voters() < 4 {
			return
		}
		target.Members = slices.Delete(target.Members, i, i+1)
	case 2:
		m := &target.Members[i]
		if m.Role == member.Participant && table.Voters() < 4 {
			return
		}
		m.Role = member.Participant + member.Observer - m.Role
	}
	for _, n := range s.servers[1:] {
		if n.leads() && !n.paused && n.office != nil {
			err := n.office.planner.Begin(target, n.cluster())
			s.note("reconfig", uint64(n.id), uint64(len(target.Members)), 0, fmt.Sprint(err))
			n.office.asked, n.office.until = true, s.now+changeTime
		}
	}
}

// wipe takes the disk of one server, if all others have theirs, and it is not the last that must
// not lose its own.
func (s *sim) wipe(table member.Table) {
	n := s.servers[1+s.trouble.IntN(len(s.servers)-1)]
	if s.truth.voters() < 3 || len(s.truth.conf().GetVotersOutgoing()) > 0 || n.retired || s.now-s.wiped < 2*second {
		return
	}
	for _, m := range s.servers[1:] {
		if one, ok := table.Find(m.id); ok && one.Role == member.Participant && !s.truth.mayVote(m) {
			return // somebody is still to be replaced
		}
	}
	if n.up {
		n.stop(true)
	}
	s.wiped = s.now
	s.mark(markReplaced)
	n.blank()
	n.node = uint64(member.NewNode(n.id, s.trouble.Uint64()))
	n.join()
	s.note("wiped", uint64(n.id), n.node, 0, "")
	s.after(around(s.trouble, 200*milli), func() { s.start(n) })
}

// join gives a server the place that one has who knows of a cluster and has no state.
func (n *server) join() {
	if err := n.writeCheckpoint(meta{node: n.node}, imageOf(state.New().View())); err != nil {
		panic(err)
	}
}

// conf returns the newest membership that was agreed.
func (t *truth) conf() *pb.ConfState {
	if t.decodedAt != t.newestAt {
		t.decoded, t.decodedAt = &pb.ConfState{}, t.newestAt
		if err := proto.Unmarshal([]byte(t.newest), t.decoded); err != nil {
			panic(err)
		}
	}
	return t.decoded
}

func (t *truth) voters() int { return len(t.conf().GetVoters()) }

// mayVote says whether a server has a vote, in the newest membership.
func (t *truth) mayVote(n *server) bool {
	c := t.conf()
	return slices.Contains(c.GetVoters(), n.node) || slices.Contains(c.GetVotersOutgoing(), n.node)
}

// belongs says whether a server is a member at all.
func (t *truth) belongs(n *server) bool {
	c := t.conf()
	return t.mayVote(n) || slices.Contains(c.GetLearners(), n.node) || slices.Contains(c.GetLearnersNext(), n.node)
}

// settled is V6, and the rest of M1: in the end the membership is what the table says, and all that
// are there have their place in it.
func (s *sim) settled() error {
	table, conf := tableOf(s.truth.machine.View()), s.truth.conf()
	if len(conf.GetVotersOutgoing()) > 0 {
		return fmt.Errorf("the membership is a joint one: %v", conf)
	}
	all := slices.Concat(conf.GetVoters(), conf.GetLearners())
	for _, m := range table.Members {
		list := conf.GetVoters()
		if m.Role == member.Observer {
			list = conf.GetLearners()
		}
		n := s.servers[m.ID]
		mine := slices.DeleteFunc(slices.Clone(all), func(node uint64) bool { return node&0xff != uint64(m.ID) })
		if len(mine) != 1 || !slices.Contains(list, mine[0]) || !n.retired && mine[0] != n.node {
			return fmt.Errorf("server %d is in the table as %v, its node is %d, the membership is %v",
				m.ID, m.Role, n.node, conf)
		}
	}
	for _, node := range all {
		if _, ok := table.Find(uint8(node & 0xff)); !ok {
			return fmt.Errorf("node %d is a member, the table does not know it: %v", node, table)
		}
	}
	return nil
}
