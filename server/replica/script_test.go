package replica

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/cryptotest"

	pb "go.etcd.io/raft/v3/raftpb"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts of testdata answer back to them")

// TestScripts plays the stories in testdata. Each command is followed by ---- and what it led to,
// up to an empty line. After a command everything that needs no time happens; "~" before it leaves
// messages and writes where they are.
//
//	cluster ID…          voters that start together
//	found ID… but ID     the same, but the last of them knows nobody yet
//	join ID              a member that knows nobody
//	tick ID|all N        time passes
//	propose ID PAYLOAD…
//	read ID              asks for an index
//	change ID vN|lN|rN… [with PAYLOAD]
//	                     N shall vote, learn, or go
//	transfer ID TO       leadership
//	gone ID PEER         ID sees that the process of PEER has ended
//	campaign ID          without waiting for the election time-out
//	crash ID [power]     without power, what was not synced is gone
//	boot ID
//	cut ID, heal ID      its messages are lost, or not any more
//	checkpoint ID        its state survives a crash
//	compact ID           its log forgets what the checkpoint has
//	write ID, apply ID   the oldest such work is done
//	settle
//	show                 who is where
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { play(t, file) })
	}
}

func play(t *testing.T, file string) {
	cryptotest.SetGlobalRandom(t, 1)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var now strings.Builder
	s := &script{}
	for block := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
		head, _, isCommand := strings.Cut(block+"\n", "----\n")
		now.WriteString(strings.TrimSuffix(head, "\n") + "\n")
		if isCommand {
			now.WriteString("----\n" + s.play(t, head))
		}
		now.WriteString("\n")
	}
	got := strings.TrimSpace(now.String()) + "\n"
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	} else if got != string(text) {
		t.Errorf("%s tells another story now:\n%s", file, got)
	}
}

// script is a cluster that is told what to do in words, and tells.
type script struct {
	*cluster
	out strings.Builder
}

// play runs the commands of a block and returns what they led to.
func (s *script) play(t *testing.T, block string) string {
	s.out.Reset()
	for line := range strings.Lines(block) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		line, held := strings.CutPrefix(line, "~")
		words := strings.Fields(line)
		switch words[0] {
		case "cluster":
			s.begin(t, words[1:], nil)
		case "found":
			at := slices.Index(words, "but")
			s.begin(t, words[1:at], words[at+1:])
		default:
			s.command(words[0], words[1:])
		}
		if !held {
			s.settle()
		}
	}
	return s.out.String()
}

// begin starts members that vote together; those who are late know nobody yet.
func (s *script) begin(t *testing.T, early, late []string) {
	var voters []uint64
	for _, id := range slices.Concat(early, late) {
		voters = append(voters, number(t, id))
	}
	s.cluster = newCluster(t)
	s.trace = func(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }
	for i, id := range voters {
		if i < len(early) {
			s.add(id, Bootstrap(voters...))
		} else {
			s.add(id, Start{})
		}
	}
}

func number(t *testing.T, word string) uint64 {
	n, err := strconv.ParseUint(word, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// command does what verb says to the member that args begins with.
func (s *script) command(verb string, args []string) {
	switch {
	case verb == "settle":
		return
	case verb == "show":
		s.show()
		return
	case verb == "tick" && args[0] == "all":
		for range number(s.t, args[1]) {
			for _, id := range s.ids {
				if m := s.members[id]; !m.down {
					s.tick(m)
				}
			}
			s.settle()
		}
		return
	case verb == "join":
		s.add(number(s.t, args[0]), Start{})
		return
	}
	m := s.members[number(s.t, args[0])]
	args = args[1:]
	switch verb {
	case "tick":
		for range number(s.t, args[0]) {
			s.tick(m)
		}
	case "propose":
		s.propose(m, args...)
	case "read":
		s.read(m)
	case "change":
		s.change(m, args)
	case "transfer":
		_ = m.Transfer(number(s.t, args[0]))
		s.pump(m)
	case "gone":
		if !m.Forget(number(s.t, args[0])) {
			s.trace("%d does not care", m.id)
		}
		s.pump(m)
	case "campaign":
		_ = m.Campaign()
		s.pump(m)
	case "crash":
		s.crash(m, slices.Contains(args, "power"))
	case "boot":
		s.boot(m)
	case "cut", "heal":
		s.cut[m.id] = verb == "cut"
	case "checkpoint":
		m.checkpoint = m.state
		m.checkpoint.Installed = false
	case "compact":
		_ = m.Compact(m.checkpoint.Index)
		s.pump(m)
	case "write":
		s.write(m)
	case "apply":
		s.apply(m)
	default:
		s.t.Fatalf("unknown command %q", verb)
	}
}

func (s *script) change(m *member, words []string) {
	change, payload, _ := strings.Cut(strings.Join(words, " "), " with ")
	changes, err := pb.ConfChangesFromString(change)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := m.Change([]byte(payload), changes...); err != nil {
		s.trace("%d: %v", m.id, err)
	}
	s.pump(m)
}

func (s *script) show() {
	for _, id := range s.ids {
		m := s.members[id]
		if m.down {
			s.trace("%d down, checkpoint %d, log to %d", id, m.checkpoint.Index, m.log.now.last())
			continue
		}
		first, last := m.Bounds()
		s.trace("%d %s of term %d, leader %d, log %d to %d, committed %d, applied %d, waiting: %d proposals, %d reads",
			id, m.Soft().Role, m.Soft().Term, m.Soft().Leader, first, last, m.Committed(), m.AppliedIndex(),
			len(m.props.queue)-m.props.head, len(m.reads))
	}
}
