//go:build linux

package chaos

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/grovekeeper/grove/internal/wire"
)

// A gopher is a client that others wrote, with a short session. It draws unique numbers, counts with multis,
// writes to registers by version, has an ephemeral for every session it is given, and watches.
type gopher struct {
	siege  *siege
	number int
	conn   *zk.Conn
	events <-chan zk.Event

	mu       sync.Mutex // guards the fields below
	sessions []int64    // all it was given; only the last one may be alive
	owned    map[int64]string
	drawn    []string
	counted  map[string]bool // token: was it acknowledged
	ops      []*op
	seen     map[string]int32 // by register: the version of which its watch has told it last
	wrong    []string
}

const (
	gopherTimeout = 1500 * time.Millisecond
	gopherPace    = 15 * time.Millisecond
	gopherCount   = 4
	multiSize     = 5
	registers     = 3

	ids    = "/ids"
	counts = "/counts"
	regs   = "/registers"
	live   = "/live"
)

var gopherGrounds = func() []string {
	list := []string{ids, counts, regs, live}
	for i := range registers {
		list = append(list, register1(i))
	}
	return list
}()

func register1(i int) string { return fmt.Sprint(regs, "/", i) }

// volatile tells what may change without anybody asking: sessions of gophers are short.
func volatile(path string) bool { return path == live || strings.HasPrefix(path, live+"/") }

type silent struct{}

func (silent) Printf(string, ...any) {}

// breed connects the gophers: half of them to one server each, the others to all.
func (s *siege) breed() error {
	for i := range gopherCount {
		addrs := s.cluster.Addrs()
		if i%2 == 0 {
			addrs = addrs[i/2%len(addrs) : i/2%len(addrs)+1]
		}
		c, events, err := zk.Connect(addrs, gopherTimeout, zk.WithLogger(silent{}))
		if err != nil {
			return err
		}
		g := &gopher{siege: s, number: i, conn: c, events: events, owned: map[int64]string{},
			counted: map[string]bool{}, seen: map[string]int32{}}
		s.gophers = append(s.gophers, g)
		go g.hear()
		for r := range registers {
			go g.watch(register1(r))
		}
	}
	return nil
}

func (g *gopher) complain(format string, args ...any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wrong = append(g.wrong, fmt.Sprintf("gopher %d: ", g.number)+fmt.Sprintf(format, args...))
}

// hear notes every session that the gopher is given.
func (g *gopher) hear() {
	for e := range g.events {
		if e.State != zk.StateHasSession {
			continue
		}
		g.mu.Lock()
		if id := g.conn.SessionID(); len(g.sessions) == 0 || g.sessions[len(g.sessions)-1] != id {
			g.sessions = append(g.sessions, id)
		}
		g.mu.Unlock()
	}
}

// watch reads a register again whenever it is told of a change.
func (g *gopher) watch(path string) {
	for {
		_, stat, events, err := g.conn.GetW(path)
		if errors.Is(err, zk.ErrClosing) {
			return
		}
		if err != nil {
			time.Sleep(retryAfter)
			continue
		}
		g.mu.Lock()
		back := stat.Version < g.seen[path]
		g.seen[path] = stat.Version
		g.mu.Unlock()
		if back {
			g.complain("%s went back to version %d", path, stat.Version)
		}
		if e := <-events; errors.Is(e.Err, zk.ErrClosing) {
			return
		}
	}
}

// work makes requests until the round is over.
func (g *gopher) work() {
	for n := 0; !g.siege.over.Load(); n++ {
		switch n % 5 {
		case 0:
			g.draw()
		case 1:
			g.count(n)
		case 2:
			g.appear()
		case 3:
			g.read(register1(n / 5 % registers))
		case 4:
			g.set(register1(n/5%registers), n)
		}
		time.Sleep(gopherPace)
	}
}

// token names a request of this gopher.
func (g *gopher) token(n int) string { return fmt.Sprintf("g%d.%d.%d", g.number, g.siege.began, n) }

func (g *gopher) draw() {
	path, err := g.conn.Create(ids+"/n-", nil, zk.FlagSequence, zk.WorldACL(zk.PermAll))
	if err == nil {
		g.mu.Lock()
		g.drawn = append(g.drawn, path)
		g.mu.Unlock()
		g.siege.answered()
	}
}

// count creates so many nodes at once: all or none.
func (g *gopher) count(n int) {
	var ops []any
	for range multiSize {
		ops = append(ops, &zk.CreateRequest{
			Path: counts + "/n-", Data: []byte(g.token(n)), Acl: zk.WorldACL(zk.PermAll), Flags: zk.FlagSequence,
		})
	}
	_, err := g.conn.Multi(ops...)
	g.mu.Lock()
	g.counted[g.token(n)] = err == nil
	g.mu.Unlock()
}

