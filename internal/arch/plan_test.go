package arch

import (
	"slices"
	"testing"
)

// tops are the folders at the root. Not all of them need to be there yet.
var tops = []string{
	"client", "cmd", "docs", "internal", "interop", "recipes", "server", "session", "watch", "znode",
}

// rooms are the folders with Go in them, by the plan of the house.
var rooms = []string{
	"client", "client/clienttest", "recipes/...", "cmd/grove", "interop/...",
	"session", "znode", "watch",
	"server", "server/admin", "server/checkpoint", "server/feed", "server/front", "server/image", "server/member", "server/peer",
	"server/reaper", "server/replica", "server/state", "server/trust", "server/wal",
	"internal/arch", "internal/bug", "internal/chaos", "internal/codec", "internal/disk", "internal/group", "internal/heap", "internal/mailbox",
	"internal/sim", "internal/wire", "internal/zoocfg",
}

func TestTheHouseHasTheRoomsOfThePlan(t *testing.T) {
	s := read(t)
	for _, top := range s.tops {
		if !slices.Contains(tops, top) && s.hasGo(top) {
			t.Errorf("%s/ is no folder of the plan: what it holds belongs into one of %v", top, tops)
		}
	}
	for _, dir := range s.dirs() {
		if !within(dir, rooms...) {
			t.Errorf("%s is no room of the plan: if the house needs it, add it to docs/design and to this test", dir)
		}
	}
}

func (s *source) hasGo(top string) bool {
	return slices.ContainsFunc(s.dirs(), func(dir string) bool { return within(dir, top+"/...") })
}

// ownOnly lists the rooms at the bottom of the house and the only rooms of ours they may import.
var ownOnly = map[string][]string{
	"internal/bug":     nil,
	"internal/codec":   nil,
	"internal/disk":    nil,
	"internal/group":   nil,
	"internal/heap":    nil,
	"internal/mailbox": nil,
	"internal/zoocfg":  nil,
	"internal/wire":    {"internal/codec"},
	"znode":            {"internal/codec"},
	"session":          {"internal/codec"},
	"watch":            {"znode"},
	"server/image":     {"server/state", "znode", "session", "internal/codec"},
	"server/member":    {"internal/zoocfg", "internal/codec"},
	"server/state":     {"znode", "session", "internal/codec"},
	"server/trust":     nil,
	"server/wal":       {"internal/disk", "internal/codec", "internal/group", "internal/mailbox"},
	"client":           {"internal/wire", "internal/codec", "internal/group"},
}

func TestTheFoundationsStandOnFewRooms(t *testing.T) {
	s := read(t)
	for f := range s.files(false) {
		allowed, listed := ownOnly[f.dir]
		for _, path := range f.imports() {
			to, own := ours(path)
			if to == "internal/bug" {
				continue // a planted bug compiles to nothing
			}
			if own && listed && !slices.Contains(allowed, to) {
				t.Errorf("%s imports %s: of our own rooms, %s may import only %v", f.path, to, f.dir, allowed)
			}
		}
	}
}

// never lists who must not import whom, and why.
var never = []struct {
	rooms, banned []string
	linked        bool // also through others
	because       string
}{
	{
		[]string{"server/state"}, []string{"internal/wire"}, true,
		"the log outlives the protocol",
	},
	{
		[]string{"internal/wire"}, []string{"znode", "session", "watch", "server/...", "client", "recipes/..."}, true,
		"the client links it and stays on the standard library; it must not know the tree or the log",
	},
	{
		[]string{"server/front"}, []string{"server/replica", "server/wal", "server/checkpoint", "server/peer"}, false,
		"a connection proposes; it knows nothing of consensus",
	},
	{
		[]string{"server/replica", "server/peer", "server/wal"},
		[]string{"server/state", "znode", "session", "watch", "server/feed"}, true,
		"they move bytes",
	},
	{
		[]string{"client", "recipes/..."}, []string{"server/..."}, true,
		"nobody links a server to use a lock",
	},
	{
		[]string{"server/...", "znode", "session", "watch"}, []string{"client", "recipes/..."}, true,
		"a server does not use itself",
	},
	{
		[]string{"client", "recipes/...", "server/...", "session", "znode", "watch", "internal/..."},
		[]string{"cmd/..."}, true,
		"flags, environment and exit codes end in cmd",
	},
}

func TestWhoMayImportWhom(t *testing.T) {
	s := read(t)
	for _, rule := range never {
		for _, dir := range s.dirs() {
			if !within(dir, rule.rooms...) {
				continue
			}
			for to, via := range s.links(dir) {
				if within(to, rule.banned...) && (rule.linked || via == dir) {
					t.Errorf("%s must never import %s (here through %s): %s", dir, to, via, rule.because)
				}
			}
		}
	}
}

// guests lists the modules of others, and the rooms that may import them.
var guests = []struct {
	path  string // and everything below it
	rooms []string
}{
	{"github.com/google/btree", []string{"session", "znode", "server/state"}},
	{"github.com/cespare/xxhash/v2", []string{"session", "znode"}},
	{"go.etcd.io/raft/v3/raftpb", []string{"internal/sim", "server", "server/replica", "server/peer"}}, // server carries between the two
	{"go.etcd.io/raft/v3", []string{"server/replica"}},
	{"google.golang.org/protobuf", []string{"internal/sim", "server", "server/replica", "server/peer"}}, // raftpb's messages are such
	{"go.etcd.io/bbolt", []string{"server/checkpoint"}},
	{"github.com/prometheus", []string{"server/admin"}},
	{"golang.org/x/sys", []string{"internal/disk", "server/checkpoint"}}, // system calls on the files they own
	{"software.sslmate.com/src/go-pkcs12", []string{"server/trust"}},
	{"github.com/pavlo-v-chernykh/keystore-go/v4", []string{"server/trust"}},
	{"github.com/urfave/cli/v2", []string{"cmd/grove"}},
	{"github.com/BurntSushi/toml", []string{"cmd/grove"}},
	{"github.com/peterh/liner", []string{"cmd/grove"}},
	{"github.com/mattn/go-runewidth", []string{"cmd/grove"}},
}

// testers are the modules that only tests may import, anywhere.
var testers = []string{
	"github.com/anishathalye/porcupine", "github.com/go-zookeeper/zk", "github.com/google/go-cmp",
	"github.com/rogpeppe/go-internal", "go.uber.org/goleak", "pgregory.net/rapid",
}

func TestGuestsStayInTheirRooms(t *testing.T) {
	s := read(t)
	for _, tests := range []bool{false, true} {
		for f := range s.files(tests) {
			for _, path := range f.imports() {
				_, own := ours(path)
				if own || standard(path) || tests && below(path, testers...) || welcome(path, f.dir) {
					continue
				}
				t.Errorf("%s imports %s: what others wrote stays where the plan has it in braces", f.path, path)
			}
		}
	}
}

// welcome tells whether the first row that covers path names the room.
func welcome(path, dir string) bool {
	for _, g := range guests {
		if below(path, g.path) {
			return within(dir, g.rooms...)
		}
	}
	return false
}

func below(path string, families ...string) bool {
	return slices.ContainsFunc(families, func(family string) bool {
		return path == family || len(path) > len(family) && path[:len(family)+1] == family+"/"
	})
}
