package interop

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

// driveGo is what github.com/go-zookeeper/zk does.
func driveGo(s *scene) {
	c, events := dial(s)
	g := &goClient{scene: s, conn: c, events: events}
	for _, step := range []struct {
		row string
		do  func(t *testing.T)
	}{
		{"create", g.create},
		{"read", g.read},
		{"update", g.update},
		{"delete", g.delete},
		{"ephemeral", g.ephemeral},
		{"sequential", g.sequential},
		{"container", g.container},
		{"TTL", g.ttl},
		{"multi", g.multi},
		{"ACL", g.acl},
		{"one-shot watch", g.oneShot},
		{"lock", g.lock},
		{"session after a restart", g.back},
		{"events missed meanwhile", g.missed},
	} {
		if s.t.Run(step.row, step.do) {
			s.tick(s.t, step.row, cell{done: true})
		}
	}
	for _, row := range []string{"persistent watch", "recursive watch"} {
		s.tick(s.t, row, cell{lacks: "v1.0.4 has no addWatch"})
	}
	for _, row := range []string{"election", "cache"} {
		s.tick(s.t, row, cell{lacks: "v1.0.4 has no recipe but the lock"})
	}
}

type goClient struct {
	*scene
	conn   *zk.Conn
	events <-chan zk.Event // of the session
	away   <-chan zk.Event // of the watch that is armed before the restart
}

// dial opens a session that ends with the test.
func dial(s *scene) (*zk.Conn, <-chan zk.Event) {
	s.t.Helper()
	c, events, err := zk.Connect([]string{s.addr}, 10*time.Second, zk.WithLogger(silent{}))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	await(s.t, events, zk.StateHasSession)
	return c, events
}

var everyone = zk.WorldACL(zk.PermAll)

// makes creates a node and wants it to get the path.
func (g *goClient) makes(t *testing.T, path string, flags int32, want string) {
	t.Helper()
	got, err := g.conn.Create(path, []byte("x"), flags, everyone)
	same(t, err, nil)
	same(t, got, want)
}

