package server

import (
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/grovekeeper/grove/server/member"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/znode"
)

// members is what this server knows of who belongs to the quorum. The table itself is replicated state:
// the data of a node.
type members struct {
	s *Server

	mu         sync.Mutex // guards the fields below; innermost
	status     replica.Status
	zxid       znode.Zxid // at which table was set
	table      member.Table
	candidates map[member.ID]candidate // servers that asked to be let in. Bound: one for each number
	sees       uint64                  // what an empty server says to those who ask, see member.Found
	told       hearsay                 // the newest that others said; see news
	registrar  *registrar              // of the term in which this server leads; nil while it does not
	appointed  time.Time               // when it was
}

// candidate is a server that wants to be let in, and when it last said so.
type candidate struct {
	member.Candidate
	seen time.Time
}

// candidateLife is for how long a server is taken to be there after it has asked to be let in.
const candidateLife = 3 * time.Second

// configPath is the node whose data is the table.
const configPath = "/zookeeper/config"

func newMembers(s *Server) *members {
	return &members{s: s, candidates: map[member.ID]candidate{}}
}

// look takes note of where things stand.
func (m *members) look(status replica.Status) {
	node := m.s.feed.View().Nodes.Get(configPath)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status = status
	if node == nil || node.Stat().Mzxid == m.zxid {
		return
	}
	t, err := member.ParseTable(node.Data())
	if err != nil {
		m.s.log.Error("the table of members cannot be read", "err", err)
	}
	m.zxid, m.table = node.Stat().Mzxid, t
}

// find returns what is known of the server of a number, from the best source first.
func (m *members) find(id member.ID) (member.Member, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if one, ok := m.news().table.Find(id); ok {
		return one, true
	}
	if one, ok := m.table.Find(id); ok {
		return one, true
	}
	if c, ok := m.candidates[id]; ok {
		return c.Member, true
	}
	return m.s.cfg.Peers.Find(id)
}

// address returns where the server of a number listens for others.
func (m *members) address(id uint8) (string, bool) {
	one, ok := m.find(id)
	return one.PeerAddr(), ok
}

// hosts returns the names that the certificate of a server may have, none if any will do.
func (m *members) hosts(id uint8) []string {
	if m.s.cfg.PeerTLS.AnyHost {
		return nil
	}
	one, _ := m.find(id)
	names := make([]string, len(one.Addrs))
	for i, a := range one.Addrs {
		names[i] = a.Host
	}
	return names
}

// allowed says whether a node may take part: as far as this server knows, or as it was told if that is
// newer. One that does not know the membership yet also takes it from whoever was given to it as a peer.
func (m *members) allowed(node uint64) bool {
	id := member.Node(node).ID()
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.Contains(m.news().nodes, node) {
		return true
	}
	if len(m.status.Voters) == 0 {
		_, ok := m.s.cfg.Peers.Find(id)
		return ok
	}
	c, asked := m.candidates[id]
	return slices.Contains(m.status.Voters, node) || slices.Contains(m.status.Learners, node) ||
		asked && uint64(c.Node) == node
}

// admit notes that a server wants to be let in.
func (m *members) admit(c member.Candidate, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.candidates[c.Node.ID()]; !ok || old.Node != c.Node {
		m.s.log.Info("server asks to be let in", "node", c.Node, "address", c.Member.PeerAddr())
	}
	m.candidates[c.Node.ID()] = candidate{c, now}
}

// answer says who this server is, to another that asks.
func (m *members) answer() member.Answer {
	a := member.Empty(m.s.node, m.s.cfg.Peers)
	r := m.s.replica.Load()
	m.mu.Lock()
	defer m.mu.Unlock()
	a.Sees = m.sees
	if r == nil {
		return a
	}
	status := r.Status()
	a.Cluster, a.Voters, a.Learners = m.s.cluster.Load(), ofNodes(status.Voters), ofNodes(status.Learners)
	return a
}

// see notes what this server says from now on to those who ask.
func (m *members) see(cluster uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sees = cluster
}

// cluster is what the planner goes by.
func (m *members) cluster(now time.Time) member.Cluster {
	status := m.s.replica.Load().Status()
	m.look(status)
	view, term, conf := m.s.feed.Latest()
	c := clusterAt(status, view, term, conf)
	c.Self = m.s.node
	m.mu.Lock()
	defer m.mu.Unlock()
	c.Candidates = make(map[member.ID]member.Node, len(m.candidates))
	for id, one := range m.candidates {
		if now.Sub(one.seen) < candidateLife {
			c.Candidates[id] = one.Node
		}
	}
	return c
}

// clusterAt takes the membership and the table as of the same applied entry. What Raft has in effect may
// be ahead of it: a leader that saw the members of tomorrow in the table of yesterday would bring
// yesterday back. For the same reason it leads only once an entry of its own is applied: its
// predecessor's changes are all there then.
func clusterAt(status replica.Status, view *state.View, term uint64, conf []byte) member.Cluster {
	c := member.Cluster{
		Leading: status.Role == replica.Leader && term == status.Term, Last: status.LastIndex,
		Progress: make(map[member.Node]member.Progress, len(status.Progress)),
	}
	var applied pb.ConfState
	if proto.Unmarshal(conf, &applied) != nil {
		c.Leading = false
	}
	c.Voters, c.Learners = ofNodes(applied.GetVoters()), ofNodes(applied.GetLearners())
	c.Joint = len(applied.GetVotersOutgoing()) > 0
	if n := view.Nodes.Get(configPath); n != nil {
		c.Table, _ = member.ParseTable(n.Data()) // look complains
	}
	for node, p := range status.Progress {
		c.Progress[member.Node(node)] = member.Progress{Match: p.Match, Active: p.Active}
	}
	return c
}

func ofNodes(list []uint64) []member.Node {
	out := make([]member.Node, len(list))
	for i, n := range list {
		out[i] = member.Node(n)
	}
	return out
}

// appoint makes r the one that changes the membership, as long as this server leads.
func (m *members) appoint(r *registrar) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.registrar, m.appointed = r, time.Now()
}

// ledSince returns since when this server leads, if it does.
func (m *members) ledSince() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.appointed
}
