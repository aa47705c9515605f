//go:build linux

package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A network gives every server a namespace of its own and a cable to a bridge, at which the clients are too.
// What one server sends to another can be thrown away without a word, in one direction: its cable then
// delivers to an address that nobody has. All of it vanishes with the processes that hold it.
type network struct {
	holders []*exec.Cmd // by server, from 0
}

const (
	subnet  = "10.77.0."
	nowhere = "02:00:00:00:00:ee"
)

func hostOf(i int) string { return subnet + strconv.Itoa(i+1) }

// inside says that the test runs in namespaces of its own.
const inside = "GROVE_CHAOS_INSIDE"

// enter runs the test again in namespaces of its own, where it may lay cables and mount disks, and reports
// how it went. It returns false if that is not permitted, and in there.
func enter(t *testing.T) (done bool) {
	t.Helper()
	if os.Getenv(inside) != "" {
		return false
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=1h")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
	}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Logf("no namespaces, and so no partitions: %v", err)
		return false
	}
	err := cmd.Wait()
	t.Logf("in namespaces of its own:\n%s", out)
	switch {
	case err != nil:
		t.Errorf("in there: %v", err)
	case strings.Contains(out.String(), "--- SKIP"):
		t.Skip("skipped in there")
	}
	return true
}

// lay lays the cables for n servers. It returns nil and why if that cannot be done here.
func lay(t *testing.T, n int) (*network, error) {
	if os.Getenv(inside) == "" {
		return nil, fmt.Errorf("the test has no namespaces of its own")
	}
	w := &network{}
	t.Cleanup(func() {
		for _, h := range w.holders {
			h.Process.Kill()
			h.Wait()
		}
		ip("link", "del", "bridge") // another run in the same namespaces makes it again
	})
	for _, line := range []string{
		"link set lo up", "link add bridge type bridge", "addr add " + subnet + "254/24 dev bridge", "link set bridge up",
	} {
		if err := ip(strings.Fields(line)...); err != nil {
			return nil, err
		}
	}
	for i := range n {
		if err := w.connect(i); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *network) connect(i int) error {
	holder := exec.Command("sleep", "infinity")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := holder.Start(); err != nil {
		return err
	}
	w.holders = append(w.holders, holder)
	cable := fmt.Sprint("cable", i)
	for _, line := range []string{
		fmt.Sprintf("link add %s type veth peer name eth0 netns %d", cable, holder.Process.Pid),
		"link set " + cable + " master bridge", "link set " + cable + " up",
	} {
		if err := ip(strings.Fields(line)...); err != nil {
			return err
		}
	}
	for _, line := range []string{"link set lo up", "addr add " + hostOf(i) + "/24 dev eth0", "link set eth0 up"} {
		if err := w.at(i, line); err != nil {
			return err
		}
	}
	return nil
}

// wrapper runs a program at a server's end.
func (w *network) wrapper(i int) []string {
	return []string{"nsenter", "-t", strconv.Itoa(w.holders[i].Process.Pid), "-n"}
}

func (w *network) at(i int, line string) error {
	return run1(append(append(w.wrapper(i), "ip"), strings.Fields(line)...))
}

// cut throws away what one server sends to another.
func (w *network) cut(from, to int) error {
	return w.at(from, fmt.Sprintf("neigh replace %s lladdr %s dev eth0 nud permanent", hostOf(to), nowhere))
}

// mend undoes all cuts, and connects every cable.
func (w *network) mend() error {
	for i := range w.holders {
		if err := w.plug(i, true); err != nil {
			return err
		}
		if err := w.at(i, "neigh flush dev eth0 nud permanent"); err != nil {
			return err
		}
	}
	return nil
}

// plug connects or disconnects a cable: from everybody, clients too.
func (w *network) plug(i int, in bool) error {
	state := "down"
	if in {
		state = "up"
	}
	return ip("link", "set", fmt.Sprint("cable", i), state)
}

func ip(args ...string) error { return run1(append([]string{"ip"}, args...)) }

func run1(args []string) error {
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Cuts are what they are said to be: a test of the tests.
func TestNetwork(t *testing.T) {
	if enter(t) {
		return
	}
	w, err := lay(t, 2)
	if err != nil {
		t.Skip(err)
	}
	ping := func(from, to int) error {
		return run1(append(w.wrapper(from), "bash", "-c", fmt.Sprintf("exec 2>&1; timeout 1 bash -c '>/dev/tcp/%s/9'", hostOf(to))))
	}
	refused := func(err error) bool { return err != nil && strings.Contains(err.Error(), "refused") }
	for _, step := range []struct {
		what    string
		do      func() error
		reached bool
	}{
		{"connected", func() error { return nil }, true},
		{"0 does not send", func() error { return w.cut(0, 1) }, false},
		{"mended", w.mend, true},
		{"1 does not send", func() error { return w.cut(1, 0) }, false},
		{"mended again", w.mend, true},
		{"1 unplugged", func() error { return w.plug(1, false) }, false},
		{"plugged in", w.mend, true},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		err := ping(0, 1)
		for end := time.Now().Add(settleMax); step.reached && !refused(err) && time.Now().Before(end); {
			err = ping(0, 1) // a busy machine may need more than the second that a try has
		}
		if refused(err) != step.reached {
			t.Errorf("%s: %v", step.what, err)
		}
	}
}