// appear creates the ephemeral of a session that has none yet.
func (g *gopher) appear() {
	id := g.conn.SessionID()
	path := fmt.Sprintf("%s/%d-%x", live, g.number, uint64(id))
	g.mu.Lock()
	_, has := g.owned[id]
	g.mu.Unlock()
	if has || id == 0 {
		return
	}
	_, err := g.conn.Create(path, nil, zk.FlagEphemeral, zk.WorldACL(zk.PermAll))
	if err == nil && g.conn.SessionID() == id {
		g.mu.Lock()
		g.owned[id] = path
		g.mu.Unlock()
	}
}

func (g *gopher) op(kind wire.Op, path string) *op {
	r := g.siege.run
	return &op{worker: 100 + g.number, kind: kind, path: path, version: -1, call: r.now(), after: r.newest.Load()}
}

// read reads behind a sync.
func (g *gopher) read(path string) {
	o := g.op(wire.OpGetData, path)
	o.synced = true
	if _, err := g.conn.Sync(path); err != nil {
		return
	}
	data, stat, err := g.conn.Get(path)
	if err != nil {
		return
	}
	o.value, o.stat.Version, o.ret = string(data), stat.Version, g.siege.now()
	g.note(o)
}

// set writes by the version of which the watch has told.
func (g *gopher) set(path string, n int) {
	o := g.op(wire.OpSetData, path)
	g.mu.Lock()
	o.version = g.seen[path]
	g.mu.Unlock()
	if n%2 == 0 {
		o.version = -1
	}
	o.token = g.token(n)
	o.data = o.token + "|"
	stat, err := g.conn.Set(path, []byte(o.data), o.version)
	switch {
	case err == nil:
		o.ret, o.stat.Version, o.zxid = g.siege.now(), stat.Version, stat.Mzxid
		g.siege.answered()
	case errors.Is(err, zk.ErrBadVersion):
		o.ret, o.code = g.siege.now(), wire.CodeBadVersion
	}
	g.note(o)
}

func (g *gopher) note(o *op) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ops = append(g.ops, o)
}

// judgeGophers holds what the gophers were told to the tree that every server has.
func (s *siege) judgeGophers(now *tree) (wrong []string) {
	if s.gophers == nil {
		s.gopherTree = now
		return nil
	}
	effects := map[string][]effect{}
	drawn := map[string]int{}
	counted := map[string]bool{}
	owners := map[int64]bool{}
	for _, g := range s.gophers {
		wrong = append(wrong, g.converged(now)...)
		g.mu.Lock()
		for _, o := range g.ops {
			for _, e := range o.effects() {
				effects[e.path] = append(effects[e.path], e)
			}
		}
		for _, path := range g.drawn {
			drawn[path]++
		}
		for token, acknowledged := range g.counted {
			counted[token] = acknowledged
		}
		for _, id := range g.sessions[:max(0, len(g.sessions)-1)] {
			owners[id] = true
		}
		wrong = append(wrong, g.wrong...)
		g.ops, g.wrong = nil, nil
		g.mu.Unlock()
	}
	for path, n := range drawn {
		if _, there := now.nodes[path]; n > 1 || !there {
			wrong = append(wrong, fmt.Sprintf("%s was drawn %d times, and is there: %v", path, n, there))
		}
	}
	made := map[string]int{}
	for path, n := range now.nodes {
		if strings.HasPrefix(path, counts+"/") {
			made[n.data]++
		}
		if volatile(path) && owners[n.stat.EphemeralOwner] {
			wrong = append(wrong, fmt.Sprintf("%s belongs to 0x%x, whose client was told that it has expired",
				path, n.stat.EphemeralOwner))
		}
	}
	for token, n := range made {
		if n != multiSize {
			wrong = append(wrong, fmt.Sprintf("multi %s made %d of %d", token, n, multiSize))
		}
	}
	for token, acknowledged := range counted {
		if acknowledged && made[token] == 0 {
			wrong = append(wrong, fmt.Sprintf("multi %s was acknowledged and is not there", token))
		}
	}
	wrong = append(wrong, linearize(s.gopherTree, now, effects, byTime(s.now()))...)
	s.gopherTree = now
	return wrong
}

// converged waits until the gopher knows what is: its watches have told it of the last change, and the
// ephemeral of its session is there if it was acknowledged.
func (g *gopher) converged(now *tree) (wrong []string) {
	for end := time.Now().Add(settleMax); ; time.Sleep(20 * time.Millisecond) {
		wrong = nil
		g.mu.Lock()
		for i := range registers {
			path := register1(i)
			if is := now.nodes[path].stat.Version; g.seen[path] != is {
				wrong = append(wrong, fmt.Sprintf("gopher %d was told of version %d of %s, and it is %d",
					g.number, g.seen[path], path, is))
			}
		}
		g.mu.Unlock()
		if len(wrong) == 0 || time.Now().After(end) {
			break
		}
	}
	id := g.conn.SessionID()
	g.mu.Lock()
	path, has := g.owned[id]
	g.mu.Unlock()
	if !has {
		return wrong
	}
	if there, _, err := g.conn.Exists(path); err == nil && !there && g.conn.SessionID() == id {
		wrong = append(wrong, fmt.Sprintf("gopher %d: %s is gone, and session 0x%x is not", g.number, path, uint64(id)))
	}
	return wrong
}
