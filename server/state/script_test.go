package state

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts print into testdata")

// TestScripts runs testdata/*.txt. A script is blocks of commands, each followed by ---- and by
// what they print; comments start with #. Every command goes through its encoding. See play for
// the verbs.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
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

// player is what a script knows of a session, perhaps wrongly.
type player struct {
	id       session.ID
	epoch    uint32
	password session.Password
}

// stage holds a machine and the names a script gave.
type stage struct {
	t       *testing.T
	machine *Machine
	out     Outcome
	players map[string]*player
	views   map[string]*View
	zxid    znode.Zxid
}

func newStage(t *testing.T) *stage {
	return &stage{t: t, machine: New(), players: map[string]*player{}, views: map[string]*View{}}
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

// line is one command taken apart: words, and attributes of the form key=value.
type line struct {
	words []string
	attrs map[string]string
}

func parse(text string) line {
	l := line{attrs: map[string]string{}}
	for _, f := range strings.Fields(text) {
		if k, v, ok := strings.Cut(f, "="); ok {
			l.attrs[k] = v
		} else {
			l.words = append(l.words, f)
		}
	}
	return l
}

func (l *line) word(i int) string {
	if i < len(l.words) {
		return l.words[i]
	}
	return ""
}

func number[T ~int32 | ~int64 | ~uint8 | ~uint32 | ~uint64](l *line, key string, otherwise T) T {
	text, ok := l.attrs[key]
	if !ok {
		return otherwise
	}
	v, err := strconv.ParseInt(text, 0, 64)
	if err != nil {
		panic(err)
	}
	return T(v)
}

// play carries one line out and returns what it prints.
//
//	open|attach|close|expire NAME        timeout= server= password=wrong epoch=
//	NAME create PATH [DATA]              flags= class= ttl= acl=SCHEME:ID:PERMS,… ids=SCHEME:ID,…
//	NAME delete|check PATH, set PATH DATA, setacl PATH
//	                                     version= (default -1); data= for DATA with a = in it
//	NAME multi OP ; OP …                 OP as above, without NAME; attributes of the whole before multi
//	reap PATH | noop | entry HEX         czxid=
//	configure                            data=, with \n for newlines
//	read PATH | pin VIEW | restart       read looks at in=VIEW or the machine
//
// Commands take zxid= time= origin=SERVER/BOOT/SEQ policy= feature= besides.
func (s *stage) play(text string) string {
	head, tail, _ := strings.Cut(text, " multi")
	if head != text {
		return s.multi(head, tail)
	}
	l := parse(text)
	switch l.word(0) {
	case "open", "attach", "close", "expire":
		return s.turn(&l)
	case "reap":
		return s.apply(&l, &Command{Kind: Reap, Op: Op{Path: l.word(1), Czxid: number(&l, "czxid", znode.Zxid(0))}})
	case "configure":
		data := strings.ReplaceAll(l.attrs["data"], `\n`, "\n")
		return s.apply(&l, &Command{Kind: Configure, Op: Op{Data: []byte(data)}})
	case "noop":
		return s.apply(&l, &Command{Kind: Noop})
	case "entry":
		return s.entry(&l)
	case "read":
		return s.read(&l)
	case "pin":
		s.views[l.word(1)] = s.machine.View()
		return ""
	case "restart":
		return s.restart()
	}
	c := s.command(l.word(0))
	c.Op = op(&line{words: l.words[1:], attrs: l.attrs})
	c.Kind = c.Op.Kind
	return s.apply(&l, c)
}

func (s *stage) multi(head, tail string) string {
	l := parse(head)
	c := s.command(l.word(0))
	c.Kind = Multi
	for _, part := range strings.Split(tail, ";") {
		if o := parse(part); len(o.words) > 0 {
			c.Multi = append(c.Multi, op(&o))
		}
	}
	return s.apply(&l, c)
}

// command starts a command of the named session, as the script believes it to be.
func (s *stage) command(name string) *Command {
	p := s.players[name]
	if p == nil {
		s.t.Fatalf("no session %q", name)
	}
	return &Command{Session: p.id, Epoch: p.epoch}
}

func (s *stage) turn(l *line) string {
	name := l.word(1)
	p := s.players[name]
	if p == nil {
		p = &player{password: session.Password{name[len(name)-1]}}
		s.players[name] = p
	}
	c := &Command{
		Kind:    map[string]Kind{"open": OpenSession, "attach": AttachSession, "close": CloseSession, "expire": ExpireSession}[l.word(0)],
		Session: p.id, Epoch: number(l, "epoch", p.epoch),
		TimeoutMs: number(l, "timeout", int32(4000)), Random: p.password, Password: p.password,
	}
	c.Origin.Server = number(l, "server", uint8(0))
	if l.attrs["password"] == "wrong" {
		c.Password[0]++
	}
	printed := s.apply(l, c)
	if s.out.Err == nil && c.Kind <= AttachSession && !s.out.Duplicate {
		p.id, p.epoch = s.out.Session.ID, s.out.Session.Epoch
		if l.attrs["unseen"] != "" {
			p.epoch--
		}
	}
	return printed
}

func op(l *line) Op {
	o := Op{Path: l.word(1), Version: number(l, "version", int32(-1))}
	switch l.word(0) {
	case "create":
		o.Kind, o.Version = Create, 0
		o.Flags, o.TTL = number(l, "flags", int32(0)), number(l, "ttl", int64(-1))
		o.Class = map[string]Class{"": znode.ClassPlain, "container": znode.ClassContainer, "ttl": znode.ClassTTL}[l.attrs["class"]]
		o.ACL = acl(l, "world:anyone:31")
	case "delete":
		o.Kind = Delete
	case "set":
		o.Kind = Set
	case "setacl":
		o.Kind, o.ACL = SetACL, acl(l, "")
	case "check":
		o.Kind = Check
	default:
		panic("no operation " + l.word(0))
	}
	if len(l.words) > 2 {
		o.Data = []byte(l.words[2])
	} else if text, ok := l.attrs["data"]; ok {
		o.Data = []byte(text)
	}
	return o
}

func acl(l *line, otherwise string) (list []znode.ACE) {
	text, ok := l.attrs["acl"]
	if !ok {
		text = otherwise
	}
	for _, entry := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
		cut := strings.LastIndexByte(entry, ':')
		perms, err := strconv.Atoi(entry[cut+1:])
		if err != nil {
			panic(err)
		}
		scheme, id, _ := strings.Cut(entry[:cut], ":")
		list = append(list, znode.ACE{Perms: int32(perms), Scheme: scheme, ID: id})
	}
	return list
}

