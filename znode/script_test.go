package znode

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts in testdata yield")

// Scripts in testdata are paragraphs: commands, a line of dashes, what they yield. Lines that
// begin with # are remarks. An edit takes the next zxid, held or not, and prints its result and
// what it changed.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runScript(t, file) })
	}
}

func runScript(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{t: t, tree: New()}
	var got strings.Builder
	for i, paragraph := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		commands, _, _ := strings.Cut(paragraph+"\n", "----\n")
		if i > 0 {
			got.WriteByte('\n')
		}
		got.WriteString(commands)
		s.out.Reset()
		for line := range strings.Lines(commands) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				s.run(strings.Fields(line))
			}
		}
		if s.out.Len() > 0 {
			got.WriteString("----\n" + s.out.String())
		}
	}
	switch {
	case *rewrite:
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	case got.String() != string(text):
		t.Errorf("%s yields (go test -rewrite, then read the difference):\n%s", file, got.String())
	}
}

type script struct {
	t    *testing.T
	tree *Tree
	edit Edit
	out  strings.Builder
}

func (s *script) run(words []string) {
	s.t.Helper()
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	num := func(i int) int64 { return s.number(cmp.Or(arg(i), "-1")) }
	switch words[0] {
	case "as":
		s.edit.IDs = nil
		for _, w := range words[1:] {
			scheme, id, _ := strings.Cut(w, ":")
			s.edit.IDs = append(s.edit.IDs, Identity{scheme, id})
		}
	case "at":
		s.edit.Time = num(1)
	case "session":
		s.edit.Session = num(1)
	case "enforce":
		s.edit.EnforceQuota = arg(1) == "on"
	case "skipacl":
		s.edit.SkipACL = arg(1) == "on"
	case "create":
		s.commit(s.create(words[1:]))
	case "delete":
		s.commit("deleted", s.tree.Delete(s.next(), unquote(arg(1)), int32(num(2))))
	case "set":
		n, err := s.tree.Set(s.next(), unquote(arg(1)), data(arg(2)), int32(num(3)))
		s.commit(show(n), err)
	case "setacl":
		n, err := s.tree.SetACL(s.next(), unquote(arg(1)), entries(arg(2)), int32(num(3)))
		s.commit(show(n), err)
	case "check":
		s.commit("holds", s.tree.Check(s.next(), unquote(arg(1)), int32(num(2))))
	case "reap":
		s.commit("reaped", s.tree.Reap(s.next(), arg(1), Zxid(num(2)), max(0, num(3))))
	case "drop":
		s.commit(fmt.Sprint("dropped ", s.tree.DropEphemerals(s.next(), num(1))), nil)
	default:
		s.read(words[0], arg(1), num)
	}
}

func (s *script) read(verb, path string, num func(int) int64) {
	line := func(n *Node) bool { fmt.Fprintf(&s.out, "%s %s\n", n.Path(), show(n)); return true }
	switch verb {
	case "get":
		if n := s.tree.Get(path); n != nil {
			fmt.Fprintf(&s.out, "%s %s\n", quote(n.Data()), show(n))
			return
		}
		fmt.Fprintln(&s.out, "nothing")
	case "acl":
		fmt.Fprintln(&s.out, s.tree.Get(path).ACL().Entries())
	case "masked":
		fmt.Fprintln(&s.out, s.tree.Get(path).ACL().Masked())
	case "allowed":
		fmt.Fprintln(&s.out, s.tree.Get(path).ACL().Allows(s.edit.IDs, int32(num(2))))
	case "children":
		s.tree.Children(path, line)
	case "walk":
		s.tree.Walk(line)
	case "count":
		fmt.Fprintln(&s.out, s.tree.CountBelow(path))
	case "reapable":
		s.tree.Reapable(func(n *Node) bool {
			fmt.Fprintln(&s.out, n.Path(), n.Kind(), n.Reapable(s.edit.Time, 0))
			return true
		})
	case "ephemerals":
		s.tree.Ephemerals(num(1), func(path string) bool { fmt.Fprintln(&s.out, path); return true })
	default:
		s.t.Fatalf("unknown command %q", verb)
	}
}

func (s *script) create(words []string) (string, error) {
	op := Create{Path: unquote(words[0]), ACL: Open().Entries()}
	for _, w := range words[1:] {
		switch key, value, cut := strings.Cut(w, "="); {
		case !cut:
			op.Data = data(w)
		case key == "flags":
			op.Flags = int32(s.number(value))
		case key == "ttl":
			op.TTL = s.number(value)
		case key == "class":
			op.Class = map[string]Class{"container": ClassContainer, "ttl": ClassTTL}[value]
		case key == "acl":
			op.ACL = entries(value)
		default:
			op.Data = data(w)
		}
	}
	n, err := s.tree.Create(s.next(), op)
	if err != nil {
		return "", err
	}
	return n.Path() + " " + show(n), nil
}

func (s *script) next() *Edit {
	s.edit.Zxid++
	s.edit.Changes = nil
	return &s.edit
}

func (s *script) commit(result string, err error) {
	if err != nil {
		result = err.Error()
	}
	fmt.Fprintf(&s.out, "%d: %s\n", s.edit.Zxid, result)
	if err != nil && len(s.edit.Changes) > 0 {
		s.t.Errorf("%s, and changes %v", result, s.edit.Changes)
	}
	for _, c := range s.edit.Changes {
		fmt.Fprintf(&s.out, "  %s %s @%d\n", c.Kind, c.Path, c.Zxid)
	}
}

func (s *script) number(w string) int64 {
	n, err := strconv.ParseInt(w, 0, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func unquote(w string) string {
	if s, err := strconv.Unquote(w); err == nil {
		return s
	}
	return w
}

func data(w string) []byte {
	if w == "null" || w == "" {
		return nil
	}
	return []byte(unquote(w))
}

// entries reads perms:scheme:id,…; none is an empty list, null stands for null.
func entries(w string) []ACE {
	var list []ACE
	for piece := range strings.SplitSeq(w, ",") {
		if w == "none" {
			break
		}
		perms, rest, _ := strings.Cut(piece, ":")
		scheme, id, _ := strings.Cut(rest, ":")
		n, _ := strconv.Atoi(perms)
		e := ACE{Perms: int32(n), Scheme: scheme, ID: id, SchemeNull: scheme == "null", IDNull: id == "null"}
		if e.IDNull {
			e.ID = ""
		}
		list = append(list, e)
	}
	return list
}

func (e ACE) String() string { return fmt.Sprintf("%d:%s:%s", e.Perms, e.Scheme, e.ID) }

// show prints the stat of a node, leaving out what is zero.
func show(n *Node) string {
	if n == nil {
		return ""
	}
	st := n.Stat()
	var b strings.Builder
	fmt.Fprintf(&b, "c=%d m=%d p=%d v=%d,%d,%d", st.Czxid, st.Mzxid, st.Pzxid, st.Version, st.Cversion, st.Aversion)
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"ctime", st.Ctime}, {"mtime", st.Mtime}, {"owner", st.EphemeralOwner}, {"ttl", n.TTL()},
		{"length", int64(st.DataLength)}, {"children", int64(st.NumChildren)},
	} {
		if f.value != 0 {
			fmt.Fprintf(&b, " %s=%d", f.name, f.value)
		}
	}
	if n.Kind() != Persistent {
		fmt.Fprintf(&b, " %s", n.Kind())
	}
	return b.String()
}

func quote(data []byte) string {
	if data == nil {
		return "null"
	}
	return strconv.Quote(string(data))
}
