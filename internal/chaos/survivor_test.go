//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/grovekeeper/grove/internal/wire"
	servers "github.com/grovekeeper/grove/interop/process"
)

const (
	survivorDepth = 20                     // requests outstanding of one that pipelines
	survivorWarm  = 500 * time.Millisecond // load before the kill
	survivorAfter = 1500 * time.Millisecond
	firstWriteMax = 20 * time.Second
)

// Whoever is connected to a server that lives notices of the leader's kill -9 nothing but a delay: no error, no
// lost connection, every write answered and done once. And the delay is shorter than that of Apache ZooKeeper.
func TestSurvivors(t *testing.T) {
	if testing.Short() {
		t.Skip("starts several servers: not with -short")
	}
	rounds := max(1, seconds()/10) // a minute: 6
	ours := survivors(t, rounds)
	t.Logf("Grove: first write after kill -9 of the leader: %v", ours)
	theirs, err := theirSurvivors(t, rounds)
	if err != nil {
		t.Logf("no comparison with Apache ZooKeeper: %v", err)
		return
	}
	t.Logf("Apache ZooKeeper: %v", theirs)
	t.Logf("\n| | Apache ZooKeeper | Grove |\n|---|---:|---:|\n| kill -9 of the leader to the first write, median of %d, ms | %d | %d |\n| the longest, ms | %d | %d |",
		rounds, middle(theirs).Milliseconds(), middle(ours).Milliseconds(), slices.Max(theirs).Milliseconds(), slices.Max(ours).Milliseconds())
	if middle(ours) >= middle(theirs) {
		t.Errorf("the first write takes %v, Apache ZooKeeper's %v", middle(ours), middle(theirs))
	}
}

func middle(list []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(list))[len(list)/2]
}

// survivors kills the leader so many times and holds the clients of the others to what they are told.
func survivors(t *testing.T, rounds int) (first []time.Duration) {
	c, err := servers.NewCluster(peering(t), t.TempDir(), servers.Local(3), "--connections-per-address-max", "0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Kill(); err != nil {
			t.Error(err)
		}
	})
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	create(t, c.Addrs()[0], "/probe")
	for n := range rounds {
		leader, err := c.Leader(settleMax)
		if err != nil {
			t.Fatal(err)
		}
		var addrs []string
		for _, m := range c.Members {
			if m != leader {
				addrs = append(addrs, m.Client)
			}
		}
		first = append(first, survive(t, n, addrs, leader.Kill))
		if t.Failed() {
			for _, m := range c.Members {
				log, _ := m.Log()
				t.Logf("member %d:\n%s", m.ID, log[max(0, len(log)-2500):])
			}
			t.FailNow()
		}
		if err := leader.Start(); err != nil {
			t.Fatal(err)
		}
	}
	return first
}

// survive has clients at work on the servers that live while kill is done, and returns when the first write
// was answered that was sent afterwards.
func survive(t *testing.T, round int, addrs []string, kill func() error) time.Duration {
	t.Helper()
	var over atomic.Bool
	var wg sync.WaitGroup
	failed := make(chan error, 100)
	for i := range 2 * len(addrs) {
		root := fmt.Sprintf("/r%d-%d", round, i)
		create(t, addrs[0], root+"p", root+"z")
		addr := addrs[i%len(addrs)]
		wg.Go(func() {
			if err := pipeline(addr, root+"p", &over); err != nil {
				failed <- fmt.Errorf("%s: who pipelines: %w", addr, err)
			}
		})
		wg.Go(func() {
			if err := oneByOne(addr, root+"z", &over); err != nil {
				failed <- fmt.Errorf("%s: go-zookeeper: %w", addr, err)
			}
		})
	}
	time.Sleep(survivorWarm)
	first, err := firstWrite(addrs, kill)
	if err != nil {
		t.Error(err)
	}
	time.Sleep(survivorAfter)
	over.Store(true)
	wg.Wait()
	for close(failed); ; {
		err, more := <-failed
		if !more {
			return first
		}
		t.Error(err)
	}
}

