package checkpoint

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// world is a machine that is fed commands, and what a server would remember beside it between two
// checkpoints.
type world struct {
	t       testing.TB
	machine *state.Machine
	renew   bool // the next save makes a new file
	recent  []znode.Change
	from    znode.Zxid
	all     []znode.Change // every change that fires, since the beginning
	out     state.Outcome
	live    []session.Session
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, machine: state.New()}
	w.clean()
	return w
}

// clean forgets what has been saved.
func (w *world) clean() {
	w.renew = false
	w.recent, w.from = nil, w.machine.Zxid()
}

// apply runs a command at the next zxid and returns its error.
func (w *world) apply(c state.Command) error {
	w.machine.Apply(w.machine.Zxid()+1, state.AppendCommand(nil, &c), &w.out)
	for _, c := range w.out.Changes {
		if c.Kind != znode.Touched {
			w.recent = append(w.recent, c)
			w.all = append(w.all, c)
		}
	}
	return w.out.Err
}

// must applies a command that has to hold.
func (w *world) must(c state.Command) {
	w.t.Helper()
	if err := w.apply(c); err != nil {
		w.t.Fatalf("%v %s: %v", c.Kind, c.Op.Path, err)
	}
}

var anyone = []znode.ACE{{Perms: znode.PermAll, Scheme: "world", ID: "anyone"}}

func (w *world) open() session.Session {
	w.t.Helper()
	w.must(state.Command{Kind: state.OpenSession, TimeoutMs: 4000})
	w.live = append(w.live, w.out.Session)
	return w.out.Session
}

func (w *world) command(kind state.Kind, path string, data []byte) state.Command {
	s := w.live[0]
	return state.Command{
		Kind: kind, Session: s.ID, Epoch: s.Epoch, Time: int64(w.machine.Zxid()),
		Op: state.Op{Kind: kind, Path: path, Data: data, Version: znode.AnyVersion, ACL: anyone},
	}
}

func (w *world) create(path string, data string) { w.must(w.command(state.Create, path, []byte(data))) }
func (w *world) set(path string, data string)    { w.must(w.command(state.Set, path, []byte(data))) }
func (w *world) delete(path string)              { w.must(w.command(state.Delete, path, nil)) }

// stir applies n random commands to a small set of paths; many fail, which is as it should be.
func (w *world) stir(r *rand.Rand, n int) {
	if len(w.live) == 0 {
		w.open()
	}
	for range n {
		path := fmt.Sprintf("/n%d", r.IntN(40))
		if r.IntN(2) == 0 {
			path += fmt.Sprintf("/m%d", r.IntN(20))
		}
		if r.IntN(20) == 0 {
			path = fmt.Sprintf("/n%d", r.IntN(5)) + strings.Repeat("/"+strings.Repeat("long", 60), 1) +
				strings.Repeat("x", 900+r.IntN(5))
		}
		data := make([]byte, r.IntN(1<<r.IntN(11)))
		c := w.command(state.Create, path, data)
		c.Op.Flags = []int32{0, 0, 0, 0, 1, 2, 3, 4}[r.IntN(8)]
		switch r.IntN(12) {
		case 0, 1, 2:
			c = w.command(state.Set, path, data)
		case 3, 4:
			c = w.command(state.Delete, path, nil)
		case 5:
			c = w.command(state.SetACL, path, nil)
			c.Op.ACL = []znode.ACE{{Perms: int32(1 + r.IntN(31)), Scheme: "world", ID: "anyone"}}
		case 6:
			if s := w.live[r.IntN(len(w.live))]; len(w.live) > 1 && s.ID != w.live[0].ID {
				c.Session, c.Epoch = s.ID, s.Epoch
				c.Kind = []state.Kind{state.CloseSession, state.Create}[r.IntN(2)]
			}
		case 7:
			w.open()
			continue
		}
		c.Policy = state.SkipACL
		_ = w.apply(c)
	}
}

// view pins the state, and the changes since it was last saved.
func (w *world) view() (*state.View, Recent) {
	return w.machine.View(), Recent{From: w.from, Changes: w.recent}
}

// save writes the state to s.
func (w *world) save(s *Store) {
	w.t.Helper()
	v, d := w.view()
	s.renew = s.renew || w.renew
	if err := s.Write(v, d, Meta{Cluster: 7, Member: 1, Term: 3, Members: []byte("members"), Extra: []byte("extra")}); err != nil {
		w.t.Fatal(err)
	}
	w.clean()
}

// swift is options for tests: nobody waits.
var swift = Options{Pace: func(time.Duration) {}}

func openStore(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path, swift)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// reopen closes s and returns what a new start finds.
func reopen(t testing.TB, s *Store) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return openStore(t, s.path)
}

// same fails unless s holds exactly the state of the view.
func same(t testing.TB, s *Store, v *state.View) {
	t.Helper()
	m, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	sameState(t, m.View(), v)
}

// sameState compares two views record by record, in the way of AppendNode and AppendSession, which
// is independent of any digest.
func sameState(t testing.TB, got, want *state.View) {
	t.Helper()
	if got.Zxid != want.Zxid || got.Time != want.Time || got.Digest() != want.Digest() {
		t.Fatalf("state at %d time %d, want %d time %d", got.Zxid, got.Time, want.Zxid, want.Time)
	}
	if a, b := dump(got), dump(want); a != b {
		t.Fatalf("state differs:\n%q\nwant:\n%q", a, b)
	}
}

// dump is everything in a view, in the forms in which it is stored.
func dump(v *state.View) string {
	var b []byte
	for n := range v.Nodes.Walk {
		b = append(znode.AppendNode(b, n), '\n')
	}
	for s := range v.Sessions.Walk {
		b = append(session.AppendSession(b, s), '\n')
	}
	return string(b)
}
