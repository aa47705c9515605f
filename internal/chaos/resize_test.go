//go:build linux

package chaos

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/grovekeeper/grove/internal/wire"
	servers "github.com/grovekeeper/grove/interop/process"
)

const superUser = "super:secret"

func superFlags() []string {
	sum := sha1.Sum([]byte(superUser))
	return []string{"--super-digest", "super:" + base64.StdEncoding.EncodeToString(sum[:])}
}

// quorum starts n servers on loopback, which end with the test. A failure shows what they said last.
func quorum(t *testing.T, n int, flags ...string) *servers.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("starts several servers: not with -short")
	}
	c, err := servers.NewCluster(peering(t), t.TempDir(), servers.Local(n), append(superFlags(), flags...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Kill(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			for _, m := range c.Members {
				log, _ := m.Log()
				t.Logf("member %d:\n%s", m.ID, log[max(0, len(log)-3000):])
			}
		}
	})
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// writers pipeline sequential creates through the given servers until stop is called, which returns how many were
// answered: each must have been, with the number due.
func writers(t *testing.T, addrs []string, name string) (stop func()) {
	t.Helper()
	var over atomic.Bool
	var wg sync.WaitGroup
	for i, addr := range addrs {
		root := fmt.Sprintf("/%s%d", name, i)
		create(t, addr, root+"p", root+"z")
		wg.Go(func() {
			if err := pipeline(addr, root+"p", &over); err != nil {
				t.Errorf("%s: who pipelines: %v", addr, err)
			}
		})
		wg.Go(func() {
			if err := oneByOne(addr, root+"z", &over); err != nil {
				t.Errorf("%s: go-zookeeper: %v", addr, err)
			}
		})
	}
	return func() { over.Store(true); wg.Wait() }
}

