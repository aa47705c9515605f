package watch

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/grovekeeper/grove/znode"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts in testdata print into them")

// TestScripts runs the scripts in testdata. A script is a sequence of blocks, each some commands,
// a line of dashes, what they are to print, and an empty line. See do for the commands.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runScript(t, file) })
	}
}

func runScript(t *testing.T, file string) {
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{table: New()}
	var got strings.Builder
	for n, block := range strings.Split(strings.TrimSpace(string(want)), "\n\n") {
		input, _, _ := strings.Cut(block, "\n----")
		s.out.Reset()
		for _, line := range strings.Split(input, "\n") {
			if line != "" && line[0] != '#' {
				s.do(t, strings.Fields(line))
				check(t, s.table)
			}
		}
		if n > 0 {
			got.WriteByte('\n')
		}
		fmt.Fprintf(&got, "%s\n----\n%s", input, s.out.String())
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got.String() != string(want) {
		t.Errorf("%s prints otherwise; run with -rewrite and read the diff:\n%s", file, got.String())
	}
}

// stage is what a script acts upon.
type stage struct {
	table *Table
	zxid  znode.Zxid
	out   strings.Builder
}

// do runs one command. Connections are c1, c2, …; kinds are joined by a plus sign.
//
//	create|delete|set|touch PATH      the next change: fires it
//	multi VERB PATH [VERB PATH ...]   the same, several under one zxid
//	arm|disarm|armed C KINDS PATH
//	drop C
//	counts, by-path, by-watcher       what is armed
//	missed LIST gone|MZXID,PZXID RELATIVE
//	matches KINDS WATCHED VERB PATH   by Matches, without a table
func (s *stage) do(t *testing.T, args []string) {
	t.Helper()
	verb, args := args[0], args[1:]
	switch verb {
	case "create", "delete", "set", "touch":
		s.zxid++
		s.fire(verb, args[0])
	case "multi":
		s.zxid++
		for ; len(args) > 0; args = args[2:] {
			s.fire(args[0], args[1])
		}
	case "arm":
		if !s.table.Arm(connOf(t, args[0]), args[2], kinds(t, args[1])) {
			s.printf("full")
		}
	case "disarm":
		s.printf("%v", s.table.Disarm(connOf(t, args[0]), args[2], kinds(t, args[1])))
	case "armed":
		s.printf("%v", s.table.Armed(connOf(t, args[0]), args[2], kinds(t, args[1])))
	case "drop":
		s.table.Drop(connOf(t, args[0]))
	case "counts":
		s.printf("watches=%d paths=%d watchers=%d empty=%v", s.table.Watches(), s.table.Paths(), s.table.Watchers(), s.table.Empty())
	case "by-path":
		s.table.ByPath(func(path string, id ID, kind Kind) bool {
			s.printf("%s c%d %v", path, id, kind)
			return true
		})
	case "by-watcher":
		s.table.ByWatcher(func(id ID, path string, kind Kind) bool {
			s.printf("c%d %s %v", id, path, kind)
			return true
		})
	case "missed":
		s.missed(t, args)
	case "matches":
		for _, e := range Matches(kinds(t, args[0]), args[1], change(args[2], args[3], 1)) {
			s.printf("<- %v %s @%d by %s", e.Type, e.Path, e.Zxid, aclName(Governs(change(args[2], args[3], 1), e.Type)))
		}
	default:
		t.Fatalf("unknown command %q", verb)
	}
}

func (s *stage) fire(verb, path string) {
	s.printf("%s %s @%d", verb, path, s.zxid)
	s.table.Fire(change(verb, path, s.zxid), func(ids []ID, e Event, acl znode.ACL) {
		var to []string
		for _, id := range ids {
			to = append(to, fmt.Sprint("c", id))
		}
		s.printf("  %s <- %v %s @%d by %s", strings.Join(to, " "), e.Type, e.Path, e.Zxid, aclName(acl))
	})
}

func (s *stage) missed(t *testing.T, args []string) {
	list := map[string]List{
		"data": DataList, "exist": ExistList, "child": ChildList, "persistent": PersistentList, "recursive": RecursiveList,
	}[args[0]]
	var mzxid, pzxid znode.Zxid
	if args[1] != "gone" {
		if _, err := fmt.Sscanf(args[1], "%d,%d", &mzxid, &pzxid); err != nil {
			t.Fatal(err)
		}
	}
	relative, err := strconv.Atoi(args[2])
	if err != nil {
		t.Fatal(err)
	}
	e, missed := Missed(list, args[1] != "gone", mzxid, pzxid, znode.Zxid(relative))
	if missed {
		s.printf("missed %v", e)
	} else {
		s.printf("arm %v", list.Kind())
	}
}

func (s *stage) printf(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

func connOf(t *testing.T, arg string) ID {
	n, err := strconv.Atoi(strings.TrimPrefix(arg, "c"))
	if err != nil {
		t.Fatal(err)
	}
	return ID(n)
}

func kinds(t *testing.T, arg string) Kind {
	for k := range All + 1 {
		if k.String() == arg {
			return k
		}
	}
	if arg != "any" {
		t.Fatalf("unknown kind %q", arg)
	}
	return All
}

// nodeACL and parentACL stand for the access lists of a node and of its parent.
var nodeACL, parentACL = new(znode.List), new(znode.List)

func aclName(acl znode.ACL) string {
	return map[znode.ACL]string{nodeACL: "node", parentACL: "parent"}[acl]
}

func change(verb, path string, zxid znode.Zxid) znode.Change {
	c := znode.Change{Path: path, Zxid: zxid, ACL: nodeACL}
	switch verb {
	case "create":
		c.Kind, c.ParentACL = znode.Created, parentACL
	case "delete":
		c.Kind, c.ParentACL = znode.Deleted, parentACL
	case "set":
		c.Kind = znode.DataSet
	case "touch":
		c.Kind = znode.Touched
	default:
		panic("unknown change " + verb)
	}
	return c
}
