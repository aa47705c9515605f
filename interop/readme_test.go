//go:build linux

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

// secluded says that the test runs in a network of its own, where no port is taken.
const secluded = "GROVE_INTEROP_SECLUDED"

// readmeAddrs is where the README has the servers of a quorum listen.
var readmeAddrs = []string{"127.0.0.1:2181", "127.0.0.1:2182", "127.0.0.1:2183"}

// TestReadme follows the README's section on a quorum to the letter, from a copy of the checkout.
func TestReadme(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a copy of the checkout: not with -short")
	}
	if seclude(t) {
		return
	}
	blocks := shellBlocks(t, "../README.md", "## A quorum")
	if len(blocks) != 2 {
		t.Fatalf("the section has %d blocks of commands, want 2", len(blocks))
	}
	root := copyModule(t)
	if _, err := os.Stat(filepath.Join(root, "cmd/grove/dev.go")); err != nil {
		t.Skip("this grove has no dev")
	}
	t.Run("in one process", func(t *testing.T) { tryDev(t, root, blocks[0]) })
	t.Run("a process each", func(t *testing.T) { tryServers(t, root, blocks[1]) })
}

// seclude runs the test again in a network of its own, and reports how it went. If that is not permitted, it
// returns false, as it does in there.
func seclude(t *testing.T) bool {
	t.Helper()
	if os.Getenv(secluded) != "" {
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			t.Skipf("no loopback: %v %s", err, out)
		}
		return false
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), secluded+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Skipf("the ports of the README may be taken, and a network of its own is not permitted: %v", err)
	}
	err := cmd.Wait()
	t.Logf("in a network of its own:\n%s", out)
	if err != nil {
		t.Error(err)
	} else if strings.Contains(out.String(), "--- SKIP: TestReadme ") {
		t.Skip("skipped in there")
	}
	return true
}

// shellBlocks returns the blocks of shell commands below a heading.
func shellBlocks(t *testing.T, file, heading string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n"+heading+"\n")
	if !found {
		t.Fatalf("%s has no %q", file, heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// copyModule copies what it takes to build the module.
func copyModule(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"cmd", "server", "internal", "session", "watch", "znode"} {
		if err := os.CopyFS(filepath.Join(root, name), os.DirFS(filepath.Join("..", name))); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// tryDev runs a whole quorum in one process and uses its prompt.
func tryDev(t *testing.T, root, block string) {
	cmd := exec.Command("bash", "-ec", "exec "+strings.TrimSpace(block))
	cmd.Dir = root
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // go run has a child
	l := start(t, cmd)
	t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	said := func(pattern string) {
		t.Helper()
		re := regexp.MustCompile(pattern)
		for line := range l.out {
			if re.MatchString(line) {
				return
			}
		}
		t.Fatalf("it ended before it said %q", pattern)
	}
	said(regexp.QuoteMeta(strings.Join(readmeAddrs, ",")))
	write := writeThrough(t, "/dev")
	write("all live")
	l.tell("status")
	said("leader")
	l.tell("kill 2")
	write("2 is dead")
	l.tell("start 2")
	l.tell("stop 1")
	write("1 has left")
}

// tryServers runs a process each and kills one.
func tryServers(t *testing.T, root, block string) {
	cmd := exec.Command("bash", "-ec", block+"\necho pids $(jobs -p)\nwait")
	cmd.Dir = root
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	l := start(t, cmd)
	t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	var pids []string
	listed := 0
	for line := range l.out {
		for _, peer := range []string{"127.0.0.1:2881", "127.0.0.1:2882", "127.0.0.1:2883"} {
			if strings.Contains(line, peer) && !strings.Contains(line, "level=") {
				listed++
			}
		}
		if rest, ok := strings.CutPrefix(line, "pids "); ok {
			pids = strings.Fields(rest)
			break
		}
	}
	if len(pids) != 3 || listed < 3 {
		t.Fatalf("%d servers run, and member list shows %d of 3", len(pids), listed)
	}
	write := writeThrough(t, "/servers")
	write("all live")
	pid, err := strconv.Atoi(pids[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	write("one is dead")
}

// writeThrough opens a session on all servers that creates a node, and returns what writes to it until that is
// answered.
func writeThrough(t *testing.T, path string) func(data string) {
	t.Helper()
	c, events, err := zk.Connect(readmeAddrs, 10*time.Second, zk.WithLogger(silent{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	await(t, events, zk.StateHasSession)
	if _, err := c.Create(path, nil, 0, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}
	return func(data string) {
		t.Helper()
		err := fmt.Errorf("not tried")
		for end := time.Now().Add(30 * time.Second); err != nil; time.Sleep(20 * time.Millisecond) {
			if _, err = c.Set(path, []byte(data), -1); err != nil && time.Now().After(end) {
				t.Fatalf("%s: %v", data, err)
			}
		}
	}
}
