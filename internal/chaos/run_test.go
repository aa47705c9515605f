//go:build linux

package chaos

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
)

const workerCount = 6

// run is one data directory, the server on it, the clients, and what is known of all of them.
type run struct {
	t     *testing.T
	seed  uint64
	rng   *rand.Rand // of whoever drives the run
	dir   string
	begun time.Time

	server  *process
	workers []*worker
	ears    *listener
	tree    *tree // as last looked at
	closed  []credentials
	strays  []stray

	newest   atomic.Int64         // zxid that any client has seen
	place    func(who int) string // where a client connects; nil: to the one server there is
	wait     time.Duration        // for a connection and for any answer; zero: patience
	pace     time.Duration        // between two windows of one worker
	lossy    bool                 // in this round a server has got the tree of another
	stubborn bool                 // clients come back, to whatever server there is, until it is over

	over   atomic.Bool // clients may lose their connections, and end
	mortal atomic.Bool // the server may end by itself: so clients end with their connections

	mu    sync.Mutex
	count int           // answers still to come before
	hit   chan struct{} // is closed
	beat  time.Time     // of the last answer
	gap   time.Duration // the longest between two

	rounds, acknowledged, lost, without int
}

// newRun prepares a run in dir, or in a directory of its own that outlives a failed test. Nothing is
// started.
func newRun(t *testing.T, dir string) *run {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("GROVE_CHAOS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	r := &run{t: t, seed: seed, dir: dir, begun: time.Now(), rng: rand.New(rand.NewPCG(seed, 0))}
	if dir == "" {
		root, err := os.MkdirTemp("", "grove-chaos-data-")
		if err != nil {
			t.Fatal(err)
		}
		r.dir = filepath.Join(root, "data")
	}
	t.Cleanup(r.end)
	return r
}

// end stops what still runs, and after a failure says how to have it again.
func (r *run) end() {
	if r.server != nil {
		if err := r.server.kill(); err != nil {
			r.t.Error(err)
		}
	}
	if !r.t.Failed() {
		os.RemoveAll(filepath.Dir(r.dir))
		return
	}
	how := fmt.Sprintf("GROVE_CHAOS_KILLS=%d", kills())
	test, servers, several := strings.Cut(r.t.Name(), "/")
	if several {
		how = fmt.Sprintf("GROVE_CHAOS_SECONDS=%d", seconds())
	}
	r.t.Logf("round %d %s. To repeat: GROVE_CHAOS_SEED=%d %s go test -count=1 -run '^%s$' ./internal/chaos",
		r.rounds, servers, r.seed, how, test)
	r.t.Logf("the data directory is kept: %s", r.dir)
	if r.server != nil {
		r.t.Logf("the server's last words:\n%s", r.server.log)
	}
}

func (r *run) now() int64 { return int64(time.Since(r.begun)) }

// anywhere is who has no server of its own.
const anywhere = -1

// dial connects worker who, or one that does not mind to which server.
func (r *run) dial(who int) (*conn, error) {
	if r.place == nil {
		return dial(r.server.addr)
	}
	return dialFor(r.place(who), r.wait)
}

// advance notes that a client has seen zxid.
func (r *run) advance(zxid int64) {
	for {
		was := r.newest.Load()
		if zxid <= was || r.newest.CompareAndSwap(was, zxid) {
			return
		}
	}
}

// bury notes that a session has ended as its client has asked.
func (r *run) bury(who credentials) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = append(r.closed, who)
}

// answered counts an answer.
func (r *run) answered() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.gap, r.beat = max(r.gap, now.Sub(r.beat)), now
	if r.count--; r.count == 0 {
		close(r.hit)
	}
}

// answers returns a channel that is closed after so many answers to workers.
func (r *run) answers(n int) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count, r.hit = n, make(chan struct{})
	return r.hit
}

// checkpoint returns a channel that is closed when the server has written a checkpoint, and is about to let
// go of the log below it.
func (r *run) checkpoint() <-chan struct{} {
	written := make(chan struct{})
	var once sync.Once
	r.server.onLine(func(line string) {
		if strings.Contains(line, "checkpoint written") {
			once.Do(func() { close(written) })
		}
	})
	return written
}