// create makes nodes in a session of its own.
func create(t *testing.T, addr string, paths ...string) {
	t.Helper()
	c, err := dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, err := c.hello(credentials{}, longTimeout, 0); err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if _, err := c.call(wire.OpCreate, &wire.CreateRequest{Path: path, ACL: anyone}, &wire.CreateResponse{}); err != nil {
			t.Fatalf("create %s: %v", path, err)
		}
	}
	if _, err := c.call(wire.OpCloseSession, nil, nil); err != nil {
		t.Fatal(err)
	}
}

// pipeline creates sequential nodes, many at a time. The n-th answer must be of the n-th node.
func pipeline(addr, root string, over *atomic.Bool) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.close()
	if _, err := c.hello(credentials{}, longTimeout, 0); err != nil {
		return err
	}
	ask := &wire.CreateRequest{Path: root + "/n-", ACL: anyone, Flags: wire.FlagSequential}
	var first []byte
	for range survivorDepth {
		first = c.request(first, wire.OpCreate, ask)
	}
	if err := c.write(first); err != nil {
		return err
	}
	open := survivorDepth
	for n := 0; open > 0; n++ {
		var a wire.CreateResponse
		h, err := c.reply(&a)
		switch {
		case err != nil:
			return fmt.Errorf("answer %d: %w", n, err)
		case h.Err != wire.CodeOK:
			return fmt.Errorf("answer %d: %w", n, h.Err.Err())
		case a.Path != fmt.Sprintf("%s/n-%010d", root, n):
			return fmt.Errorf("answer %d is %s", n, a.Path)
		}
		open--
		if !over.Load() {
			open++
			if err := c.write(c.request(nil, wire.OpCreate, ask)); err != nil {
				return err
			}
		}
	}
	return counted(c, root, int(c.next-1))
}

// counted sees that there are n children, and as many were ever made.
func counted(c *conn, root string, n int) error {
	var a wire.StatResponse
	if _, err := c.call(wire.OpExists, &wire.ExistsRequest{Path: root}, &a); err != nil {
		return err
	}
	if int(a.Stat.NumChildren) != n || int(a.Stat.Cversion) != n {
		return fmt.Errorf("%d creates were acknowledged, %s has %d children and made %d", n, root, a.Stat.NumChildren, a.Stat.Cversion)
	}
	return nil
}

// oneByOne does the same with go-zookeeper, which must not lose its connection.
func oneByOne(addr, root string, over *atomic.Bool) error {
	c, events, err := zk.Connect([]string{addr}, 10*time.Second, zk.WithLogger(silent{}))
	if err != nil {
		return err
	}
	var lost atomic.Bool
	var hears sync.WaitGroup
	var closing atomic.Bool
	hears.Go(func() {
		for e := range events {
			if e.State == zk.StateDisconnected && !closing.Load() {
				lost.Store(true)
			}
		}
	})
	defer hears.Wait()
	defer c.Close()
	defer closing.Store(true)
	n := 0
	for ; !over.Load(); n++ {
		path, err := c.Create(root+"/n-", nil, zk.FlagSequence, zk.WorldACL(zk.PermAll))
		if err != nil {
			return fmt.Errorf("create %d: %w", n, err)
		}
		if path != fmt.Sprintf("%s/n-%010d", root, n) {
			return fmt.Errorf("create %d made %s", n, path)
		}
	}
	_, stat, err := c.Exists(root)
	switch {
	case err != nil:
		return err
	case int(stat.NumChildren) != n:
		return fmt.Errorf("%d creates were acknowledged, and there are %d nodes", n, stat.NumChildren)
	case lost.Load():
		return errors.New("it was disconnected")
	}
	return nil
}

