package member

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// model is a cluster in which everything happens in any order: entries are agreed late or lost with
// their leader, servers die, lag, lose their directories, ask to be let in.
type model struct {
	t       *rapid.T
	now     Cluster
	alive   map[Node]bool
	lives   map[ID]int
	planner *Planner
	pending *Step // in the log and not applied

	asked  bool // the change under way was asked for:
	target Table
	before Table
}

func newModel(t *rapid.T) *model {
	m := &model{t: t, now: scene("1 2 3"), alive: map[Node]bool{}, lives: map[ID]int{}, planner: &Planner{}}
	for _, n := range m.now.Voters {
		m.alive[n] = true
		m.lives[n.ID()] = 1
	}
	return m
}

// see brings what the leader knows up to date.
func (m *model) see() Cluster {
	for _, n := range slices.Concat(m.now.Voters, m.now.Learners) {
		m.now.Progress[n] = Progress{m.now.Progress[n].Match, m.alive[n]}
	}
	return m.now
}

// ask lets a server ask to be let in: under its own node, if it has one that nobody removed.
func (m *model) ask(id ID) {
	n := nd(id, m.lives[id])
	if m.lives[id] == 0 || !m.alive[n] && m.gone(n) {
		m.lives[id]++
		n = nd(id, m.lives[id])
		m.alive[n] = true
	}
	if m.alive[n] && m.gone(n) {
		m.now.Candidates[id] = n
	}
}

func (m *model) gone(n Node) bool {
	return !slices.Contains(m.now.Voters, n) && !slices.Contains(m.now.Learners, n)
}

// kill ends a node, unless the leader would then lose its quorum.
func (m *model) kill(n Node) bool {
	live := 0
	for _, v := range m.now.Voters {
		if v != n && m.alive[v] {
			live++
		}
	}
	if n == m.now.Self || m.pending != nil || m.now.Joint || live <= len(m.now.Voters)/2 {
		return false
	}
	m.alive[n] = false
	return true
}

// wipe ends the server of a node for good; it will come back under another.
func (m *model) wipe(n Node) {
	if m.kill(n) {
		m.lives[n.ID()]++
		next := nd(n.ID(), m.lives[n.ID()])
		m.alive[next] = true
		m.now.Candidates[n.ID()] = next
	}
}

// step asks the planner once, and checks all that it gives.
func (m *model) step(refuse bool) {
	now := m.see()
	s, do, done, err := m.planner.Next(now)
	switch {
	case done || err != nil:
		m.ended(err)
	case do && refuse:
		m.planner.Failed()
	case do:
		m.judge(s)
		m.pending = &s
	}
}

// judge holds for every step.
func (m *model) judge(s Step) {
	if m.pending != nil || m.now.Joint || !m.now.Leading {
		m.t.Fatalf("gives %v while a change is under way", s)
	}
	after := m.now
	after.Progress = map[Node]Progress{}
	after.take(s)
	ready := 0
	for _, n := range after.Voters {
		if m.now.ready(n) {
			ready++
		} else if !slices.Contains(m.now.Voters, n) {
			m.t.Fatalf("%v is to vote, and lacks data", n)
		}
	}
	if !slices.Equal(after.Voters, slices.Sorted(slices.Values(m.now.Voters))) && ready <= len(after.Voters)/2 {
		m.t.Fatalf("%v leaves %d of %d voters with the data", s, ready, len(after.Voters))
	}
	if s.Table == nil && m.asked && len(after.Voters) != len(m.now.Voters) {
		m.t.Fatalf("%v changes who votes, and not the table", s)
	}
}

func (m *model) ended(err error) {
	table := m.now.Table
	switch {
	case err == nil && m.asked && !table.Same(m.target):
		m.t.Fatalf("done, and the table is\n%v\nnot\n%v", table, m.target)
	case err != nil && !errors.Is(err, ErrUndecided) && !table.Same(m.before):
		m.t.Fatalf("%v, and the table has changed", err)
	case err != nil && !errors.Is(err, ErrUndecided) && m.pending != nil && m.pending.Table != nil:
		m.t.Fatalf("%v, and the table will change", err)
	}
	if err == nil || errors.Is(err, ErrAbandoned) {
		m.whole() // so nothing of it is left behind, either
	}
	m.asked = false
}

// whole checks that the members of the table, and nobody else, are in the cluster, one node each.
func (m *model) whole() {
	var voters, learners []ID
	for _, n := range m.now.Voters {
		voters = append(voters, n.ID())
	}
	for _, n := range m.now.Learners {
		learners = append(learners, n.ID())
	}
	var wantVoters, wantLearners []ID
	for _, one := range m.now.Table.Members {
		if one.Role == Observer {
			wantLearners = append(wantLearners, one.ID)
		} else {
			wantVoters = append(wantVoters, one.ID)
		}
	}
	slices.Sort(voters)
	slices.Sort(learners)
	if !slices.Equal(voters, wantVoters) || !slices.Equal(learners, wantLearners) {
		m.t.Fatalf("voters %v, learners %v, and the table is\n%v", voters, learners, m.now.Table)
	}
}

// apply carries out what is in the log.
func (m *model) apply() {
	if m.pending == nil {
		return
	}
	s := *m.pending
	m.pending = nil
	leading := m.now.Leading
	m.now.take(s)
	m.now.Joint = len(s.Changes) > 1
	if m.now.Joint {
		m.now.Leading = leading // it leads until the joint membership is left
	}
	m.look()
}

