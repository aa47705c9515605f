package member

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// world is a handful of servers that are started for the first time: they ask one another over a
// network that delays, crash at any step, and lose their directories.
type world struct {
	t       *rapid.T
	table   Table
	servers map[ID]*server
	drawn   uint64 // incarnations so far
}

// server is one of them: what is on its disk, and what a crash takes away.
type server struct {
	id    ID
	disk  disk
	shelf []disk // directories it had before, empty as well

	mine    Answer
	round   int           // counts the rounds of all its lives
	answers map[ID]Answer // of this round
	verdict *Verdict      // taken, and not yet on the disk
}

type disk struct {
	node             Node
	cluster          uint64
	voters, learners []Node
}

func newWorld(t *rapid.T, n int, observers int) *world {
	var peers []string
	for i := range n {
		peers = append(peers, fmt.Sprintf("%d=host%d:1", i+1, i+1))
		if i >= n-observers {
			peers[i] += ":observer"
		}
	}
	table, err := ParsePeers(strings.Join(peers, ","))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, table: table, servers: map[ID]*server{}}
	for _, m := range table.Members {
		w.servers[m.ID] = &server{id: m.ID}
		w.wipe(w.servers[m.ID])
	}
	return w
}

// wipe ends a server that comes back without its directory.
func (w *world) wipe(s *server) {
	if s.disk.node != 0 && s.disk.cluster == 0 {
		s.shelf = append(s.shelf, s.disk)
	}
	w.drawn += 1 << 8
	s.disk = disk{node: NewNode(s.id, w.drawn)}
	w.start(s)
}

// restore ends a server that comes back with a directory that it had before.
func (w *world) restore(s *server, i int) {
	if s.disk.cluster == 0 {
		s.disk, s.shelf[i] = s.shelf[i], s.disk
		w.start(s)
	}
}

// start is what a crash leads to: the disk is as it was, all else is gone.
func (w *world) start(s *server) {
	s.mine = Empty(s.disk.node, w.table)
	s.verdict = nil
	w.begin(s)
}

func (w *world) begin(s *server) {
	s.round++
	s.answers = map[ID]Answer{}
}

func (s *server) says() Answer {
	a := s.mine
	if s.disk.cluster != 0 {
		a.Cluster, a.Voters, a.Learners = s.disk.cluster, s.disk.voters, s.disk.learners
	}
	return a
}

// ask brings the answer of one to another in the round in which it was asked for; later it is lost.
func (w *world) ask(s, other *server) (deliver func()) {
	round, said := s.round, other.says()
	return func() {
		if s.round == round && s.verdict == nil {
			s.answers[other.id] = said
		}
	}
}

// judge ends a round.
func (w *world) judge(s *server) {
	if s.disk.cluster != 0 || s.verdict != nil {
		return
	}
	v := Found(s.mine, w.table, s.answers)
	switch v.Kind {
	case Wait:
		s.mine.Sees = v.Sees
		w.begin(s)
	case Bootstrap, Join:
		s.verdict = &v
	default:
		w.t.Fatalf("server %d refuses: %v", s.id, v.Err)
	}
}

// settle writes down what was decided. A server that joins and is no member yet would ask to be let
// in, and stays empty until it is.
func (w *world) settle(s *server) {
	v := s.verdict
	if v == nil {
		return
	}
	s.verdict = nil
	if v.Kind == Join && !v.Known {
		w.begin(s)
		return
	}
	if v.Kind == Bootstrap {
		for _, other := range w.servers {
			if c := other.disk.cluster; c != 0 && c != v.Cluster {
				w.t.Fatalf("server %d founds %x, and server %d lives in %x", s.id, v.Cluster, other.id, c)
			}
		}
	}
	s.disk.cluster, s.disk.voters, s.disk.learners = v.Cluster, v.Voters, v.Learners
}

