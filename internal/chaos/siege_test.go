//go:build linux

package chaos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
	servers "github.com/grovekeeper/grove/interop/process"
)

// A siege is a run against several servers. Workers of even numbers keep to one server each, the others and
// whoever only looks go to any.
type siege struct {
	*run
	cluster    *servers.Cluster
	net        *network // nil: all on the loopback, and no partitions
	why        error    // there is no network
	small      *servers.Member
	gophers    []*gopher
	gopherTree *tree // at the begin of the round
	began      int   // round
	installed  int   // images so far
	timeline   []string
}

const (
	opWait     = time.Second          // then a client tries another server
	opPace     = 4 * time.Millisecond // between two windows of a worker
	visitWait  = 4 * time.Second
	settleMax  = 30 * time.Second // from the end of a fault until all is well
	finalNode  = "/final"
	smallBytes = 600 << 20
)

// peering returns a binary that can be one server of several.
func peering(t *testing.T) string {
	t.Helper()
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	if help, err := exec.Command(bin, "serve", "--help").CombinedOutput(); err != nil || !strings.Contains(string(help), "--peers") {
		t.Skipf("this grove has no peers: %v", err)
	}
	return bin
}

// besiege starts n servers.
func besiege(t *testing.T, n int) *siege {
	t.Helper()
	bin := peering(t)
	s := &siege{run: newRun(t, "")}
	s.wait, s.pace, s.stubborn, s.place = opWait, opPace, true, s.where
	s.mortal.Store(true)
	hosts := servers.Local(n)
	if s.net, s.why = lay(t, n); s.why == nil {
		for i := range hosts {
			hosts[i] = hostOf(i)
		}
	} else {
		s.net = nil
	}
	flags := slices.Clone(settings[2:])
	if n == 3 { // who was away finds in the log what it missed; of five, it is sent the tree
		flags = append(flags, "--log-retain", "20000")
	}
	var err error
	if s.cluster, err = servers.NewCluster(bin, s.dir, hosts, flags...); err != nil {
		t.Fatal(err)
	}
	for i, m := range s.cluster.Members {
		if s.net != nil {
			m.Wrapper = s.net.wrapper(i)
		}
	}
	s.shrink(s.cluster.Members[n-1])
	t.Cleanup(s.lift)
	if err := s.cluster.Start(); err != nil {
		t.Fatal(err)
	}
	s.settle()
	return s
}

// shrink gives a member a small disk, if that is permitted.
func (s *siege) shrink(m *servers.Member) {
	at := filepath.Dir(m.Dir)
	if err := syscall.Mount("tmpfs", at, "tmpfs", 0, fmt.Sprintf("size=%d", smallBytes)); err != nil {
		return
	}
	s.small = m
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("what was on the small disk is in %s-kept: %v", at, os.CopyFS(at+"-kept", os.DirFS(at)))
		}
		syscall.Unmount(at, syscall.MNT_DETACH)
	})
}

// lift ends all servers, and after a failure keeps what they said.
func (s *siege) lift() {
	for _, g := range s.gophers {
		g.conn.Close()
	}
	if s.net != nil {
		s.net.mend()
	}
	if err := s.cluster.Kill(); err != nil {
		s.t.Error(err)
	}
	for _, m := range s.cluster.Members {
		log, err := m.Log()
		if err != nil || strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic:") {
			s.t.Errorf("member %d: a data race, a panic or no log (%v): %s", m.ID, err, m.LogFile)
		}
	}
	if !s.t.Failed() {
		return
	}
	s.t.Logf("timeline:\n%s", strings.Join(s.timeline, "\n"))
	for _, m := range s.cluster.Members {
		log, _ := m.Log()
		s.t.Logf("last words of member %d:\n%s", m.ID, lastWords(log))
	}
}

// lastWords is the end of a log, without what is said all the time.
func lastWords(log string) string {
	var b strings.Builder
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "checkpoint written") {
			b.WriteString(line)
		}
	}
	return b.String()[max(0, b.Len()-4000):]
}

func (s *siege) where(who int) string {
	members := s.cluster.Members
	if who >= 0 && who%2 == 0 {
		return members[who/2%len(members)].Client
	}
	return members[rand.IntN(len(members))].Client
}

