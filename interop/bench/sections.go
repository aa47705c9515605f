package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The sections, as -sections names them.
const (
	loadSection    = "load"
	millionSection = "million"
	steadySection  = "steady"
	fanoutSection  = "fanout"
	quorumSection  = "quorum"
)

func sections() []string {
	return []string{loadSection, millionSection, steadySection, fanoutSection, quorumSection}
}

// The scopes of the section about steadiness: how many nodes are set, of how many.
const (
	fewScope   = "few"
	amongScope = "few of many"
	manyScope  = "many"
)

// bench carries out a plan and collects the figures. It is for one goroutine.
type bench struct {
	plan       plan
	contenders []contender
	quorums    []contender // the same, with three servers each
	prefix     string      // of the figures, which keeps those of three servers apart
	dir        string      // of everything; gone at the end
	versions   map[string]string
	figures    sheet
	say        func(format string, args ...any) // progress, one line each
}

// round is one section's turn on one contender, on a server of its own.
type round struct {
	section string
	run     func(ctx context.Context, name string, s server) error
	times   int
	quorum  bool // on three servers
}

// rounds lists what is to be done. The nodes of the section about a million serve the one about
// steadiness too, because filling takes longer than measuring.
func (b *bench) rounds() []round {
	wanted := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(b.plan.sections, name) })
	}
	var list []round
	for _, r := range []struct {
		round
		wanted bool
	}{
		{round{"load", b.load, b.plan.rounds, false}, wanted(loadSection)},
		{round{"fanout", b.fanout(b.plan.watchers), b.plan.longRounds, false}, wanted(fanoutSection)},
		{round{"steady", b.steadyFew, b.plan.longRounds, false}, wanted(steadySection)},
		{round{"million", b.million, b.plan.longRounds, false}, wanted(millionSection, steadySection)},
		{round{"quorum load", b.load, b.plan.rounds, true}, wanted(quorumSection)},
		{round{"quorum fanout", b.fanout(b.plan.crowd), b.plan.longRounds, true}, wanted(quorumSection)},
		{round{"quorum steady", b.steadyFew, b.plan.longRounds, true}, wanted(quorumSection)},
		{round{"quorum failover", b.failover, b.plan.longRounds, true}, wanted(quorumSection)},
	} {
		if r.wanted {
			list = append(list, r.round)
		}
	}
	return list
}

// all runs every round. The contenders take turns, and each begins as often as the other, so that a
// machine that gets slower in the meantime favours nobody.
func (b *bench) all(ctx context.Context) error {
	for _, r := range b.rounds() {
		for n := range r.times {
			turn := slices.Clone(b.contenders)
			if b.prefix = ""; r.quorum {
				turn, b.prefix = slices.Clone(b.quorums), quorumSection+" "
			}
			if n%2 == 1 {
				slices.Reverse(turn)
			}
			for _, c := range turn {
				b.say("%s, round %d of %d: %s", r.section, n+1, r.times, c.name)
				if err := b.fresh(ctx, c, r.run); err != nil {
					return fmt.Errorf("%s of %s: %w", r.section, c.name, err)
				}
			}
		}
	}
	return nil
}

// fresh runs f on a server that has just been started in an empty directory, and removes both.
func (b *bench) fresh(ctx context.Context, c contender, f func(context.Context, string, server) error) error {
	dir := filepath.Join(b.dir, "run")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(dir) // what cannot be removed makes the next Mkdir fail
	s, err := c.make(dir)
	if err != nil {
		return err
	}
	defer s.Kill() // whatever happened; it is over
	if _, err := start(ctx, s); err != nil {
		return err
	}
	if b.versions[c.name] == "" {
		if b.versions[c.name], err = version(nth(s.Addr(), 0)); err != nil {
			return err
		}
	}
	return f(ctx, c.name, s)
}

// add notes a figure and says it.
func (b *bench) add(row, name string, value float64) {
	row = b.prefix + row
	b.figures.add(row, name, value)
	b.say("  %-18s %.2f", row, value)
}

// warm lets a server compile what it will need; Java's runs several times as fast afterwards.
func (b *bench) warm(ctx context.Context, addr string, w workload) error {
	if b.plan.warm == 0 {
		return nil
	}
	_, err := drive(ctx, addr, load{b.plan.conns, b.plan.depth, b.plan.warm, w.mixed})
	return err
}

// load measures the phases, by this program's own load or by another one.
func (b *bench) load(ctx context.Context, name string, s server) error {
	w := newWorkload("/bench", b.plan.keys, b.plan.size)
	if _, err := w.fill(ctx, s.Addr(), 1, b.plan.depth); err != nil {
		return err
	}
	if err := b.warm(ctx, s.Addr(), w); err != nil {
		return err
	}
	if b.plan.zkload != "" {
		return b.foreignLoad(ctx, name, s)
	}
	for _, p := range w.phases() {
		l := load{b.plan.conns, b.plan.depth, b.plan.dur, p.each}
		if p.single {
			l.conns, l.depth = 1, 1
		}
		o, err := drive(ctx, s.Addr(), l)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		b.phase(name, line{
			phase: p.name, rate: o.rate(),
			p50: milliseconds(quantile(o.latencies, .5)), p99: milliseconds(quantile(o.latencies, .99)),
		})
	}
	return nil
}