// check holds at every moment: whoever is founded is of the same cluster.
func (w *world) check() {
	var cluster uint64
	for _, s := range w.servers {
		if c := s.disk.cluster; c != 0 && cluster != 0 && c != cluster {
			w.t.Fatalf("two clusters: %x and %x", c, cluster)
		} else if c != 0 {
			cluster = c
		}
	}
}

func TestServersFoundOneCluster(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "servers")
		w := newWorld(t, n, rapid.IntRange(0, n-1).Draw(t, "observers"))
		one := rapid.Custom(func(t *rapid.T) *server {
			return w.servers[rapid.Uint8Range(1, uint8(n)).Draw(t, "server")]
		})
		var onTheWay []func()
		wiped := false
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) { w.check() },
			"ask": func(t *rapid.T) {
				if s, other := one.Draw(t, "asks"), one.Draw(t, "asked"); s != other {
					onTheWay = append(onTheWay, w.ask(s, other))
				}
			},
			"ask all": func(t *rapid.T) { w.askAll(one.Draw(t, "asks")) },
			"ask all and judge": func(t *rapid.T) {
				s := one.Draw(t, "asks")
				w.askAll(s)
				w.judge(s)
			},
			"deliver": func(t *rapid.T) {
				if len(onTheWay) == 0 {
					t.Skip("nothing on the way")
				}
				i := rapid.IntRange(0, len(onTheWay)-1).Draw(t, "which")
				onTheWay[i]()
				onTheWay = append(onTheWay[:i], onTheWay[i+1:]...)
			},
			"restore": func(t *rapid.T) {
				s := one.Draw(t, "restore")
				if len(s.shelf) == 0 {
					t.Skip("no other directory")
				}
				w.restore(s, rapid.IntRange(0, len(s.shelf)-1).Draw(t, "which"))
				wiped = true
			},
			"judge":  func(t *rapid.T) { w.judge(one.Draw(t, "judge")) },
			"settle": func(t *rapid.T) { w.settle(one.Draw(t, "settle")) },
			"crash":  func(t *rapid.T) { w.start(one.Draw(t, "crash")) },
			"wipe": func(t *rapid.T) {
				w.wipe(one.Draw(t, "wipe"))
				wiped = true
			},
		})
		w.calm(wiped)
	})
}

func (w *world) askAll(s *server) {
	for _, m := range w.table.Members {
		if other := w.servers[m.ID]; other != s {
			w.ask(s, other)()
		}
	}
}

// calm lets everything go well from here on. If no directory was lost, all are then in one cluster,
// under the nodes they have had from the beginning; else all know which cluster it is, or none.
func (w *world) calm(wiped bool) {
	for range 8 {
		for _, m := range w.table.Members {
			s := w.servers[m.ID]
			w.begin(s)
			w.askAll(s)
			w.judge(s)
			w.settle(s)
			w.check()
		}
	}
	founded := 0
	for _, s := range w.servers {
		if s.disk.cluster != 0 {
			founded++
		}
	}
	if founded == 0 || !wiped && founded < len(w.servers) {
		w.t.Fatalf("%d of %d servers are in the cluster", founded, len(w.servers))
	}
}

func three3(t *testing.T) (Table, map[ID]Answer) {
	table, err := ParsePeers("1=a:1,2=b:1,3=c:1:observer")
	if err != nil {
		t.Fatal(err)
	}
	answers := map[ID]Answer{}
	for id := range ID(3) {
		answers[id+1] = Empty(NewNode(id+1, 0x500), table)
	}
	return table, answers
}

// An observer waits until a voter is founded: were it alone, nobody who may lead would know of anybody.
func TestAnObserverFoundsNothing(t *testing.T) {
	table, answers := three3(t)
	mine := answers[3]
	delete(answers, 3)
	mine.Sees = Found(mine, table, answers).Sees
	for id, a := range answers {
		a.Sees = mine.Sees
		answers[id] = a
	}
	if v := Found(mine, table, answers); v.Kind != Wait || v.Sees != mine.Sees || mine.Sees == 0 {
		t.Fatalf("%+v", v)
	}
	answers[1] = Answer{Node: answers[1].Node, Cluster: mine.Sees, Voters: []Node{0x501, 0x502}, Learners: []Node{0x503}}
	if v := Found(mine, table, answers); v.Kind != Join || !v.Known {
		t.Fatalf("%+v", v)
	}
}

