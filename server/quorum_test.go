package server

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/internal/zoocfg"
	"github.com/grovekeeper/grove/server/member"
	"github.com/grovekeeper/grove/server/replica"
)

// quorum is some servers in this process, in directories of their own, as real as they get: sockets,
// files, time. A tick is short, so that nobody waits for long.
type quorum struct {
	t       *testing.T
	table   member.Table
	dir     string
	servers map[member.ID]*running
	tune    func(*Config) // nil: nothing is other than usual
}

type running struct {
	*Server
	stop  context.CancelFunc
	ended chan error
}

// newQuorum describes n servers and starts none.
func newQuorum(t *testing.T, n int) *quorum {
	q := &quorum{t: t, dir: t.TempDir(), servers: map[member.ID]*running{}}
	for i := range n {
		q.table.Members = append(q.table.Members, q.invent(member.ID(i+1)))
	}
	t.Cleanup(func() {
		for id := range q.servers {
			q.kill(id)
		}
	})
	return q
}

// invent returns a member at addresses that nobody uses.
func (q *quorum) invent(id member.ID) member.Member {
	q.t.Helper()
	ports := make([]int, 3)
	for i := 0; i < len(ports); {
		// Below those that connections are given: none is to take one before its server does.
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(22_000)))
		if err != nil {
			continue // somebody has it
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
		i++
	}
	return member.Member{
		ID:         id,
		Addrs:      []zoocfg.MemberAddr{{Host: "127.0.0.1", QuorumPort: ports[0], ElectionPort: ports[2]}},
		ClientHost: "127.0.0.1", ClientPort: ports[1],
	}
}

func (q *quorum) path(id member.ID) string { return filepath.Join(q.dir, strconv.Itoa(int(id))) }

// start starts servers of the table and waits for nothing.
func (q *quorum) start(ids ...member.ID) {
	q.t.Helper()
	for _, id := range ids {
		me, _ := q.table.Find(id)
		q.run(me, q.table)
	}
}

// run starts a server that is given peers, or none.
func (q *quorum) run(me member.Member, peers member.Table) {
	q.t.Helper()
	s, err := Open(q.config(me, peers))
	if err != nil {
		q.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	one := &running{s, stop, make(chan error, 1)}
	q.servers[me.ID] = one
	go func() { one.ended <- one.Run(ctx) }()
}

func (q *quorum) config(me member.Member, peers member.Table) Config {
	cfg := Config{
		Dir: q.path(me.ID), ID: int(me.ID), Peers: peers,
		ClientAddrs: []string{me.ClientAddr()}, TickMs: 200, RaftTickMs: 20, SkipACL: true,
		Logger: slog.New(slog.NewTextHandler(q.t.Output(), nil)).With("server", me.ID),
	}
	if q.tune != nil {
		q.tune(&cfg)
	}
	return cfg
}

// await waits until servers are ready.
func (q *quorum) await(ids ...member.ID) {
	q.t.Helper()
	for _, id := range ids {
		one := q.servers[id]
		select {
		case <-one.Ready():
		case err := <-one.ended:
			q.t.Fatalf("server %d ended before it was ready: %v", id, err)
		case <-time.After(patience):
			q.t.Fatalf("server %d is not ready", id)
		}
	}
}

const patience = 20 * time.Second // far more than anything here takes

// kill ends a server as a crash would, stop as SIGTERM does.
func (q *quorum) kill(id member.ID) {
	one := q.servers[id]
	one.Abandon()
	<-one.ended
	delete(q.servers, id)
}

func (q *quorum) stop(id member.ID) {
	q.t.Helper()
	one := q.servers[id]
	one.stop()
	if err := <-one.ended; err != nil {
		q.t.Errorf("the end of server %d: %v", id, err)
	}
	delete(q.servers, id)
}

// leader waits until somebody leads and all members who run know it.
func (q *quorum) leader() (id member.ID) {
	q.t.Helper()
	q.eventually("a leader", func() bool {
		leaders, members := map[uint64]bool{}, 0
		for _, one := range q.servers {
			r := one.replica.Load()
			if r == nil || len(r.Status().Voters) == 0 {
				continue // belongs to nobody yet
			}
			members++
			leaders[r.Status().Leader] = true
		}
		for node := range leaders {
			id = member.Node(node).ID()
		}
		return len(leaders) == 1 && q.servers[id] != nil && members > 0
	})
	return id
}

func (q *quorum) eventually(what string, held func() bool) {
	q.t.Helper()
	for deadline := time.Now().Add(patience); !held(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			q.t.Fatalf("%s: not in %v", what, patience)
		}
	}
}

