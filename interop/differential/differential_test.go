package differential

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grovekeeper/grove/interop/process"
)

const (
	tools   = "../../../shared/tools"
	debian  = "/usr/share/java/zookeeper.jar"
	pairs   = 4  // of servers, each replaying scripts of its own; a script mostly waits for answers
	batch   = 25 // scripts for one run of zkdiff
	readyMs = 60_000
)

// TestSameAnswers replays scripts until as many as wanted were identical. A script that was not must be
// covered by a rule.
func TestSameAnswers(t *testing.T) {
	need(t)
	compare(t, number(t, "GROVE_SCRIPTS", 500), pairs, startPair)
}

// compare has as many pairs replay scripts until so many were identical.
func compare(t *testing.T, want, pairs int, start func(t *testing.T, grove string) *pair) {
	first := number(t, "GROVE_SEED", 1)
	bin := t.TempDir()
	grove, err := process.Build(bin)
	if err != nil {
		t.Fatal(err)
	}
	zkdiff := filepath.Join(bin, "zkdiff")
	build := exec.Command("go", "build", "-o", zkdiff, ".")
	build.Dir = filepath.Join(tools, "zkdiff")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build zkdiff: %v\n%s", err, out)
	}

	r := &run{zkdiff: zkdiff, want: want, next: first, excluded: map[string]int{}}
	both := make([]*pair, pairs)
	for i := range both {
		both[i] = start(t, grove)
	}
	var done sync.WaitGroup
	for _, p := range both {
		p.awaitReference(t)
		done.Go(func() { r.replay(t, p) })
	}
	done.Wait()
	t.Logf("Apache ZooKeeper %s: %d of %d scripts identical, seeds %d to %d", both[0].version, r.same, r.tried, first, r.next-1)
	for _, rule := range rules {
		if n := r.excluded[rule.name]; n > 0 {
			t.Logf("excluded by rule %q: %d scripts: %s", rule.name, n, rule.because)
		}
	}
	if !t.Failed() && r.same < want {
		t.Errorf("only %d of %d scripts were identical, want %d", r.same, r.tried, want)
	}
}

// need skips the test unless all it stands on is there.
func need(t *testing.T) {
	t.Helper()
	if os.Getenv("GROVE_INTEROP") == "" {
		t.Skip("set GROVE_INTEROP=1 to compare Grove with Apache ZooKeeper")
	}
	if testing.Short() {
		t.Skip("takes minutes: not with -short")
	}
	if _, err := os.Stat(filepath.Join(tools, "zkdiff")); err != nil {
		t.Skip("there is no ../shared/tools/zkdiff beside the checkout")
	}
	if _, err := os.Stat(debian); err != nil && os.Getenv("ZK_CLASSPATH") == "" {
		t.Skip("there is no Apache ZooKeeper: install Debian's zookeeper, or name the jars of a release in ZK_CLASSPATH")
	}
	if _, err := exec.LookPath("java"); err != nil {
		t.Skip("there is no java: install Debian's default-jre-headless")
	}
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q, want a number from 1", name, text)
	}
	return n
}

// run hands out seeds and counts.
type run struct {
	zkdiff string
	want   int

	mu       sync.Mutex // guards the fields below
	next     int        // seed
	tried    int
	same     int
	excluded map[string]int // by rule
}

// replay runs batches of scripts on one pair until there are enough. Both servers of a pair get the same
// scripts in the same order, so they stay comparable whatever the scripts leave behind.
func (r *run) replay(t *testing.T, p *pair) {
	for !t.Failed() {
		first, more := r.take()
		if !more {
			return
		}
		args := []string{"-a", p.reference, "-b", p.under, "-dump", "-show", strconv.Itoa(batch),
			"-first", strconv.Itoa(first), "-n", strconv.Itoa(batch)}
		if !p.older("3.9.0") {
			args = append(args, "-only39")
		}
		out, err := exec.Command(r.zkdiff, args...).Output()
		result, problem := parse(string(out))
		if problem != nil {
			t.Errorf("zkdiff %s: %v, %v", strings.Join(args, " "), err, problem)
			return
		}
		r.count(t, p, result)
	}
}

func (r *run) take() (first int, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.same >= r.want || r.tried >= 3*r.want {
		return 0, false
	}
	r.next += batch
	return r.next - batch, true
}

func (r *run) count(t *testing.T, p *pair, result result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tried += result.tried
	r.same += result.same
	for _, d := range result.differences {
		rule := covering(d, p)
		if rule == nil {
			t.Errorf("Grove answers otherwise than Apache ZooKeeper %s:\n%s", p.version, d)
			continue
		}
		r.excluded[rule.name]++
	}
}

// pair is a reference and a server under test, both started empty.
type pair struct {
	reference string // host:port, of several servers all with commas
	under     string // test, as reference
	several   bool   // servers
	version   string
}

func startPair(t *testing.T, grove string) *pair {
	t.Helper()
	dir := scratch(t)
	p := &pair{reference: unused(t)}
	server := &process.Server{Binary: grove, Dir: filepath.Join(dir, "grove")}
	_, port, _ := net.SplitHostPort(p.reference)
	zk1(t, "start", port, filepath.Join(dir, "zookeeper"))
	t.Cleanup(func() { zk1(t, "stop", port, filepath.Join(dir, "zookeeper")) })
	if err := server.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Errorf("the server did not end well: %v", err)
		}
	})
	p.under = server.Addr
	return p
}

// scratch returns a directory in memory if there is one: answers are compared here, not durability, and
// half of the time would be spent in fsync.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "grove-differential-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func unused(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func zk1(t *testing.T, verb, port, dir string) {
	t.Helper()
	cmd := exec.Command("bash", filepath.Join(tools, "zk1.sh"), verb)
	cmd.Env = append(os.Environ(), "ZK1_PORT="+port, "ZK1_DIR="+dir,
		"JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC") // several on few cores
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("zk1.sh %s: %v\n%s", verb, err, out)
	}
}

// awaitReference asks the reference who it is until it answers.
func (p *pair) awaitReference(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(readyMs * time.Millisecond); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		first, _, _ := strings.Cut(p.reference, ",")
		if p.version = askVersion(first); p.version != "" {
			return
		}
	}
	t.Fatalf("Apache ZooKeeper on %s does not answer", p.reference)
}

func askVersion(addr string) string {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return ""
	}
	defer c.Close()
	fmt.Fprint(c, "srvr")
	c.SetDeadline(time.Now().Add(5 * time.Second))
	var version string
	if _, err := fmt.Fscanf(c, "Zookeeper version: %s", &version); err != nil {
		return ""
	}
	version, _, _ = strings.Cut(version, "-")
	return version
}

// older tells whether the reference is an earlier release than the named one.
func (p *pair) older(release string) bool {
	var got, than [3]int
	fmt.Sscanf(p.version, "%d.%d.%d", &got[0], &got[1], &got[2])
	fmt.Sscanf(release, "%d.%d.%d", &than[0], &than[1], &than[2])
	for i := range got {
		if got[i] != than[i] {
			return got[i] < than[i]
		}
	}
	return false
}