func TestAFirstStart(t *testing.T) {
	table, answers := three3(t)
	mine := answers[1]
	delete(answers, 1)

	v := Found(mine, table, map[ID]Answer{2: answers[2]})
	if diff := cmp.Diff(Verdict{Kind: Wait, Missing: []ID{3}}, v); diff != "" {
		t.Fatal("one has not answered: ", diff)
	}
	v = Found(mine, table, answers)
	if diff := cmp.Diff(Verdict{Kind: Wait, Unsure: []ID{2, 3}, Sees: v.Sees}, v); diff != "" || v.Sees == 0 {
		t.Fatal("nobody has heard of anybody: ", diff)
	}
	mine.Sees = v.Sees
	for id, a := range answers {
		a.Sees = v.Sees
		answers[id] = a
	}
	v = Found(mine, table, answers)
	want := Verdict{
		Kind: Bootstrap, Cluster: mine.Sees, Table: table, Voters: []Node{0x501, 0x502}, Learners: []Node{0x503},
	}
	if diff := cmp.Diff(want, v); diff != "" {
		t.Fatal("all see the same: ", diff)
	}
	mine.Sees = 0
	if v = Found(mine, table, answers); v.Kind != Wait || v.Sees != want.Cluster {
		t.Fatalf("this one has not said so before: %+v", v)
	}
}

func TestOneIsFoundedAndTheOthersCrashed(t *testing.T) {
	table, answers := three3(t)
	mine := answers[1]
	founded := answers[2]
	founded.Cluster, founded.Voters, founded.Learners = 77, []Node{0x501, 0x502}, []Node{0x503}

	v := Found(mine, table, map[ID]Answer{2: founded})
	want := Verdict{Kind: Join, Cluster: 77, Voters: founded.Voters, Learners: founded.Learners, Known: true}
	if diff := cmp.Diff(want, v); diff != "" {
		t.Error("it is a voter already: ", diff)
	}
	mine.Node = NewNode(1, 0x600)
	want.Known = false
	if diff := cmp.Diff(want, Found(mine, table, map[ID]Answer{2: founded, 3: answers[3]})); diff != "" {
		t.Error("it has lost its directory: ", diff)
	}
	other := answers[3]
	other.Cluster = 78
	if v := Found(mine, table, map[ID]Answer{2: founded, 3: other}); !errors.Is(v.Err, ErrTwoClusters) || v.Kind != Refuse {
		t.Errorf("two clusters: %+v", v)
	}
}

func TestWhoIsRefused(t *testing.T) {
	table, answers := three3(t)
	mine := answers[1]
	delete(answers, 1)

	stranger := mine
	stranger.Node = NewNode(9, 1)
	if v := Found(stranger, table, answers); v.Kind != Refuse || !errors.Is(v.Err, ErrNotListed) {
		t.Errorf("not listed: %+v", v)
	}

	longer, err := ParsePeers("1=a:1,2=b:1,3=c:1")
	if err != nil {
		t.Fatal(err)
	}
	answers[3] = Empty(answers[3].Node, longer)
	v := Found(mine, table, answers)
	if v.Kind != Refuse || !errors.Is(v.Err, ErrTables) || !strings.Contains(v.Err.Error(), "server.3=c:1:1001:observer") {
		t.Errorf("other peers: %+v", v)
	}
	if v := Found(mine, table, map[ID]Answer{3: answers[3]}); v.Kind != Wait || !errors.Is(v.Err, ErrTables) {
		t.Errorf("somebody may still be founded: %+v", v)
	}
	answers[3] = Empty(NewNode(2, 1), table)
	if v := Found(mine, table, answers); v.Kind != Refuse || !errors.Is(v.Err, ErrWrongServer) {
		t.Errorf("another number: %+v", v)
	}
}