// agree waits until all who run have the same state, and it is at or above zxid.
func (q *quorum) agree(zxid int64) {
	q.t.Helper()
	q.eventually("agreement", func() bool {
		digests := map[uint64]bool{}
		for _, one := range q.servers {
			v := one.feed.View()
			if int64(v.Zxid) < zxid {
				return false
			}
			digests[v.Digest()] = true
		}
		return len(digests) == 1
	})
}

// client is one connection to a server, for requests one at a time.
type client struct {
	t        *testing.T
	nc       net.Conn
	buf      []byte
	xid      int32
	session  int64
	password []byte
	zxid     int64
}

// dial opens a session, or goes on with that of old.
func (q *quorum) dial(id member.ID, old *client) *client {
	q.t.Helper()
	nc, err := net.Dial("tcp", q.servers[id].Addr().String())
	if err != nil {
		q.t.Fatal(err)
	}
	q.t.Cleanup(func() { nc.Close() })
	c := &client{t: q.t, nc: nc}
	hello := wire.ConnectRequest{TimeoutMs: 4000, Password: make([]byte, wire.PasswordLen)}
	if old != nil {
		hello.SessionID, hello.Password, hello.LastZxidSeen, c.xid = old.session, old.password, old.zxid, old.xid
	}
	b, mark := wire.BeginFrame(nil)
	c.write(wire.EndFrame(hello.Append(b), mark))
	r := codec.NewReader(c.frame())
	var welcome wire.ConnectResponse
	if welcome.Decode(&r); r.Err() != nil || welcome.SessionID == 0 {
		q.t.Fatalf("server %d has no session for us: %+v %v", id, welcome, r.Err())
	}
	c.session, c.password = welcome.SessionID, slices.Clone(welcome.Password)
	return c
}

func (c *client) write(b []byte) {
	c.t.Helper()
	c.nc.SetDeadline(time.Now().Add(patience))
	if _, err := c.nc.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) frame() []byte {
	c.t.Helper()
	for {
		frame, rest, err := wire.NextFrame(c.buf, wire.MaxFrame)
		if err == nil && frame != nil {
			c.buf = rest
			return frame
		}
		chunk := make([]byte, 4096)
		n, err := c.nc.Read(chunk)
		if c.buf = append(c.buf, chunk[:n]...); err != nil {
			c.t.Fatalf("connection of session %x: %v", c.session, err)
		}
	}
}

func (c *client) ask(op wire.Op, body wire.Record) codec.Reader {
	c.t.Helper()
	c.send(op, body)
	return c.reply(op)
}

func (c *client) send(op wire.Op, body wire.Record) {
	c.t.Helper()
	c.xid++
	c.write(wire.AppendRequest(nil, c.xid, op, body))
}

// reply takes the next reply, which must be a good one.
func (c *client) reply(op wire.Op) codec.Reader {
	c.t.Helper()
	r := codec.NewReader(c.frame())
	var h wire.ReplyHeader
	if h.Decode(&r); r.Err() != nil || h.Err != wire.CodeOK {
		c.t.Fatalf("%v: %v %v", op, h.Err, r.Err())
	}
	c.zxid = max(c.zxid, h.Zxid)
	return r
}

