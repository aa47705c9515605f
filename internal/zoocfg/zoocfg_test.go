package zoocfg

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return f
}

// sample is a file as packages install it.
const sample = `# The number of milliseconds of each tick
tickTime=2000
initLimit=10
syncLimit=5
# the directory where the snapshot is stored.
dataDir=/var/lib/zookeeper
clientPort=2181
# maxClientCnxns=60
autopurge.snapRetainCount=3
autopurge.purgeInterval=1
`

func TestASampleFile(t *testing.T) {
	f := parse(t, sample)
	want := parse(t, "")
	want.TickTime, want.DataDir, want.ClientPort = 2000, "/var/lib/zookeeper", 2181
	want.Keys = 7
	want.Ignored = []Remark{
		{Key: "initLimit", Line: 3, Why: raft},
		{Key: "syncLimit", Line: 4, Why: raft},
		{Key: "autopurge.snapRetainCount", Line: 9, Why: tidy},
		{Key: "autopurge.purgeInterval", Line: 10, Why: tidy},
	}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}
	if f.ClientAddr() != ":2181" {
		t.Errorf("ClientAddr = %q, want every interface", f.ClientAddr())
	}
}

func TestAnEmptyFileHasZooKeepersDefaults(t *testing.T) {
	want := &File{
		TickTime: 3000,
		Limits: Limits{
			MaxClientCnxns: 60, GlobalOutstandingLimit: 1000, JuteMaxBuffer: 1048575,
			SessionlessTimeout: 10000, SnapCount: 100000,
		},
		Containers: Containers{CheckIntervalMs: 60000, MaxPerMinute: 10000},
		Admin:      Admin{Enabled: true, ServerPort: 8080},
	}
	if diff := cmp.Diff(want, parse(t, "")); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}
}

func TestEveryHonouredKeyLandsInItsField(t *testing.T) {
	yes := true
	f := parse(t, `
dataDir=/data
dynamicConfigFile=/etc/zoo.dynamic
clientPort=2182
clientPortAddress=10.0.0.1
tickTime=500
minSessionTimeout=1000
maxSessionTimeout=9000
maxClientCnxns=0
maxCnxns=7
globalOutstandingLimit=8
jute.maxbuffer=0x3fffff
nio.sessionlessCnxnTimeout=9
snapCount=10
znode.container.checkIntervalMs=11
znode.container.maxPerMinute=12
znode.container.maxNeverUsedIntervalMs=13
4lw.commands.whitelist=stat, ruok,*
admin.enableServer=False
admin.serverAddress=0.0.0.0
admin.serverPort=9090
skipACL=yes
zookeeper.DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=
enforceQuota=true
`)
	want := &File{
		Keys: 23, DataDir: "/data", DynamicConfigFile: "/etc/zoo.dynamic", ClientPort: 2182, ClientPortAddress: "10.0.0.1",
		TickTime: 500, MinSessionTimeout: 1000, MaxSessionTimeout: 9000,
		Limits: Limits{
			MaxCnxns: 7, GlobalOutstandingLimit: 8, JuteMaxBuffer: 0x3fffff, SessionlessTimeout: 9, SnapCount: 10,
		},
		Containers: Containers{CheckIntervalMs: 11, MaxPerMinute: 12, MaxNeverUsedIntervalMs: 13},
		Admin: Admin{
			Asked: true, ServerAddress: "0.0.0.0", ServerPort: 9090, Whitelist: []string{"stat", "ruok", "*"},
		},
		Security: Security{SkipACL: true, SuperDigest: "super:D/InIHSb7yEEbrWz8b9l71RjZJU=", EnforceQuota: &yes},
	}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}
}

