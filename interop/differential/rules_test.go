package differential

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A rule says of a kind of difference that it is known, and why Grove answers as it does. Grove follows
// 3.9; a rule is for releases before the one named, or for several servers whatever the release, and covers
// nothing but what it describes.
type rule struct {
	name    string
	before  string // the first release that answers as Grove does; empty: for several servers
	because string
	covers  func(d difference) bool
}

var rules = []rule{
	{
		"exists needs read permission", "3.9.2",
		"until ZOOKEEPER-2590 exists showed the Stat of a node to who may not read it", existsUnread,
	},
	{
		"multi answers create2 with a Stat", "3.8.2",
		"old releases took a create2 within a multi for a create, and answered without the Stat", create2InMulti,
	},
	{
		"watches of several modes", "3.9.0",
		"old releases kept one mode for a path and connection, so that one watch displaced or outlived another, " +
			"and let a recursive watch count as one for children when watches are removed",
		severalModes,
	},
	{
		"the first step is not behind a sync", "",
		"a script's first step may come to another server than the creation of its root before that server has it, " +
			"and neither promises otherwise: from then on, all sessions sync after each step",
		rootNotYetThere,
	},
}

// covering returns the rule for d, or nil.
func covering(d difference, p *pair) *rule {
	for i := range rules {
		r := &rules[i]
		due := p.older(r.before)
		if r.before == "" {
			due = p.several
		}
		if due && r.covers(d) {
			return r
		}
	}
	return nil
}

// rootNotYetThere: another session than that which made the root asks first, and to one of the two it is not there; or it
// begins to watch the root with its first step, and is told by one of the two that the root was made.
func rootNotYetThere(d difference) bool {
	if len(d.script) < 4 || !strings.HasPrefix(d.script[3], "s0: root -> ok ") {
		return false
	}
	switch len(d.script) {
	case 4:
		return !strings.HasPrefix(d.ref, "s0:") &&
			(strings.HasSuffix(d.got, " -> err=-101") || strings.HasSuffix(d.ref, " -> err=-101"))
	case 5:
		root, who := strings.TrimPrefix(d.script[3], "s0: root -> ok "), strings.TrimSuffix(d.script[4][:3], ":")
		told := "  " + who + " events [Created(" + root + ",state=3)]"
		return who != "s0" && (d.got == told) != (d.ref == told)
	}
	return false
}

// existsUnread: the same exists, answered by the reference, refused by Grove.
func existsUnread(d difference) bool {
	ask, answer, _ := strings.Cut(d.ref, " -> ")
	return strings.Contains(ask, ": exists ") && strings.HasPrefix(answer, "ok {") && d.got == ask+" -> err=-102"
}

var created2 = regexp.MustCompile(`^15/0 ([^{]+)\{[^}]*\}$`)

// create2InMulti: the same result of every operation, but that a create2 comes with a Stat.
func create2InMulti(d difference) bool {
	ask, ref, _ := strings.Cut(d.ref, " -> ok ")
	asked, got, _ := strings.Cut(d.got, " -> ok ")
	_, list, multi := strings.Cut(strings.TrimSuffix(ask, "}"), ": multi{")
	ops, refs, gots := strings.Split(list, "; "), strings.Split(ref, " | "), strings.Split(got, " | ")
	if !multi || ask != asked || len(refs) != len(ops) || len(gots) != len(ops) {
		return false
	}
	for i, op := range ops {
		if strings.HasPrefix(op, "create15 ") {
			gots[i] = created2.ReplaceAllString(gots[i], "1/0 $1")
		}
		if gots[i] != refs[i] {
			return false
		}
	}
	return true
}

// severalModes: a session is told more or less, or has a watch to remove or not, and the watch it is about
// is a persistent one, or lies where the session has a persistent one as well.
func severalModes(d difference) bool {
	if m := removeStep.FindStringSubmatch(d.ref); m != nil {
		return persistent(d.script, m[1], m[2]) > 0
	}
	session, paths := disputed(d.ref, d.got)
	if session == "" {
		return false
	}
	for _, path := range paths {
		if !slices.ContainsFunc(above(path), func(p string) bool {
			return persistent(d.script, session, p) > 0 && asked(d.script, session, p) > 1
		}) {
			return false
		}
	}
	return true
}

