package replica

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is an Applier that remembers, and a source and sink of images.
type recorder struct {
	mu      sync.Mutex
	applied []string // by index, from base+1
	base    uint64
	last    Entry
	conf    []byte
	hold    chan struct{} // Apply waits for it to close, if set
}

func (r *recorder) Apply(entries []Entry) {
	if r.hold != nil {
		<-r.hold
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range entries {
		if e.Index != r.base+uint64(len(r.applied))+1 {
			panic(fmt.Sprintf("entry %d applied after %d", e.Index, r.base+uint64(len(r.applied))))
		}
		r.applied = append(r.applied, string(e.Data))
		r.last = e
		if e.ConfState != nil {
			r.conf = e.ConfState
		}
	}
}

func (r *recorder) Latest() (Image, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	data := []byte(strings.Join(r.payloads(), "\n"))
	return Image{Index: r.last.Index, Term: r.last.Term, ConfState: r.conf, Data: data}, true
}

func (r *recorder) Install(i Image) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.base, r.applied, r.conf = i.Index, nil, i.ConfState
	r.last = Entry{Index: i.Index, Term: i.Term}
	return nil
}

// payloads returns what was applied but for the entries without content.
func (r *recorder) payloads() []string {
	return slices.DeleteFunc(slices.Clone(r.applied), func(s string) bool { return s == "" })
}

func (r *recorder) all() []string { r.mu.Lock(); defer r.mu.Unlock(); return r.payloads() }

// running is a Replica in a test.
type running struct {
	*Replica
	t     *testing.T
	log   *memLog
	app   *recorder
	stop  context.CancelFunc
	ended chan struct{}
	err   error // of Run, once ended
}

// begin opens and runs a replica; cfg needs to say only what matters.
func begin(t *testing.T, cfg Config) *running {
	t.Helper()
	r := &running{t: t, ended: make(chan struct{})}
	if cfg.ID == 0 {
		cfg.ID = 1
	}
	if cfg.Start.ConfState == nil && cfg.Peers == nil {
		cfg.Start = Bootstrap(1)
	}
	if cfg.Log == nil {
		cfg.Log = newMemLog(cfg.Start)
	}
	if cfg.Applier == nil {
		cfg.Applier = &recorder{base: cfg.Start.Index, conf: cfg.Start.ConfState}
	}
	r.log, r.app = cfg.Log.(*memLog), cfg.Applier.(*recorder)
	var err error
	if r.Replica, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	go func() {
		defer close(r.ended)
		r.err = r.Run(ctx)
	}()
	return r
}

// end stops r and wants no error.
func (r *running) end() {
	r.t.Helper()
	r.stop()
	<-r.ended
	if r.err != nil {
		r.t.Errorf("run: %v", r.err)
	}
}

func payloads(ps ...string) (out [][]byte) {
	for _, p := range ps {
		out = append(out, []byte(p))
	}
	return out
}

// propose proposes in the term that r is in, once nothing moves any more.
func (r *running) propose(ps ...string) error {
	synctest.Wait()
	return r.Propose(r.Status().Term, payloads(ps...))
}

func (r *running) mustPropose(ps ...string) {
	r.t.Helper()
	if err := r.propose(ps...); err != nil {
		r.t.Fatal(err)
	}
}

func isClosed[T any](c <-chan T) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestProposedIsApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, Config{})
		synctest.Wait()
		if !isClosed(r.Ready()) {
			t.Error("a lone voter is not ready at once")
		}
		var all []string
		for i := range 100 {
			a, b := fmt.Sprint("a", i), fmt.Sprint("b", i)
			r.mustPropose(a, b)
			all = append(all, a, b)
		}
		synctest.Wait()
		if got := r.app.all(); !slices.Equal(got, all) {
			t.Errorf("applied %q", got)
		}
		s := r.Status()
		want := Status{
			ID: 1, Leader: 1, Term: 2, Role: Leader, Applied: 202, Committed: 202,
			FirstIndex: 2, LastIndex: 202, Voters: []uint64{1},
		}
		if me, ok := s.Progress[1]; !ok || !me.Active || me.Learner {
			t.Errorf("progress %+v", s.Progress)
		}
		if s.Progress = nil; !reflect.DeepEqual(s, want) {
			t.Errorf("status %+v", s)
		}
		r.end()
		if err := r.propose("late"); !errors.Is(err, ErrStopped) {
			t.Errorf("propose after the end: %v", err)
		}
		if err := r.ReadIndex(func(uint64, error) {}); !errors.Is(err, ErrStopped) {
			t.Errorf("read after the end: %v", err)
		}
	})
}

// What is read before there is a leader waits for one; what is proposed is dropped.
func TestProposedBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := Bootstrap(1)
		app := &recorder{base: 1}
		rep, err := Open(Config{ID: 1, Log: newMemLog(start), Start: start, Applier: app})
		if err != nil {
			t.Fatal(err)
		}
		var read uint64
		_ = rep.ReadIndex(func(index uint64, err error) { read = index })
		for term := range uint64(4) {
			_ = rep.Propose(term, payloads("a", "b"))
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go rep.Run(ctx)
		synctest.Wait()
		if got := app.all(); len(got) > 0 || read < 2 {
			t.Errorf("applied %q, read at %d", got, read)
		}
		for term := range uint64(4) { // it leads term 2, and that only
			_ = rep.Propose(term, payloads(fmt.Sprint("of term ", term)))
		}
		synctest.Wait()
		if got := app.all(); !slices.Equal(got, []string{"of term 2"}) {
			t.Errorf("applied %q", got)
		}
	})
}

