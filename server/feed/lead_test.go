package feed_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
)

// stream is what a feed has sent to one leader, in one term, over one connection, and that has not
// arrived there yet.
type stream struct {
	leader, term uint64
	flight       [][]byte
}

// wires is a log behind leaders that come and go and connections that break: what is sent arrives in
// order over each connection, up to where that breaks, and only while its leader leads in its term.
type wires struct {
	leader, term uint64
	broken       bool // the connection in use: the next load goes over a new one
	streams      []stream
	entries      []replica.Entry // agreed, not applied
	index        uint64
	refuse       bool
}

func (w *wires) Propose(leader, term uint64, commands [][]byte) error {
	if w.refuse {
		return errRefused
	}
	for _, c := range commands {
		if len(c) == 0 {
			panic("an empty command was sent")
		}
	}
	last := len(w.streams) - 1
	if last < 0 || w.broken || w.streams[last].leader != leader || w.streams[last].term != term {
		w.streams, w.broken = append(w.streams, stream{leader: leader, term: term}), false
		last++
	}
	w.streams[last].flight = append(w.streams[last].flight, commands...)
	return nil
}

func (w *wires) ReadIndex(func(uint64, error)) error { return errRefused }

// arrive brings the next n commands of a stream to their leader.
func (w *wires) arrive(i, n int) {
	s := &w.streams[i]
	for _, c := range s.flight[:n] {
		if s.leader == w.leader && s.term == w.term {
			w.index++
			w.entries = append(w.entries, replica.Entry{Index: w.index, Term: s.term, Data: c})
		}
	}
	s.flight = s.flight[n:]
}

// cut breaks the connection in use, with what is under way on it.
func (w *wires) cut() {
	if last := len(w.streams) - 1; last >= 0 {
		w.streams[last].flight, w.broken = nil, true
	}
}

// trial is one feed that writes into wires, and what it was told.
type trial struct {
	*rapid.T
	*feed.Feed
	w    *wires
	in   *feed.Inbox
	sent uint64 // tickets
	told []string
	want []string
}

func newTrial(t *rapid.T) *trial {
	m := state.New()
	var out state.Outcome
	m.Apply(1, nil, &out)
	r := &trial{T: t, w: &wires{index: 1}}
	r.Feed = feed.New(feed.Config{
		Machine: m, Log: r.w, Server: 1, RecentMax: 1, InboxBytesMax: 1 << 20, PendingBytesMax: 1 << 20,
	})
	r.Begin(1)
	r.in = r.Join(here, func() {})
	return r
}

func (r *trial) pick(label string, n int) int { return rapid.IntRange(0, n-1).Draw(r.T, label) }

// submit creates sequential nodes: their names tell in which order they were made, and how often.
func (r *trial) submit() {
	var subs []feed.Submission
	for range 1 + r.pick("commands", 5) {
		c := state.Command{Kind: state.OpenSession, TimeoutMs: int32(4000 + r.sent), Origin: r.Origin()}
		r.want = append(r.want, fmt.Sprint(r.sent, " <nil> ", 4000+r.sent))
		subs = append(subs, feed.Submission{Ticket: r.sent, Command: state.AppendCommand(nil, &c)})
		r.sent++
	}
	if err := r.Submit(r.in, subs); err != nil {
		r.Fatal(err)
	}
}

func (r *trial) arrive() {
	if n := len(r.w.streams); n > 0 {
		i := r.pick("stream", n)
		r.w.arrive(i, r.pick("arrive", len(r.w.streams[i].flight)+1))
	}
}

func (r *trial) apply() {
	n := r.pick("apply", len(r.w.entries)+1)
	batch := r.w.entries[:n]
	r.w.entries = r.w.entries[n:]
	r.Apply(batch)
	done, _ := r.in.TakeDone(nil)
	for _, c := range done {
		r.told = append(r.told, fmt.Sprint(c.Ticket, " ", c.Result.Err, " ", c.Result.Session.TimeoutMs))
	}
}

// lead lets another lead, or nobody. The feed hears of it now or later; what the old leader had agreed on
// stays.
func (r *trial) lead(leader uint64) {
	r.w.leader, r.w.term = leader, r.w.term+1
	if leader == 0 || r.pick("late", 2) == 0 {
		r.Lead(r.w.leader, r.w.term)
	}
}

// haunt lets a command of another start of this server come up in the log, perhaps of a later one.
func (r *trial) haunt() {
	o := state.Origin{Server: 1, Boot: r.Origin().Boot + uint64(r.pick("boot", 3)) - 1, Seq: 1}
	if o.Boot == r.Origin().Boot {
		return
	}
	ghost := state.Command{Kind: state.Noop, Origin: o}
	r.w.index++
	r.w.entries = append(r.w.entries, replica.Entry{Index: r.w.index, Term: r.w.term, Data: state.AppendCommand(nil, &ghost)})
}

