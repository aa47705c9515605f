package peer

import (
	"bufio"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// TestAKilledProcessIsGone: noticed at once, which is what makes another leader take over quickly.
func TestAKilledProcessIsGone(t *testing.T) {
	w := newWorld(t)
	b := w.add(2)
	address, _ := w.address(2)
	if to := os.Getenv("PEER_TEST_CALL"); to != "" {
		call(w, to)
		return
	}
	child := exec.Command(os.Args[0], "-test.run", "^TestAKilledProcessIsGone$")
	child.Env = append(os.Environ(), "PEER_TEST_CALL="+address)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer child.Process.Kill()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "calling\n" {
		t.Fatal(line, err)
	}
	b.eventually("messages", func() bool { return len(b.messages) > 5 })
	began := time.Now()
	child.Process.Kill()
	b.eventually("the news", func() bool { return slices.Equal(b.gone, []uint64{1}) })
	took := time.Since(began)
	if t.Log("noticed after", took); took > time.Second {
		t.Errorf("noticed after %v", took)
	}
}

// call is the process that is killed.
func call(w *world, to string) {
	a := w.add(1)
	w.setAddress(2, to)
	os.Stdout.WriteString("calling\n")
	for {
		a.Send([]*pb.Message{heartbeat(2, 1), appends(2, 1, 10, 1000)})
		time.Sleep(time.Millisecond) // until it is killed
	}
}

// TestWhatIsLarge: an entry longer than memory is trusted for arrives; one that never fits is
// dropped, logged and reported, and does no harm to what follows.
func TestWhatIsLarge(t *testing.T) {
	w := newWorld(t)
	a := w.add(1, func(c *Config, _ *node) { c.Limits.FrameBytesMax = 8 << 20 })
	b := w.add(2, func(c *Config, _ *node) { c.Limits.FrameBytesMax = 8 << 20 })
	a.Send([]*pb.Message{appends(2, 1, 1, 5<<20), appends(2, 2, 1, 8<<20), appends(2, 3, 1, 1)})
	a.Forward(2, 1, [][]byte{make([]byte, 7<<20), make([]byte, 6<<20)})
	b.eventually("two messages", func() bool { return len(b.messages) == 2 && len(b.commands) == 2 })
	b.note(func() {
		if len(b.messages[0].Entries[0].Data) != 5<<20 || b.messages[1].GetIndex() != 3 {
			t.Error("other messages arrived")
		}
	})
	a.eventually("the loss", func() bool {
		return len(a.lost) > 0 && strings.Contains(a.log.String(), "too large to be sent")
	})
	if s := b.Stats(); s.Corrupt != 0 {
		t.Errorf("%+v", s)
	}
}