// Restarted on what is on disk, everything is applied again, in order and before Ready.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, Config{})
		r.mustPropose("a", "b", "c")
		synctest.Wait()
		r.end()
		r.log.cutPower()
		again := begin(t, Config{Log: r.log})
		<-again.Ready()
		if got := again.app.all(); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("applied %q", got)
		}
		if s := again.Status(); s.Applied != 6 || s.Term != 3 {
			t.Errorf("status %+v", s)
		}
		again.end()
	})
}

// When the log cannot keep up, proposals are refused at the bound, and nothing that was taken is
// lost.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each = entryOverhead + 10
		r := begin(t, Config{Limits: Limits{ProposedBytes: 20 * each, InflightBytes: 10 * each}})
		synctest.Wait()
		block := make(chan struct{})
		r.log.mu.Lock()
		r.log.block = block
		r.log.mu.Unlock()
		var want []string
		for i := 0; ; i++ {
			p := fmt.Sprintf("payload %2d", i)
			if err := r.propose(p); errors.Is(err, ErrOverloaded) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if want = append(want, p); i > 100 {
				t.Fatal("no bound")
			}
		}
		if n := len(want); n < 20 || n > 35 {
			t.Errorf("%d proposals taken", n)
		}
		close(block)
		synctest.Wait()
		if got := r.app.all(); !slices.Equal(got, want) {
			t.Errorf("applied %q", got)
		}
		r.end()
	})
}

// A slow applier holds up proposals, not the other way round, and bounds what waits for it.
func TestSlowApplier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := &recorder{base: 1, hold: make(chan struct{})}
		r := begin(t, Config{Applier: app, Limits: Limits{
			ProposedBytes: 1 << 20, InflightBytes: 50 * (entryOverhead + 4), ApplyBytes: 200,
		}})
		var want []string
		for i := range 1000 {
			want = append(want, fmt.Sprintf("%4d", i))
			r.mustPropose(want[i])
			if i%10 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		if s := r.Status(); s.LastIndex > 60 || s.Applied != 1 {
			t.Errorf("status %+v", s)
		}
		close(app.hold)
		synctest.Wait()
		if got := app.all(); !slices.Equal(got, want) {
			t.Errorf("applied %d, out of order or not all", len(got))
		}
		r.end()
	})
}

func TestReadsAreAnsweredInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, Config{})
		var answers []uint64
		for i := range 20 {
			r.mustPropose(fmt.Sprint(i))
			synctest.Wait()
			if err := r.ReadIndex(func(index uint64, err error) { answers = append(answers, index) }); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if len(answers) != 20 || !slices.IsSorted(answers) || answers[19] != 22 || answers[0] < 3 {
			t.Errorf("answers %v", answers)
		}
		r.end()
	})
}

// What the state on disk has, the log lets go.
func TestReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, Config{})
		r.mustPropose("a", "b", "c", "d")
		synctest.Wait()
		for range 2 {
			if err := r.Released(4); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if first := r.log.First(); first != 4 {
			t.Errorf("log begins at %d", first)
		}
		if s := r.Status(); s.FirstIndex != 5 {
			t.Errorf("status %+v", s)
		}
		if err := r.Released(99); err != nil { // more than is applied: as much as there is
			t.Fatal(err)
		}
		synctest.Wait()
		r.mustPropose("e")
		synctest.Wait()
		if first, last := r.log.First(), r.log.Last(); first != 6 || last != 7 {
			t.Errorf("log holds %d to %d", first, last)
		}
		r.end()
	})
}

// A start that says that its state came from an image, and that the log does not reach, begins the
// log anew; without saying so it is refused.
func TestStartAfterInstall(t *testing.T) {
	conf := Bootstrap(1).ConfState
	cfg := Config{
		ID: 1, Log: newMemLog(Bootstrap(1)), Applier: &recorder{},
		Start: Start{Index: 50, Term: 7, ConfState: conf},
	}
	if _, err := Open(cfg); !errors.Is(err, ErrStart) {
		t.Errorf("state ahead of the log: %v", err)
	}
	cfg.Start.Installed = true
	r, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if s := r.Status(); s.FirstIndex != 51 || s.Applied != 50 || s.Term != 7 {
		t.Errorf("status %+v", s)
	}
}

func TestConfigIsChecked(t *testing.T) {
	start := Bootstrap(1)
	for name, cfg := range map[string]Config{
		"id":      {Log: newMemLog(start), Start: start, Applier: &recorder{}},
		"log":     {ID: 1, Start: start, Applier: &recorder{}},
		"applier": {ID: 1, Log: newMemLog(start), Start: start},
		"tick":    {ID: 1, Log: newMemLog(start), Start: start, Applier: &recorder{}, Tick: -time.Second},
	} {
		if _, err := Open(cfg); err == nil {
			t.Errorf("%s: not checked", name)
		}
	}
}