// Each server may know only where its own clients connect, as with an unmodified zoo.cfg.
func TestAllFoundWithTheSameTable(t *testing.T) {
	tables, answers := map[ID]Table{}, map[ID]Answer{}
	for id := range ID(3) {
		peers, err := ParsePeers("1=a:1,2=b:1,3=c:1")
		if err != nil {
			t.Fatal(err)
		}
		for i := range peers.Members {
			peers.Members[i].ClientHost, peers.Members[i].ClientPort = wildcard, 2181+int(id)
		}
		tables[id+1], answers[id+1] = peers, Empty(NewNode(id+1, 0x500), peers)
	}
	without := func(id ID) map[ID]Answer {
		others := maps.Clone(answers)
		delete(others, id)
		return others
	}
	for id := range ID(3) {
		a := answers[id+1]
		a.Sees = Found(a, tables[id+1], without(id+1)).Sees
		answers[id+1] = a
	}
	const want = "server.1=a:1:1001:participant;0.0.0.0:2181\nserver.2=b:1:1001:participant;0.0.0.0:2182\n" +
		"server.3=c:1:1001:participant;0.0.0.0:2183\nversion=0"
	for id := range ID(3) {
		v := Found(answers[id+1], tables[id+1], without(id+1))
		if v.Kind != Bootstrap || v.Table.String() != want || v.Cluster != answers[1].Sees {
			t.Errorf("server %d: %+v", id+1, v)
		}
	}
}

func TestAServerOfItsOwnWaitsForNobody(t *testing.T) {
	table, err := ParsePeers("5=a:1")
	if err != nil {
		t.Fatal(err)
	}
	v := Found(Empty(NewNode(5, 0x700), table), table, nil)
	if v.Kind != Bootstrap || v.Cluster == 0 || len(v.Voters) != 1 || v.Voters[0] != 0x705 {
		t.Errorf("%+v", v)
	}
}

func TestMessagesReadAsTheyWereWritten(t *testing.T) {
	nodes := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Node {
		return NewNode(rapid.Uint8Range(1, 255).Draw(t, "id"), rapid.Uint64().Draw(t, "random"))
	}), 1, 9)
	rapid.Check(t, func(t *rapid.T) {
		a := Empty(nodes.Draw(t, "node")[0], tables.Draw(t, "table"))
		a.Cluster, a.Sees = rapid.Uint64().Draw(t, "cluster"), rapid.Uint64().Draw(t, "sees")
		a.Voters, a.Learners = nodes.Draw(t, "voters"), nodes.Draw(t, "learners")
		got, err := DecodeAnswer(a.Append(nil))
		if diff := cmp.Diff(a, got); err != nil || diff != "" {
			t.Fatal(err, diff)
		}
		c := Candidate{Node: a.Node, Member: someone.Draw(t, "member")}
		c.Member.ID = c.Node.ID()
		back, err := DecodeCandidate(c.Append(nil))
		if diff := cmp.Diff(c, back); err != nil || diff != "" {
			t.Fatal(err, diff)
		}
	})
}

func FuzzMessages(f *testing.F) {
	table, err := ParsePeers("1=a:1,2=b:1")
	if err != nil {
		f.Fatal(err)
	}
	a := Empty(0x101, table)
	a.Voters = []Node{0x101, 0x102}
	f.Add(a.Append(nil))
	f.Add(Candidate{0x101, table.Members[0]}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := DecodeAnswer(b); err == nil {
			again, err := DecodeAnswer(a.Append(nil))
			if diff := cmp.Diff(a, again); err != nil || diff != "" {
				t.Fatal(err, diff)
			}
		} else if !errors.Is(err, ErrMessage) {
			t.Fatal(err)
		}
		if c, err := DecodeCandidate(b); err == nil && (c.Member.ID != c.Node.ID() || len(c.Member.Addrs) == 0) {
			t.Fatalf("%+v", c)
		} else if err != nil && !errors.Is(err, ErrMessage) {
			t.Fatal(err)
		}
	})
}
