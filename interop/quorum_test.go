package interop

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/grovekeeper/grove/interop/process"
)

// super is who may change the members.
const super = "super:secret"

// superFlags lets it.
func superFlags() []string {
	sum := sha1.Sum([]byte(super))
	return []string{"--super-digest", "super:" + base64.StdEncoding.EncodeToString(sum[:])}
}

// openQuorum starts servers of a quorum that end with the test.
func openQuorum(t *testing.T, n int) *process.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("starts several servers: not with -short")
	}
	binary, err := process.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	help, err := exec.Command(binary, "serve", "--help").CombinedOutput()
	if err != nil || !strings.Contains(string(help), "--peers") {
		t.Skipf("this grove has no peers: %v", err)
	}
	c, err := process.NewCluster(binary, t.TempDir(), process.Local(n), superFlags()...)
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

// TestKilledInTurn kills each of three servers, and no client loses its session.
func TestKilledInTurn(t *testing.T) {
	c := openQuorum(t, 3)
	addrs := strings.Join(c.Addrs(), ",")
	watching := map[string]*lines{}
	for _, one := range []struct {
		name, script string
		needs        []need
	}{
		{"kazoo", "kazoo_quorum.py", []need{asked, python("kazoo", "python3-kazoo")}},
		{"C", "c_quorum.py", []need{asked, file(python3, "python3"), library("libzookeeper_mt.so.2", "libzookeeper-mt2")}},
	} {
		if lacks := (&client{needs: one.needs}).lacks(); lacks != "" {
			t.Logf("%s: %s", one.name, lacks)
			continue
		}
		watching[one.name] = start(t, exec.Command(python3, "-u", "testdata/"+one.script, addrs, "/"+one.name))
	}
	ours, sessions := goSession(t, c.Addrs())
	for name, l := range watching {
		hear(t, name, l, "ready")
	}
	for _, m := range c.Members {
		if err := m.Kill(); err != nil {
			t.Fatal(err)
		}
		for name, l := range watching {
			l.tell("killed")
			hear(t, name, l, "served")
		}
		ours(fmt.Sprint("killed ", m.ID))
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for name, l := range watching {
		l.tell("end")
		hear(t, name, l, "done")
	}
	if n := sessions(); n != 1 {
		t.Errorf("go-zookeeper had %d sessions, want 1", n)
	}
}

// goSession opens a session with go-zookeeper that owns an ephemeral. It returns a function that writes until it
// is answered, and one that tells how many sessions it took.
func goSession(t *testing.T, addrs []string) (write func(data string), sessions func() int) {
	t.Helper()
	c, events, err := zk.Connect(addrs, 10*time.Second, zk.WithLogger(silent{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	await(t, events, zk.StateHasSession)
	first := c.SessionID()
	if _, err := c.Create("/go", nil, zk.FlagEphemeral, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}
	write = func(data string) {
		t.Helper()
		for end := time.Now().Add(clientMax); ; time.Sleep(20 * time.Millisecond) {
			_, err := c.Set("/go", []byte(data), -1)
			if err == nil {
				return
			}
			if time.Now().After(end) || err == zk.ErrNoNode {
				t.Fatalf("set: %v", err)
			}
		}
	}
	return write, func() int {
		if c.SessionID() != first {
			return 2
		}
		return 1
	}
}

// hear waits for a line; failures that come before it are the test's.
func hear(t *testing.T, name string, l *lines, want string) {
	t.Helper()
	for line := range l.out {
		if strings.HasPrefix(line, "failed ") {
			t.Errorf("%s: %s", name, line)
		}
		if line == want {
			return
		}
	}
	t.Fatalf("%s ended before it said %q", name, want)
}

// TestReconfigWithZkCli adds a fourth server and removes it with the shell that comes with ZooKeeper.
func TestReconfigWithZkCli(t *testing.T) {
	if lacks := (&client{needs: clients[0].needs}).lacks(); lacks != "" {
		t.Skip(lacks)
	}
	c := openQuorum(t, 3)
	fourth, err := c.Add(process.Loopback)
	if err != nil {
		t.Fatal(err)
	}
	if err := fourth.Launch(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(zkCli, "-server", c.Addrs()[0])
	cmd.Env = append(os.Environ(), "CLIENT_JVMFLAGS="+strings.Join(thrifty, " "))
	shell := &console{scene: &scene{t: t, column: &column{}}, shell: start(t, cmd)}
	quoted := func(m *process.Member) string {
		line, _, _ := strings.Cut(m.Line(), ";")
		return "< ^" + regexp.QuoteMeta(line)
	}
	for _, step := range []string{
		"> config", quoted(c.Members[0]), quoted(c.Members[1]), quoted(c.Members[2]), `< ^version=[0-9a-f]+$`,
		"> reconfig -add " + fourth.Line(), `< Authentication is not valid|NoAuth|Insufficient permission`,
		"> addauth digest " + super,
		"> reconfig -add " + fourth.Line(), "< ^Committed new configuration:$", quoted(fourth), `< ^version=[0-9a-f]+$`,
		"> config", quoted(fourth),
	} {
		shell.step(step)
	}
	if err := fourth.Ready(answerMax); err != nil {
		t.Fatal(err)
	}
	write, _ := goSession(t, []string{fourth.Client})
	write("through the fourth")
	for _, step := range []string{
		"> reconfig -remove 4", "< ^Committed new configuration:$", `< ^version=[0-9a-f]+$`,
	} {
		shell.step(step)
	}
	shell.since, shell.asked = nil, 0
	shell.step("> config")
	shell.step(`< ^version=[0-9a-f]+$`)
	shell.count("^server\\.4=", 0)
	shell.count("^server\\.[123]=", 3)
	for end := time.Now().Add(answerMax); ; time.Sleep(50 * time.Millisecond) {
		if mode, err := process.Mode(fourth.Client); err != nil || mode != "follower" && mode != "leader" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the server that was removed serves on")
		}
	}
}