var open = []wire.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}}

func (c *client) create(path string, flags int32) string {
	c.t.Helper()
	r := c.ask(wire.OpCreate, &wire.CreateRequest{Path: path, ACL: open, Flags: flags})
	var made wire.CreateResponse
	made.Decode(&r)
	return made.Path
}

func (c *client) children(path string) []string {
	c.t.Helper()
	c.ask(wire.OpSync, &wire.SyncRequest{Path: path})
	r := c.ask(wire.OpGetChildren, &wire.GetChildrenRequest{Path: path})
	var got wire.GetChildrenResponse
	got.Decode(&r)
	slices.Sort(got.Children)
	return got.Children
}

func (c *client) reconfigure(joining, leaving string) member.Table {
	c.t.Helper()
	r := c.ask(wire.OpReconfig, &wire.ReconfigRequest{Joining: joining, Leaving: leaving, CurrentVersion: -1})
	var answer wire.GetDataResponse
	answer.Decode(&r)
	table, err := member.ParseTable(answer.Data)
	if err != nil {
		c.t.Fatal(err)
	}
	return table
}

// Three servers found a cluster; what is written through one is read through the others; the one that
// leads dies, and the clients of the others notice nothing but a delay.
func TestTheLeaderDies(t *testing.T) {
	q := newQuorum(t, 3)
	q.start(1, 2, 3)
	q.await(1, 2, 3)
	first := q.leader()
	survivor, third := first%3+1, (first+1)%3+1
	orphan, a, b := q.dial(first, nil), q.dial(survivor, nil), q.dial(third, nil)
	a.create("/q", 0)
	orphan.create("/q/of-the-orphan", wire.FlagEphemeral)
	const before, after = 20, 20
	for i := range before + after {
		a.send(wire.OpCreate, &wire.CreateRequest{Path: "/q/n-", ACL: open, Flags: wire.FlagSequential})
		if i == before {
			q.kill(first)
		}
	}
	for i := range before + after {
		r := a.reply(wire.OpCreate)
		var made wire.CreateResponse
		made.Decode(&r)
		// The orphan's node has taken number 0.
		if want := fmt.Sprintf("/q/n-%010d", i+1); made.Path != want {
			t.Fatalf("create %d made %s, want %s", i, made.Path, want)
		}
	}
	if n := len(b.children("/q")); n != before+after+1 {
		t.Errorf("%d children through server %d, want %d", n, third, before+after+1)
	}
	// The session of who was connected there goes on elsewhere, and its node with it.
	orphan = q.dial(third, orphan)
	if !slices.Contains(orphan.children("/q"), "of-the-orphan") {
		t.Error("the orphan's node is gone")
	}
	orphan.ask(wire.OpCloseSession, nil)
	if slices.Contains(b.children("/q"), "of-the-orphan") {
		t.Error("the orphan's node outlived its session")
	}
	q.start(first)
	q.await(first)
	q.agree(b.zxid)
}

// A server that comes back without its data gets a node of its own, the state as an image, and its vote.
func TestAWipedServerComesBack(t *testing.T) {
	q := newQuorum(t, 3)
	q.start(1, 2, 3)
	q.await(1, 2, 3)
	wiped := q.leader()%3 + 1
	c := q.dial(q.leader(), nil)
	c.create("/q", 0)
	old := q.servers[wiped].node
	q.kill(wiped)
	if err := os.RemoveAll(q.path(wiped)); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		c.create(fmt.Sprintf("/q/%d", i), 0)
	}
	q.start(wiped)
	q.await(wiped)
	q.agree(c.zxid)
	node := q.servers[wiped].node
	if node == old || node.ID() != wiped {
		t.Errorf("server %d was node %v and is %v", wiped, old, node)
	}
	q.eventually("the vote of the new node", func() bool {
		v := q.servers[q.leader()].replica.Load().Status().Voters
		return slices.Contains(v, uint64(node)) && !slices.Contains(v, uint64(old)) && len(v) == 3
	})
}

