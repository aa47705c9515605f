package front_test

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/front"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts print into testdata")

// TestScripts runs testdata/scripts/*.txt: dialogues on the wire. A script is blocks of commands, each
// followed by ---- and by what they print; comments start with #. See stage.play for the verbs and
// request for the operations. A new house stands for each script.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/scripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newStage(t).perform(string(want))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			compareLines(t, file, string(want), got)
		})
	}
}

func compareLines(t *testing.T, file, want, got string) {
	t.Helper()
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "<end>", "<end>"
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			t.Fatalf("%s:%d:\n want %q\n got  %q", file, i+1, a, b)
		}
	}
}

// stage is a house and the clients that a script names.
type stage struct {
	t     *testing.T
	house *house
	cast  map[string]*actor
	sent  int64 // frames, by all
}

// actor is a client that knows what it has asked.
type actor struct {
	*client
	asked []asked // and not answered, oldest first
}

type asked struct {
	xid int32
	op  wire.Op
}

func newStage(t *testing.T) *stage {
	h := newHouse(t, func(c *front.Config) {
		c.SuperDigest = "super:" + strings.TrimPrefix(front.Digest([]byte("super:secret")), "super:")
	})
	return &stage{t: t, house: h, cast: map[string]*actor{}}
}

// perform returns script with the printed parts as they come out now.
func (s *stage) perform(script string) string {
	var b strings.Builder
	blocks := strings.Split(strings.TrimRight(script, "\n"), "\n\n")
	for i, block := range blocks {
		if i > 0 {
			b.WriteString("\n")
		}
		input, _, _ := strings.Cut(block, "\n----")
		b.WriteString(input + "\n")
		var printed strings.Builder
		for _, line := range strings.Split(input, "\n") {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				printed.WriteString(s.play(line))
			}
		}
		if printed.Len() > 0 {
			b.WriteString("----\n" + printed.String())
		}
	}
	return b.String()
}

// play carries one line out and returns what it prints:
//
//	hold, release          stop and resume the applying; release first waits until all that was sent has arrived
//	mode serving|read-only|closed     say which clients are served
//	logged n               wait until the log, being held, has n commands
//	k open [timeout=ms] [seen=zxid] [old|ro]  a new client k opens a session; an old one sends no readOnly byte,
//	                       ro: a read-only session will do; its id is chance, and is not printed
//	k attach j [wrong]     a new client k attaches to the session of j; wrong: with another password
//	k > request            send, and do not wait; k >! request: what nobody will read
//	k < [n]                receive n frames, or one
//	k closed               nothing more comes but the end
//	k hex digits           send a frame with these bytes as its content; k raw digits: without a length
//	k request              send, and receive frames up to the reply
//	k drop                 hang up
func (s *stage) play(text string) string {
	words := strings.Fields(text)
	switch {
	case text == "hold":
		s.house.log.hold()
		return ""
	case text == "release":
		s.arrived()
		s.house.log.release()
		return ""
	case words[0] == "mode":
		for _, m := range []front.Mode{front.Serving, front.ReadOnly, front.Closed} {
			if m.String() == words[1] {
				s.house.front.SetMode(m)
			}
		}
		return ""
	case words[0] == "logged":
		var n int
		fmt.Sscan(words[1], &n)
		s.house.until(s.t, func() bool { return s.house.log.waiting() == n })
		return ""
	case words[1] == "open" || words[1] == "attach":
		return s.enter(words)
	}
	k := s.cast[words[0]]
	rest := strings.TrimSpace(strings.TrimPrefix(text, words[0]))
	switch words[1] {
	case ">":
		s.send(k, strings.TrimSpace(rest[1:]))
		return ""
	case ">!":
		s.send(k, strings.TrimSpace(rest[2:]))
		s.sent--
		return ""
	case "<":
		n := 1
		fmt.Sscan(rest[1:], &n)
		var b strings.Builder
		for range n {
			line, _ := k.hear(words[0])
			b.WriteString(line)
		}
		return b.String()
	case "closed":
		k.closed()
		return words[0] + " closed\n"
	case "drop":
		k.c.Close()
		return ""
	case "hex", "raw":
		b, err := hex.DecodeString(strings.Join(words[2:], ""))
		if err != nil {
			s.t.Fatal(err)
		}
		if words[1] == "hex" {
			framed, mark := wire.BeginFrame(nil)
			b = wire.EndFrame(append(framed, b...), mark)
			if len(b) >= 12 {
				k.asked = append(k.asked, asked{int32(be32(b[4:])), wire.Op(be32(b[8:]))})
			}
		}
		k.write(b)
		return ""
	}
	s.send(k, rest)
	var b strings.Builder
	for reply := false; !reply; {
		var line string
		line, reply = k.hear(words[0])
		b.WriteString(line)
	}
	return b.String()
}

// arrived waits until the front has seen every frame sent.
func (s *stage) arrived() {
	s.house.until(s.t, func() bool {
		load, _ := s.house.front.Figures()
		return load.PacketsReceived >= s.sent
	})
}

func (s *stage) enter(words []string) string {
	l := parse(strings.Join(words, " "))
	k := &actor{client: s.house.dial(s.t)}
	s.cast[words[0]] = k
	m := wire.ConnectRequest{
		TimeoutMs: number[int32](&l, "timeout", 10000), LastZxidSeen: number[int64](&l, "seen", 0),
		Password: make([]byte, 16), HasReadOnly: !l.has("old"), ReadOnly: l.has("ro"),
	}
	if words[1] == "attach" {
		of := s.cast[words[2]]
		m.SessionID, m.Password = of.id, append([]byte(nil), of.pass...)
		if l.has("wrong") {
			m.Password[3]++
		}
	}
	s.sent++
	k.greeting(m)
	frame, err := k.next()
	if err != nil {
		return words[0] + " closed\n"
	}
	a := k.welcome(frame)
	if a.ReadOnly {
		return fmt.Sprintf("%s read-only session timeout %d\n", words[0], a.TimeoutMs)
	}
	return fmt.Sprintf("%s session %#x timeout %d readOnly byte %v\n", words[0], a.SessionID, a.TimeoutMs, a.HasReadOnly)
}

func (s *stage) send(k *actor, text string) {
	l := parse(text)
	op, m := request(text)
	k.xid++
	xid := number(&l, "xid", k.xid)
	s.sent++
	k.asked = append(k.asked, asked{xid, op})
	k.write(wire.AppendRequest(nil, xid, op, m))
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
