package main

import (
	"io/fs"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grovekeeper/grove/server"
	"github.com/grovekeeper/grove/server/admin"
	"github.com/grovekeeper/grove/server/trust"
)

// sources are inputs as maps: flags and environment by name, files by path.
type sources struct{ flags, env, files map[string]string }

func (s sources) gather() (settings, error) {
	return gather(inputs{
		flags: s.flags,
		env:   func(name string) (string, bool) { text, ok := s.env[name]; return text, ok },
		read: func(name string) ([]byte, error) {
			text, ok := s.files[name]
			if !ok {
				return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
			}
			return []byte(text), nil
		},
	})
}

func mustGather(t *testing.T, from sources) settings {
	t.Helper()
	s, err := from.gather()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAServerToldNothing(t *testing.T) {
	s := mustGather(t, sources{})
	if s.Dir != "grove-data" || len(s.ClientAddrs) != 1 || s.ClientAddrs[0] != "127.0.0.1:2181" || s.AdminAddr != "" {
		t.Errorf("serves %v from %q with status on %q", s.ClientAddrs, s.Dir, s.AdminAddr)
	}
	if !s.EnforceQuota || s.SkipACL || s.ConnectionsPerAddressMax != 60 {
		t.Errorf("defaults are not those of server.DefaultConfig: %+v", s.Config)
	}
}

func TestFlagsBeatEnvironmentBeatsFile(t *testing.T) {
	from := sources{
		flags: map[string]string{"config": "g.toml", "tick-ms": "100"},
		env:   map[string]string{"GROVE_TICK_MS": "200", "GROVE_CONNECTIONS_MAX": "2"},
		files: map[string]string{"g.toml": "tick_ms = 300\nconnections_max = 3\noutstanding_max = 4"},
	}
	s := mustGather(t, from)
	if s.TickMs != 100 || s.ConnectionsMax != 2 || s.OutstandingMax != 4 || s.FrameBytesMax != 0xFFFFF {
		t.Errorf("flag %d, environment %d, file %d, default %d; want 100, 2, 4, 1048575",
			s.TickMs, s.ConnectionsMax, s.OutstandingMax, s.FrameBytesMax)
	}
	if s.SessionTimeoutMinMs != 200 || s.SessionTimeoutMaxMs != 2000 {
		t.Errorf("session time-outs %d to %d, want 2 and 20 ticks of 100", s.SessionTimeoutMinMs, s.SessionTimeoutMaxMs)
	}
}

func TestTheFileMayBeNamedByTheEnvironment(t *testing.T) {
	s := mustGather(t, sources{
		env:   map[string]string{"GROVE_CONFIG": "g.toml"},
		files: map[string]string{"g.toml": `dir = "/data"` + "\n" + `client_addrs = ["[::1]:1", ":2"]` + "\nenforce_quota = false"},
	})
	if s.Dir != "/data" || strings.Join(s.ClientAddrs, " ") != "[::1]:1 :2" || s.EnforceQuota {
		t.Errorf("the file was not taken: %+v", s.Config)
	}
}

func TestWhatIsWrongIsNamedAsItWasGiven(t *testing.T) {
	for _, test := range []struct {
		from sources
		want string
	}{
		{sources{flags: map[string]string{"tick-ms": "5"}}, "--tick-ms is 5: must be from 10 to 3600000"},
		{sources{env: map[string]string{"GROVE_TICK_MS": "5"}}, "GROVE_TICK_MS is 5: must be from 10 to 3600000"},
		{sources{env: map[string]string{"GROVE_SKIP_ACL": "maybe"}}, `GROVE_SKIP_ACL is "maybe": must be true or false`},
		{sources{flags: map[string]string{"log-level": "loud"}}, `--log-level is "loud": must be debug, info, warn or error`},
		{sources{env: map[string]string{"GROVE_LOG_FORMAT": "xml"}}, `GROVE_LOG_FORMAT is "xml": must be text or json`},
		{sources{flags: map[string]string{"client-addrs": "here"}}, `--client-addrs is "here": must be host:port with a port from 0 to 65535`},
		{tomlFile("tick_ms = 5"), "g.toml: tick_ms is 5: must be from 10 to 3600000"},
		{tomlFile("tickms = 5"), "g.toml: tickms is no setting: see grove serve --help"},
		{tomlFile("[server]\ntick_ms = 5"), "g.toml: server is no setting: see grove serve --help"},
		{tomlFile("tick_ms = \"5\""), `g.toml: toml: line 1 (last key "tick_ms"): incompatible types`},
		{tomlFile("tick_ms = "), "g.toml: toml: line 1"},
		{zooFile("tickTime=5"), "zoo.cfg: tickTime is 5: must be from 10 to 3600000"},
		{zooFile("clientPort=x"), `zoo.cfg: line 1: clientPort: "x" is not a whole number`},
		{zooFile("minSessionTimeout=9000\nmaxSessionTimeout=8000"), "zoo.cfg: minSessionTimeout is 9000: must be from 1 to 8000"},
		{zooFile("dir = \"/data\""), "zoo.cfg has no key of a zoo.cfg: a file of Grove's own must end in .toml"},
		{sources{flags: map[string]string{"config": "missing"}}, "--config: open missing: file does not exist"},
	} {
		_, err := test.from.gather()
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%v\n got %v\nwant %s", test.from, err, test.want)
		}
	}
}

