package checkpoint

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// childEnv names the directory in which this test binary, started again, is to write until it is
// killed.
const childEnv = "GROVE_CHECKPOINT_CHILD"

// history of the child: a world that depends on the number of steps alone. Every third step is
// large enough to be staged, every tenth written anew.
func childStep(w *world, step int) {
	r := rand.New(rand.NewPCG(uint64(step), 0))
	if step == 0 {
		w.open()
		for i := range 3000 {
			w.create(fmt.Sprintf("/%04d", i), "")
		}
		return
	}
	w.stir(r, 1+r.IntN(60))
	for range step % 3 * 100 {
		w.set(fmt.Sprintf("/%04d", r.IntN(3000)), "set")
	}
	w.renew = step%10 == 0
}

// TestChild is no test but the process that TestKill kills. It goes on from what it finds, and
// says on its output which step is written.
func TestChild(t *testing.T) {
	dir := os.Getenv(childEnv)
	if dir == "" {
		t.Skip("only runs inside TestKill")
	}
	s := openStore(t, filepath.Join(dir, "state"))
	m, _ := s.Meta()
	w := newWorld(t)
	for step := 0; ; step++ {
		childStep(w, step)
		if w.machine.Zxid() <= m.State.Zxid {
			w.clean()
			continue
		}
		w.save(s)
		fmt.Printf("wrote %d\n", step)
	}
}

// A process that is killed at any time leaves the state of one of its steps: the last it finished
// to write, or the one it was writing.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	for round := range 6 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
		cmd.Env = append(os.Environ(), childEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		last := -1
		lines := bufio.NewScanner(out)
		for wrote := 0; wrote < 1+round*5 && lines.Scan(); {
			if n, _ := fmt.Sscanf(lines.Text(), "wrote %d", &last); n == 1 {
				wrote++
			}
		}
		time.AfterFunc(time.Duration(round*7)*time.Millisecond, func() { cmd.Process.Kill() }) // inside some step
		for lines.Scan() {
			fmt.Sscanf(lines.Text(), "wrote %d", &last)
		}
		cmd.Wait()
		if last < 0 {
			t.Fatal("the child wrote nothing")
		}
		found := openStore(t, filepath.Join(dir, "state"))
		w := newWorld(t)
		for step := 0; step <= last; step++ {
			childStep(w, step)
		}
		if m, _ := found.Meta(); m.State.Zxid > w.machine.Zxid() {
			childStep(w, last+1)
		}
		same(t, found, w.machine.View())
		found.Close()
	}
}
