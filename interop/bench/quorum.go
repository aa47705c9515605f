package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/grovekeeper/grove/internal/group"
	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/interop/process"
)

// serversOfQuorum is how many servers each contender has in the section about a quorum.
const serversOfQuorum = 3

// ensemble is several servers, of which one leads.
type ensemble interface {
	server
	KillOne(i int) error
	Revive(i int) error // and waits until it serves
}

// nth returns one of the addresses that commas part, in turns.
func nth(addrs string, i int) string {
	list := strings.Split(addrs, ",")
	return list[i%len(list)]
}

// groveQuorum is Grove with its defaults, as groveServer.
type groveQuorum struct{ *process.Cluster }

func newGroveQuorum(binary string) contender {
	return contender{grove, func(dir string) (server, error) {
		c, err := process.NewCluster(binary, dir, process.Local(serversOfQuorum), "--connections-per-address-max", "0")
		return groveQuorum{c}, err
	}}
}

func (g groveQuorum) Addr() string        { return strings.Join(g.Addrs(), ",") }
func (g groveQuorum) Pid() int            { return g.Members[0].Pid() }
func (g groveQuorum) KillOne(i int) error { return g.Members[i].Kill() }
func (g groveQuorum) Revive(i int) error  { return g.Members[i].Start() }

func (g groveQuorum) Checkpoints() ([]time.Duration, error) {
	var all []time.Duration
	for _, m := range g.Members {
		log, err := m.Log()
		if err != nil {
			return nil, err
		}
		found, err := checkpoints(bytes.NewReader([]byte(log)))
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// apacheQuorum is Apache ZooKeeper as ../shared/tools/zk3.sh starts it.
type apacheQuorum struct {
	*process.Apache
	dir string
}

func newApacheQuorum(classpath string) contender {
	return contender{zooKeeper, func(dir string) (server, error) {
		a, err := process.NewApache(classpath, dir, serversOfQuorum)
		if err != nil {
			return nil, err
		}
		a.Java = []string{"-Xmx2g"}
		return apacheQuorum{a, dir}, nil
	}}
}

func (a apacheQuorum) Addr() string { return strings.Join(a.Addrs(), ",") }
func (a apacheQuorum) Pid() int     { return a.Apache.Pid(0) }

func (a apacheQuorum) Checkpoints() ([]time.Duration, error) {
	found, err := filepath.Glob(filepath.Join(a.dir, "*", "version-2", "snapshot.*"))
	return make([]time.Duration, len(found)), err
}

func (a apacheQuorum) Revive(i int) error {
	if err := a.StartOne(i); err != nil {
		return err
	}
	for end := time.Now().Add(startMax); ; time.Sleep(50 * time.Millisecond) {
		_, err := process.Mode(a.Addrs()[i])
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return err
		}
	}
}

// failover kills the leader again and again, and measures until a write is answered by another server that
// was sent after that. Whoever loses a connection comes back at once.
func (b *bench) failover(ctx context.Context, name string, s server) error {
	e, ok := s.(ensemble)
	if !ok {
		return errors.New("one server has no leader to lose")
	}
	w := newWorkload("/bench", 1, b.plan.size)
	if _, err := w.fill(ctx, s.Addr(), 1, 1); err != nil {
		return err
	}
	if err := b.warm(ctx, s.Addr(), w); err != nil {
		return err
	}
	all := strings.Split(s.Addr(), ",")
	var took []float64
	for range b.plan.kills {
		leader, err := process.LeaderOf(all, patience)
		if err != nil {
			return err
		}
		survivors := slices.Delete(slices.Clone(all), leader, leader+1)
		first, err := firstWrite(ctx, survivors, w.keys[0], func() error { return e.KillOne(leader) })
		if err != nil {
			return err
		}
		took = append(took, milliseconds(first))
		if err := e.Revive(leader); err != nil {
			return err
		}
	}
	b.add("failover", name, median(took))
	b.add("failover longest", name, slices.Max(took))
	return nil
}

// probing is how long the probes write before the leader is killed.
const probing = 500 * time.Millisecond

// firstWrite does kill under the eyes of a probe at each server, and returns the time from it to the first
// answer to a write that was sent after it.
func firstWrite(ctx context.Context, addrs []string, path string, kill func() error) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	g, ctx := group.New(ctx)
	defer g.Stop()
	var killed atomicTime
	won := make(chan time.Time, len(addrs))
	for _, addr := range addrs {
		g.Go("probe", func() error {
			for ctx.Err() == nil {
				if at, err := probe(ctx, addr, path, &killed); err == nil {
					won <- at
					return nil
				}
				time.Sleep(time.Millisecond)
			}
			return nil
		})
	}
	time.Sleep(probing)
	now := time.Now()
	killed.Store(&now)
	if err := kill(); err != nil {
		return 0, err
	}
	select {
	case at := <-won:
		return at.Sub(now), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("no write within %v of the kill of the leader", patience)
	}
}

// probe writes one at a time, until a write is answered that was sent after the kill.
func probe(ctx context.Context, addr, path string, killed *atomicTime) (time.Time, error) {
	c, err := dial(ctx, addr, patience)
	if err != nil {
		return time.Time{}, err
	}
	defer c.close()
	for {
		sent := time.Now()
		if err := c.do(wire.OpSetData, &wire.SetDataRequest{Path: path, Version: -1}, nil); err != nil {
			return time.Time{}, err
		}
		if at := killed.Load(); at != nil && sent.After(*at) {
			return time.Now(), nil
		}
	}
}

// quorumRows are the rows of the section about a quorum, with the goals of three servers against three.
func quorumRows(p plan) []row {
	rows := []row{
		{"create", "create, operations a second", thousands, "≥ 4", true},
		{"set", "set, operations a second", thousands, "≥ 4", true},
		{"get", "get, operations a second", thousands, "≥ 5", true},
		{"mixed", "mixed (90 % get, 10 % set), operations a second", thousands, "≥ 4", true},
		{"set1", "set, one at a time, operations a second", thousands, "", true},
		{"set1 p50", "— p50, ms", decimals, "≤ 0.5", true},
		{"set1 p99", "— p99, ms", decimals, "", true},
		{"get1", "get, one at a time, operations a second", thousands, "", true},
		{"get1 p50", "— p50, ms", decimals, "", true},
		{"fanout p50", fmt.Sprintf("one change, %s watching connections: to half of the events, ms",
			thousands(float64(p.crowd))), decimals, "", true},
		{"fanout all", "— to the last event, ms", decimals, "≤ 0.33", true},
		{"failover", fmt.Sprintf("kill -9 of the leader to the first write, median of %d, ms", p.kills),
			decimals, "< 1", true},
		{"failover longest", "— the longest, ms", decimals, "", true},
	}
	rows = append(rows, steadyRows(fewScope)...)
	for i := range rows {
		rows[i].key = quorumSection + " " + rows[i].key
		if strings.HasPrefix(rows[i].title, "mean, sets") {
			rows[i].title = fmt.Sprintf("sets for %v: ", p.steady) + rows[i].title
		}
	}
	return rows
}

// atomicTime is a moment that others wait for; nil until then.
type atomicTime = atomic.Pointer[time.Time]