func tomlFile(text string) sources {
	return sources{flags: map[string]string{"config": "g.toml"}, files: map[string]string{"g.toml": text}}
}

func zooFile(text string) sources {
	return sources{flags: map[string]string{"config": "zoo.cfg"}, files: map[string]string{"zoo.cfg": text}}
}

// Every field of server.Config must be a setting, or nobody could set it.
func TestEveryFieldIsASetting(t *testing.T) {
	s := defaults()
	named := map[string]bool{"Logger": true, "Version": true, "Built": true} // serve's own business
	for _, r := range s.rows() {
		if named[r.field] {
			t.Errorf("%s is set twice", r.field)
		}
		named[r.field] = true
		if want := strings.ReplaceAll(r.name, "-", ""); !strings.EqualFold(strings.ReplaceAll(r.field, ".", ""), want) {
			t.Errorf("--%s sets %s", r.name, r.field)
		}
	}
	for i, kind := 0, reflect.TypeFor[server.Config](); i < kind.NumField(); i++ {
		field := kind.Field(i).Name
		if kind.Field(i).Type == reflect.TypeFor[trust.Files]() {
			field += ".Cert" // of the rest, some can only be said by a zoo.cfg
		}
		if !named[field] {
			t.Errorf("no setting for %s", field)
		}
	}
}