func same[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func fails(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

// arrives waits for one event.
func arrives(t *testing.T, from <-chan zk.Event, kind zk.EventType, path string) {
	t.Helper()
	select {
	case ev := <-from:
		same(t, ev.Type, kind)
		same(t, ev.Path, path)
	case <-time.After(answerMax):
		t.Fatalf("no event %v of %s", kind, path)
	}
}

func (g *goClient) create(t *testing.T) {
	g.makes(t, g.root, 0, g.root)
	_, err := g.conn.Create(g.root, nil, 0, everyone)
	fails(t, err, zk.ErrNodeExists)
	_, err = g.conn.Create(g.root+"/no/parent", nil, 0, everyone)
	fails(t, err, zk.ErrNoNode)
	g.makes(t, g.root+"/two", 0, g.root+"/two")
}

func (g *goClient) read(t *testing.T) {
	data, stat, err := g.conn.Get(g.root)
	same(t, err, nil)
	same(t, string(data), "x")
	same(t, *stat, zk.Stat{
		Czxid: stat.Czxid, Mzxid: stat.Czxid, Ctime: stat.Ctime, Mtime: stat.Ctime,
		Cversion: 1, DataLength: 1, NumChildren: 1, Pzxid: stat.Czxid + 3, // two creates failed in between
	})
	names, _, err := g.conn.Children(g.root)
	same(t, err, nil)
	same(t, slices.Equal(names, []string{"two"}), true)
	there, _, err := g.conn.Exists(g.root + "/nothing")
	same(t, err, nil)
	same(t, there, false)
	_, err = g.conn.Sync(g.root)
	same(t, err, nil)
}

func (g *goClient) update(t *testing.T) {
	stat, err := g.conn.Set(g.root, []byte("two"), 0)
	same(t, err, nil)
	same(t, stat.Version, 1)
	data, _, err := g.conn.Get(g.root)
	same(t, err, nil)
	same(t, string(data), "two")
	_, err = g.conn.Set(g.root, nil, 7)
	fails(t, err, zk.ErrBadVersion)
}

func (g *goClient) delete(t *testing.T) {
	fails(t, g.conn.Delete(g.root, -1), zk.ErrNotEmpty)
	fails(t, g.conn.Delete(g.root+"/two", 3), zk.ErrBadVersion)
	same(t, g.conn.Delete(g.root+"/two", 0), nil)
	fails(t, g.conn.Delete(g.root+"/two", 0), zk.ErrNoNode)
}

func (g *goClient) ephemeral(t *testing.T) {
	g.makes(t, g.root+"/mine", zk.FlagEphemeral, g.root+"/mine")
	_, stat, err := g.conn.Exists(g.root + "/mine")
	same(t, err, nil)
	same(t, stat.EphemeralOwner, g.conn.SessionID())
	_, err = g.conn.Create(g.root+"/mine/child", nil, 0, everyone)
	fails(t, err, zk.ErrNoChildrenForEphemerals)

	other, _ := dial(g.scene)
	_, err = other.Create(g.root+"/theirs", nil, zk.FlagEphemeral, everyone)
	same(t, err, nil)
	_, _, gone, err := g.conn.ExistsW(g.root + "/theirs")
	same(t, err, nil)
	other.Close()
	arrives(t, gone, zk.EventNodeDeleted, g.root+"/theirs")
}

func (g *goClient) sequential(t *testing.T) {
	g.makes(t, g.root+"/seq", 0, g.root+"/seq")
	g.makes(t, g.root+"/seq/n-", zk.FlagSequence, g.root+"/seq/n-0000000000")
	g.makes(t, g.root+"/seq/m-", zk.FlagSequence|zk.FlagEphemeral, g.root+"/seq/m-0000000001")
}

func (g *goClient) container(t *testing.T) {
	box := g.root + "/box"
	_, err := g.conn.CreateContainer(box, nil, zk.FlagContainer, everyone)
	same(t, err, nil)
	g.makes(t, box+"/child", 0, box+"/child")
	_, _, gone, err := g.conn.ExistsW(box)
	same(t, err, nil)
	same(t, g.conn.Delete(box+"/child", -1), nil)
	arrives(t, gone, zk.EventNodeDeleted, box)
}

func (g *goClient) ttl(t *testing.T) {
	brief := g.root + "/brief"
	_, err := g.conn.CreateTTL(brief, nil, zk.FlagTTL, everyone, 500*time.Millisecond)
	same(t, err, nil)
	there, _, gone, err := g.conn.ExistsW(brief)
	same(t, err, nil)
	same(t, there, true)
	arrives(t, gone, zk.EventNodeDeleted, brief)
}

func (g *goClient) multi(t *testing.T) {
	m := g.root + "/m"
	done, err := g.conn.Multi(
		&zk.CreateRequest{Path: m, Data: []byte("1"), Acl: everyone},
		&zk.CreateRequest{Path: m + "/n-", Acl: everyone, Flags: zk.FlagSequence},
		&zk.SetDataRequest{Path: m, Data: []byte("2"), Version: 0},
		&zk.CheckVersionRequest{Path: m, Version: 1},
		&zk.DeleteRequest{Path: m + "/n-0000000000", Version: -1},
	)
	same(t, err, nil)
	same(t, done[1].String, m+"/n-0000000000")
	same(t, done[2].Stat.Version, 1)
	failed, err := g.conn.Multi(
		&zk.SetDataRequest{Path: m, Data: []byte("3"), Version: -1},
		&zk.CheckVersionRequest{Path: m, Version: 9},
		&zk.DeleteRequest{Path: m, Version: -1},
	)
	fails(t, err, zk.ErrBadVersion)
	same(t, failed[0].Error, nil)
	fails(t, failed[1].Error, zk.ErrBadVersion)
	data, _, err := g.conn.Get(m)
	same(t, err, nil)
	same(t, string(data), "2")
}

func (g *goClient) acl(t *testing.T) {
	private := g.root + "/private"
	same(t, g.conn.AddAuth("digest", []byte("bob:builder")), nil)
	bob := zk.DigestACL(zk.PermAll, "bob", "builder")
	_, err := g.conn.Create(private, []byte("secret"), 0, zk.AuthACL(zk.PermAll))
	same(t, err, nil)
	list, _, err := g.conn.GetACL(private)
	same(t, err, nil)
	same(t, slices.Equal(list, bob), true)

	stranger, _ := dial(g.scene)
	_, _, err = stranger.Get(private)
	fails(t, err, zk.ErrNoAuth)
	_, err = stranger.SetACL(private, everyone, -1)
	fails(t, err, zk.ErrNoAuth)
	stat, err := g.conn.SetACL(private, zk.WorldACL(zk.PermRead), 0)
	same(t, err, nil)
	same(t, stat.Aversion, 1)
	data, _, err := stranger.Get(private)
	same(t, err, nil)
	same(t, string(data), "secret")
	_, err = g.conn.SetACL(g.root, nil, -1)
	fails(t, err, zk.ErrInvalidACL)
}

func (g *goClient) oneShot(t *testing.T) {
	path := g.root + "/watched"
	_, _, born, err := g.conn.ExistsW(path)
	same(t, err, nil)
	g.makes(t, path, 0, path)
	arrives(t, born, zk.EventNodeCreated, path)
	_, _, changed, err := g.conn.GetW(path)
	same(t, err, nil)
	_, _, children, err := g.conn.ChildrenW(path)
	same(t, err, nil)
	_, err = g.conn.Set(path, []byte("2"), -1)
	same(t, err, nil)
	arrives(t, changed, zk.EventNodeDataChanged, path)
	g.makes(t, path+"/child", 0, path+"/child")
	arrives(t, children, zk.EventNodeChildrenChanged, path)
}

func (g *goClient) lock(t *testing.T) {
	other, _ := dial(g.scene)
	mine, theirs := zk.NewLock(g.conn, g.root+"/lock", everyone), zk.NewLock(other, g.root+"/lock", everyone)
	same(t, mine.Lock(), nil)
	got := make(chan error, 1)
	go func() { got <- theirs.Lock() }()
	same(t, mine.Unlock(), nil)
	same(t, <-got, nil)
	same(t, theirs.Unlock(), nil)
}

// back has the server killed and restarted: the session is there, and what belongs to it.
func (g *goClient) back(t *testing.T) {
	g.makes(t, g.root+"/away", 0, g.root+"/away")
	_, _, away, err := g.conn.GetW(g.root + "/away")
	same(t, err, nil)
	g.away = away
	session := g.conn.SessionID()
	g.restart()
	await(t, g.events, zk.StateHasSession)
	same(t, g.conn.SessionID(), session)
	_, stat, err := g.conn.Exists(g.root + "/mine")
	same(t, err, nil)
	same(t, stat.EphemeralOwner, session)
}

func (g *goClient) missed(t *testing.T) {
	arrives(t, g.away, zk.EventNodeDataChanged, g.root+"/away")
	data, _, err := g.conn.Get(g.root + "/away")
	same(t, err, nil)
	same(t, string(data), "changed")
}