// Every knob that the protocol reference names must be known, one way or the other.
func TestNoKnobOfTheReferenceIsUnknown(t *testing.T) {
	for key := range strings.FieldsSeq(`
		tickTime minSessionTimeout maxSessionTimeout clientPort secureClientPort clientPortAddress maxClientCnxns
		zookeeper.maxCnxns jute.maxbuffer globalOutstandingLimit zookeeper.request_throttle_max_requests
		localSessionsEnabled localSessionsUpgradingEnabled reconfigEnabled standaloneEnabled readonlymode.enabled
		extendedTypesEnabled znode.container.checkIntervalMs znode.container.maxPerMinute
		znode.container.maxNeverUsedIntervalMs enforceQuota skipACL zookeeper.enableEagerACLCheck
		4lw.commands.whitelist enforce.auth.enabled enforce.auth.schemes sessionRequireClientSASLAuth
		DigestAuthenticationProvider.superDigest DigestAuthenticationProvider.digestAlg
		DigestAuthenticationProvider.enabled X509AuthenticationProvider.superUser zookeeper.superUser
		zookeeper.superUser.1 allowSaslFailedClients zookeeper.closeSessionTxn.enabled zookeeper.digest.enabled
		admin.enableServer admin.serverPort admin.serverAddress admin.commandURL admin.idleTimeout
		metricsProvider.className metricsProvider.httpPort zookeeper.watchManagerName
		zookeeper.nio.sessionlessCnxnTimeout initLimit syncLimit zookeeper.throttled_op_wait_time dataDir dataLogDir
		snapCount autopurge.purgeInterval ensembleAuthName peerType group.1 weight.1 electionAlg
		dynamicConfigFile clientPortListenBacklog ssl.keyStore.location quorum.auth.enableSasl
	`) {
		f, err := Parse([]byte(key + "=1"))
		if err != nil {
			t.Errorf("%s: %v", key, err)
		} else if len(f.Unknown) > 0 {
			t.Errorf("%s is unknown", key)
		}
	}
}

func TestAKeyHasOneMeaning(t *testing.T) {
	seen := map[string]bool{}
	for _, h := range new(File).honoured() {
		if _, _, also := ignoredFor(h.key); seen[h.key] {
			t.Errorf("%s is honoured twice", h.key)
		} else if also && h.key != "nio.sessionlessCnxnTimeout" && !strings.HasPrefix(h.key, "admin.") &&
			!strings.HasPrefix(h.key, "DigestAuthenticationProvider.") {
			t.Errorf("%s is honoured and ignored", h.key)
		}
		seen[h.key] = true
	}
	for i, row := range ignoredKeys {
		if seen[row.key] {
			t.Errorf("%s is listed twice", row.key)
		}
		seen[row.key] = true
		for _, earlier := range ignoredKeys[:i] {
			if family, many := strings.CutSuffix(earlier.key, "*"); many && strings.HasPrefix(row.key, family) {
				t.Errorf("%s is never reached: %s stands before it", row.key, earlier.key)
			}
		}
	}
}

func TestKeysThatWeakenProtectionAreMarked(t *testing.T) {
	f := parse(t, "enforce.auth.enabled=true\nauthProvider.sasl=a.SASLAuthenticationProvider\nquorum.auth.enableSasl=true\ninitLimit=5\nfoo.bar=1")
	var weaker, other []string
	for _, r := range f.Ignored {
		if r.Weaker {
			weaker = append(weaker, r.Key)
		} else {
			other = append(other, r.Key)
		}
	}
	if diff := cmp.Diff([]string{"enforce.auth.enabled", "authProvider.sasl", "quorum.auth.enableSasl"}, weaker); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"initLimit"}, other); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Remark{{Key: "foo.bar", Line: 5, Why: "unknown"}}, f.Unknown); diff != "" {
		t.Error(diff)
	}
}

func TestAWrongValueIsNamedWithItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"\n\nclientPort=21811111":         "line 3: clientPort: is 21811111: must be from 0 to 65535",
		"tickTime=soon":                   `line 1: tickTime: "soon" is not a whole number`,
		"tickTime=":                       `line 1: tickTime: "" is not a whole number`,
		"tickTime=99999999999999999999":   `line 1: tickTime: "99999999999999999999" is too large`,
		"tickTime=0":                      "line 1: tickTime: is 0: must be from 1 to 2147483647",
		"minSessionTimeout=-2":            "line 1: minSessionTimeout: is -2: must be from 1 to 2147483647",
		"server.x=a:1:2":                  `line 1: server.x: "x" is not a server number`,
		"server.1=a":                      `line 1: server.1: "a" has no port`,
		"server.1=a:1":                    `line 1: server.1: "a:1": must be host:port:port or host:port:port:role`,
		"server.1=a:1:2:witness":          `line 1: server.1: "witness": must be participant or observer`,
		"server.1=a:1:2;0":                `line 1: server.1: "0": must be a port from 1 to 65535`,
		"server.1=[::1:1:2":               `line 1: server.1: "[::1:1:2": must be [host]:port`,
		"server.1=a:1:2\nserver.01=b:1:2": "server.1: given twice",
		`dataDir=\u12`:                    `line 1: dataDir: \u without four hexadecimal digits`,
		"a=1\n\\u00zz=2":                  `line 2: \u without four hexadecimal digits`,
	} {
		_, err := Parse([]byte(text))
		var detail *Error
		if !errors.As(err, &detail) || err.Error() != want {
			t.Errorf("Parse(%q) = %v, want %s", text, err, want)
		}
	}
}

func TestMembers(t *testing.T) {
	f := parse(t, `
server.2=zoo2:2888:3888:Observer;2182
server.1=10.0.0.1:2888:3888
server.3=[2001:db8::1]:2888:3888:participant;[::1]:2183
server.4=a:1:2|b:3:4;0.0.0.0:2184
`)
	want := []Member{
		{ID: 1, Addrs: []MemberAddr{{"10.0.0.1", 2888, 3888}}},
		{ID: 2, Addrs: []MemberAddr{{"zoo2", 2888, 3888}}, Observer: true, ClientPort: 2182},
		{ID: 3, Addrs: []MemberAddr{{"2001:db8::1", 2888, 3888}}, ClientHost: "::1", ClientPort: 2183},
		{ID: 4, Addrs: []MemberAddr{{"a", 1, 2}, {"b", 3, 4}}, ClientHost: "0.0.0.0", ClientPort: 2184},
	}
	if diff := cmp.Diff(want, f.Members); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func TestClientAddr(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "",
		"clientPort=2181":                       ":2181",
		"clientPort=1\nclientPortAddress=::1":   "[::1]:1",
		"clientPort=1\nclientPortAddress=[::1]": "[::1]:1",
		"server.1=a:1:2;2181":                   ":2181",
		"server.1=a:1:2;h:2181":                 "h:2181",
		"clientPort=5\nserver.1=a:1:2;6":        ":5",
		"server.1=a:1:2;6\nserver.2=b:1:2":      "",
	} {
		if got := parse(t, text).ClientAddr(); got != want {
			t.Errorf("ClientAddr of %q = %q, want %q", text, got, want)
		}
	}
}

func TestSessionTimeoutsOfMinusOneAreDefaults(t *testing.T) {
	f := parse(t, "minSessionTimeout=-1\nmaxSessionTimeout=-1")
	if f.MinSessionTimeout != 0 || f.MaxSessionTimeout != 0 {
		t.Errorf("time-outs %d and %d, want 0 for the default", f.MinSessionTimeout, f.MaxSessionTimeout)
	}
}

func TestAnEmptyWhitelistIsNotTheDefault(t *testing.T) {
	if got := parse(t, "4lw.commands.whitelist=").Admin.Whitelist; got == nil || len(got) != 0 {
		t.Errorf("whitelist = %#v, want an empty list", got)
	}
	if got := parse(t, "").Admin.Whitelist; got != nil {
		t.Errorf("whitelist = %#v, want nil", got)
	}
}

// FuzzParse holds that any bytes are read or refused with a line.
func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("server.1=[::1]:2888:3888:observer;[::]:2181\nadmin.serverPort=\\u0038080\\\n  1"))
	f.Add([]byte("a\\=b\\:c = \\ud83d\\ude00 \\\r\n x\rkey\fvalue\n!no\n\\"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse(text)
		var detail *Error
		if err != nil && !errors.As(err, &detail) {
			t.Fatalf("err = %#v, want an *Error", err)
		}
		if err == nil && (file.TickTime < 1 || file.ClientPort > 65535 || file.Limits.JuteMaxBuffer < 1) {
			t.Fatalf("out of bounds: %+v", file)
		}
	})
}