// administrator is a session that may change the members.
func administrator(t *testing.T, addrs []string) *zk.Conn {
	t.Helper()
	c, _, err := zk.Connect(addrs, 10*time.Second, zk.WithLogger(silent{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.AddAuth("digest", []byte(superUser)); err != nil {
		t.Fatal(err)
	}
	return c
}

// Three servers become five and then three others, and no write fails that goes through those who stay.
func TestResize(t *testing.T) {
	c := quorum(t, 3)
	stop := writers(t, c.Addrs()[:2], "resize")
	defer stop()
	admin := administrator(t, c.Addrs()[:2])
	var joining []string
	for range 2 {
		m, err := c.Add(servers.Loopback)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Launch(); err != nil {
			t.Fatal(err)
		}
		joining = append(joining, m.Line())
	}
	reconfig(t, admin, joining, nil)
	for _, m := range c.Members[3:] {
		if err := m.Ready(settleMax); err != nil {
			t.Fatalf("member %d: %v", m.ID, err)
		}
		create(t, m.Client, fmt.Sprint("/through", m.ID))
	}
	time.Sleep(survivorWarm) // under load, with five
	reconfig(t, admin, nil, []string{"3", "4"})
	time.Sleep(survivorWarm)
	stop()
	for _, m := range []*servers.Member{c.Members[2], c.Members[3]} {
		if err := m.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	same(t, c.Members[0], c.Members[1], c.Members[4])
	create(t, c.Members[4].Client, "/end")
}

// reconfig changes the members. It is refused until those who join have asked to be let in.
func reconfig(t *testing.T, admin *zk.Conn, joining, leaving []string) {
	t.Helper()
	for end := time.Now().Add(settleMax); ; time.Sleep(50 * time.Millisecond) {
		_, err := admin.IncrementalReconfig(joining, leaving, -1)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("join %v, leave %v: %v", joining, leaving, err)
		}
	}
}

// same sees that all servers have the same tree.
func same(t *testing.T, members ...*servers.Member) {
	t.Helper()
	s := &siege{run: &run{t: t}}
	var first *tree
	for _, m := range members {
		now, _, err := s.lookAt(m.Client)
		if err != nil {
			t.Fatalf("member %d: %v", m.ID, err)
		}
		if first == nil {
			first = now
		}
		for _, d := range differ(first, now) {
			t.Errorf("members %d and %d: %s", members[0].ID, m.ID, d)
		}
	}
}

// A follower that has lost everything comes back under its number, while writes go on: it is sent the tree. How large
// that is, GROVE_CHAOS_NODES says.
func TestRejoin(t *testing.T) {
	nodes := 20_000
	if text := os.Getenv("GROVE_CHAOS_NODES"); text != "" {
		var err error
		if nodes, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	c := quorum(t, 3, "--checkpoint-every", strconv.Itoa(min(100_000, nodes/4)), "--log-retain", "1000")
	leader, err := c.Leader(settleMax)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	fill(t, leader.Client, "/full", nodes)
	t.Logf("%d nodes in %v", nodes, time.Since(begun).Round(time.Millisecond))
	follower := c.Members[leader.ID%3]
	var staying []string
	for _, m := range c.Members {
		if m != follower {
			staying = append(staying, m.Client)
		}
	}
	create(t, leader.Client, "/beat")
	stop := writers(t, staying, "rejoin")
	quiet := beat(t, staying[0])
	time.Sleep(time.Second)
	alone := quiet()
	if err := follower.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := follower.Wipe(); err != nil {
		t.Fatal(err)
	}
	quiet = beat(t, staying[0])
	begun = time.Now()
	if err := follower.Launch(); err != nil {
		t.Fatal(err)
	}
	if err := follower.Ready(5 * time.Minute); err != nil {
		t.Fatal(err)
	}
	ready := time.Since(begun)
	n, err := children(follower.Client, "/full")
	if err != nil || n != nodes {
		t.Errorf("the follower has %d nodes of %d: %v", n, nodes, err)
	}
	t.Logf("wiped, it was ready after %v; one write at a time took at most %v before and %v meanwhile",
		ready.Round(time.Millisecond), alone.Round(time.Millisecond), quiet().Round(time.Millisecond))
	stop()
	if nodes <= 100_000 {
		same(t, c.Members...)
	}
}

// fill creates so many nodes below root, many at a time.
func fill(t *testing.T, addr, root string, n int) {
	t.Helper()
	create(t, addr, root)
	c, err := dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, err := c.hello(credentials{}, longTimeout, 0); err != nil {
		t.Fatal(err)
	}
	data := slices.Repeat([]byte("x"), 100)
	const batch = 500
	for from := 0; from < n; from += batch {
		var b []byte
		many := min(batch, n-from)
		for i := range many {
			b = c.request(b, wire.OpCreate, &wire.CreateRequest{Path: fmt.Sprintf("%s/k%07d", root, from+i), Data: data, ACL: anyone})
		}
		if err := c.write(b); err != nil {
			t.Fatal(err)
		}
		for range many {
			if h, err := c.reply(nil); err != nil || h.Err != wire.CodeOK {
				t.Fatalf("fill: %v %v", err, h.Err)
			}
		}
	}
}

// children counts those of a node as of now.
func children(addr, path string) (n int, err error) {
	s := &siege{run: &run{}}
	err = s.visit(addr, func(c *conn) error {
		if _, err := c.call(wire.OpSync, &wire.SyncRequest{Path: path}, &wire.SyncResponse{}); err != nil {
			return err
		}
		var a wire.StatResponse
		_, err := c.call(wire.OpExists, &wire.ExistsRequest{Path: path}, &a)
		n = int(a.Stat.NumChildren)
		return err
	})
	return n, err
}

// beat writes one at a time, and tells the longest that one took when it is asked to end.
func beat(t *testing.T, addr string) (end func() time.Duration) {
	t.Helper()
	c, err := dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.hello(credentials{}, longTimeout, 0); err != nil {
		t.Fatal(err)
	}
	var over atomic.Bool
	longest := make(chan time.Duration)
	go func() {
		var worst time.Duration
		for !over.Load() {
			sent := time.Now()
			if _, err := c.call(wire.OpSetData, &wire.SetDataRequest{Path: "/beat", Version: -1}, nil); err != nil {
				t.Errorf("beat: %v", err)
				break
			}
			worst = max(worst, time.Since(sent))
			time.Sleep(2 * time.Millisecond)
		}
		c.close()
		longest <- worst
	}()
	return func() time.Duration { over.Store(true); return <-longest }
}