func (s *siege) say(format string, args ...any) {
	line := fmt.Sprintf("%8.3fs ", time.Since(s.begun).Seconds()) + fmt.Sprintf(format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timeline = append(s.timeline, line)
}

// settle waits until every server takes a write and has it, reads the trees of all, and holds the round to them.
func (s *siege) settle() {
	s.t.Helper()
	s.eventually("a return to every session", s.fence)
	s.eventually("a write through every server", s.writeEverywhere)
	var trees []*tree
	var alive map[int64]bool
	s.eventually("a look at every server", func() error {
		trees = nil
		for _, m := range s.cluster.Members {
			now, living, err := s.lookAt(m.Client)
			if err != nil {
				return fmt.Errorf("member %d: %w", m.ID, err)
			}
			trees, alive = append(trees, now), living
		}
		return nil
	})
	for i, other := range trees[1:] {
		for _, d := range differ(trees[0], other) {
			s.t.Errorf("members 1 and %d: %s", i+2, d)
		}
	}
	if s.t.Failed() {
		s.t.FailNow()
	}
	now := trees[len(trees)-1]
	if newest := s.newest.Load(); now.zxid < newest {
		s.t.Fatalf("the tree is of zxid %d, and clients have seen %d", now.zxid, newest)
	}
	s.advance(now.zxid)
	s.keepHistory()
	images := s.images()
	s.lossy, s.installed = images > s.installed, images
	s.hold(now, alive)
	for _, w := range s.judgeGophers(now) {
		s.t.Error(w)
	}
}

// images counts how often a server took the tree of another.
func (s *siege) images() (n int) {
	for _, m := range s.cluster.Members {
		log, err := m.Log()
		if err != nil {
			s.t.Fatal(err)
		}
		n += strings.Count(log, "image installed")
	}
	return n
}

// fence returns to every session. What is still on its way on a connection of before, in a socket say that was
// closed when no packet went through, has been done by then or never will be.
func (s *siege) fence() error {
	for _, w := range s.workers {
		if w.who.id == 0 {
			continue
		}
		if _, err := s.knock(w.who); err != nil && !errors.Is(err, errGone) { // who is gone is looked at later
			return fmt.Errorf("worker %d: %w", w.number, err)
		}
	}
	for _, g := range s.gophers {
		if _, err := g.conn.Sync("/"); err != nil {
			return fmt.Errorf("gopher %d: %w", g.number, err)
		}
	}
	return nil
}

// keepHistory writes down what the workers did, before it is judged: it is kept if the judgement is bad.
func (s *siege) keepHistory() {
	var b strings.Builder
	for _, w := range s.workers {
		for _, o := range w.ops {
			fmt.Fprintln(&b, o)
		}
	}
	if err := os.WriteFile(filepath.Join(s.dir, "history.txt"), []byte(b.String()), 0o644); err != nil {
		s.t.Error(err)
	}
}

// eventually calls f until it holds.
func (s *siege) eventually(what string, f func() error) {
	s.t.Helper()
	for end := time.Now().Add(settleMax); ; time.Sleep(50 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if wrong := (protocolError{}); errors.As(err, &wrong) || time.Now().After(end) {
			s.t.Fatalf("%s: %v", what, err)
		}
	}
}

func (s *siege) writeEverywhere() error {
	for _, m := range s.cluster.Members {
		err := s.visit(m.Client, func(c *conn) error {
			if s.tree == nil {
				return s.found(c)
			}
			_, err := c.call(wire.OpSetData, &wire.SetDataRequest{Path: finalNode, Version: -1}, nil)
			return err
		})
		if err != nil {
			return fmt.Errorf("member %d: %w", m.ID, err)
		}
	}
	return nil
}

// found makes what the load takes for granted, once.
func (s *siege) found(c *conn) error {
	if s.workers != nil {
		return nil
	}
	s.prepare(c)
	for _, path := range append([]string{finalNode}, gopherGrounds...) {
		if _, err := c.call(wire.OpCreate, &wire.CreateRequest{Path: path, ACL: anyone}, nil); err != nil {
			return err
		}
	}
	return nil
}

// visit does something in a session of its own.
func (s *siege) visit(addr string, f func(c *conn) error) error {
	c, err := dialFor(addr, visitWait)
	if err != nil {
		return err
	}
	defer c.close()
	if _, err := c.hello(credentials{}, longTimeout, s.newest.Load()); err != nil {
		return err
	}
	if err := f(c); err != nil {
		return err
	}
	_, err = c.call(wire.OpCloseSession, nil, nil)
	return err
}

// lookAt reads the whole tree of one server, as of now, and the sessions it knows.
func (s *siege) lookAt(addr string) (now *tree, alive map[int64]bool, err error) {
	err = s.visit(addr, func(c *conn) error {
		if _, err := c.call(wire.OpSync, &wire.SyncRequest{Path: "/"}, &wire.SyncResponse{}); err != nil {
			return err
		}
		if now, err = look(c); err != nil {
			return err
		}
		alive, err = living(addr)
		return err
	})
	return now, alive, err
}

// differ compares what two servers have. Only what sessions left behind take along may differ.
func differ(a, b *tree) (wrong []string) {
	for path, n := range a.nodes {
		other, there := b.nodes[path]
		if path == passing || transient(path) || volatile(path) {
			continue
		}
		slices.Sort(n.children)
		slices.Sort(other.children)
		switch {
		case !there:
			wrong = append(wrong, fmt.Sprintf("%s is not on the other: %+v", path, n.stat))
		case n.data != other.data || n.stat != other.stat || !reflect.DeepEqual(n.children, other.children):
			wrong = append(wrong, fmt.Sprintf("%s is %s %+v %v and %s %+v %v", path,
				brief(n.data), n.stat, n.children, brief(other.data), other.stat, other.children))
		}
	}
	for path := range b.nodes {
		if _, there := a.nodes[path]; !there && !transient(path) && !volatile(path) {
			wrong = append(wrong, fmt.Sprintf("%s is only on the other", path))
		}
	}
	slices.Sort(wrong)
	return wrong[:min(len(wrong), 5)]
}