var (
	removeStep = regexp.MustCompile(`^(s\d): watches\(18\) "([^"]*)" t=\d -> `)
	eventsStep = regexp.MustCompile(`^  (s\d) events \[(.*)\]$`)
	watchStep  = regexp.MustCompile(`^(s\d): (?:(exists|get|children|children2) "([^"]*)" w=true|(addWatch) "([^"]*)" m=\d|(setWatches101|setWatches105) (.*)) -> (.*)$`)
)

// disputed returns whose events two lines differ in, and the paths of those that one has and the other
// has not. Events of sessions are shown in the order of their names, so of two sessions the first has
// events that the other server did not send; and beside any other step, all events are such.
func disputed(ref, got string) (session string, paths []string) {
	a, b := eventsStep.FindStringSubmatch(ref), eventsStep.FindStringSubmatch(got)
	switch {
	case a == nil && b == nil:
		return "", nil
	case a == nil:
		return b[1], pathsOf(strings.Fields(b[2]))
	case b == nil:
		return a[1], pathsOf(strings.Fields(a[2]))
	case a[1] != b[1]:
		first := min(a[1], b[1])
		if first == a[1] {
			return first, pathsOf(strings.Fields(a[2]))
		}
		return first, pathsOf(strings.Fields(b[2]))
	}
	return a[1], pathsOf(append(without(a[2], b[2]), without(b[2], a[2])...))
}

// without returns the events of one list that are not in another.
func without(list, other string) []string {
	rest := strings.Fields(other)
	return slices.DeleteFunc(strings.Fields(list), func(event string) bool {
		at := slices.Index(rest, event)
		if at >= 0 {
			rest = slices.Delete(rest, at, at+1)
		}
		return at >= 0
	})
}

// pathsOf takes the paths out of events like Data(/a/b,state=3).
func pathsOf(events []string) []string {
	var paths []string
	for _, event := range events {
		_, path, _ := strings.Cut(event, "(")
		path, _, _ = strings.Cut(path, ",state=")
		paths = append(paths, path)
	}
	return paths
}

// above returns path and its ancestors, without the root.
func above(path string) []string {
	var all []string
	for ; path != ""; path = path[:strings.LastIndexByte(path, '/')] {
		all = append(all, path)
	}
	return all
}

// asked counts the steps with which a session asked for a watch on path, persistent those of them that
// may have asked for a persistent one.
func asked(script []string, session, path string) int {
	n, _ := watchSteps(script, session, path)
	return n
}

func persistent(script []string, session, path string) int {
	_, n := watchSteps(script, session, path)
	return n
}

func watchSteps(script []string, session, path string) (all, lasting int) {
	for _, line := range script {
		m := watchStep.FindStringSubmatch(line)
		if m == nil || m[1] != session {
			continue
		}
		switch {
		case m[2] != "" && m[3] == path:
			all++
		case m[4] != "" && m[5] == path:
			all++
			lasting++
		case m[6] != "":
			n := strings.Count(m[7], `"`+path+`"`)
			all += n
			if m[6] == "setWatches105" {
				lasting += n
			}
		}
	}
	return all, lasting
}