// start starts a server on the directory and looks at what it has. After a round, it judges it.
func (r *run) start(wrapper ...string) {
	r.t.Helper()
	if err := r.launch(wrapper...); err != nil {
		r.t.Fatal(err)
	}
	r.look()
}

func (r *run) launch(wrapper ...string) error {
	var err error
	if r.server, err = launch(r.dir, wrapper...); err != nil {
		return err
	}
	if err := r.server.ready(); err != nil {
		return err
	}
	if newest := r.newest.Load(); r.server.zxid < newest {
		return fmt.Errorf("ready at zxid %d, and clients have seen %d", r.server.zxid, newest)
	}
	return nil
}

// look reads the tree, and holds the round that has ended to it.
func (r *run) look() {
	r.t.Helper()
	c, err := r.dial(anywhere)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.close()
	if _, err := c.hello(credentials{}, longTimeout, r.newest.Load()); err != nil {
		r.t.Fatalf("open a session to look around: %v", err)
	}
	if r.tree == nil {
		r.prepare(c)
	}
	now, err := look(c)
	if err != nil {
		r.t.Fatal(err)
	}
	if newest := r.newest.Load(); now.zxid < newest {
		r.t.Fatalf("the tree is of zxid %d, and clients have seen %d", now.zxid, newest)
	}
	r.advance(now.zxid)
	alive, err := living(c.nc.RemoteAddr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.hold(now, alive)
	if _, err := c.call(wire.OpCloseSession, nil, nil); err != nil {
		r.t.Fatal(err)
	}
}

// hold sees what is wrong with a tree, and with the round that it ends.
func (r *run) hold(now *tree, alive map[int64]bool) {
	r.t.Helper()
	wrong := now.sound(alive)
	if r.tree != nil {
		wrong = append(wrong, r.judge(now)...)
	}
	wrong = append(wrong, r.checkStrays(now)...)
	if r.tree == nil {
		if err := r.ears.resume(); err != nil {
			r.t.Fatal(err)
		}
	}
	r.tree = now
	wrong = append(wrong, r.returnAll()...)
	for _, w := range wrong[:min(len(wrong), 10)] {
		r.t.Error(w)
	}
	if len(wrong) > 0 {
		r.t.Fatalf("%d violations", len(wrong))
	}
}

// prepare makes the nodes that the load takes for granted, and the workers.
func (r *run) prepare(c *conn) {
	r.t.Helper()
	var m wire.MultiRequest // at once: what multis set together was made together
	for _, path := range grounds {
		m.Ops = append(m.Ops, wire.MultiOp{Op: wire.OpCreate, Path: path, ACL: anyone})
	}
	var a wire.MultiResponse
	if _, err := c.call(wire.OpMulti, &m, &a); err != nil || a.Results[0].Type == wire.OpError {
		r.t.Fatalf("prepare: %v %+v", err, a)
	}
	for i := range workerCount {
		r.workers = append(r.workers, &worker{run: r, number: i, versions: map[string]int32{}})
	}
	r.ears = &listener{run: r}
}

// judge holds what the workers did in the round to what is in the tree now.
func (r *run) judge(now *tree) []string {
	var ops []*op
	for _, w := range r.workers {
		ops = append(ops, w.ops...)
		w.ops = nil
	}
	wrong := judge(r.tree, now, ops, r.now())
	if err := r.ears.resume(); err != nil {
		wrong = append(wrong, err.Error())
	}
	wrong = append(wrong, r.ears.judge(ops, now, r.lossy)...)
	r.rounds++
	for _, o := range ops {
		switch {
		case o.held() && o.writes():
			r.acknowledged++
		case o.fate == done:
			r.without++
		case !o.answered() && o.writes():
			r.lost++
		}
	}
	return wrong
}

// returnAll lets every worker return to its session, which must be there with all of its ephemerals unless
// the worker had asked for its end. Sessions that are known to have ended must not be there.
func (r *run) returnAll() (wrong []string) {
	for _, w := range r.workers {
		w.remember(r.tree)
		w.rng = rand.New(rand.NewPCG(r.seed, uint64(r.rounds)<<8|uint64(w.number)))
		if w.who.id != 0 {
			wrong = append(wrong, r.returnOne(w)...)
		}
	}
	for range min(len(r.closed), 3) {
		who := r.closed[r.rng.IntN(len(r.closed))]
		if _, err := r.knock(who); !errors.Is(err, errGone) {
			wrong = append(wrong, fmt.Sprintf("session 0x%x was closed, and answers with %v", who.id, err))
		}
	}
	return wrong
}

func (r *run) returnOne(w *worker) (wrong []string) {
	complain := func(format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("worker %d, session 0x%x: ", w.number, w.who.id)+fmt.Sprintf(format, args...))
	}
	var want []string
	for path, n := range r.tree.nodes {
		if n.stat.EphemeralOwner == w.who.id {
			want = append(want, path)
		}
	}
	slices.Sort(want)
	if held := slices.Sorted(slices.Values(slices.Concat(w.nodes[mine], w.nodes[drawn]))); !slices.Equal(held, want) {
		complain("owns %v of its ephemerals %v", want, held)
	}
	forged := credentials{w.who.id, bytes.Repeat([]byte{7}, wire.PasswordLen)}
	if _, err := r.knock(forged); !errors.Is(err, errGone) {
		complain("a wrong password is answered with %v", err)
	}
	got, err := r.knock(w.who)
	switch {
	case errors.Is(err, errGone) && w.closing:
		if len(want) > 0 {
			complain("is gone, and its ephemerals %v are not", want)
		}
		r.closed = append(r.closed, w.who)
		w.who, w.closing = credentials{}, false
	case err != nil:
		complain("cannot return: %v", err)
	case !slices.Equal(got, want):
		complain("has the ephemerals %v, and the tree %v", got, want)
	default:
		w.closing = false
	}
	return wrong
}

