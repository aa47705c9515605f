// Command bench measures Grove beside Apache ZooKeeper: both on loopback, in turns, each time in an empty
// directory, with the same load from the same program. It prints Markdown for docs/benchmarks.md on
// standard output and what it is doing on standard error.
//
//	go run ./interop/bench            everything, about half an hour
//	go run ./interop/bench -quick     the same in a few minutes, to see that it runs
//	go run ./interop/bench -sections load -zkload PATH
//
// It needs Linux, Go, and for the comparison Java and Debian's zookeeper, or the jars of a release in
// ZK_CLASSPATH. Without these it says what is missing and measures Grove alone.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/grovekeeper/grove/interop/process"
)

// plan is what to measure, and for how long. The defaults of the load are those of zkload.
type plan struct {
	sections   []string
	rounds     int // of the load section
	longRounds int // of the others, which take minutes each

	conns, depth, size, keys int
	dur, warm                time.Duration

	nodes    int
	steady   time.Duration
	watchers int
	crowd    int // watchers of the section about a quorum
	kills    int // leaders killed there

	alone  bool   // without Apache ZooKeeper
	zkload string // a program to make the load of the load section, instead of this one
	dir    string // for the data of the servers, below which a directory is made
}

// javaDir is where Debian puts jars.
const javaDir = "/usr/share/java"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	p, err := parse(args, stderr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.took())
	defer cancel()
	dir, err := os.MkdirTemp(p.dir, "grove-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{plan: p, dir: dir, versions: map[string]string{}, figures: sheet{}}
	b.say = func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) }

	facts := machine()
	sync, err := syncTime(dir)
	if err != nil {
		return err
	}
	binary, err := process.Build(dir)
	if err != nil {
		return err
	}
	if !p.alone {
		if classpath, err := process.ApacheClasspath(os.Getenv, javaDir); err != nil {
			b.say("Grove runs alone, without Apache ZooKeeper: %v", err)
		} else {
			b.contenders = append(b.contenders, newApache(classpath))
			b.quorums = append(b.quorums, newApacheQuorum(classpath))
		}
	}
	b.contenders = append(b.contenders, newGrove(binary))
	b.quorums = append(b.quorums, newGroveQuorum(binary))
	if err := b.all(ctx); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s; %v to write and sync 512 bytes. %s\n\n", facts, sync.Round(time.Microsecond), b.who(binary))
	b.print(stdout)
	return nil
}

// parse reads the command line. With -quick, what is not given has small values.
func parse(args []string, stderr io.Writer) (plan, error) {
	var p plan
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	quick := f.Bool("quick", false, "one short round of everything; flags that are given still count")
	names := f.String("sections", strings.Join(sections(), ","), "what to measure, with commas")
	f.IntVar(&p.rounds, "rounds", 3, "rounds of the load section")
	f.IntVar(&p.longRounds, "long-rounds", 1, "rounds of the other sections")
	f.IntVar(&p.conns, "conns", 32, "connections")
	f.IntVar(&p.depth, "depth", 16, "requests outstanding on each connection")
	f.IntVar(&p.size, "size", 100, "bytes of data of a node")
	f.IntVar(&p.keys, "keys", 1000, "nodes read and written")
	f.DurationVar(&p.dur, "dur", 5*time.Second, "length of each phase of the load")
	f.DurationVar(&p.warm, "warm", 5*time.Second, "load before measuring, which lets Java compile")
	f.IntVar(&p.nodes, "nodes", 1_000_000, "nodes of the section million")
	f.DurationVar(&p.steady, "steady", time.Minute, "length of each part of the section steady")
	f.IntVar(&p.watchers, "watchers", 1000, "connections of the section fanout")
	f.IntVar(&p.crowd, "crowd", 10_000, "connections that watch in the section quorum")
	f.IntVar(&p.kills, "kills", 3, "leaders killed in the section quorum")
	f.BoolVar(&p.alone, "alone", false, "measure Grove alone")
	f.StringVar(&p.zkload, "zkload", "", "a zkload binary to make the load, instead of this program")
	f.StringVar(&p.dir, "dir", "", "where to put the data of the servers; empty for the system's directory")
	if err := f.Parse(args); err != nil {
		return plan{}, err
	}
	if *quick {
		given := map[string]bool{}
		f.Visit(func(x *flag.Flag) { given[x.Name] = true })
		for name, value := range map[string]string{
			"rounds": "1", "dur": "1s", "warm": "1s", "nodes": "100000", "steady": "5s", "watchers": "200",
			"crowd": "1000", "kills": "1",
		} {
			if given[name] {
				continue
			}
			if err := f.Set(name, value); err != nil {
				return plan{}, err
			}
		}
	}
	p.sections = strings.Split(*names, ",")
	return p, p.validate(f.Args())
}