// phase notes one phase. Where requests queue, their latency says nothing but the rate again.
func (b *bench) phase(name string, l line) {
	b.add(l.phase, name, l.rate)
	if l.phase == "set1" || l.phase == "get1" {
		b.add(l.phase+" p50", name, l.p50)
		b.add(l.phase+" p99", name, l.p99)
	}
}

// million fills a directory, kills the server and starts it again.
func (b *bench) million(ctx context.Context, name string, s server) error {
	w := newWorkload("/bench", b.plan.nodes, b.plan.size)
	o, err := w.fill(ctx, s.Addr(), b.plan.conns, b.plan.depth)
	if err != nil {
		return err
	}
	if slices.Contains(b.plan.sections, millionSection) {
		b.add("fill", name, o.took.Seconds())
		if err := b.memory(ctx, name, s, w); err != nil {
			return err
		}
	}
	if slices.Contains(b.plan.sections, steadySection) {
		some := w
		some.keys = w.keys[:min(b.plan.keys, b.plan.nodes)]
		if err := b.steady(ctx, name, s, some, amongScope); err != nil {
			return err
		}
		return b.steady(ctx, name, s, w, manyScope)
	}
	return nil
}

// memory looks at a full server before and after its process is killed.
func (b *bench) memory(ctx context.Context, name string, s server, w workload) error {
	if err := b.status(name, s, "rss", "VmRSS"); err != nil {
		return err
	}
	if err := b.status(name, s, "peak", "VmHWM"); err != nil {
		return err
	}
	if err := s.Kill(); err != nil {
		return err
	}
	took, err := start(ctx, s)
	if err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	b.add("restart", name, took.Seconds())
	n, err := w.count(ctx, s.Addr())
	if err != nil {
		return err
	}
	if n != len(w.keys) {
		return fmt.Errorf("%d of %d nodes are there after the restart", n, len(w.keys))
	}
	return b.status(name, s, "rss again", "VmRSS")
}

func (b *bench) status(name string, s server, row, field string) error {
	v, err := memoryMiB(s.Pid(), field)
	if err != nil {
		return err
	}
	b.add(row, name, v)
	return nil
}

// steadyFew sets a thousand nodes without a pause.
func (b *bench) steadyFew(ctx context.Context, name string, s server) error {
	w := newWorkload("/bench", b.plan.keys, b.plan.size)
	if _, err := w.fill(ctx, s.Addr(), 1, b.plan.depth); err != nil {
		return err
	}
	return b.steady(ctx, name, s, w, fewScope)
}

// steady counts the sets of each second, and the checkpoints that happen meanwhile.
func (b *bench) steady(ctx context.Context, name string, s server, w workload, scope string) error {
	if err := b.warm(ctx, s.Addr(), w); err != nil {
		return err
	}
	before, err := s.Checkpoints()
	if err != nil {
		return err
	}
	o, err := drive(ctx, s.Addr(), load{b.plan.conns, b.plan.depth, b.plan.steady, w.scattered})
	if err != nil {
		return err
	}
	after, err := s.Checkpoints()
	if err != nil {
		return err
	}
	mean, worst := steadiness(o.seconds)
	b.add(scope+" mean", name, mean)
	b.add(scope+" worst", name, worst)
	b.add(scope+" share", name, worst/mean)
	written := after[len(before):]
	b.add(scope+" checkpoints", name, float64(len(written)))
	if longest := slices.Max(append(written, 0)); longest > 0 {
		b.add(scope+" longest", name, longest.Seconds())
	}
	b.say("  every second: %v", o.seconds)
	return b.status(name, s, scope+" rss", "VmRSS")
}

// fanoutTimes is how often all watches are armed and fired.
const fanoutTimes = 5

// fanout measures how long one change takes to reach everybody who waits for it.
func (b *bench) fanout(watchers int) func(context.Context, string, server) error {
	return func(ctx context.Context, name string, s server) error { return b.fan(ctx, name, s, watchers) }
}

func (b *bench) fan(ctx context.Context, name string, s server, watchers int) error {
	w := newWorkload("/bench", 1, b.plan.size)
	if _, err := w.fill(ctx, s.Addr(), 1, 1); err != nil {
		return err
	}
	crowd, err := gather(ctx, s.Addr(), watchers)
	if err != nil {
		return err
	}
	defer crowd.close()
	var half, all []float64
	for range fanoutTimes {
		arrived, err := crowd.fire(w.keys[0], w.data)
		if err != nil {
			return err
		}
		half = append(half, milliseconds(quantile(arrived, .5)))
		all = append(all, milliseconds(quantile(arrived, 1)))
	}
	b.add("fanout p50", name, median(half))
	b.add("fanout all", name, median(all))
	return nil
}

// took is how long a whole run may last: several times what the plan adds up to.
func (p plan) took() time.Duration {
	load := time.Duration(p.rounds) * (6*p.dur + p.warm + time.Minute)
	long := time.Duration(p.longRounds) * (3*(p.steady+p.warm) + fillMax + 2*startMax + 2*time.Minute)
	quorum := load + time.Duration(p.longRounds)*(p.steady+p.warm+time.Duration(p.kills)*startMax+5*time.Minute)
	return 2 * (load + long + quorum) // two contenders
}