func (s *stage) apply(l *line, c *Command) string {
	c.Time = number(l, "time", c.Time)
	c.Policy = Policy(number(l, "policy", uint8(0)))
	c.Feature = uint16(number(l, "feature", uint32(0)))
	for _, id := range strings.FieldsFunc(l.attrs["ids"], func(r rune) bool { return r == ',' }) {
		scheme, id, _ := strings.Cut(id, ":")
		c.IDs = append(c.IDs, znode.Identity{Scheme: scheme, ID: id})
	}
	data := AppendCommand(nil, c)
	if origin, ok := l.attrs["origin"]; ok {
		var seq uint64
		if _, err := fmt.Sscanf(origin, "%d/%d/%d", &c.Origin.Server, &c.Origin.Boot, &seq); err != nil {
			s.t.Fatal(err)
		}
		data = AppendCommand(nil, c)
		PatchSeq(data, seq)
	}
	return s.feed(number(l, "zxid", s.zxid+1), data)
}

func (s *stage) entry(l *line) string {
	var data []byte
	if _, err := fmt.Sscanf(l.word(1), "%x", &data); err != nil && l.word(1) != "" {
		s.t.Fatal(err)
	}
	return s.feed(s.zxid+1, data)
}

// feed applies the entry and prints the outcome.
func (s *stage) feed(zxid znode.Zxid, data []byte) string {
	s.zxid = zxid
	s.machine.Apply(zxid, data, &s.out)
	var b strings.Builder
	b.WriteString(result(&s.out.Result))
	if s.out.Duplicate {
		b.WriteString(" ignored")
	}
	b.WriteString("\n")
	for i := range s.out.Multi {
		fmt.Fprintf(&b, "  %d:%s\n", i, strings.TrimPrefix(result(&s.out.Multi[i]), fmt.Sprintf("@%d", zxid)))
	}
	for _, c := range s.out.Sessions {
		fmt.Fprintf(&b, "  session %v %v epoch %d timeout %d\n",
			c.Session.ID, []string{"", "opened", "attached", "closed", "expired"}[c.Kind], c.Session.Epoch, c.Session.TimeoutMs)
	}
	for _, c := range s.out.Changes {
		fmt.Fprintf(&b, "  %v %s\n", c.Kind, c.Path)
	}
	return b.String()
}

func result(r *Result) string {
	text := fmt.Sprintf("@%d", r.Zxid)
	if r.Err != nil {
		for errors.Unwrap(r.Err) != nil && r.Err != ErrMalformed && r.Err != ErrNewer {
			r.Err = errors.Unwrap(r.Err)
		}
		return text + " " + r.Err.Error()
	}
	text += " ok"
	if r.Failed >= 0 {
		text += fmt.Sprintf(" failed at %d", r.Failed)
	}
	if r.Path != "" {
		text += " " + r.Path
	}
	if r.Stat != (znode.Stat{}) {
		text += " " + stat(r.Stat)
	}
	return text
}

func stat(st znode.Stat) string {
	text := fmt.Sprintf("v%d/%d/%d zxid %d..%d", st.Version, st.Cversion, st.Aversion, st.Czxid, st.Mzxid)
	if st.Pzxid != st.Czxid {
		text += fmt.Sprintf(" children@%d", st.Pzxid)
	}
	if st.Ctime != 0 || st.Mtime != 0 {
		text += fmt.Sprintf(" time %d..%d", st.Ctime, st.Mtime)
	}
	if st.EphemeralOwner != 0 {
		text += " of " + session.ID(st.EphemeralOwner).String()
	}
	return text
}

// read prints a node, its data and the names below it.
func (s *stage) read(l *line) string {
	v := s.views[l.attrs["in"]]
	if v == nil {
		v = s.machine.View()
	}
	n := v.Nodes.Get(l.word(1))
	if n == nil {
		return "none\n"
	}
	text := "null"
	if n.Data() != nil {
		text = strconv.Quote(string(n.Data()))
	}
	text += " " + stat(n.Stat())
	v.Nodes.Children(l.word(1), func(child *znode.Node) bool {
		text += " " + child.Name()
		return true
	})
	return text + "\n"
}

// restart goes on with a machine made from the image of this one.
func (s *stage) restart() string {
	m, err := restored(s.machine.View())
	if err != nil {
		s.t.Fatal(err)
	}
	s.machine = m
	return fmt.Sprintf("restored @%d\n", m.Zxid())
}
