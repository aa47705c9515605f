package replica

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"

	pb "go.etcd.io/raft/v3/raftpb"
)

// A log that fails ends Run with its error.
func TestLogFailureEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, Config{})
		synctest.Wait()
		failure := errors.New("no space left on this device")
		r.log.mu.Lock()
		r.log.fail = failure
		r.log.mu.Unlock()
		r.mustPropose("a")
		<-r.ended
		if !errors.Is(r.err, failure) || !strings.HasPrefix(r.err.Error(), "log: append 1 entries: ") {
			t.Errorf("run: %v", r.err)
		}
		if got := r.app.all(); len(got) > 0 {
			t.Errorf("applied %q", got)
		}
	})
}

// Whoever waits when Run ends is told so, exactly once.
func TestStopTellsWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, Config{Start: Bootstrap(1, 2)}) // no quorum: reads wait
		told := 0
		for i := range 3 {
			if err := r.ReadIndex(func(_ uint64, err error) {
				if told++; !errors.Is(err, ErrStopped) {
					t.Errorf("told %v", err)
				}
			}); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				synctest.Wait() // the others are still in the mailbox when the context ends
			}
		}
		r.end()
		if told != 3 {
			t.Errorf("%d of 3 told", told)
		}
	})
}

// A log that cannot be read when a start needs it ends Run with its error too, although Raft
// panics.
func TestReadFailureEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, Config{})
		r.mustPropose("a", "b")
		synctest.Wait()
		r.end()
		failure := errors.New("checksum mismatch")
		rep, err := Open(Config{ID: 1, Log: r.log, Start: Bootstrap(1), Applier: &recorder{base: 1}})
		if err != nil {
			t.Fatal(err)
		}
		r.log.fail = failure
		if err := rep.Run(t.Context()); !errors.Is(err, failure) {
			t.Errorf("run: %v", err)
		}
	})
}

// What has been handed to the log and the applier is finished when the context ends.
func TestStopFinishesWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, Config{})
		synctest.Wait()
		r.log.block = make(chan struct{})
		r.mustPropose("a")
		synctest.Wait()
		r.stop()
		synctest.Wait()
		if isClosed(r.ended) {
			t.Fatal("ended while the log was writing")
		}
		close(r.log.block)
		<-r.ended
		if r.err != nil || r.log.Last() != 3 {
			t.Errorf("run: %v, log ends at %d", r.err, r.log.Last())
		}
	})
}

// A panic inside of Raft ends the process: here a leader says that entries are agreed which this log
// has lost.
func TestPanicEndsTheProcess(t *testing.T) {
	if os.Getenv("REPLICA_PANIC") != "" {
		r := begin(t, Config{Start: Bootstrap(1, 2)})
		_ = r.Receive(&pb.Message{
			Type: pb.MsgHeartbeat.Enum(), From: new(uint64(2)), To: new(uint64(1)), Term: new(uint64(5)),
			Commit: new(uint64(99)),
		})
		<-r.ended
		os.Exit(0)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestPanicEndsTheProcess$")
	cmd.Env = append(os.Environ(), "REPLICA_PANIC=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "panic: ") || !strings.Contains(string(out), "out of range") {
		t.Errorf("the process ended with %v:\n%s", err, out)
	}
}