func TestAZooCfg(t *testing.T) {
	s := mustGather(t, zooFile(`
tickTime=2000
initLimit=10
syncLimit=5
dataDir=/var/lib/zookeeper
clientPort=2182
clientPortAddress=10.0.0.1
maxClientCnxns=0
maxSessionTimeout=60000
snapCount=10
4lw.commands.whitelist=ruok, srvr, hash
admin.serverPort=9090
jute.maxbuffer=4194304
enforce.auth.enabled=true
foo=bar
`))
	want := defaults()
	want.Config = server.Config{
		Dir: "/var/lib/zookeeper", ClientAddrs: []string{"10.0.0.1:2182"}, AdminAddr: "127.0.0.1:9090",
		TickMs: 2000, SessionTimeoutMaxMs: 60000, ConnectionsPerAddressMax: 0, CheckpointEvery: 10,
		FrameBytesMax: 4194304, FourLetterWords: []string{"ruok", "srvr"}, EnforceQuota: true,
	}.Complete()
	if diff := cmp.Diff(want.Config, s.Config, cmp.FilterPath(isLogger, cmp.Ignore())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	warning := []any{
		"file", "zoo.cfg",
		"unprotected", "enforce.auth.enabled (sessions without credentials are accepted)",
		"ignored", "initLimit, syncLimit",
		"unknown", "foo, 4lw.commands.whitelist: hash",
	}
	if diff := cmp.Diff(warning, s.ineffective); diff != "" {
		t.Errorf("warning (-want +got):\n%s", diff)
	}
}

func isLogger(p cmp.Path) bool { return p.Last().String() == ".Logger" }

func TestZooKeepersDefaultsHoldWhereItsFileIsSilent(t *testing.T) {
	s := mustGather(t, zooFile("dataDir=/data"))
	if s.TickMs != 3000 || s.SessionTimeoutMinMs != 6000 || s.SessionTimeoutMaxMs != 60000 {
		t.Errorf("tick %d, session time-outs %d to %d", s.TickMs, s.SessionTimeoutMinMs, s.SessionTimeoutMaxMs)
	}
	if s.AdminAddr != "" || s.ClientAddrs[0] != "127.0.0.1:2181" || !s.EnforceQuota {
		t.Errorf("Grove's own defaults are gone: %+v", s.Config)
	}
	if diff := cmp.Diff(admin.DefaultWords(), s.FourLetterWords); diff != "" {
		t.Error(diff)
	}
	if s.ineffective != nil {
		t.Errorf("a warning about nothing: %v", s.ineffective)
	}
}

func TestTheEnvironmentBeatsAZooCfg(t *testing.T) {
	from := zooFile("clientPort=2181\nadmin.enableServer=true")
	from.env = map[string]string{"GROVE_CLIENT_ADDRS": "127.0.0.1:0", "GROVE_ADMIN_ADDR": ""}
	s := mustGather(t, from)
	if strings.Join(s.ClientAddrs, " ") != "127.0.0.1:0" || s.AdminAddr != "" {
		t.Errorf("clients on %v, status on %q", s.ClientAddrs, s.AdminAddr)
	}
}

func TestServerLinesDescribeAQuorum(t *testing.T) {
	three := "dataDir=d\nserver.1=a:1:2\nserver.2=b:1:2:observer;2185\nserver.3=c:1:2"
	dynamic := zooFile("dataDir=d\ndynamicConfigFile=zoo.dynamic")
	dynamic.files["zoo.dynamic"] = three
	for _, from := range []sources{zooFile(three), dynamic} {
		if _, err := from.gather(); err == nil || !strings.Contains(err.Error(), "describe a quorum of 3: open d/myid") {
			t.Errorf("without myid: %v", err)
		}
		from.files["d/myid"] = "x"
		if _, err := from.gather(); err == nil || !strings.Contains(err.Error(), `myid is "x"`) {
			t.Errorf("with a myid that is none: %v", err)
		}
		from.files["d/myid"] = "2\n"
		s := mustGather(t, from)
		if s.ID != 2 || s.Peers.String() != "server.1=a:1:2:participant\nserver.2=b:1:2:observer;0.0.0.0:2185\n"+
			"server.3=c:1:2:participant\nversion=0" || s.ClientAddrs[0] != "0.0.0.0:2185" {
			t.Errorf("server %d of %q, clients on %v", s.ID, s.Peers.String(), s.ClientAddrs)
		}
	}
	alone := zooFile("dynamicConfigFile=zoo.dynamic")
	alone.files["zoo.dynamic"] = "server.1=a:2888:3888:participant;0.0.0.0:2185"
	if s := mustGather(t, alone); s.ClientAddrs[0] != "0.0.0.0:2185" {
		t.Errorf("clients on %v, want where the only server line says", s.ClientAddrs)
	}
	missing := zooFile("dynamicConfigFile=nowhere")
	if _, err := missing.gather(); err == nil || !strings.Contains(err.Error(), "dynamicConfigFile: open nowhere") {
		t.Errorf("err = %v", err)
	}
}