// knock returns to a session and lists its ephemerals.
func (r *run) knock(who credentials) ([]string, error) {
	c, err := r.dial(anywhere)
	if err != nil {
		return nil, err
	}
	defer c.close()
	got, err := c.hello(who, longTimeout, r.newest.Load())
	if err != nil {
		return nil, err
	}
	if got.id != who.id || !bytes.Equal(got.password, who.password) {
		return nil, fmt.Errorf("another session: 0x%x", got.id)
	}
	var list wire.GetEphemeralsResponse
	_, err = c.call(wire.OpGetEphemerals, &wire.GetEphemeralsRequest{Null: true}, &list)
	slices.Sort(list.Paths)
	return list.Paths, err
}

// load lets the workers work until it is time. Then it calls finish, which ends the server or lets it be, and
// waits for the workers.
func (r *run) load(until <-chan struct{}, finish func()) {
	r.t.Helper()
	r.over.Store(false)
	var wg, hears sync.WaitGroup
	failed := make(chan error, 2*workerCount)
	for _, w := range r.workers {
		wg.Go(func() {
			if err := w.load(); err != nil {
				failed <- err
			}
		})
	}
	hears.Go(func() {
		if err := r.ears.listen(); err != nil {
			failed <- err
		}
	})
	wg.Go(func() {
		if err := r.leaveStrays(); err != nil {
			failed <- err
		}
	})
	var err error
	select {
	case <-until:
	case err = <-failed:
	case <-time.After(patience):
		err = fmt.Errorf("the load has not come far enough in %v", patience)
		if r.server != nil {
			r.server.signal(syscall.SIGQUIT) // ends it with a list of what it was doing
			r.server.wait()
		}
	}
	r.over.Store(true)
	finish()
	wg.Wait()
	if r.server != nil && r.server.raced.Load() {
		r.t.Error("a data race in the server")
	}
	r.ears.hangUp() // if the server lives on, nothing else would end its waiting
	hears.Wait()
	select {
	case err = <-failed:
	default:
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// kills is how many a run of TestKill makes.
func kills() int {
	if n, err := strconv.Atoi(os.Getenv("GROVE_CHAOS_KILLS")); err == nil && n > 0 {
		return n
	}
	return 10
}