func TestRulesCoverWhatTheyDescribe(t *testing.T) {
	old, current := &pair{version: "3.8.0"}, &pair{version: "3.9.5"}
	trio := &pair{version: "3.9.5", several: true}
	lasting := []string{`s1: addWatch "/z/a" m=1 -> ok 0`, `s1: get "/z/a" w=true -> ok ""{}`}
	for _, c := range []struct {
		what     string
		script   []string
		ref, got string
		rule     string // "" for none
	}{
		{"refused", nil, `s1: exists "/z/a" w=true -> ok {v=0}`, `s1: exists "/z/a" w=true -> err=-102`, rules[0].name},
		{"lost", nil, `s1: exists "/z/a" w=true -> ok {v=0}`, `s1: exists "/z/a" w=true -> err=-101`, ""},
		{"get refused", nil, `s1: get "/z/a" w=true -> ok ""{v=0}`, `s1: get "/z/a" w=true -> err=-102`, ""},
		{"create2", nil, `s1: multi{create15 "/z/b" f=0} -> ok 1/0 /z/b`, `s1: multi{create15 "/z/b" f=0} -> ok 15/0 /z/b{cz=#1 t=}`, rules[1].name},
		{"create2, other path", nil, `s1: multi{create15 "/z/b" f=0} -> ok 1/0 /z/b`, `s1: multi{create15 "/z/b" f=0} -> ok 15/0 /z/c{cz=#1 t=}`, ""},
		{"create2 and more", nil, `s1: multi{create15 "/z/b" f=0; check "/z" v=1} -> ok 1/0 /z/b | 13/0`, `s1: multi{create15 "/z/b" f=0; check "/z" v=1} -> ok 15/0 /z/b{cz=#1 t=} | 13/-103`, ""},
		{"create2 and a container", nil, `s1: multi{create19 "/z/b" f=4; create15 "/z/c" f=0} -> ok 15/0 /z/b{cz=#1} | 1/0 /z/c`, `s1: multi{create19 "/z/b" f=4; create15 "/z/c" f=0} -> ok 15/0 /z/b{cz=#1} | 15/0 /z/c{cz=#1}`, rules[1].name},
		{"no Stat of a container", nil, `s1: multi{create19 "/z/b" f=4} -> ok 15/0 /z/b{cz=#1}`, `s1: multi{create19 "/z/b" f=4} -> ok 1/0 /z/b`, ""},
		{"one event more", lasting, `  s1 events [Data(/z/a,state=3)]`, `  s1 events [Child(/z/a,state=3) Data(/z/a,state=3)]`, rules[2].name},
		{"one event, no reason", nil, `  s1 events [Data(/z/a,state=3)]`, `  s1 events [Child(/z/a,state=3) Data(/z/a,state=3)]`, ""},
		{"one event, another session", lasting, `  s2 events [Data(/z/a,state=3)]`, `  s2 events [Child(/z/a,state=3) Data(/z/a,state=3)]`, ""},
		{"one event, a step instead", lasting, `s0: close -> ok`, `  s1 events [Created(/z/a/b,state=3)]`, rules[2].name},
		{"one event, one watch", lasting[:1], `s0: close -> ok`, `  s1 events [Created(/z/a/b,state=3)]`, ""},
		{"another path", lasting, `s0: close -> ok`, `  s1 events [Created(/z/b,state=3)]`, ""},
		{"remove", lasting[:1], `s1: watches(18) "/z/a" t=1 -> ok `, `s1: watches(18) "/z/a" t=1 -> err=-121`, rules[2].name},
		{"remove nothing", nil, `s1: watches(18) "/z/a" t=1 -> ok `, `s1: watches(18) "/z/a" t=1 -> err=-121`, ""},
	} {
		d := difference{script: c.script, ref: c.ref, got: c.got}
		got := ""
		if r := covering(d, old); r != nil {
			got = r.name
		}
		if got != c.rule {
			t.Errorf("%s: covered by %q, want %q", c.what, got, c.rule)
		}
		if r := covering(d, current); r != nil {
			t.Errorf("%s: rule %q excuses a difference from the current release", c.what, r.name)
		}
	}
	first := difference{
		script: []string{"s0: connect", "s1: connect", "s2: connect", "s0: root -> ok /z"},
		ref:    `s1: children "/z" w=false -> ok []`, got: `s1: children "/z" w=false -> err=-101`,
	}
	later, told := first, first
	later.script = append([]string{"s0: connect"}, first.script...)
	told.script = append(slices.Clone(first.script), `s1: addWatch "/z" m=0 -> ok 0`)
	told.ref, told.got = `s0: drop -> `, `  s1 events [Created(/z,state=3)]`
	other := told
	other.got = `  s2 events [Created(/z,state=3)]`
	if covering(first, trio) == nil || covering(first, current) != nil || covering(later, trio) != nil ||
		covering(told, trio) == nil || covering(told, current) != nil || covering(other, trio) != nil {
		t.Error("only the first step, and only on several servers, may be before the root is there")
	}
}