func (r *trial) step() {
	switch r.pick("step", 11) {
	case 10:
		r.haunt()
	case 0, 1, 2:
		r.submit()
	case 3, 4:
		r.arrive()
	case 5, 6:
		r.apply()
	case 7:
		r.lead(uint64(r.pick("leader", 4)))
	case 8:
		r.w.cut()
		if r.pick("lost", 2) == 0 {
			r.Resend()
		}
	case 9:
		r.w.refuse = !r.w.refuse
		r.Pump()
	}
}

// settle lets somebody lead for good.
func (r *trial) settle() {
	r.w.refuse = false
	if r.w.leader == 0 || r.pick("new leader", 2) == 0 {
		r.w.leader, r.w.term = 1, r.w.term+1
		r.Lead(r.w.leader, r.w.term)
	} else {
		r.Lead(r.w.leader, r.w.term) // it may know
		r.Resend()                   // what was cut and not told
	}
	for i := range r.w.streams {
		r.w.arrive(i, len(r.w.streams[i].flight))
	}
	for len(r.w.entries) > 0 {
		r.apply()
		for i := range r.w.streams { // renumbered, after a ghost
			r.w.arrive(i, len(r.w.streams[i].flight))
		}
	}
}

// Whatever happens to leaders and connections, every command is applied once, in the order in which it
// was submitted, and whoever waits for it is told so once.
func TestChangesOfLeaderLoseNothingAndRepeatNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newTrial(t)
		for range r.pick("steps", 100) {
			r.step()
		}
		r.settle()
		if fmt.Sprint(r.told) != fmt.Sprint(r.want) {
			t.Fatalf("told %v\nwant %v", r.told, r.want)
		}
		if n, bytes := r.Pending(); n != 0 || bytes != 0 {
			t.Fatalf("%d commands of %d bytes are pending after all were applied", n, bytes)
		}
		if n := r.View().Sessions.Len(); n != int(r.sent) {
			t.Fatalf("%d sessions of %d submissions", n, r.sent)
		}
	})
}

// A leader that is not known yet, or is so no more, keeps nobody waiting but for room.
func TestWhileNobodyLeadsCommandsWait(t *testing.T) {
	d := newDesk(t, nil)
	a := d.open()
	d.Lead(0, 2)
	a.create("/a")
	a.set("/a")
	if len(d.log.pending) != 0 {
		t.Fatal("commands were sent to nobody")
	}
	d.Lead(2, 3)
	d.Lead(2, 3) // said again, it changes nothing
	if len(d.log.pending) != 2 {
		t.Fatalf("%d commands were sent to the new leader", len(d.log.pending))
	}
	d.apply()
	want(t, "a", a.taken(), "2: <nil>", "3: <nil>")
}

// A verdict is nobody's command: it goes once, in the term it was judged in, and leaves no trace in the
// stream of numbers.
func TestAVerdictIsOutsideOfTheStream(t *testing.T) {
	d := newDesk(t, nil)
	a, b := d.open(), d.open()
	verdict := state.Command{Kind: state.ExpireSession, Session: a.id, Epoch: 1}
	if err := d.Propose(1, 1, &verdict); err != nil {
		t.Fatal(err)
	}
	if n, _ := d.Pending(); n != 0 {
		t.Errorf("%d commands are pending", n)
	}
	d.Resend()
	d.Lead(2, 2)
	if n := len(d.log.pending); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
	b.create("/b")
	d.apply()
	want(t, "a", a.taken(), "end")
	want(t, "b", b.taken(), "2: <nil>")
}

// A new leader is sent what is under way in loads, each of which the log may refuse.
func TestWhatIsUnderWayGoesInLoads(t *testing.T) {
	d := newDesk(t, func(c *feed.Config) { c.PendingBytesMax = 16 << 20 })
	a := d.open()
	d.Lead(0, 2)
	const n = 5
	for i := range n {
		a.propose(state.Command{Kind: state.Create, Op: state.Op{
			Kind: state.Create, Path: fmt.Sprint("/", i), Data: make([]byte, 700<<10), ACL: anyone,
		}})
	}
	d.log.loads = 0
	d.Lead(1, 3)
	if d.log.loads != n {
		t.Errorf("%d loads, want %d", d.log.loads, n)
	}
	d.apply()
	if got := d.View().Nodes.CountBelow("/"); got != n+3 {
		t.Errorf("%d nodes", got)
	}
}

// The room of what is applied is used again, and what is not sent yet is not forgotten over it.
func TestALongQueueIsSentToItsEnd(t *testing.T) {
	d := newDesk(t, func(c *feed.Config) { c.PendingBytesMax = 16 << 20 })
	a := d.open()
	for range 6000 {
		a.set("/")
	}
	d.log.refuse = errRefused
	for range 3000 {
		a.set("/")
	}
	d.applied(5000)
	d.log.refuse = nil
	d.Pump()
	d.apply()
	if n, bytes := d.Pending(); n != 0 || bytes != 0 {
		t.Errorf("%d commands of %d bytes are pending after all were applied", n, bytes)
	}
}
