package server

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/grovekeeper/grove/server/image"
	"github.com/grovekeeper/grove/server/member"
	"github.com/grovekeeper/grove/server/replica"
)

// A server crashes when the state of an image is on its disk, and its log is still that of before: it goes
// on from the image, and check finds nothing wrong with it.
func TestACrashBetweenAnImageAndItsLog(t *testing.T) {
	q := newQuorum(t, 3)
	q.start(1, 2, 3)
	q.await(1, 2, 3)
	leader := q.leader()
	victim := q.other(leader)
	c := q.dial(leader, nil)
	c.create("/q", 0)
	q.agree(c.zxid)
	q.kill(victim)
	for i := range 50 {
		c.create(fmt.Sprintf("/q/%d", i), 0)
	}
	q.eventually("the writes", func() bool { return q.servers[leader].Zxid() >= c.zxid })
	q.install(victim, leader)
	q.check(victim)
	for range 2 {
		q.start(victim)
		q.await(victim)
		c.create(fmt.Sprintf("/q/more-%d", time.Now().UnixNano()), 0)
		q.agree(c.zxid)
		q.kill(victim)
		q.check(victim)
	}
}

// install puts the leader's state into the directory of a server that does not run, as far as the checkpoint.
func (q *quorum) install(id, from member.ID) {
	q.t.Helper()
	v, term, conf := q.servers[from].feed.Latest()
	var body bytes.Buffer
	err := image.Write(&body, v)
	if err != nil {
		q.t.Fatal(err)
	}
	machine, err := image.Read(&body)
	if err != nil {
		q.t.Fatal(err)
	}
	d := storage{dir: q.path(id)}
	err = errors.Join(d.open(100), d.install(machine, replica.Image{Index: uint64(v.Zxid), Term: term, ConfState: conf}), d.close())
	if err != nil {
		q.t.Fatal(err)
	}
}

// Somebody takes away the log of a server whose state came as an image: its votes are gone, and it must not
// go on as if it had given none.
func TestAnImageWithoutALogIsRefused(t *testing.T) {
	q := newQuorum(t, 3)
	q.start(1, 2, 3)
	q.await(1, 2, 3)
	leader := q.leader()
	victim := q.other(leader)
	c := q.dial(leader, nil)
	c.create("/q", 0)
	q.kill(victim)
	q.install(victim, leader)
	if err := os.RemoveAll(filepath.Join(q.path(victim), logName)); err != nil {
		t.Fatal(err)
	}
	me, _ := q.table.Find(victim)
	if _, err := Open(q.config(me, q.table)); err == nil || !strings.Contains(err.Error(), "no log") {
		t.Errorf("opened with %v", err)
	}
	var out bytes.Buffer
	if ok, _ := Check(q.path(victim), &out); ok {
		t.Errorf("check finds nothing wrong:\n%s", &out)
	}
}

// A quorum with an observer: clients write through it, it comes and goes, and it is never needed.
func TestAnObserver(t *testing.T) {
	q := newQuorum(t, 4)
	q.table.Members[3].Role = member.Observer
	q.start(1, 2, 3, 4)
	q.await(1, 2, 3, 4)
	c := q.dial(4, nil)
	c.create("/q", 0)
	leader := q.leader()
	if leader == 4 {
		t.Fatal("the observer leads")
	}
	q.kill(leader)
	c.create("/q/a", 0)
	q.start(leader)
	q.await(leader)
	q.kill(4)
	c = q.dial(1, nil)
	c.create("/q/b", 0)
	q.start(4)
	q.await(4)
	q.agree(c.zxid)
	c.reconfigure(strings.Replace(q.table.Members[3].String(), "observer", "participant", 1), "")
	q.eventually("a vote", func() bool { return len(q.servers[1].replica.Load().Status().Voters) == 4 })
	c.create("/q/c", 0)
	c.reconfigure(q.table.Members[3].String(), "")
	q.eventually("no vote", func() bool { return len(q.servers[1].replica.Load().Status().Voters) == 3 })
	q.agree(c.zxid)
}

// When servers have ended, however they did, nothing of them runs on.
func TestNothingRunsOn(t *testing.T) {
	before := runtime.NumGoroutine()
	q := newQuorum(t, 3)
	q.start(1, 2, 3)
	q.await(1, 2, 3)
	c := q.dial(1, nil)
	c.create("/q", 0)
	q.kill(q.leader())
	for _, id := range []member.ID{1, 2, 3} {
		if q.servers[id] != nil {
			q.stop(id)
		}
	}
	c.nc.Close()
	q.eventually("the end of all goroutines", func() bool { return runtime.NumGoroutine() <= before })
}
