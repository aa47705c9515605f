package member

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/grovekeeper/grove/internal/zoocfg"
)

func TestTheTableIsThatOfZooKeeper(t *testing.T) {
	for name, text := range map[string]string{
		"three": "server.1=zk1:2888:3888:participant;0.0.0.0:2181\n" +
			"server.2=zk2:2888:3888:participant;0.0.0.0:2181\n" +
			"server.3=zk3:2888:3888:participant;0.0.0.0:2181\n" +
			"version=100000000",
		"no clients": "server.1=zk1:2888:3888:participant\nversion=0",
		"observer":   "server.1=a:1:2:participant;b:3\nserver.200=c:4:5:observer;[::1]:6\nversion=1f",
		"addresses":  "server.7=a:3:4|b:5:6|[fe80::1]:1:2:participant;0.0.0.0:2181\nversion=ffffffffffffffff",
		"empty":      "version=0",
	} {
		t.Run(name, func(t *testing.T) {
			table, err := ParseTable([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if got := table.String(); got != text {
				t.Errorf("printed\n%s\nwant\n%s", got, text)
			}
		})
	}
}

func TestTheTableIsReadAsZooKeeperReadsIt(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "version=0",
		"server.1=a:1:2\n":             "server.1=a:1:2:participant\nversion=0",
		"server.1=a:1:2;2181":          "server.1=a:1:2:participant;0.0.0.0:2181\nversion=0",
		"server.1=a:1:2:Observer;2181": "server.1=a:1:2:observer;0.0.0.0:2181\nversion=0",
		"# remark\n\n version = a \r\nserver.2:b:1:2\r\nserver.1 a:1:2 ; x:3 ": "server.1=a:1:2:participant;x:3\n" +
			"server.2=b:1:2:participant\nversion=a",
		"server.1=b:1:2:observer|a:3:4:observer": "server.1=a:3:4|b:1:2:observer\nversion=0",
	} {
		table, err := ParseTable([]byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := table.String(); got != want {
			t.Errorf("%q reads as\n%s\nwant\n%s", text, got, want)
		}
	}
}

func TestWhatIsNoTable(t *testing.T) {
	for text, want := range map[string]error{
		"group.1=1:2:3":                  ErrBadArguments,
		"weight.1=1":                     ErrBadArguments,
		"clientPort=2181":                ErrBadArguments,
		"nonsense":                       ErrBadArguments,
		"server.x=a:1:2":                 ErrUnreadable,
		"server.0=a:1:2":                 ErrBadArguments,
		"server.256=a:1:2":               ErrBadArguments,
		"server.1=a:1:2\nserver.1=b:1:2": ErrBadArguments,
		"server.1=a:1":                   ErrBadArguments,
		"server.1=:1:2":                  ErrBadArguments,
		"server.1=a:1:2:voter":           ErrBadArguments,
		"server.1=a:1:2:observer|b:1:2:participant": ErrBadArguments,
		"server.1=a:1:2;b:c:3":                      ErrBadArguments,
		"server.1=a:1:2;":                           ErrBadArguments,
		"server.1=a:1:2;1;2":                        ErrBadArguments,
		"server.1=a:0:2":                            ErrBadArguments,
		"server.1=a:1:65536":                        ErrUnreadable,
		"server.1=a b:1:2":                          ErrBadArguments,
		"server.1=[::1:1:2":                         ErrBadArguments,
		"version=g":                                 ErrUnreadable,
		strings.Repeat("#", tableBytesMax+1):        ErrBadArguments,
		"server.1=" + strings.Repeat("a:1:2|", 20):  ErrBadArguments,
	} {
		if table, err := ParseTable([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%.60q: table %v, error %v, want %v", text, table, err, want)
		}
	}
}

func TestATablePrintedAndReadIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := tables.Draw(t, "table")
		got, err := ParseTable(want.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		if !got.Same(want) || got.Hash() != want.Hash() {
			t.Fatal("equal tables are not the same")
		}
	})
}

var (
	hosts = rapid.SampledFrom([]string{"a", "b", "zk1.example.org", "10.0.0.7", "::1", "fe80::1%eth0", "0.0.0.0"})
	ports = rapid.IntRange(1, 65535)
	addrs = rapid.Custom(func(t *rapid.T) zoocfg.MemberAddr {
		return zoocfg.MemberAddr{
			Host: hosts.Draw(t, "host"), QuorumPort: ports.Draw(t, "quorum"), ElectionPort: ports.Draw(t, "election"),
		}
	})
	someone = rapid.Custom(func(t *rapid.T) Member {
		m := Member{
			ID:    rapid.Uint8Range(1, 255).Draw(t, "id"),
			Role:  rapid.SampledFrom([]Role{Participant, Observer}).Draw(t, "role"),
			Addrs: rapid.SliceOfN(addrs, 1, 3).Draw(t, "addrs"),
		}
		sortAddrs(m.Addrs)
		if rapid.Bool().Draw(t, "told") {
			m.ClientHost, m.ClientPort = hosts.Draw(t, "client host"), ports.Draw(t, "client port")
		}
		return m
	})
	tables = rapid.Custom(func(t *rapid.T) Table {
		table := Table{Version: rapid.Uint64().Draw(t, "version")}
		for _, m := range rapid.SliceOfN(someone, 0, 7).Draw(t, "members") {
			table = table.with(m)
		}
		return table
	})
)

func FuzzParseTable(f *testing.F) {
	f.Add("server.1=a:1:2:participant;0.0.0.0:2181\nversion=1")
	f.Add("server.1=[::1]:1:2|b:1:2:observer;[::]:1\nversion=ff")
	f.Fuzz(func(t *testing.T, text string) {
		first, err := ParseTable([]byte(text))
		if err != nil {
			return
		}
		again, err := ParseTable(first.Append(nil))
		if err != nil {
			t.Fatalf("%q is read, and printed as %q, which is not: %v", text, first, err)
		}
		if diff := cmp.Diff(first, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestPeers(t *testing.T) {
	for text, want := range map[string]string{
		"1=a:2888":                          "server.1=a:2888:3888:participant\nversion=0",
		" 2=b:65000:observer , 1=[::1]:70,": "server.1=[::1]:70:1070:participant\nserver.2=b:65000:64000:observer\nversion=0",
	} {
		table, err := ParsePeers(text)
		if err != nil || table.String() != want {
			t.Errorf("%q: %v, error %v, want %v", text, table, err, want)
		}
	}
	for text, want := range map[string]error{
		"":                   ErrBadArguments,
		"a:1":                ErrBadArguments,
		"x=a:1":              ErrUnreadable,
		"0=a:1":              ErrBadArguments,
		"1=a":                ErrBadArguments,
		"1=a:1:2":            ErrBadArguments,
		"1=a:1:observer":     ErrBadArguments,
		"1=a:1,1=b:1":        ErrBadArguments,
		"1=a:1,2=a:1":        ErrBadArguments,
		"1=a:1:observer:2,,": ErrBadArguments,
	} {
		if table, err := ParsePeers(text); !errors.Is(err, want) {
			t.Errorf("%q: %v, error %v, want %v", text, table, err, want)
		}
	}
}

func TestMembersOfAConfigFile(t *testing.T) {
	f, err := zoocfg.Parse([]byte("server.2=b:2888:3888:observer;b:9\nserver.1=a:2888:3888\n"))
	if err != nil {
		t.Fatal(err)
	}
	table, err := FromConfig(f.Members, 2181)
	want := "server.1=a:2888:3888:participant;0.0.0.0:2181\nserver.2=b:2888:3888:observer;b:9\nversion=0"
	if err != nil || table.String() != want {
		t.Errorf("%v, error %v, want %v", table, err, want)
	}
	bare, err := FromConfig(f.Members, 0)
	if err != nil || bare.Members[0].ClientPort != 0 || bare.Hash() != table.Hash() {
		t.Errorf("%v, error %v: where clients connect must not count between servers", bare, err)
	}
	for _, id := range []int64{0, 256} {
		if _, err := FromConfig([]zoocfg.Member{{ID: id, Addrs: f.Members[0].Addrs}}, 0); !errors.Is(err, ErrBadArguments) {
			t.Errorf("number %d: error %v", id, err)
		}
	}
}

func TestWhereAMemberIs(t *testing.T) {
	table, err := ParseTable([]byte("server.1=zk1:1:2;2181\nserver.2=[::1]:1:2;[::]:2181\nserver.3=c:1:2;d:3\nserver.4=e:1:2"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"zk1:1 zk1:2181", "[::1]:1 [::1]:2181", "c:1 d:3", "e:1 "}
	for i, m := range table.Members {
		if got := m.PeerAddr() + " " + m.ClientAddr(); got != want[i] {
			t.Errorf("server %d is at %q, want %q", m.ID, got, want[i])
		}
	}
}

func TestNodes(t *testing.T) {
	for _, random := range []uint64{0, 1, 0xff, 1 << 8, 1<<63 + 5, ^uint64(0), ^uint64(0) - 0xff} {
		n := NewNode(7, random)
		if n.ID() != 7 || n>>8 == 0 || n >= ^Node(0xff) {
			t.Errorf("of %x came %v", random, n)
		}
	}
	if Node(1).ID() != 1 {
		t.Error("a directory from before incarnations has lost its number")
	}
	if got := NewNode(3, 0xabcdef00).String(); got != "3.abcdef" {
		t.Errorf("printed %s", got)
	}
}