// Servers join and leave while clients write, and none of them fails.
func TestServersJoinAndLeave(t *testing.T) {
	q := newQuorum(t, 3)
	q.start(1, 2, 3)
	q.await(1, 2, 3)
	c := q.dial(1, nil)
	c.create("/q", 0)
	founders := q.table
	for _, id := range []member.ID{4, 5} {
		one := q.invent(id)
		q.table.Members = append(slices.Clone(q.table.Members), one)
		q.start(id)
		q.eventually("being asked", func() bool {
			q.servers[1].members.mu.Lock()
			defer q.servers[1].members.mu.Unlock()
			_, ok := q.servers[1].members.candidates[id]
			return ok
		})
		q.eventually("the leader being asked", func() bool {
			m := q.servers[q.leader()].members
			m.mu.Lock()
			defer m.mu.Unlock()
			_, ok := m.candidates[id]
			return ok
		})
		c.ask(wire.OpReconfig, &wire.ReconfigRequest{Joining: one.String(), CurrentVersion: -1})
		q.await(id)
		c.create(fmt.Sprintf("/q/with-%d", id), 0)
	}
	q.agree(c.zxid)
	if got := q.servers[2].table(); got.Voters() != 5 {
		t.Errorf("five voters expected: %s", got)
	}
	r := c.ask(wire.OpReconfig, &wire.ReconfigRequest{Leaving: "4,5", CurrentVersion: -1})
	var answer wire.GetDataResponse
	answer.Decode(&r)
	if got, err := member.ParseTable(answer.Data); err != nil || !got.Same(founders) {
		t.Errorf("after the others have left: %q %v", answer.Data, err)
	}
	for _, id := range []member.ID{4, 5} {
		select {
		case err := <-q.servers[id].ended:
			if err == nil || !strings.Contains(err.Error(), replica.ErrRemoved.Error()) {
				t.Errorf("server %d ended with %v", id, err)
			}
		case <-time.After(patience):
			t.Errorf("server %d was removed and serves", id)
			continue
		}
		delete(q.servers, id)
	}
	c.create("/q/at-the-end", 0)
	q.agree(c.zxid)
}

// A server that is told to end hands leadership over first, and keeps what it has.
func TestLeavingWell(t *testing.T) {
	q := newQuorum(t, 3)
	q.start(1, 2, 3)
	q.await(1, 2, 3)
	leader := q.leader()
	other := leader%3 + 1
	c := q.dial(other, nil)
	c.create("/q", 0)
	q.stop(leader)
	c.create("/q/a", 0)
	if q.leader() == leader {
		t.Fatal("who has left still leads")
	}
	q.start(leader)
	q.await(leader)
	c.create("/q/b", 0)
	q.agree(c.zxid)
}

// A server that served alone is given peers, and they join it one by one.
func TestAServerAloneGetsCompany(t *testing.T) {
	q := newQuorum(t, 3)
	all := q.table
	q.run(all.Members[0], member.Table{})
	q.await(1)
	c := q.dial(1, nil)
	c.create("/q", 0)
	q.stop(1)
	q.start(1, 2, 3)
	q.await(1)
	c = q.dial(1, nil)
	for _, one := range all.Members[1:] {
		q.eventually("being asked", func() bool {
			m := q.servers[1].members
			m.mu.Lock()
			defer m.mu.Unlock()
			return !m.candidates[one.ID].seen.IsZero()
		})
		c.ask(wire.OpReconfig, &wire.ReconfigRequest{Joining: one.String(), CurrentVersion: -1})
		q.await(one.ID)
	}
	if got := q.servers[3].table(); !got.Same(all) {
		t.Errorf("the table is %q, want %q", got, all)
	}
	if got := q.dial(3, nil).children("/q"); len(got) != 0 {
		t.Errorf("children %q", got)
	}
	q.agree(c.zxid)
}
