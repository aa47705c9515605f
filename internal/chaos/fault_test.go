//go:build linux

package chaos

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
)

// Asked to end under load, a server ends well, and what it has acknowledged is there again.
func TestTerminate(t *testing.T) {
	t.Parallel()
	r := newRun(t, "")
	r.start()
	for range 3 {
		r.load(r.answers(1+r.rng.IntN(1500)), r.stop)
		if err := verify(r.dir); err != nil {
			t.Fatal(err)
		}
		r.start()
	}
	t.Logf("%d writes acknowledged; of those without an answer %d were done and %d not, or overwritten",
		r.acknowledged, r.without, r.lost)
}

// pauseFor is longer than the timeouts of the sessions that must live through it.
const (
	pauseFor        = 2500 * time.Millisecond
	nervousTimeout  = 800 * time.Millisecond
	nervousSessions = 5
)

// A server that does not run for a while has not heard of its sessions, but neither have they been silent:
// none expires for it. Whoever has a request open gets the answer afterwards.
func TestPause(t *testing.T) {
	t.Parallel()
	r := newRun(t, "")
	r.start()
	failed := make(chan error, nervousSessions)
	end := make(chan struct{})
	for range nervousSessions {
		c, err := r.dial(anywhere)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		if _, err := c.hello(credentials{}, nervousTimeout, 0); err != nil {
			t.Fatal(err)
		}
		go func() { failed <- c.keepAlive(nervousTimeout/4, end) }()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-r.answers(500)
		if err := r.server.signal(syscall.SIGSTOP); err != nil {
			t.Error(err)
		}
		<-time.After(pauseFor)
		if err := r.server.signal(syscall.SIGCONT); err != nil {
			t.Error(err)
		}
		<-r.answers(500)
	}()
	r.load(done, func() {})
	close(end)
	for range nervousSessions {
		if err := <-failed; err != nil {
			t.Errorf("a session that never was silent for %v: %v", nervousTimeout, err)
		}
	}
	r.look()
	r.stop()
}

// keepAlive pings until end is closed. Its error is that of a session or connection that is gone.
func (c *conn) keepAlive(every time.Duration, end <-chan struct{}) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-end:
			_, err := c.call(wire.OpGetEphemerals, &wire.GetEphemeralsRequest{Null: true}, nil)
			return err
		case <-tick.C:
			if _, err := c.call(wire.OpExists, &wire.ExistsRequest{Path: "/"}, nil); err != nil {
				return err
			}
		}
	}
}

// A server that cannot write any more stops, or serves on; it acknowledges nothing that it does not have. When
// there is space again, it comes up with everything.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "size=3m")
	r := newRun(t, filepath.Join(disk, "data"))
	r.start()
	r.load(r.answers(300), r.kill)
	r.start()
	r.mortal.Store(true)
	r.load(r.server.down, func() {})
	r.refusedWell(t, "no space left")

	for range 3 { // the disk is as full as before: it may come up, and go down with its first write
		if err := r.launch(); err != nil {
			r.refusedWell(t, "no space left")
			continue
		}
		_ = r.leaveStrays() // whether they were let in, the tree tells later
		r.kill()
	}
	if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	r.mortal.Store(false)
	r.start()
	r.load(r.answers(300), r.stop)
	r.start()
	t.Logf("%d writes acknowledged; of those without an answer %d were done and %d not, or overwritten",
		r.acknowledged, r.without, r.lost)
}

// smallDisk mounts a file system in memory.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	disk, err := os.MkdirTemp("", "grove-chaos-disk-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(disk) })
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, size); err != nil {
		t.Skipf("a full disk needs the right to mount a small one: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			kept := disk + "-kept"
			t.Logf("what was on the disk is now in %s: %v", kept, os.CopyFS(kept, os.DirFS(disk)))
		}
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return disk
}

// refusedWell sees that a server has ended with an error that says why, and not by a panic.
func (r *run) refusedWell(t *testing.T, why string) {
	t.Helper()
	if err := r.server.wait(); err != nil {
		t.Fatal(err)
	}
	words := r.server.log.String()
	if code := r.server.exitCode(); code != 1 || strings.Contains(words, "panic") {
		t.Fatalf("ended with %d:\n%s", code, words)
	}
	t.Logf("ended with: %s", words[strings.LastIndexByte(words, '\n')+1:])
	if !strings.Contains(words, why) {
		t.Fatalf("ended without saying %q:\n%s", why, words)
	}
}

// A flush or a write that fails ends the server: it does not try again, and does not go on. What was
// acknowledged before is there afterwards.
func TestFailedFlush(t *testing.T) {
	t.Parallel()
	if err := exec.Command("strace", "-e", "trace=none", "true").Run(); err != nil {
		t.Skipf("a failed flush needs strace: %v", err)
	}
	r := newRun(t, "")
	for _, one := range []struct{ call, fault, why string }{
		{"fdatasync", "error=EIO:when=%d", "input/output error"},
		{"fdatasync", "error=EIO:when=%d+", "input/output error"},
		{"pwrite64", "error=EIO:when=%d+", "input/output error"},
		{"pwrite64", "error=ENOSPC:when=%d+", "no space left"},
	} {
		r.start()
		inject(t, r.server.cmd.Process.Pid, one.call, fmt.Sprintf(one.fault, 5+r.rng.IntN(40)))
		r.mortal.Store(true)
		r.load(r.server.down, func() {})
		r.mortal.Store(false)
		r.refusedWell(t, one.why)
	}
	r.start()
	t.Logf("%d writes acknowledged; of those without an answer %d were done and %d not, or overwritten",
		r.acknowledged, r.without, r.lost)
}

// inject lets system calls of a running process fail, from each of its threads.
func inject(t *testing.T, pid int, call, fault string) {
	t.Helper()
	t.Logf("%s: %s", call, fault)
	cmd := exec.Command("strace", "-f", "-o", os.DevNull, "-e", "trace="+call,
		"-e", "inject="+call+":"+fault, "-p", fmt.Sprint(pid))
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	attached := make(chan struct{})
	go func() {
		said := tail{}
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if said.add(lines.Text()); strings.Contains(lines.Text(), "attached") && len(said.lines) == 1 {
				close(attached)
			}
		}
		ended <- errors.Join(cmd.Wait(), errors.New(said.String()))
	}()
	select {
	case <-attached:
	case err := <-ended:
		t.Skipf("a failed flush needs the right to trace: %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() // if the server has outlived it
		<-ended
	})
}