// firstWrite does kill and returns how long after it the first write was answered that was sent after it, by
// whichever of the servers. Who loses a connection comes back at once.
func firstWrite(addrs []string, kill func() error) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), firstWriteMax)
	defer cancel()
	var killed atomic.Int64 // when; 0: not yet
	won := make(chan time.Duration, len(addrs))
	begun := time.Now()
	for _, addr := range addrs {
		go func() {
			for ctx.Err() == nil {
				if at, err := probe(ctx, addr, begun, &killed); err == nil {
					won <- at
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
	}
	time.Sleep(200 * time.Millisecond) // until the probes are connected
	at := time.Since(begun)
	killed.Store(int64(at))
	if err := kill(); err != nil {
		return 0, err
	}
	select {
	case first := <-won:
		return first - at, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("no write within %v of the kill", firstWriteMax)
	}
}

// probe writes one at a time until a write is answered that was sent after the kill.
func probe(ctx context.Context, addr string, begun time.Time, killed *atomic.Int64) (time.Duration, error) {
	c, err := dialFor(addr, firstWriteMax)
	if err != nil {
		return 0, err
	}
	defer c.close()
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	if _, err := c.hello(credentials{}, 10*time.Second, 0); err != nil {
		return 0, err
	}
	for {
		sent := int64(time.Since(begun))
		_, err := c.call(wire.OpSetData, &wire.SetDataRequest{Path: "/probe", Version: -1}, nil)
		if err != nil {
			return 0, err
		}
		if k := killed.Load(); k != 0 && sent > k {
			return time.Since(begun), nil
		}
	}
}

// theirSurvivors measures the same on Apache ZooKeeper, whose clients may lose their connections.
func theirSurvivors(t *testing.T, rounds int) (first []time.Duration, err error) {
	if os.Getenv("GROVE_INTEROP") == "" {
		return nil, errors.New("GROVE_INTEROP is not set")
	}
	classpath, err := servers.ApacheClasspath(os.Getenv, "/usr/share/java")
	if err != nil {
		return nil, err
	}
	a, err := servers.NewApache(classpath, filepath.Join(t.TempDir(), "zookeeper"), 3)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := a.Kill(); err != nil {
			t.Error(err)
		}
	})
	if err := a.Start(); err != nil {
		return nil, err
	}
	create(t, a.Addrs()[0], "/probe")
	for n := range rounds {
		leader, err := servers.LeaderOf(a.Addrs(), settleMax)
		if err != nil {
			return nil, err
		}
		addrs := slices.Delete(slices.Clone(a.Addrs()), leader, leader+1)
		stop := pressure(addrs, n)
		time.Sleep(survivorWarm)
		took, err := firstWrite(addrs, func() error { return a.KillOne(leader) })
		stop()
		if err != nil {
			return nil, err
		}
		first = append(first, took)
		if err := a.StartOne(leader); err != nil {
			return nil, err
		}
		for end := time.Now().Add(settleMax); ; time.Sleep(50 * time.Millisecond) {
			if mode, _ := servers.Mode(a.Addrs()[leader]); mode == "follower" {
				break
			}
			if time.Now().After(end) {
				return nil, errors.New("the killed server has not come back")
			}
		}
	}
	return first, nil
}

// pressure is the load of survive, from clients that do not mind.
func pressure(addrs []string, round int) (stop func()) {
	var over atomic.Bool
	var wg sync.WaitGroup
	for i := range 4 * len(addrs) {
		root := "/" + strings.Join([]string{"x", strconv.Itoa(round), strconv.Itoa(i)}, "-")
		wg.Go(func() {
			c, err := dial(addrs[i%len(addrs)])
			if err != nil {
				return
			}
			defer c.close()
			if _, err := c.hello(credentials{}, longTimeout, 0); err != nil {
				return
			}
			if _, err := c.call(wire.OpCreate, &wire.CreateRequest{Path: root, ACL: anyone}, nil); err != nil {
				return
			}
			c.close()
			_ = pipeline(addrs[i%len(addrs)], root, &over) // it ends with the leader
		})
	}
	return func() { over.Store(true); wg.Wait() }
}