func (m *model) leave() {
	if m.now.Joint {
		m.now.Joint = false
		m.now.Leading = m.now.Leading && slices.Contains(m.now.Voters, m.now.Self)
		m.look()
	}
}

// look lets a leader that has removed itself see that, and another take over.
func (m *model) look() {
	if !m.now.Leading {
		m.depose(false)
	}
}

// depose makes another voter the leader. What the old one had in the log is agreed, or lost.
func (m *model) depose(lost bool) {
	for _, n := range m.now.Voters {
		if n == m.now.Self || !m.see().Progress[n].Active || m.now.Joint {
			continue
		}
		m.now.Leading = false
		m.step(false)
		if m.planner.Busy() {
			m.t.Fatal("leadership is lost, and the planner goes on")
		}
		if lost {
			m.pending = nil
		}
		if old := m.now.Self; !m.gone(old) {
			m.alive[old] = true
		}
		m.now.Self, m.now.Leading, m.planner = n, true, &Planner{}
		m.now.Progress[n] = Progress{m.now.Last, true}
		m.apply() // a leader looks at the cluster only when an entry of its own is applied
		return
	}
	if !slices.Contains(m.now.Voters, m.now.Self) {
		m.t.Fatal("nobody can lead")
	}
}

func (m *model) begin(target Table) {
	now := m.see()
	before, busy := now.Table, m.planner.Taken()
	err := m.planner.Begin(target, now)
	if busy && err == nil {
		m.t.Fatal("two changes at once")
	}
	if err == nil {
		m.asked, m.target, m.before = true, target, before
	}
}

func TestTheClusterEndsInTheTableOrAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		number := rapid.Uint8Range(1, 6)
		member := func(t *rapid.T) Node {
			return rapid.SampledFrom(slices.Concat(m.now.Voters, m.now.Learners)).Draw(t, "node")
		}
		step := func(t *rapid.T) { m.step(rapid.IntRange(0, 9).Draw(t, "refuse") == 0) }
		t.Repeat(map[string]func(*rapid.T){
			"next": step, "next again": step, "once more": step,
			"apply": func(*rapid.T) { m.apply() },
			"leave": func(*rapid.T) { m.leave() },
			"catch up": func(t *rapid.T) {
				if n := member(t); m.alive[n] {
					m.now.Progress[n] = Progress{m.now.Last, true}
				}
			},
			"write":  func(t *rapid.T) { m.now.Last += rapid.Uint64Range(0, 1200).Draw(t, "entries") },
			"kill":   func(t *rapid.T) { m.kill(member(t)) },
			"revive": func(t *rapid.T) { m.revive(member(t)) },
			"wipe":   func(t *rapid.T) { m.wipe(member(t)) },
			"ask":    func(t *rapid.T) { m.ask(number.Draw(t, "asks")) },
			"forget": func(t *rapid.T) { delete(m.now.Candidates, number.Draw(t, "forgotten")) },
			"begin":  func(t *rapid.T) { m.begin(drawTarget(t, m.now.Table)) },
			"repair": func(*rapid.T) {
				if m.planner.Replacement(m.see()) {
					m.asked, m.before = false, m.now.Table
				}
			},
			"abandon": func(*rapid.T) { m.planner.Abandon(ErrAbandoned) },
			"depose": func(t *rapid.T) {
				if !m.now.Joint {
					m.depose(rapid.Bool().Draw(t, "lost"))
				}
			},
		})
		m.calm()
	})
}

// revive brings a node back, unless its server has another by now.
func (m *model) revive(n Node) {
	if n == nd(n.ID(), m.lives[n.ID()]) {
		m.alive[n] = true
	}
}

func drawTarget(t *rapid.T, now Table) Table {
	var words []string
	for _, m := range now.Members {
		words = append(words, m.word())
	}
	for range rapid.IntRange(1, 3).Draw(t, "differences") {
		number := rapid.SampledFrom([]string{"1", "2", "3", "4", "5", "6"}).Draw(t, "number")
		words = slices.DeleteFunc(words, func(w string) bool { return strings.HasPrefix(w, number) })
		switch rapid.IntRange(0, 3).Draw(t, "difference") {
		case 0:
			words = append(words, number)
		case 1:
			words = append(words, number+"o")
		case 2:
			words = append(words, number+"@moved")
		}
	}
	return of(strings.Join(words, " "))
}

func (m Member) word() string {
	word := string('0' + rune(m.ID))
	if m.Role == Observer {
		word += "o"
	}
	return word + "@" + m.Addrs[0].Host
}

// calm lets everything go well from here on: the change under way ends, and after it the cluster is
// what the table says.
func (m *model) calm() {
	for range 60 {
		for _, n := range slices.Concat(m.now.Voters, m.now.Learners) {
			m.revive(n)
			if m.alive[n] {
				m.now.Progress[n] = Progress{m.now.Last, true}
			}
		}
		for id := range ID(6) {
			m.ask(id + 1)
		}
		m.apply()
		m.leave()
		m.step(false)
		if m.planner.Replacement(m.see()) {
			m.asked, m.before = false, m.now.Table
		}
	}
	if m.planner.Busy() || m.pending != nil {
		m.t.Fatalf("it does not end: waits for %s", m.planner.Waiting(m.see()))
	}
	m.whole()
	for _, n := range slices.Concat(m.now.Voters, m.now.Learners) {
		if !m.alive[n] {
			m.t.Fatalf("%v is dead, and has its place", n)
		}
	}
}
