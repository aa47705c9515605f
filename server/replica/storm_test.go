package replica

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/cryptotest"

	pb "go.etcd.io/raft/v3/raftpb"
)

// TestStorm drives three members and those who join and leave through everything that can go wrong,
// under a seed, and then lets it end well: all must have applied the same, everything that waited
// must be answered. What must hold in between is checked by the cluster itself: nothing is applied
// twice, out of order or differently; no promise leaves before it would survive losing power; no
// read is stale.
func TestStorm(t *testing.T) {
	seeds := 100
	if testing.Short() {
		seeds = 20
	}
	var total tally
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { storm(t, uint64(seed), 6000, &total) })
	}
	t.Logf("%+v", total)
	if total.images == 0 || total.changes == 0 || total.answers == 0 || total.gone == 0 ||
		total.applied < 100*seeds || total.terms < 3*seeds {
		t.Errorf("the storm was a breeze: %+v", total)
	}
}

// tally counts what happened, so that a test that has become harmless is noticed.
type tally struct{ applied, terms, images, changes, answers, crashes, gone int }

func storm(t *testing.T, seed uint64, steps int, total *tally) {
	cryptotest.SetGlobalRandom(t, seed) // Raft draws its election time-outs there
	s := &stormer{cluster: newCluster(t, 1, 2, 3), r: rand.New(rand.NewPCG(seed, 1)), total: total}
	if seed%2 == 1 { // small enough to be met
		s.limits = Limits{
			InflightBytes: 2000, ApplyBytes: 100, TailBytes: 600, MessageBytes: 64,
			PeerMessages: 3, PeerBytes: 128, Appends: 2,
		}
		for _, id := range s.ids {
			s.boot(s.members[id])
		}
	}
	for range steps {
		s.step()
	}
	s.calm()
	total.applied += int(s.leader().state.Index)
	total.terms += int(s.leader().Soft().Term)
	for _, m := range s.members {
		total.images += m.installs
		total.answers += len(m.answers)
		total.crashes += int(m.boots) - 1
		for _, c := range m.changed {
			if c.Err == nil {
				total.changes++
			}
		}
	}
}

type stormer struct {
	*cluster
	r        *rand.Rand
	proposed int
	total    *tally
}

// step does one thing at random.
func (s *stormer) step() {
	m := s.members[s.ids[s.r.IntN(len(s.ids))]]
	if m.down {
		if s.r.IntN(10) == 0 {
			s.boot(m)
		}
		return
	}
	switch n := s.r.IntN(1000); {
	case n < 400:
		if len(s.wires) > 0 {
			s.deliver(s.pick())
		}
	case n < 560:
		if len(m.appends) > 0 {
			s.write(m)
		}
	case n < 700:
		if len(m.applies) > 0 {
			s.apply(m)
		}
	case n < 770:
		s.tick(m)
	case n < 870:
		s.proposeInTerm(m)
	case n < 900:
		s.read(m)
	case n < 920:
		m.checkpoint = m.state
		m.checkpoint.Installed = false
	case n < 940:
		s.compact(m)
	case n < 950:
		s.lose()
	case n < 970:
		s.cut[m.id] = !s.cut[m.id] && s.r.IntN(4) == 0
	case n < 980:
		_ = m.Unreachable(s.ids[s.r.IntN(len(s.ids))])
		s.pump(m)
	case n < 982:
		s.gone(s.ids[s.r.IntN(len(s.ids))])
	case n < 985:
		_ = m.Transfer(s.ids[s.r.IntN(len(s.ids))])
		s.pump(m)
	case n < 990:
		s.change(m)
	case n < 993:
		s.crash(m, s.r.IntN(2) == 0)
		if s.r.IntN(2) == 0 {
			s.gone(m.id)
		}
	default:
		s.deliverAll()
	}
}

// proposeInTerm proposes what says for which term it is, see cluster.check: mostly where somebody
// leads, and some of it late.
func (s *stormer) proposeInTerm(m *member) {
	if lead := s.leader(); lead != nil && s.r.IntN(2) == 0 {
		m = lead
	}
	s.proposed++
	term := m.Soft().Term
	if s.r.IntN(8) == 0 {
		term--
	}
	m.Propose(term, payloads(ofTerm("p", s.proposed, term), ofTerm("q", s.proposed, term)))
	if s.r.IntN(4) > 0 {
		s.pump(m)
	}
}