// validate names what cannot be done.
func (p plan) validate(rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("%q is no flag", rest[0])
	}
	for _, s := range p.sections {
		if !slices.Contains(sections(), s) {
			return fmt.Errorf("-sections: %q is none of %v", s, sections())
		}
	}
	for name, n := range map[string]int{
		"rounds": p.rounds, "long-rounds": p.longRounds, "conns": p.conns, "depth": p.depth, "keys": p.keys,
		"nodes": p.nodes, "watchers": p.watchers, "crowd": p.crowd, "kills": p.kills,
	} {
		if n < 1 {
			return fmt.Errorf("-%s: %d is less than 1", name, n)
		}
	}
	if p.size < 0 || p.dur <= 0 || p.warm < 0 || p.steady < time.Second {
		return fmt.Errorf("-size and -warm must not be negative, -dur must be positive, -steady a second or more")
	}
	return nil
}

// who says which servers were measured.
func (b *bench) who(binary string) string {
	var list []string
	for _, c := range b.contenders {
		version := c.name + " " + b.versions[c.name]
		if c.name == zooKeeper {
			version += " (" + heapMax + ")"
		} else if out, err := exec.Command(binary, "version").Output(); err == nil {
			version = "Grove" + strings.TrimPrefix(strings.TrimSpace(string(out)), "grove")
		}
		list = append(list, version)
	}
	return strings.Join(list, "; ") + "."
}

// print writes a table for each section that was measured.
func (b *bench) print(w io.Writer) {
	var names []string
	for _, c := range b.contenders {
		names = append(names, c.name)
	}
	p := b.plan
	for _, t := range []struct {
		section, title string
		rows           []row
	}{
		{loadSection, fmt.Sprintf("Load: %d connections, %d outstanding, %d bytes, %s nodes, %v a phase, "+
			"medians of %d rounds", p.conns, p.depth, p.size, thousands(float64(p.keys)), p.dur, p.rounds), loadRows()},
		{millionSection, fmt.Sprintf("%s nodes of %d bytes", thousands(float64(p.nodes)), p.size), millionRows()},
		{steadySection, fmt.Sprintf("Steadiness: sets of %s nodes for %v", thousands(float64(p.keys)), p.steady),
			steadyRows(fewScope)},
		{steadySection, fmt.Sprintf("Steadiness: sets of %s of %s nodes for %v", thousands(float64(p.keys)),
			thousands(float64(p.nodes)), p.steady), steadyRows(amongScope)},
		{steadySection, fmt.Sprintf("Steadiness: sets of all %s nodes, at random, for %v",
			thousands(float64(p.nodes)), p.steady), steadyRows(manyScope)},
		{fanoutSection, fmt.Sprintf("Fan-out: one change, %s watching connections", thousands(float64(p.watchers))),
			fanoutRows()},
		{quorumSection, fmt.Sprintf("Three servers: %d connections, %d outstanding, %d bytes, %s nodes, %v a phase, "+
			"medians of %d rounds", p.conns, p.depth, p.size, thousands(float64(p.keys)), p.dur, p.rounds), quorumRows(p)},
	} {
		if slices.Contains(p.sections, t.section) {
			fmt.Fprintf(w, "### %s\n\n%s\n", t.title, table(b.figures, names, t.rows))
		}
	}
}