// pick returns a message to deliver: mostly the oldest, sometimes any, sometimes one that stays to
// be delivered again.
func (s *stormer) pick() int {
	if s.r.IntN(4) > 0 {
		return 0
	}
	i := s.r.IntN(len(s.wires))
	if s.r.IntN(4) == 0 {
		s.wires = append(s.wires, s.wires[i])
	}
	return i
}

func (s *stormer) deliverAll() {
	for n := len(s.wires); n > 0; n-- {
		s.deliver(0)
	}
}

// lose drops a message.
func (s *stormer) lose() {
	if len(s.wires) > 0 {
		s.drop(s.r.IntN(len(s.wires)))
	}
}

// compact lets m forget what its checkpoint has.
func (s *stormer) compact(m *member) {
	if err := m.Compact(m.checkpoint.Index); err != nil {
		s.t.Fatal(err)
	}
	s.pump(m)
}

// gone lets some see, or believe, that the process of a member has ended, and campaign if it led.
func (s *stormer) gone(id uint64) {
	for _, other := range s.ids {
		m := s.members[other]
		if m.down || s.r.IntN(3) == 0 || !m.Forget(id) {
			continue
		}
		s.total.gone++
		if s.pump(m); s.r.IntN(2) == 0 {
			_ = m.Campaign()
			s.pump(m)
		}
	}
}

// change asks m for some change of the membership: a new learner, a learner to vote, somebody to go,
// or somebody to take another's place. Like proposals, it carries its term.
func (s *stormer) change(m *member) {
	conf := m.Members()
	next := s.ids[len(s.ids)-1] + 1
	var changes []*pb.ConfChangeSingle
	switch n := s.r.IntN(4); {
	case n == 0 && len(s.ids) < 6:
		changes = list(learner(next))
	case n == 1 && len(conf.Learners) > 0:
		changes = list(voter(conf.Learners[0]))
	case n == 2 && len(conf.Voters) > 2:
		changes = list(gone(conf.Voters[s.r.IntN(len(conf.Voters))]))
	case n == 3 && len(s.ids) < 6 && len(conf.Voters) > 2: // two at once: by way of a joint membership
		changes = list(voter(next), gone(conf.Voters[s.r.IntN(len(conf.Voters))]))
	default:
		return
	}
	s.proposed++
	_, err := m.Change([]byte(ofTerm("c", s.proposed, m.Soft().Term)), changes...)
	s.pump(m)
	if id := changes[0].GetNodeId(); err == nil && s.members[id] == nil {
		s.add(id, Start{})
	}
}

// calm ends all faults and lets time pass, until there is a leader and everybody has what it has.
func (s *stormer) calm() {
	clear(s.cut)
	for _, id := range s.ids {
		if m := s.members[id]; m.down {
			s.boot(m)
		}
	}
	for range 30 {
		for range 10 {
			s.settle()
			for _, id := range s.ids {
				s.tick(s.members[id])
			}
		}
		if s.leader() != nil && s.even() {
			return
		}
		s.checkpointLeader()
	}
	for _, id := range s.ids {
		m := s.members[id]
		s.t.Errorf("member %d: %+v, committed %d, applied %d, reads %d, held %d, sum %x, of %v",
			id, m.Soft(), m.Committed(), m.state.Index, len(m.reads),
			len(m.props.queue)-m.props.head, m.state.sum, m.Members())
	}
	s.t.Fatal("no agreement after the storm")
}

// checkpointLeader gives those who need an image one that is not older than the log.
func (s *stormer) checkpointLeader() {
	if m := s.leader(); m != nil {
		m.checkpoint = m.state
		m.checkpoint.Installed = false
	}
}

// even says whether all members have what the leader has, and nobody waits for anything.
func (s *stormer) even() bool {
	lead := s.leader()
	for _, id := range slices.Concat(lead.Members().Voters, lead.Members().Learners) {
		m := s.members[id]
		if m.state.Index != lead.state.Index || m.state.sum != lead.state.sum || len(m.reads) > 0 {
			return false
		}
	}
	return !lead.props.holds()
}
